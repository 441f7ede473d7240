"""Whatever anybody sends to any route, in any role: never a defect, always the headers, never words from inside."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from lutra.store.accounts import Account, RoleOf
from lutra.web.access import COOKIE, HEADERS

FIELDS = (
    "csrf",
    "name",
    "role",
    "password",
    "new",
    "disabled",
    "seen",
    "reason",
    "decision",
    "verdict",
    "kind",
    "runs",
    "long",
    "other",
)
"""What forms of the room hold; the OpenAPI description knows of paths alone, because forms are read by hand."""
KNOWN = {
    "path": ("index.html", "../lutra.db", "subjects/S1.html", "", "."),
    "subject": ("S1", "S9"),
    "series": ("ct", "ct-12-jan-2026"),
    "cycle": ("1", "2", "99"),
    "number": ("1", "2"),
    "name": ("the-reader", "nobody"),
}
TEXT = st.text(max_size=40)
NUMBERS = st.one_of(st.integers(), st.integers(10**17, 10**40), st.floats()).map(str)
MARKUP = st.sampled_from(
    [
        "<script>alert(7)</script>",
        "{{ 7919*7907 }}",
        "' OR 1=1 --",
        "%00",
        "\0",
        "../../lutra.db",
        "a" * 5000,
        "𝔘\u202e",
        "1e999",
    ]
)
VALUES = st.one_of(TEXT, NUMBERS, MARKUP)
INSIDE = re.compile(rb"Traceback|sqlalchemy|sqlite3|site-packages|lutra\.db|argon2|/tmp/|62615533|<script>alert")


@st.composite
def requests(draw: st.DrawFn, operations: list[tuple[str, str]]) -> tuple[str, str, dict[str, str], dict[str, str]]:
    """Draw a method, a path, a form and headers: half of each as it should be, half as it should not."""
    method, path = draw(st.sampled_from(operations))
    for name in re.findall(r"\{(\w+)\}", path):
        value = draw(st.one_of(st.sampled_from(KNOWN[name]), VALUES))
        path = path.replace(f"{{{name}}}", _quoted(value), 1)
    form = draw(st.dictionaries(st.one_of(st.sampled_from(FIELDS), TEXT), VALUES, max_size=12))
    valid = {
        "password": "wrong but long enough",
        "seen": "0",
        "reason": "because",
        "verdict": "DELAY",
        "role": "reader",
    }
    form = {**{k: v for k, v in valid.items() if draw(st.booleans())}, **form}
    headers = draw(st.dictionaries(st.sampled_from(
        ["origin", "referer", "content-type", "content-encoding", "accept", "range", "if-none-match", "x-forwarded-for"]
    ), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30), max_size=2))  # fmt: skip
    return method, path, form, headers


def _quoted(value: str) -> str:
    return "".join(
        f"%{byte:02x}" if byte < 48 or byte > 122 else chr(byte) for byte in value.encode("utf-8", "replace")
    )


@pytest.mark.parametrize("role", [None, *RoleOf])
def test_no_request_breaks_anything(app: FastAPI, role: RoleOf | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.state.runner, "start", lambda by: None)
    monkeypatch.setattr(app.state.accounts, "must_wait", lambda name, address: False)
    operations = [(m.upper(), path.replace(":path", "")) for path, ms in app.openapi()["paths"].items() for m in ms]
    assert len(operations) >= 19

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(requests(operations), st.booleans())
    def ask(asked: tuple[str, str, dict[str, str], dict[str, str]], signed: bool) -> None:
        method, path, form, headers = asked
        client = TestClient(app, base_url="http://room.test", follow_redirects=False, raise_server_exceptions=False)
        if role is not None:
            account = app.state.accounts
            token, session = account.open_session(Account(f"the-{role}", frozenset([role])))
            client.cookies.set(COOKIE, token)
            form = {**form, "csrf": session.csrf} if signed else form
        answer = client.request(method, path, headers=headers, **({"data": form} if method == "POST" else {}))
        where = f"{method} {path} {form} {headers} by {role}: {answer.status_code}"
        assert answer.status_code < 500, where
        for name, value in HEADERS.items():
            assert answer.headers.get(name) == value, where
        if answer.headers.get("content-type", "").startswith("text/html") and answer.status_code != 200:
            found = INSIDE.search(re.sub(rb"<p>.*?</p>", b"", answer.content, flags=re.DOTALL))
            assert found is None, (where, found)
        assert b"<script>alert" not in answer.content, where
        if path.startswith(("/report", "/reading", "/assets")):
            assert b"SQLite format" not in answer.content

    ask()


def test_the_description_of_the_routes_is_not_served(app: FastAPI, enter: Any) -> None:
    client = enter("admin")
    assert [client.get(path).status_code for path in ("/openapi.json", "/docs", "/redoc")] == [404] * 3
