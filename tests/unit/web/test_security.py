"""What somebody might try."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lutra.core.errors import UsageError
from lutra.pipeline.study import StudyFolder
from lutra.store import accounts as accounts_module
from lutra.store.accounts import FAILURES, Accounts, RoleOf
from lutra.web.access import COOKIE

from .conftest import PASSWORD, Enter, asked, token_of


def _sign_in(client: TestClient, name: str, password: str) -> int:
    token = token_of(client.get("/sign-in").text)
    return client.post("/sign-in", data={"name": name, "password": password, "csrf": token}).status_code


def test_a_form_of_another_session_or_site_is_refused(enter: Enter) -> None:
    one, other = enter("admin"), enter("admin")
    foreign = token_of(other.get("/").text)
    form = {"name": "new", "role": "reader", "password": PASSWORD, "csrf": foreign}
    assert one.post("/accounts", data=form).status_code == 403
    assert one.post("/accounts", data={**form, "csrf": ""}).status_code == 403
    own = {**form, "csrf": token_of(one.get("/").text)}
    assert one.post("/accounts", data=own, headers={"origin": "http://evil.test"}).status_code == 403
    assert one.post("/accounts", data=own, headers={"origin": "http://room.test"}).status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "../lutra.db",
        "../protocol.toml",
        "..%2fprotocol.toml",
        "..%2f..%2flutra.db",
        "%2e%2e/accounts.db",
        "/etc/passwd",
        "secret.db",
        "....//accounts.db",
        "../accounts.db",
        "subjects/../../lutra.db",
        "..%2faccounts.db",
        "..%5caccounts.db",
        "%2e%2e%2flutra.db%23.html",
        "link.html",
        "index.html%00.db",
    ],
)
def test_nothing_beside_the_report_is_served(enter: Enter, path: str) -> None:
    """The paths go as they are, with no client that tidies them up first."""
    client = enter("physicist")
    for door in ("report", "reading", "assets"):
        assert asked(client, f"/{door}/{path}".encode()) == 404
    assert client.get("/report/index.html").status_code == 200


def test_a_session_begins_anew_when_somebody_signs_in(app: FastAPI) -> None:
    """A token that somebody planted is not the one of the session."""
    client = TestClient(app, base_url="http://room.test", follow_redirects=False)
    client.cookies.set(COOKIE, "planted")
    assert _sign_in(client, "the-reader", PASSWORD) == 303
    fresh = [c.value for c in client.cookies.jar if c.name == COOKIE and c.value != "planted"]
    assert fresh
    outsider = TestClient(app, base_url="http://room.test", follow_redirects=False, cookies={COOKIE: "planted"})
    assert outsider.get("/").headers["location"] == "/sign-in"


def test_a_cookie_is_of_no_use_after_signing_out(enter: Enter, app: FastAPI) -> None:
    client = enter("reader")
    token = client.cookies[COOKIE]
    assert client.post("/sign-out", data={"csrf": token_of(client.get("/").text)}).status_code == 303
    again = TestClient(app, base_url="http://room.test", follow_redirects=False, cookies={COOKIE: token})
    assert again.get("/").headers["location"] == "/sign-in"


def test_guessing_has_to_wait(app: FastAPI) -> None:
    client = TestClient(app, base_url="http://room.test", follow_redirects=False)
    assert [_sign_in(client, "the-admin", f"wrong password {n}") for n in range(FAILURES)] == [401] * FAILURES
    assert _sign_in(client, "the-admin", PASSWORD) == 429
    assert _sign_in(client, "the-reader", PASSWORD) == 303


def test_large_and_strange_requests_are_refused(enter: Enter) -> None:
    client = enter("physicist")
    token = token_of(client.get("/").text)
    assert client.post("/run", data={"csrf": token, "x": "y" * 70_000}).status_code == 413
    assert client.post("/run", content=iter([b"csrf="]), headers={"content-type": "text/plain"}).status_code == 413
    assert client.request("TRACE", "/").status_code == 405
    assert client.put("/run", data={"csrf": token}).status_code == 405


@pytest.mark.parametrize(
    "name", ["{{ 7919*7907 }}", "${7919*7907}", "<script>alert(1)</script>", "x' OR '1'='1", "a; DROP TABLE accounts"]
)
def test_names_are_text(enter: Enter, app: FastAPI, name: str) -> None:
    client = enter("admin")
    form = {"name": name, "role": "reader", "password": PASSWORD, "csrf": token_of(client.get("/").text)}
    assert client.post("/accounts", data=form).status_code == 303
    page = client.get("/accounts").text
    assert "<script>alert" not in page
    assert "62615533" not in page  # nobody multiplied
    assert name in {a.name for a in app.state.accounts.all()}
    assert _sign_in(TestClient(app, base_url="http://room.test", follow_redirects=False), name, PASSWORD) == 303


def test_every_answer_carries_the_headers(enter: Enter) -> None:
    for client, path in (
        (enter(None), "/sign-in"),
        (enter("reader"), "/"),
        (enter("reader"), "/nowhere"),
        (enter("reader"), "/audit"),
    ):
        headers = client.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
    cookie = enter(None).get("/sign-in").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_pages_have_no_script_of_their_own(enter: Enter) -> None:
    for role in RoleOf:
        client = enter(role)
        for path in ("/", "/responses", "/audit", "/accounts", "/run"):
            page = client.get(path).text
            assert "<script>" not in page
            assert " style=" not in page
            assert " onclick" not in page


def test_passwords_are_neither_short_nor_kept(root: Path, tmp_path: Path) -> None:
    people = Accounts(tmp_path / "a.db")
    with pytest.raises(UsageError, match="12 or more"):
        people.add("A", ["reader"], "short")
    with pytest.raises(UsageError, match="holds the name"):
        people.add("longname", ["reader"], "my-longname-password")
    with pytest.raises(UsageError, match="reader and something else"):
        people.add("B", ["reader", "physicist"], PASSWORD)
    content = (root / "accounts.db").read_bytes()
    assert PASSWORD.encode() not in content
    assert content.count(b"$argon2id$") == len(RoleOf)
    assert (root / "accounts.db").stat().st_mode & 0o077 == 0


def test_the_last_administrator_stays(root: Path) -> None:
    people = Accounts(root / "accounts.db")
    with pytest.raises(UsageError, match="last administrator"):
        people.change("the-admin", disabled=True)


def test_sessions_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = Accounts(root / "accounts.db")
    account = people.check("the-reader", PASSWORD)
    assert account
    token, session = people.open_session(account)
    assert people.session(token) == session
    later = datetime.now(UTC) + timedelta(minutes=31)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return later

    monkeypatch.setattr(accounts_module, "datetime", Clock)
    assert people.session(token) is None
    monkeypatch.undo()
    assert people.session(token) is None


def test_who_signed_in_is_in_the_audit_trail_and_no_password_is(enter: Enter, root: Path) -> None:
    enter("coordinator")
    study = StudyFolder(root)
    trail = study.ledger.audit_trail()
    assert any(e["action"] == "signed in" and e["detail"]["by"] == "the-coordinator" for e in trail)
    assert PASSWORD not in str(trail)
