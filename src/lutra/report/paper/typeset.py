"""Sets a document with typst, which brings its own fonts and asks no network."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from importlib.resources import files

from attrs import asdict, field, frozen

from lutra.core.errors import MissingExtra


def _rows(given: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(row) for row in given)


@frozen
class Grid:
    """A table.

    Parameters
    ----------
    rows
        As many cells each as the header has.
    right
        Columns that are set to the right: numbers.
    wide
        Columns that take the room that is left.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(converter=_rows)
    right: tuple[int, ...] = ()
    wide: tuple[int, ...] = ()


@frozen
class Section:
    """A heading with paragraphs and tables."""

    heading: str
    text: tuple[str, ...] = ()
    tables: tuple[Grid, ...] = ()


@frozen
class Document:
    """What stands on paper.

    Parameters
    ----------
    subject
        Whom it is of, on every page.
    notice
        After "research use only", on every page.
    footer
        Program, protocol and time, on every page.
    on
        Date of the file.
    sign
        Whether there is a line to sign on.
    """

    title: str
    subtitle: str
    subject: str
    footer: str
    on: date
    sections: tuple[Section, ...]
    notice: str = ""
    sign: bool = False


def typeset(document: Document) -> bytes:
    """Give the document as PDF/A-2b.

    Raises
    ------
    MissingExtra
        If typst is not installed.
    """
    try:
        import typst  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingExtra("documents on paper need typst", do="pip install lutra[pdf]") from error
    data = asdict(document) | {"date": [document.on.year, document.on.month, document.on.day]}
    data.pop("on")
    template = (files("lutra.report.paper") / "document.typ").read_bytes()
    made = typst.compile(
        template, sys_inputs={"data": json.dumps(data)}, pdf_standards=["a-2b"], ignore_system_fonts=True
    )
    return bytes(made)
