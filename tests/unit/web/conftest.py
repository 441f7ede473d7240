"""A study with people of every role, and a browser without a screen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("argon2")
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.testclient import TestClient

from lutra.pipeline.study import StudyFolder
from lutra.store import accounts as accounts_module
from lutra.store.accounts import Accounts, RoleOf
from lutra.web import create_app

PASSWORD = "otters-hold-hands-asleep"  # noqa: S105  (of nobody)
Enter = Callable[[str | None], TestClient]


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed as argon2 does it, with the least work it allows."""
    monkeypatch.setattr(accounts_module, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    StudyFolder.create(folder)
    accounts = Accounts(folder / "accounts.db")
    for role in RoleOf:
        accounts.add(f"the-{role}", [role], PASSWORD)
    for name in ("report", "report-reader"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "index.html").write_text(f'<nav aria-label="Main"><a>x</a></nav>{name}')
    (folder / "report" / "secret.db").write_text("x")
    for door in ("report", "report-reader"):
        (folder / door / "link.html").symlink_to(folder / "protocol.toml")
    clinical = folder / "clinical"
    clinical.mkdir(exist_ok=True)
    (clinical / "subjects.csv").write_text("record_id,redcap_event_name,sex,age\nS1,baseline,F,61\n")
    return folder


@pytest.fixture
def app(root: Path) -> FastAPI:
    return create_app(root)


@pytest.fixture
def enter(app: FastAPI) -> Enter:
    """Sign somebody in; None: nobody."""

    def signed_in(role: str | None) -> TestClient:
        client = TestClient(app, base_url="http://room.test", follow_redirects=False)
        if role:
            token = token_of(client.get("/sign-in").text)
            answer = client.post("/sign-in", data={"name": f"the-{role}", "password": PASSWORD, "csrf": token})
            assert answer.status_code == 303, answer.text
        return client

    return signed_in


def token_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


def asked(client: TestClient, raw_path: bytes) -> int:
    """Ask for a path as it is written, by the server's own interface, and give the status."""
    statuses: list[int] = []
    cookie = "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)
    path, _, query = raw_path.partition(b"?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": unquote(path.decode("latin-1")), "raw_path": path, "query_string": query, "root_path": "",
        "headers": [(b"host", b"room.test"), (b"cookie", cookie.encode())],
        "client": ("127.0.0.1", 1), "server": ("room.test", 80),
    }  # fmt: skip

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    return statuses[0]
