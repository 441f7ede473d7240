"""Grades of laboratory values by CTCAE, as a table per version."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from math import isfinite

from attrs import field, frozen

from lutra.core.errors import OutsideValidity

VERSIONS = ("5", "6")


@frozen
class CtcaeGrid:
    """Bounds of grades 1 to 4 (or 3) of one laboratory value.

    Parameters
    ----------
    direction
        `low`: a grade is reached below its bound; `high`: above it.
    unit
        UCUM unit of the bounds of `low`.
    bounds
        Per grade; "LLN" or "ULN" for the laboratory's limit. Those of `high` are multiples of ULN.
    of_baseline
        Per grade, multiples of the patient's own baseline; 0 where the grade has none.
    source
        Where the numbers stand.
    """

    direction: str
    unit: str
    bounds: tuple[str | float, ...] = field(converter=tuple)
    source: str
    of_baseline: tuple[float, ...] = field(converter=tuple, default=())


@cache
def ctcae_grid(analyte: str, version: str = "5") -> CtcaeGrid:
    """Return the grid of an analyte, by its name in `ctcae.toml`.

    Raises
    ------
    OutsideValidity
        If the version or the analyte has no table.
    """
    table = tomllib.loads((files("lutra.reference") / "ctcae.toml").read_text("utf-8"))
    if version not in VERSIONS or analyte not in table["5"]:
        raise OutsideValidity(
            f"no grades of {analyte} by CTCAE {version}",
            where="reference/ctcae.toml",
            required=f"version {' or '.join(VERSIONS)}; {', '.join(table['5'])}",
        )
    return CtcaeGrid(**table[version].get(analyte, table["5"][analyte]))


def ctcae_grade(
    analyte: str,
    value: float | None,
    *,
    lln: float | None = None,
    uln: float | None = None,
    baseline: float | None = None,
    version: str = "5",
) -> int | None:
    """Grade a value from 0 to 4; None where it cannot be graded, which is not the same as normal.

    Parameters
    ----------
    value, lln, uln, baseline
        All in the unit of the grid (for `high`: in one unit of your choice).
    """
    grid = ctcae_grid(analyte, version)
    limit = lln if grid.direction == "low" else uln
    if value is None or not isfinite(value) or (limit is None and not isinstance(grid.bounds[0], float)):
        return None
    found = 0
    for grade, bound in enumerate(grid.bounds, start=1):
        if grid.direction == "low":
            reached = value < (bound if isinstance(bound, float) else limit or 0.0)
        else:
            reached = value > (bound if isinstance(bound, float) else 1.0) * (limit or 0.0)
        multiple = grid.of_baseline[grade - 1] if grid.of_baseline else 0.0
        if reached or (multiple and baseline is not None and value > multiple * baseline):
            found = grade
    return found
