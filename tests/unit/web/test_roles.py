"""Every route by every role."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from lutra.store.accounts import RoleOf
from lutra.web.access import RULES

from .conftest import Enter, token_of

OPEN = {("GET", "/sign-in"), ("POST", "/sign-in"), ("GET", "/assets/{path:path}")}
"""What nobody must sign in for."""


def _what(route: APIRoute) -> str | None:
    for dependency in route.dependant.dependencies:
        if what := getattr(dependency.call, "what", None):
            return str(what)
    return None


def _routes(app: FastAPI) -> list[tuple[str, str, str | None]]:
    return [(m, r.path, _what(r)) for r in app.routes if isinstance(r, APIRoute) for m in sorted(r.methods)]


def test_every_route_says_whose_it_is(app: FastAPI) -> None:
    said = {(m, path) for m, path, what in _routes(app) if what is not None}
    assert {(m, path) for m, path, _ in _routes(app)} - said == OPEN
    assert {what for _, _, what in _routes(app)} - {None} == set(RULES)


@pytest.mark.parametrize("role", [None, *RoleOf])
def test_a_role_gets_what_is_its_own_and_nothing_else(app: FastAPI, enter: Enter, role: RoleOf | None) -> None:
    for method, path, what in _routes(app):
        if what is None or path in ("/sign-out", "/password"):
            continue
        client = enter(role)
        url = re.sub(r"\{path:path\}", "index.html", path)
        for name, value in {"subject": "S1", "cycle": "1", "name": "the-reader", "number": "1", "series": "ct"}.items():
            url = url.replace(f"{{{name}}}", value)
        token = token_of(client.get("/").text) if role else "x"
        answer = client.get(url) if method == "GET" else client.post(url, data={"csrf": token, "password": "wrong"})
        where = f"{method} {path} by {role}: {answer.status_code}"
        if role is None:
            refused = answer.status_code == 303 and answer.headers["location"] == "/sign-in"
            assert refused or (method == "POST" and answer.status_code == 403), where
        elif role in RULES[what]:
            assert answer.status_code != 401, where
            assert f"{what} is for:" not in answer.text, where
        else:
            assert answer.status_code == 403, where
            assert f"{what} is for:" in answer.text, where


def test_a_reader_never_reaches_dosimetry(enter: Enter) -> None:
    client = enter("reader")
    assert client.get("/report/index.html").status_code == 403
    assert "report-reader" in client.get("/reading/index.html").text
    assert "/report/" not in client.get("/").text
    assert "/decisions/" not in client.get("/").text
