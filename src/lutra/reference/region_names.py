"""What a region is, from the name its author gave it; the table is region_names.toml."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from importlib.resources import files
from typing import Any

from attrs import frozen

from lutra.core.region import ConceptCode, RegionKind


@frozen
class RegionName:
    """One row of the table.

    Parameters
    ----------
    pattern
        Regular expression searched in the simplified name without accents.
    code
        What it is; None where no single code says it.
    left, right
        What it is when the name gives the side; None where the code does not tell sides apart.
    fma
        Codes of the Foundational Model of Anatomy that mean the same.
    """

    pattern: str
    kind: RegionKind
    code: ConceptCode | None
    left: ConceptCode | None = None
    right: ConceptCode | None = None
    fma: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[ConceptCode, ...]:
        """Every code the row can give."""
        return tuple(code for code in (self.code, self.left, self.right) if code)


LESION_CODE = ConceptCode("52988006", "SCT", "Lesion")
LESION_CODES = frozenset(
    {"52988006", "4147007", "27925004", "108369006", "86049000", "372087000", "14799000", "C113842", "C81175"}
)
"""Codes that a segmentation gives a lesion: lesion, mass, nodule, neoplasm, primary (two codes, the first of them what DICOM's
older code M-80003 became), secondary; enhancing and non-enhancing lesion of NCIt. [PS3.16 CID 7159]"""
LEFT, RIGHT = "7771000", "24028007"
"""SNOMED CT codes of the two sides. [PS3.16 CID 244]"""
SIDES = {
    LEFT: re.compile(r"\b(left|lt|l|li|links|linkes?|gauche)\b|\blinker"),
    RIGHT: re.compile(r"\b(right|rt|r|re|rechts|rechtes?|droite?)\b|\brechter"),
}


def simplified(name: str) -> str:
    """Write a name as the patterns expect it: lower case, words apart from numbers, '-' between words kept."""
    text = re.sub(r"[^\w-]+|_", " ", name.casefold())
    text = re.sub(r"(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d])", " ", text)
    return " ".join(re.sub(r"(?<![^\W\d])-|-(?![^\W\d])", " ", text).split())


@cache
def table() -> tuple[RegionName, ...]:
    """Rows in the order they are tried."""
    rows = tomllib.loads((files("lutra.reference") / "region_names.toml").read_text("utf-8"))["region"]
    return tuple(
        RegionName(
            row["pattern"],
            RegionKind(row["kind"]),
            _code(row),
            _code(row.get("left", {})),
            _code(row.get("right", {})),
            tuple(row.get("fma", ())),
        )
        for row in rows
    )


def kind_of_code(code: ConceptCode) -> RegionKind | None:
    """Tell whether a code means a lesion or is one of the table's; None if neither."""
    if code.value in LESION_CODES:
        return RegionKind.LESION
    return next((row.kind for row in table() if any(own.value == code.value for own in row.codes)), None)


def snomed_of(code: ConceptCode) -> ConceptCode:
    """Give the table's SNOMED CT code for the same structure in the Foundational Model of Anatomy; others as they are."""
    if code.scheme != "FMA":
        return code
    number = code.value.removeprefix("FMA")
    sided = {"7204": RIGHT, "7205": LEFT, "7309": RIGHT, "7310": LEFT}
    whole = {"7204": "7203", "7205": "7203", "7309": "7195", "7310": "7195"}.get(number, number)
    row = next((row for row in table() if whole in row.fma and row.code), None)
    if row is None or row.code is None:
        return code
    return of_side(row.code, sided[number]) if number in sided else row.code


def of_side(code: ConceptCode, side: str) -> ConceptCode:
    """Give the code of the left or right organ, where the table has one; DICOM writes organ and side as two codes.

    Parameters
    ----------
    side
        :data:`LEFT` or :data:`RIGHT`; any other value changes nothing.
    """
    for row in table():
        if row.code and row.code.value == code.value and code.scheme == "SCT":
            sided = {LEFT: row.left, RIGHT: row.right}.get(side)
            if sided:
                return sided
    return code


def look_up(name: str) -> RegionName | None:
    """Return the first row whose pattern is found in the name, or None."""
    text = _plain(name)
    return next((row for row in table() if re.search(row.pattern, text)), None)


def code_of_name(name: str) -> ConceptCode | None:
    """Give the code of a name, of one side if the name says which; None if the table has none."""
    row = look_up(name)
    if row is None or row.code is None:
        return None
    sides = [side for side, words in SIDES.items() if words.search(_plain(name))]
    return of_side(row.code, sides[0]) if len(sides) == 1 else row.code


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", simplified(name))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _code(row: dict[str, Any]) -> ConceptCode | None:
    return ConceptCode(row["code"], "SCT", row["meaning"]) if "code" in row else None


TISSUES = ("kidney", "liver", "spleen", "marrow")
"""Organs that populations of half-lives and tables of radiobiology name."""


def tissue_of(name: str) -> str | None:
    """Say which tissue an organ of this name is; None if it is none of :data:`TISSUES`."""
    code = code_of_name(name)
    words = name.casefold() if code is None else code.meaning.casefold()
    return next((tissue for tissue in TISSUES if tissue in words), None)
