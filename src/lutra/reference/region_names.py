"""What a region is, from the name its author gave it; the table is region_names.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

from attrs import frozen

from lutra.core.region import ConceptCode, RegionKind


@frozen
class RegionName:
    """One row of the table.

    Parameters
    ----------
    pattern
        Regular expression searched in the simplified name.
    """

    pattern: str
    kind: RegionKind
    code: ConceptCode | None


LESION_CODE = ConceptCode("52988006", "SCT", "Lesion")
LESION_CODES = frozenset(
    {"52988006", "4147007", "27925004", "108369006", "86049000", "372087000", "14799000", "C113842", "C81175"}
)
"""Codes that a segmentation gives a lesion: lesion, mass, nodule, neoplasm, primary (two codes, the first of them what DICOM's
older code M-80003 became), secondary; enhancing and non-enhancing lesion of NCIt. [PS3.16 CID 7159]"""


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
            ConceptCode(row["code"], "SCT", row["meaning"]) if "code" in row else None,
        )
        for row in rows
    )


def kind_of_code(code: ConceptCode) -> RegionKind | None:
    """Tell whether a code means a lesion or is one of the table's; None if neither."""
    if code.value in LESION_CODES:
        return RegionKind.LESION
    return next((row.kind for row in table() if row.code and row.code.value == code.value), None)


def look_up(name: str) -> RegionName | None:
    """Return the first row whose pattern is found in the name, or None."""
    text = simplified(name)
    return next((row for row in table() if re.search(row.pattern, text)), None)
