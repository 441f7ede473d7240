"""Who may do what, and what every request and answer must carry."""

from __future__ import annotations

import hmac
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lutra.store.accounts import Accounts, RoleOf, Session

COOKIE = "lutra_session"
NAME = "what"
"""Attribute of a dependency that says which of :data:`RULES` it is; the test of roles asks every route."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
R = RoleOf
EVERYONE = tuple(RoleOf)
SEES_DOSES = (R.PHYSICIST, R.PHYSICIAN, R.COORDINATOR, R.ADMIN)
"""A reader of response is blinded: whoever is a reader alone sees the blinded report."""
RULES: dict[str, tuple[RoleOf, ...]] = {
    "home": EVERYONE,
    "sign out": EVERYONE,
    "password": EVERYONE,
    "report": SEES_DOSES,
    "reading": EVERYONE,
    "decision": SEES_DOSES,
    "sign decision": (R.PHYSICIAN,),
    "responses": EVERYONE,
    "lock response": (R.READER,),
    "unlock response": (R.COORDINATOR, R.ADMIN),
    "images": EVERYONE,
    "edit images": (R.PHYSICIST, R.PHYSICIAN),
    "edits": (R.PHYSICIST, R.PHYSICIAN, R.COORDINATOR, R.ADMIN),
    "undo edit": (R.PHYSICIST, R.PHYSICIAN),
    "run": (R.PHYSICIST, R.ADMIN),
    "audit": (R.COORDINATOR, R.ADMIN),
    "accounts": (R.ADMIN,),
    "change accounts": (R.ADMIN,),
}
"""Roles of each thing that can be done; the routes refer to it by name, and the test walks all of both."""


def signed_in(request: Request) -> Session | None:
    """Give the session of a request."""
    accounts: Accounts = request.app.state.accounts
    token = request.cookies.get(COOKIE)
    return accounts.session(token) if token else None


def allowed(what: str) -> Any:
    """Make a dependency that lets a request through if its person may do this.

    Raises
    ------
    HTTPException
        401 for nobody, 403 for another role.
    """
    roles = RULES[what]

    def check(request: Request) -> Session:
        session = signed_in(request)
        if session is None:
            raise HTTPException(401)
        if not session.account.may(*roles):
            raise HTTPException(403, f"{what} is for: {', '.join(roles)}")
        request.state.session = session
        return session

    setattr(check, NAME, what)
    return check


def refuse_forged(request: Request, session: Session | None, csrf: str) -> None:
    """Refuse a form that did not come of a page of this session.

    Raises
    ------
    HTTPException
        403
    """
    expected = session.csrf if session else request.cookies.get("lutra_form", "")
    if not expected or not hmac.compare_digest(expected.encode(), csrf.encode()):
        raise HTTPException(403, "this form is not of this session: go back and load the page again")


def refuse_other_origins(request: Request) -> None:
    """Refuse what a page of another site sends.

    Raises
    ------
    HTTPException
        403
    """
    origin = request.headers.get("origin")
    if (
        request.method not in ("GET", "HEAD")
        and origin
        and origin != f"{request.url.scheme}://{request.headers.get('host', '')}"
    ):
        raise HTTPException(403, "a form of another site")


def with_headers(response: Response) -> Response:
    """Put on every answer what keeps a browser from doing more than it should."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
