"""Sets a document with typst, which brings its own fonts and asks no network."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Iterable
from datetime import date
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from attrs import asdict, field, frozen

from lutra.core.errors import MissingExtra, UsageError

NO_GLYPH = re.compile(r'the text `"(.*?)"` could not be displayed', re.DOTALL)
NEVER_SET = {"Cc", "Cs"}
"""Unicode categories that are never set: control characters, halves of a surrogate pair."""
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Bidirectional classes of marks that turn the order of what stands around them, so that it reads as something else."""
JOINING = {"Mn", "Me", "Cf"}
"""Unicode categories that change how their neighbours are drawn."""
KEPT = frozenset(string.printable) - set("\x0b\x0c")
"""What can be typed in ASCII is never written as its number."""
MOST_TRIES = 50


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


def require_typst() -> None:
    """Ask for the typesetter before anything is written.

    Raises
    ------
    MissingExtra
        If typst is not installed.
    """
    if find_spec("typst") is None:
        raise MissingExtra("documents on paper need typst", do="pip install lutra[pdf]")


def typeset(document: Document) -> bytes:
    """Give the document as PDF/A-2b.

    A character that the font has not is written as its number, `[U+6F22]`: PDF/A asks for a glyph of every character, and what
    somebody wrote must not vanish.

    Raises
    ------
    MissingExtra
        If typst is not installed.
    UsageError
        If it cannot be set.
    """
    require_typst()
    import typst  # noqa: PLC0415  (an extra)

    text = json.dumps(_data(document), ensure_ascii=False)
    for _ in range(MOST_TRIES):
        try:
            return _compiled(text)
        except typst.TypstError as error:
            named = NO_GLYPH.findall(error.message)
            lacking = {c for words in named for c in _characters(words) if c not in KEPT}
            if (
                named and not lacking
            ):  # A mark that joins its neighbours spoils them: all such marks, then all that is not ASCII.
                strange = set(text) - KEPT
                lacking = {c for c in strange if unicodedata.category(c) in JOINING} or strange
            if not lacking:
                raise UsageError(f"it cannot be set: {error.message}", where=f"document {document.title!r}") from error
            text = text.translate({ord(c): _number_of(c) for c in lacking})
    raise UsageError("it has too many characters that the font lacks", where=f"document {document.title!r}")


def _compiled(text: str) -> bytes:
    import typst  # noqa: PLC0415  (an extra)

    template = (files("lutra.report.paper") / "document.typ").read_bytes()
    return bytes(typst.compile(template, sys_inputs={"data": text}, pdf_standards=["a-2b"], ignore_system_fonts=True))


def _data(document: Document) -> dict[str, object]:
    data = asdict(document) | {"date": [document.on.year, document.on.month, document.on.day]}
    data.pop("on")
    return {name: _printable(value) for name, value in data.items()}


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(_number_of(c) if c not in KEPT and _is_unseen(c) else c for c in value)
    if isinstance(value, dict):
        return {name: _printable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(part) for part in value]
    return value


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in NEVER_SET or unicodedata.bidirectional(character) in TURNS


def _number_of(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _characters(words: str) -> str:
    """Read the characters of a message, where some are written as their number."""
    return re.sub(r"\\u\{([0-9a-fA-F]+)\}", lambda found: chr(int(found[1], 16)), words)
