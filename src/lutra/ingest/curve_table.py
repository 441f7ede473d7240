"""Time-activity curves as CSV: one point a line."""

from __future__ import annotations

import csv
from itertools import pairwise
from math import isfinite
from pathlib import Path

from attrs import frozen

from lutra.core.curve import TimeActivityCurve
from lutra.core.errors import InputError
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S

COLUMNS = ("curve", "t_h", "activity_mbq")
NOISE = "u_mbq"
BQ_PER_MBQ = 1e6
LATEST_H = 1e4
"""No patient is scanned a year after an administration."""


@frozen
class _Point:
    line: int
    time_h: float
    activity_mbq: float
    sd_mbq: float | None


def read_curves(path: Path, nuclide: str, tissue: str | None = None) -> tuple[TimeActivityCurve, ...]:
    """Read the curves of a table, in the order in which they first appear.

    Parameters
    ----------
    path
        CSV with the columns `curve` (a name), `t_h` (since the start of the administration [h]), `activity_mbq` (not decay
        corrected [MBq]) and, if known, `u_mbq`: standard uncertainty of that point alone [MBq]. Other columns are not read. Points
        may stand in any order.
    tissue
        What the regions are; None: not known.

    Raises
    ------
    InputError
        Naming the line and column of what cannot be read.
    """
    try:
        reader = csv.DictReader(path.read_text("utf-8-sig").splitlines(), skipinitialspace=True)
        rows = [{(key or "").strip(): value for key, value in row.items()} for row in reader]
        there = [name.strip() for name in reader.fieldnames or ()]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"the table cannot be read: {error}", where=str(path), do="see that it is a CSV file"
        ) from error
    missing = [name for name in COLUMNS if name not in there]
    if missing:
        raise InputError(
            f"no column {', '.join(missing)}; there are: {', '.join(there) or 'none'}",
            where=f"{path}, line 1",
            required=f"the columns {', '.join(COLUMNS)}, and {NOISE} if it is known",
        )
    points: dict[str, list[_Point]] = {}
    for line, row in enumerate(rows, start=2):
        name = (row["curve"] or "").strip()
        if not name:
            raise InputError("the curve has no name", where=f"{path}, line {line}, curve", required="a name")
        points.setdefault(name, []).append(_point(path, line, row))
    if not points:
        raise InputError("the table has no points", where=str(path), required="one line for each point")
    return tuple(_curve(path, name, found, nuclide, tissue) for name, found in points.items())


def _point(path: Path, line: int, row: dict[str, str | None]) -> _Point:
    time_h = _number(path, line, "t_h", row["t_h"])
    if not 0 < time_h < LATEST_H:
        raise InputError(
            f"{time_h:g} h",
            where=f"{path}, line {line}, t_h",
            required="hours since the start of the administration, above 0",
        )
    text = (row.get(NOISE) or "").strip()
    sd = _number(path, line, NOISE, text) if text else None
    if sd is not None and sd <= 0:
        raise InputError(
            f"{sd:g} MBq",
            where=f"{path}, line {line}, {NOISE}",
            required="a standard uncertainty above 0",
            do="leave it empty in all points of the curve if it is not known",
        )
    return _Point(line, time_h, _number(path, line, "activity_mbq", row["activity_mbq"]), sd)


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        found = f"“{text}” is not a number" if text else "nothing is there"
        raise InputError(found, where=f"{path}, line {line}, {column}", required="a number, with a point for decimals")
    return number


def _curve(path: Path, name: str, points: list[_Point], nuclide: str, tissue: str | None) -> TimeActivityCurve:
    ordered = sorted(points, key=lambda p: p.time_h)
    for one, next_one in pairwise(ordered):
        if one.time_h == next_one.time_h:
            lines = " and ".join(str(n) for n in sorted((one.line, next_one.line)))
            raise InputError(
                f"curve {name} has two points at {one.time_h:g} h",
                where=f"{path}, lines {lines}, t_h",
                required="one point for each time",
                do="give the curves different names, or leave one of the points out",
            )
    without = [p.line for p in ordered if p.sd_mbq is None]
    if 0 < len(without) < len(ordered):
        raise InputError(
            f"curve {name} states the uncertainty of some points only",
            where=f"{path}, line {min(without)}, {NOISE}",
            required=f"{NOISE} for every point of a curve, or for none",
        )
    activities = tuple(
        Estimate(
            p.activity_mbq * BQ_PER_MBQ,
            Unit.BQ,
            FrozenMap() if p.sd_mbq is None else FrozenMap({f"noise: {name} {p.time_h:g} h": p.sd_mbq * BQ_PER_MBQ}),
        )
        for p in ordered
    )
    return TimeActivityCurve(name, nuclide, [p.time_h * HOUR_S for p in ordered], activities, tissue)
