"""Grades of laboratory values by CTCAE, as a table per version."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Any

from attrs import field, frozen

from lutra.core.errors import OutsideValidity, UnitMismatch
from lutra.core.frozen import FrozenMap

VERSIONS = ("4.03", "5", "6")


@frozen
class BaselineRule:
    """Multiples of a patient's own baseline.

    Parameters
    ----------
    when
        `always`: the worse of both grades counts. `high`, `low`: in place of the laboratory's limits, if the baseline was above
        ULN, or below LLN.
    multiples
        Per grade; 0 where the grade has none.
    first_included
        Whether a value at the first multiple has grade 1.
    """

    when: str
    multiples: tuple[float, ...] = field(converter=tuple)
    first_included: bool = False


@frozen
class CtcaeGrid:
    """Bounds of grades 1 to 4 (or 3) of one laboratory value.

    Parameters
    ----------
    analyte
        Whose value it grades.
    term
        Of the adverse event.
    direction
        `low`: a grade is reached below its bound; `high`: above it.
    unit
        UCUM unit of value, limits and baseline.
    bounds
        Per grade; "LLN" or "ULN" for the laboratory's limit. Those of `high` are multiples of ULN unless `absolute`.
    """

    analyte: str
    term: str
    direction: str
    unit: str
    bounds: tuple[str | float, ...] = field(converter=tuple)
    baseline: BaselineRule | None = None
    absolute: bool = False


@frozen
class Grade:
    """A grade and how it came about.

    Parameters
    ----------
    grade
        0 to 4; None: cannot be determined, which is not the same as normal.
    basis
        The bound that decided, or what is missing.
    """

    grade: int | None
    basis: str


@cache
def ctcae_grids(version: str = "5") -> FrozenMap[str, CtcaeGrid]:
    """Return every grid of a version, by its name in `ctcae.toml`.

    Raises
    ------
    OutsideValidity
        If there is no such version.
    """
    if version not in VERSIONS:
        raise OutsideValidity(
            f"CTCAE {version}", where="reference/ctcae.toml", required=f"one of: {', '.join(VERSIONS)}"
        )
    table = tomllib.loads((files("lutra.reference") / "ctcae.toml").read_text("utf-8"))
    return FrozenMap(
        {name: _grid(name, row, version) for name, row in table.items() if version in row.get("versions", VERSIONS)}
    )


def ctcae_grade(
    name: str,
    value: float | None,
    *,
    unit: str,
    lln: float | None = None,
    uln: float | None = None,
    baseline: float | None = None,
    version: str = "5",
) -> Grade:
    """Grade a value.

    Parameters
    ----------
    name
        Of the grid: the analyte, or `hyperkalaemia`.
    value, lln, uln, baseline
        All in `unit`.

    Raises
    ------
    OutsideValidity
        If the version is not known, or has no such grid.
    UnitMismatch
        If `unit` is not the grid's own.
    """
    grids = ctcae_grids(version)
    if name not in grids:
        raise OutsideValidity(
            f"no grades of {name} by CTCAE {version}", where="reference/ctcae.toml", required=", ".join(sorted(grids))
        )
    grid = grids[name]
    if unit != grid.unit:
        raise UnitMismatch(f"{name} in {unit}", required=grid.unit, do="convert value, limits and baseline")
    if value is None or not isfinite(value):
        return Grade(None, "no value")
    if grid.direction == "low":
        return _low(grid, value, lln)
    return _high(grid, value, lln, uln, baseline)


def _low(grid: CtcaeGrid, value: float, lln: float | None) -> Grade:
    for grade in range(len(grid.bounds), 0, -1):
        bound = grid.bounds[grade - 1]
        # What lies below a bound in numbers is graded; only the laboratory's limit needs to be known.
        limit = bound if isinstance(bound, float) else lln
        if limit is not None and value < limit:
            return Grade(grade, f"below {limit:g} {grid.unit}{'' if isinstance(bound, float) else ' (LLN)'}")
    if lln is None and "LLN" in grid.bounds:
        return Grade(None, "lower limit of normal is not known")
    return Grade(0, "not below any bound")


def _high(grid: CtcaeGrid, value: float, lln: float | None, uln: float | None, baseline: float | None) -> Grade:
    rule = grid.baseline
    own = rule if rule and baseline is not None and _applies(rule, baseline, lln, uln) else None
    found = Grade(0, "not above any bound") if uln is not None else Grade(None, "upper limit of normal is not known")
    for grade, bound in enumerate(grid.bounds, start=1):
        multiple = own.multiples[grade - 1] if own else 0.0
        if own and multiple and baseline is not None:
            if _beyond(value, multiple * baseline, included=own.first_included and grade == 1):
                found = Grade(grade, f"above {multiple:g} x baseline ({baseline:g} {grid.unit})")
            if own.when != "always":
                continue
        limit = _limit(grid, bound, uln)
        if limit is not None and value > limit:
            found = Grade(grade, _words(grid, bound, uln))
    if rule and rule.when == "high" and baseline is None and found.grade:
        return Grade(found.grade, f"{found.basis}; baseline not known, taken as normal")
    return found


def _applies(rule: BaselineRule, baseline: float, lln: float | None, uln: float | None) -> bool:
    if rule.when == "high":
        return uln is not None and baseline > uln
    return rule.when == "always" or (lln is not None and baseline < lln)


def _beyond(value: float, limit: float, *, included: bool) -> bool:
    return value >= limit if included else value > limit


def _limit(grid: CtcaeGrid, bound: str | float, uln: float | None) -> float | None:
    if isinstance(bound, float) and grid.absolute:
        return bound
    return None if uln is None else (bound if isinstance(bound, float) else 1.0) * uln


def _words(grid: CtcaeGrid, bound: str | float, uln: float | None) -> str:
    if isinstance(bound, float) and grid.absolute:
        return f"above {bound:g} {grid.unit}"
    return (
        f"above {bound:g} x ULN ({uln:g} {grid.unit})"
        if isinstance(bound, float)
        else f"above ULN ({uln:g} {grid.unit})"
    )


def _grid(name: str, row: dict[str, Any], version: str) -> CtcaeGrid:
    own = {key: value for key, value in row.items() if key not in (*VERSIONS, "versions")} | row.get(version, {})
    rule = own.pop("baseline", None)
    return CtcaeGrid(**{"analyte": name} | own, baseline=BaselineRule(**rule) if rule else None)
