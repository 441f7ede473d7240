"""The application: every route, the thing it does, and the page it answers with."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from attrs import asdict, evolve
from fastapi import Depends, FastAPI, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response

from lutra.core.decision import Verdict
from lutra.core.errors import LutraError, UsageError
from lutra.pipeline.decide import answer, sign
from lutra.pipeline.edits import edits_of, state_of, undo_edit
from lutra.pipeline.response_lock import lock_response, locks
from lutra.pipeline.study import StudyFolder
from lutra.store.accounts import ACCOUNTS, Accounts, RoleOf, Session
from lutra.web.access import (
    COOKIE,
    RULES,
    SEES_DOSES,
    allowed,
    refuse_forged,
    refuse_other_origins,
    with_headers,
)
from lutra.web.answers import (
    Form,
    FormData,
    checked_form,
    form_of,
    largest_form,
    page,
    seen_in,
    study_of,
    too_large,
)
from lutra.web.images import add_images
from lutra.web.jobs import Runner
from lutra.web.oidc import Provider
from lutra.web.oidc_door import add_provider
from lutra.web.pages import Pages

NIIVUE = "niivue.umd.js"
"""The viewer of images. It is kept and sent packed."""
SERVED = {".html", ".css", ".js", ".png", ".svg", ".csv", ".parquet", ".json", ".toml", ".pdf"}
Cycle = Annotated[int, InPath(ge=1, le=99)]
Number = Annotated[int, InPath(ge=1, le=10**12)]


def create_app(root: Path, *, secure: bool = False, provider: Provider | None = None) -> FastAPI:
    """Make the application of one study.

    Parameters
    ----------
    root
        Study folder.
    secure
        Whether it is reached over TLS: cookies then travel over nothing else.
    provider
        Where people may sign in too.

    Raises
    ------
    StoreError
        If there is no study.
    """
    study = StudyFolder(root)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, title="Lutra")
    app.state.root, app.state.secure, app.state.study = root, secure, study
    app.state.accounts = Accounts(root / ACCOUNTS)
    app.state.runner, app.state.pages = Runner(root), Pages(root)
    app.middleware("http")(_guarded)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(LutraError, _explained)
    app.add_exception_handler(RequestValidationError, _not_a_page)
    app.add_exception_handler(Exception, _broken)
    for add in (_signing_in, _reports, _decisions, _responses, _edits, _running, _trail, _accounts, add_images):
        add(app)
    if provider is not None:
        add_provider(app, provider)
    return app


async def _guarded(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse what is too large or of another site, and put the headers on every answer."""
    if request.method not in ("GET", "HEAD", "POST"):
        return with_headers(PlainTextResponse("not allowed", 405))
    if request.method == "POST":
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > largest_form(request):
            return with_headers(PlainTextResponse(too_large(request), 413))
        try:
            refuse_other_origins(request)
        except HTTPException as error:
            return with_headers(PlainTextResponse(error.detail, error.status_code))
    return with_headers(await go_on(request))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (as it was registered)
    if error.status_code == 401:
        return with_headers(RedirectResponse("/sign-in", 303))
    words = {403: "This is not yours to do", 404: "There is no such page"}.get(error.status_code, "That did not work")
    return with_headers(page(request, "message.html", error.status_code, heading=words, text=str(error.detail)))


async def _explained(request: Request, error: Exception) -> Response:
    return with_headers(page(request, "message.html", 400, heading="That did not work", text=str(error)))


async def _not_a_page(request: Request, _error: Exception) -> Response:
    return await _refused(request, HTTPException(404))


async def _broken(_request: Request, _error: Exception) -> Response:
    """Answer for a defect, which says nothing of what went on inside."""
    return with_headers(PlainTextResponse("This is a defect of Lutra: please report it.", 500))


def _reauthenticated(request: Request, session: Session, form: Form) -> None:
    """Ask for the password again before something is signed, or that the provider has just asked.

    Raises
    ------
    HTTPException
        403 if it is wrong, or nothing was confirmed; 429 after too many attempts.
    """
    accounts: Accounts = request.app.state.accounts
    if session.through_provider:
        if not accounts.use_confirmation(request.cookies.get(COOKIE, "")):
            raise HTTPException(403, "confirm at the provider that it is you: nothing was signed")
        return
    if accounts.must_wait(session.account.name, _address(request)):
        raise HTTPException(429, "too many wrong passwords: wait a quarter of an hour")
    if accounts.check(session.account.name, form.get("password", ""), _address(request)) is None:
        raise HTTPException(403, "the password is wrong: nothing was signed")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


