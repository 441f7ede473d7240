"""Servers as one meets them: each fault of an answer becomes an error that says what to do. The server here is a few lines
of Python on loopback; what a real archive does is in tests/integration."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydicom
import pytest

from lutra.core.errors import AccessDenied, BrokenAnswer, MissingExtra, NetworkError, Unreachable, UsageError
from lutra.ingest.dicomweb import Archive, DicomWeb, Query, Remote, single_part

Make = Callable[..., bytes]
Answer = tuple[int, str, bytes]
MULTIPART = 'multipart/related; type="application/dicom"; boundary="xyz"'
REMOTE = Remote("1.2.3.1", "1.2.3.1.1", "1.2.826.0.1.3680043.10.1.1")


def part(content: bytes) -> bytes:
    return b"--xyz\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--xyz--\r\n"


class Server(ThreadingHTTPServer):
    """Answers with what `answer` makes of a path and its conditions."""

    daemon_threads = True
    answer: Callable[[str, dict[str, str]], Answer]
    seen: list[Any]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/dicom-web"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.seen.append(self.headers)
        status, kind, body = self.server.answer(parts.path.removeprefix("/dicom-web/"), asked)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if kind != "no length":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.seen = []
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[..., DicomWeb]]:
    opened: list[DicomWeb] = []

    def make(answer: Callable[[str, dict[str, str]], Answer] | Answer, **settings: Any) -> DicomWeb:
        server.answer = answer if callable(answer) else lambda *_: answer
        opened.append(DicomWeb(Archive(server.url, **settings)))
        return opened[-1]

    yield make
    for web in opened:
        web._session.close()


def rows(*rows: dict[str, str]) -> Answer:
    data = [{tag: {"vr": "UI", "Value": [value]} for tag, value in row.items()} for row in rows]
    return 200, "application/dicom+json", json.dumps(data).encode()


def small_archive(path: str, asked: dict[str, str], *, page: int = 100, ignores: tuple[str, ...] = ()) -> Answer:
    """Two patients, one study each; CT and PT; five instances in a series."""
    names = {
        "PatientID": "00100020",
        "StudyInstanceUID": "0020000D",
        "SeriesInstanceUID": "0020000E",
        "Modality": "00080060",
    }
    level = path.rpartition("/")[2]
    found = []
    for patient in (1, 2):
        study = {"00100020": f"P{patient}", "0020000D": f"1.{patient}"}
        if level == "studies":
            found.append(study)
            continue
        for series, modality in ((1, "CT"), (2, "PT")):
            one = {**study, "0020000E": f"1.{patient}.{series}", "00080060": modality}
            if level == "series":
                found.append(one)
                continue
            found += [{**one, "00080018": f"1.{patient}.{series}.{n}"} for n in range(1, 6)]
    words = path.split("/")
    within = dict(zip(words[::2], words[1::2], strict=False))
    conditions = {name: value for name, value in asked.items() if name in names and name not in ignores}
    if "studies" in within:
        conditions["StudyInstanceUID"] = within["studies"]
    if "series" in within:
        conditions["SeriesInstanceUID"] = within["series"]
    for name, value in conditions.items():
        found = [row for row in found if row.get(names[name], value) == value]
    offset = 0 if "offset" in ignores else int(asked.get("offset", 0))
    return rows(*found[offset : offset + page])


def uids(found: tuple[Remote, ...]) -> list[str]:
    return [remote.instance_uid for remote in found]


@pytest.mark.parametrize(
    "server_is",
    [{}, {"page": 2}, {"ignores": ("offset",)}, {"ignores": ("PatientID", "Modality", "SeriesInstanceUID")}],
    ids=["plain", "limits its answers", "ignores the offset", "ignores conditions"],
)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(patient_id="P1"), [f"1.1.{s}.{n}" for s in (1, 2) for n in range(1, 6)]),
        (Query(patient_id="P2", modality="PT"), [f"1.2.2.{n}" for n in range(1, 6)]),
        (Query(study_uid="1.2", modality="CT"), [f"1.2.1.{n}" for n in range(1, 6)]),
        (Query(series_uid="1.1.2"), [f"1.1.2.{n}" for n in range(1, 6)]),
        (Query(patient_id="P1", study_uid="1.2"), []),
    ],
)
def test_search(server_is: dict[str, Any], query: Query, expected: list[str], connect: Callable[..., DicomWeb]) -> None:
    """Whatever a server makes of limits and conditions, what is asked for is found, all of it and nothing else."""
    web = connect(lambda path, asked: small_archive(path, asked, **server_is))
    assert uids(web.find(query)) == expected


@pytest.mark.parametrize(
    "query", [Query(), Query(modality="CT"), Query(patient_id="*"), Query(patient_id="P?"), Query(study_uid="1.*")]
)
def test_a_query_for_everything_is_refused(query: Query, connect: Callable[..., DicomWeb], server: Server) -> None:
    with pytest.raises(UsageError):
        connect(rows()).find(query)
    assert server.seen == []


def test_an_instance_is_given_byte_for_byte(instance: Make, connect: Callable[..., DicomWeb]) -> None:
    content = instance(1)
    assert connect((200, MULTIPART, part(content))).retrieve(REMOTE, "P1") == content
    assert connect((200, MULTIPART, b"\r\n" + part(content))).retrieve(REMOTE) == content
    assert connect((200, "application/dicom", content)).retrieve(REMOTE) == content


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((401, "text/plain", b""), AccessDenied, "HTTP 401"),
        ((403, "text/plain", b""), AccessDenied, "HTTP 403"),
        ((404, "text/html", b"<html>"), NetworkError, "HTTP 404"),
        ((503, "text/plain", b""), NetworkError, "HTTP 503"),
        ((200, "text/html; charset=utf-8", b"<html>log in"), BrokenAnswer, "web page"),
        ((200, "application/dicom+json", b"[{"), BrokenAnswer, "makes no sense"),
        ((200, "application/dicom+json", b'["x"]'), BrokenAnswer, "no list of DICOM data sets"),
        (rows({"0020000D": "../../admin"}), BrokenAnswer, "is no UID"),
    ],
)
def test_search_answers_that_are_none(
    answer: Answer, error: type[NetworkError], words: str, connect: Callable[..., DicomWeb], server: Server
) -> None:
    with pytest.raises(error, match=words) as caught:
        connect(answer).find(Query(patient_id="P1"))
    assert server.url in str(caught.value)
    assert caught.value.do


def test_instances_that_are_none(instance: Make, connect: Callable[..., DicomWeb]) -> None:
    """An answer may be cut anywhere; with the length announced, without, and in the middle of the data set alone."""
    whole = part(instance(1))
    for end in range(0, len(whole) - len(b"--\r\n"), 7):
        for kind in (MULTIPART, "no length"):
            web = connect((200, kind, whole[:end]) if kind == MULTIPART else (200, MULTIPART, whole[:end]))
            with pytest.raises(BrokenAnswer):
                web.retrieve(REMOTE)
    for spoiled in (instance(1)[:-5], b"", b"DICM"):
        with pytest.raises(BrokenAnswer, match="no whole instance"):
            connect((200, MULTIPART, part(spoiled))).retrieve(REMOTE)


def test_another_instance_or_patient_than_asked_for(instance: Make, connect: Callable[..., DicomWeb]) -> None:
    with pytest.raises(BrokenAnswer, match="SOP Instance UID"):
        connect((200, MULTIPART, part(instance(2)))).retrieve(REMOTE)
    with pytest.raises(BrokenAnswer, match="patient"):
        connect((200, MULTIPART, part(instance(1, PatientID="P7")))).retrieve(REMOTE, "P1")


def test_an_answer_that_breaks_off() -> None:
    """The length is announced, then the line is cut."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(4096)
                line.sendall(
                    f"HTTP/1.1 200 OK\r\nContent-Type: {MULTIPART}\r\nContent-Length: 9999\r\n\r\n--xyz".encode()
                )

        thread = threading.Thread(target=serve)
        thread.start()
        web = DicomWeb(Archive(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with pytest.raises(BrokenAnswer, match="stops in the middle"):
            web.retrieve(REMOTE)
        thread.join()
        web._session.close()


def test_nobody_there_and_nobody_answering() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        slow = DicomWeb(Archive(url, timeout_s=0.3))
        with pytest.raises(Unreachable, match=r"no answer within 0\.3 s"):
            slow.find(Query(patient_id="P1"))
        slow._session.close()
    gone = DicomWeb(Archive(url))
    with pytest.raises(Unreachable, match="nobody answers"):
        gone.find(Query(patient_id="P1"))
    gone._session.close()


def test_who_asks(connect: Callable[..., DicomWeb], server: Server) -> None:
    secret, token = "pw", "abc"
    connect(rows(), user="me", password=secret).find(Query(patient_id="P1"))
    assert server.seen[-1]["Authorization"] == "Basic bWU6cHc="  # me:pw
    connect(rows(), token=token).find(Query(patient_id="P1"))
    assert server.seen[-1]["Authorization"] == "Bearer abc"
    assert secret not in repr(Archive(server.url, "me", secret))


@pytest.mark.parametrize("url", ["ftp://x/y", "pacs.example", "http://", "https://me:secret@pacs.example/dicom-web"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Archive(url)
    if "secret" in url:
        assert "secret" not in str(caught.value)


def test_parts() -> None:
    assert single_part(MULTIPART, part(b"a\r\n--xy b")) == b"a\r\n--xy b"  # nearly the boundary, within the content
    with pytest.raises(BrokenAnswer, match="2 instances"):
        single_part(MULTIPART, part(b"a").replace(b"--xyz--\r\n", b"") + part(b"b"))
    with pytest.raises(BrokenAnswer, match="text/plain"):
        single_part("text/plain", b"")


def test_sending_goes_byte_for_byte_but_for_the_head(
    instance: Make, tmp_path: Any, connect: Callable[..., DicomWeb]
) -> None:
    posted: list[bytes] = []

    def take(handler: Handler) -> None:
        posted.append(handler.rfile.read(int(handler.headers["Content-Length"])))
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    Handler.do_POST = take  # type: ignore[attr-defined]
    try:
        (tmp_path / "x.dcm").write_bytes(instance(1))
        connect(rows()).store(tmp_path / "x.dcm")
    finally:
        del Handler.do_POST  # type: ignore[attr-defined]
    content = posted[0][posted[0].index(b"\r\n\r\n") + 4 : posted[0].rindex(b"\r\n--")]
    assert pydicom.dcmread(io.BytesIO(content)) == pydicom.dcmread(io.BytesIO(instance(1)))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "dicomweb_client.web", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lutra\[pacs\]'"):
        DicomWeb(Archive("http://127.0.0.1:1"))
