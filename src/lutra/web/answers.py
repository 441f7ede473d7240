"""What every route needs: the study, a form of this session, a page as the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lutra.pipeline.study import StudyFolder
from lutra.web.access import refuse_forged, signed_in
from lutra.web.pages import Pages

Form = dict[str, str]


async def form_of(request: Request) -> Form:
    """Read a form; of a field given twice the first counts. No files are taken."""
    body = (await request.body()).decode("utf-8", "replace")
    return {name: values[0] for name, values in parse_qs(body, keep_blank_values=True, max_num_fields=50).items()}


async def checked_form(request: Request) -> Form:
    """Read a form of this session."""
    form = await form_of(request)
    refuse_forged(request, signed_in(request), form.get("csrf", ""))
    return form


FormData = Annotated[Form, Depends(checked_form)]


def page(request: Request, name: str, status: int = 200, **values: Any) -> Response:
    """Answer with a page for the person who asks."""
    pages: Pages = request.app.state.pages
    session = getattr(request.state, "session", None) or signed_in(request)
    return Response(pages.render(name, session, **values), status, media_type="text/html")


def seen_in(form: Mapping[str, str]) -> int:
    """Give the number of the last entry that a page showed, which its form carries.

    Raises
    ------
    HTTPException
        400
    """
    seen = form.get("seen", "")
    if not re.fullmatch(r"[0-9]{1,12}", seen):
        raise HTTPException(400, "the page does not say what you saw: load it again")
    return int(seen)


def study_of(app: FastAPI) -> StudyFolder:
    """Give the study, opened once: its connections and values are shared by all requests."""
    study: StudyFolder = app.state.study
    return study