# ---- signing in ----
def _signing_in(app: FastAPI) -> None:
    @app.get("/sign-in")
    def ask(request: Request) -> Response:
        token = secrets.token_urlsafe(24)
        answered = page(request, "sign_in.html", csrf=token, failed="")
        answered.set_cookie("lutra_form", token, httponly=True, samesite="strict", secure=app.state.secure)
        return answered

    @app.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        form = await form_of(request)
        refuse_forged(request, None, form.get("csrf", ""))
        accounts: Accounts = app.state.accounts
        name = form.get("name", "")
        if accounts.must_wait(name, _address(request)):
            return page(
                request, "sign_in.html", 429, csrf=form["csrf"], failed="Too many attempts: wait a quarter of an hour."
            )
        account = await run_in_threadpool(accounts.check, name, form.get("password", ""), _address(request))
        if account is None:
            return page(request, "sign_in.html", 401, csrf=form["csrf"], failed="Name or password is wrong.")
        if old := request.cookies.get(COOKIE):
            accounts.close_session(old)
        token, _ = accounts.open_session(account)
        study_of(app).log("signed in", {"by": account.name})
        answered = RedirectResponse("/", 303)
        answered.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=app.state.secure)
        answered.delete_cookie("lutra_form")
        return answered

    @app.post("/sign-out", dependencies=[Depends(checked_form), Depends(allowed("sign out"))])
    def sign_out(request: Request) -> Response:
        app.state.accounts.close_session(request.cookies.get(COOKIE, ""))
        answered = RedirectResponse("/sign-in", 303)
        answered.delete_cookie(COOKIE)
        return answered

    @app.post("/password")
    def password(
        request: Request, form: FormData, session: Annotated[Session, Depends(allowed("password"))]
    ) -> Response:
        if session.through_provider:
            raise HTTPException(403, "you sign in at the provider: there is no password to change here")
        _reauthenticated(request, session, form)
        app.state.accounts.change(session.account.name, password=form.get("new", ""))
        study_of(app).log("password changed", {"by": session.account.name})
        return RedirectResponse("/sign-in", 303)

    @app.get("/")
    def home(request: Request, session: Annotated[Session, Depends(allowed("home"))]) -> Response:
        pages: Pages = app.state.pages
        return page(request, "home.html", **pages.home(study_of(app), session))


# ---- reports ----
def _reports(app: FastAPI) -> None:
    @app.get("/assets/{path:path}")
    def asset(request: Request, path: str) -> Response:
        pages: Pages = app.state.pages
        if path == NIIVUE:
            headers = {"Content-Encoding": "gzip", "Cache-Control": "private, max-age=86400"}
            return FileResponse(pages.own_assets / f"{NIIVUE}.gz", media_type="text/javascript", headers=headers)
        return _file(request, pages.own_assets if (pages.own_assets / path).is_file() else pages.assets, path)

    @app.get("/report/{path:path}", dependencies=[Depends(allowed("report"))])
    def report(request: Request, path: str) -> Response:
        return _file(request, app.state.root / "report", path or "index.html")

    @app.get("/reading/{path:path}", dependencies=[Depends(allowed("reading"))])
    def reading(request: Request, path: str) -> Response:
        return _file(request, app.state.root / "report-reader", path or "index.html")


def _file(request: Request, folder: Path, path: str) -> Response:
    """Serve a file of a folder, and nothing beside it.

    Raises
    ------
    HTTPException
        404
    """
    if "\0" in path:
        raise HTTPException(404)
    base = folder.resolve()
    file = (base / path).resolve()
    if not file.is_relative_to(base) or file.suffix not in SERVED or not file.is_file():
        raise HTTPException(404, "it may not have been made yet: run the study and its report")
    if file.suffix == ".html":
        pages: Pages = request.app.state.pages
        return Response(pages.with_way_home(file.read_text("utf-8"), path), media_type="text/html")
    return FileResponse(file)


# ---- decisions ----
def _decisions(app: FastAPI) -> None:
    @app.get("/decisions/{subject}/{cycle}")
    def decision(
        request: Request, subject: str, cycle: Cycle, session: Annotated[Session, Depends(allowed("decision"))]
    ) -> Response:
        found = answer(study_of(app), subject, cycle)
        may_sign = session.account.may(RoleOf.PHYSICIAN)
        return page(request, "decision.html", found=found, d=found.decision, may_sign=may_sign, verdicts=list(Verdict))

    @app.post("/decisions/{subject}/{cycle}")
    def signed(
        request: Request,
        subject: str,
        cycle: Cycle,
        form: FormData,
        session: Annotated[Session, Depends(allowed("sign decision"))],
    ) -> Response:
        study = study_of(app)
        found = answer(study, subject, cycle)
        if form.get("decision") != found.digest:
            raise HTTPException(
                409, "what the rules saw has changed since this page was made: read it again before you sign"
            )
        if form.get("verdict") not in set(Verdict):
            raise HTTPException(400, "an answer must be chosen")
        found = evolve(found, last_signed=seen_in(form))
        _reauthenticated(request, session, form)
        sign(study, found, session.account.name, Verdict(form["verdict"]), form.get("reason", ""))
        return RedirectResponse(f"/decisions/{subject}/{cycle}", 303)


