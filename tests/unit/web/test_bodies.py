"""Bodies that are too large, too slow, too deep, or something else than they say, through a real server on loopback."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI

from lutra.web import answers

MEGABYTE = b"x" * (1 << 20)


@pytest.fixture
def port(app: FastAPI) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    listening.close()


def talk(port: int, head: str, pieces: Iterator[bytes] | list[bytes] = (), pause_s: float = 0.0) -> tuple[int, str]:  # type: ignore[assignment]
    """Send a request as it is written and give status and text of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(head.replace("\n", "\r\n").encode())
        try:
            for piece in pieces:
                line.sendall(piece)
                time.sleep(pause_s)
        except OSError:
            pass  # the server has hung up, as it may
        answer = b""
        try:
            while piece := line.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return int(answer.split(b" ", 2)[1]) if answer else 0, answer.decode("utf-8", "replace")


def post(*lines: str) -> str:
    kind = "Content-Type: application/x-www-form-urlencoded"
    return "\n".join(["POST /sign-in HTTP/1.1", "Host: 127.0.0.1", "Connection: close", kind, *lines, "", ""])


def _chunks(n: int) -> Iterator[bytes]:
    for _ in range(n):
        yield b"%x\r\n" % len(MEGABYTE) + MEGABYTE + b"\r\n"


def test_a_body_announced_as_too_large_is_not_read(port: int) -> None:
    status, text = talk(port, post("Content-Length: 10000000000"))
    assert status == 413
    assert "content-security-policy" in text.lower()


@pytest.mark.parametrize("length", ["", "Content-Length: 10\n"])
def test_a_body_in_chunks_is_refused_whatever_length_it_announces(port: int, length: str) -> None:
    status, _ = talk(port, post(f"{length}Transfer-Encoding: chunked"), _chunks(64))
    assert status in (400, 413)


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "٣", " "])
def test_a_length_that_is_none_is_refused(port: int, length: str) -> None:
    assert talk(port, post(f"Content-Length: {length}"))[0] in (400, 413)


def test_a_body_longer_than_announced_is_cut(port: int) -> None:
    status, _ = talk(port, post("Content-Length: 5"), [b"csrf=" + MEGABYTE])
    assert status in (400, 403)  # a bad request, or a form without its token


def test_a_slow_body_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SLOWEST_S", 0.5)
    begun = time.monotonic()
    status, _ = talk(port, post("Content-Length: 100"), [b"c"])
    assert status == 408
    assert time.monotonic() - begun < 5
    assert talk(port, "GET /sign-in HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n")[0] == 200


def test_a_compressed_body_is_not_unpacked(port: int) -> None:
    bomb = gzip.compress(b"csrf=" + b"0" * (50 << 20))
    assert len(bomb) < 64 * 1024
    assert talk(port, post("Content-Encoding: gzip", f"Content-Length: {len(bomb)}"), [bomb])[0] == 415


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", "text/plain", ""])
def test_only_plain_forms_are_taken(port: int, kind: str) -> None:
    body = b'{"csrf": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    head = f"POST /sign-in HTTP/1.1\nHost: 127.0.0.1\nConnection: close\nContent-Type: {kind}\nContent-Length: {len(body)}\n\n"
    assert talk(port, head, [body])[0] == 415


@pytest.mark.parametrize("body", [b"&".join(b"f%d=1" % n for n in range(5000)), b"a=1;" * 15_000 + b"&" * 500])
def test_many_fields_are_refused(port: int, body: bytes) -> None:
    begun = time.monotonic()
    assert talk(port, post(f"Content-Length: {len(body)}"), [body])[0] in (400, 403)
    assert time.monotonic() - begun < 5


def test_long_heads_are_refused(port: int) -> None:
    status, _ = talk(port, f"GET /sign-in HTTP/1.1\nHost: x\nConnection: close\nCookie: {'a' * 200_000}\n\n")
    assert status in (0, 400, 431)
