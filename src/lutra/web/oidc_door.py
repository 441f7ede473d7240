"""Routes of signing in through a provider, and of confirming there that it is you who signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from lutra.store.accounts import Accounts
from lutra.web.access import COOKIE, signed_in
from lutra.web.oidc import Provider
from lutra.web.pages import Pages

BROWSER = "lutra_provider"
CONFIRMED_FOR = timedelta(minutes=5)


def add_provider(app: FastAPI, provider: Provider) -> None:
    """Let people in who signed in at a provider."""
    app.state.pages.through = urlsplit(provider.settings.issuer).hostname

    @app.get("/sign-in/provider")
    def leave(request: Request, then: str = "/") -> Response:
        """Send somebody to the provider; who has a session of it is asked again there, to confirm a signature."""
        session = signed_in(request)
        if not then.startswith("/") or then.startswith("//") or "\\" in then or not then.isprintable():
            raise HTTPException(404)
        confirms = session.account.name if session and session.through_provider else None
        address, browser = provider.send(then, confirms, request.cookies.get(COOKIE, ""))
        answer = RedirectResponse(address, 303)
        # Lax: the provider's page leads back here, and a strict cookie would not come along.
        answer.set_cookie(
            BROWSER,
            browser,
            max_age=600,
            httponly=True,
            samesite="lax",
            secure=app.state.secure,
            path="/sign-in/provider",
        )
        return answer

    @app.get("/sign-in/provider/back")
    def back(request: Request) -> Response:
        """Take what the provider says and begin a session, or confirm the one there is."""
        accounts: Accounts = app.state.accounts
        pages: Pages = app.state.pages
        answered = {name: value for name, value in request.query_params.items() if name != "then"}
        pending, name = provider.receive(answered, request.cookies.get(BROWSER, ""))
        account = {a.name: a for a in accounts.all()}.get(name)
        if account is None or account.disabled or pending.confirms not in (None, account.name):
            raise HTTPException(
                403, "the provider knows you, and there is no account here for you: ask an administrator"
            )
        accounts.close_session(pending.session)  # a new one each time: what somebody planted, or read, ends here
        now = datetime.now(UTC)
        token, session = accounts.open_session(account, now + CONFIRMED_FOR if pending.confirms else now)
        app.state.study.log(
            "confirmed at the provider" if pending.confirms else "signed in",
            {"by": account.name, "through": provider.settings.issuer},
        )
        # A page and no redirect: a browser sends a strict cookie only from a page of this site.
        page = pages.render("came_back.html", session, then=pending.then)
        answer = Response(page, media_type="text/html")
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=app.state.secure)
        answer.delete_cookie(BROWSER, path="/sign-in/provider")
        return answer