# ---- response ----
def _responses(app: FastAPI) -> None:
    @app.get("/responses")
    def listing(request: Request, session: Annotated[Session, Depends(allowed("responses"))]) -> Response:
        study = study_of(app)
        locked = dict(locks(study.ledger.audit_trail()))
        subjects = sorted({*study.clinical, *study.ledger.subject_ids()})
        return page(
            request,
            "responses.html",
            subjects=[(s, locked.get(s)) for s in subjects],
            may_lock=session.account.may(RoleOf.READER),
            may_unlock=session.account.may(RoleOf.COORDINATOR, RoleOf.ADMIN),
            report="report" if session.account.may(*SEES_DOSES) else "reading",
        )

    @app.post("/responses/{subject}/lock")
    def lock(
        request: Request, subject: str, form: FormData, session: Annotated[Session, Depends(allowed("lock response"))]
    ) -> Response:
        _reauthenticated(request, session, form)
        lock_response(study_of(app), subject, session.account.name)
        return RedirectResponse("/responses", 303)

    @app.post("/responses/{subject}/unlock")
    def unlock(
        request: Request, subject: str, form: FormData, session: Annotated[Session, Depends(allowed("unlock response"))]
    ) -> Response:
        _reauthenticated(request, session, form)
        lock_response(study_of(app), subject, session.account.name, unlock=True, reason=form.get("reason", ""))
        return RedirectResponse("/responses", 303)


# ---- edits ----
def _edits(app: FastAPI) -> None:
    @app.get("/edits")
    def listing(request: Request, session: Annotated[Session, Depends(allowed("edits"))]) -> Response:
        edits = edits_of(study_of(app))
        last = {edit.subject_id: edit.number for edit in edits}
        rows = [(e, state_of(e, edits), last[e.subject_id]) for e in edits[::-1]]
        may_undo = session.account.may(*RULES["undo edit"])
        return page(request, "edits.html", rows=rows, may_undo=may_undo)

    @app.post("/edits/{number}/undo")
    def undo(number: Number, form: FormData, session: Annotated[Session, Depends(allowed("undo edit"))]) -> Response:
        undo_edit(study_of(app), number, form.get("reason", ""), expected=seen_in(form), by=session.account.name)
        return RedirectResponse("/edits", 303)


# ---- runs ----
def _running(app: FastAPI) -> None:
    @app.get("/run", dependencies=[Depends(allowed("run"))])
    def state(request: Request) -> Response:
        runner: Runner = app.state.runner
        return page(request, "run.html", jobs=runner.jobs[::-1], busy=runner.busy)

    @app.get("/run.json", dependencies=[Depends(allowed("run"))])
    def progress() -> dict[str, Any]:
        jobs = app.state.runner.jobs
        return asdict(jobs[-1]) if jobs else {"state": ""}

    @app.post("/run", dependencies=[Depends(checked_form)])
    def start(session: Annotated[Session, Depends(allowed("run"))]) -> Response:
        if app.state.runner.start(session.account.name) is None:
            raise HTTPException(409, "a run goes on already")
        return RedirectResponse("/run", 303)


# ---- audit ----
def _trail(app: FastAPI) -> None:
    @app.get("/audit", dependencies=[Depends(allowed("audit"))])
    def trail(request: Request) -> Response:
        ledger = study_of(app).ledger
        return page(request, "audit.html", check=ledger.verify_audit(), entries=ledger.audit_trail()[::-1][:200])


# ---- accounts ----
def _accounts(app: FastAPI) -> None:
    @app.get("/accounts", dependencies=[Depends(allowed("accounts"))])
    def everybody(request: Request) -> Response:
        return page(request, "accounts.html", accounts=app.state.accounts.all(), roles=list(RoleOf))

    @app.post("/accounts")
    def add(form: FormData, session: Annotated[Session, Depends(allowed("change accounts"))]) -> Response:
        if form.get("role") not in set(RoleOf):
            raise UsageError("no role", required=f"one of: {', '.join(RoleOf)}")
        account = app.state.accounts.add(form.get("name", ""), [form["role"]], form.get("password", ""))
        study_of(app).log("account added", {"by": session.account.name, "name": account.name, "role": form["role"]})
        return RedirectResponse("/accounts", 303)

    @app.post("/accounts/{name}")
    def change(name: str, form: FormData, session: Annotated[Session, Depends(allowed("change accounts"))]) -> Response:
        disabled = form.get("disabled") == "1"
        app.state.accounts.change(name, disabled=disabled)
        study_of(app).log("account changed", {"by": session.account.name, "name": name, "disabled": disabled})
        return RedirectResponse("/accounts", 303)
