"""A study with people of every role, and a browser without a screen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

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
