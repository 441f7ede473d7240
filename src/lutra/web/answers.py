"""What every route needs: the study, a form of this session, a page as the answer."""

from __future__ import annotations

import asyncio
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

LARGEST_FORM, LARGEST_DRAWING, MOST_FIELDS, SLOWEST_S = 64 * 1024, 1024 * 1024, 50, 20.0
"""Of a form, of one with a drawing, which is a number for each run of voxels, [bytes] its fields, and its way here. [s]"""
DRAWINGS = re.compile(r"/images/[^/]+/[^/]+/edits")
"""Where drawings are sent to."""
Form = dict[str, str]


def largest_form(request: Request) -> int:
    """How large a form may be: one with a drawing is larger than others. [bytes]"""
    return LARGEST_DRAWING if DRAWINGS.fullmatch(request.url.path) else LARGEST_FORM


def too_large(request: Request) -> str:
    """Say it."""
    return f"a form of at most {largest_form(request) // 1024} kB is expected"


async def form_of(request: Request) -> Form:
    """Read a form; of a field given twice the first counts. No files are taken.

    Raises
    ------
    HTTPException
        415 for anything but a plain form, 413 and 408 if it is too large or comes too slowly, 400 for too many fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded" or "content-encoding" in request.headers:
        raise HTTPException(415, "a plain form is expected")
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST_S):
            async for piece in request.stream():
                body += piece
                if len(body) > largest_form(request):  # whatever length was announced
                    raise HTTPException(413, too_large(request))
    except TimeoutError:
        raise HTTPException(408, "the form did not arrive in time") from None
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, f"a form of at most {MOST_FIELDS} fields is expected") from None
    return {name: values[0] for name, values in fields.items()}


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
