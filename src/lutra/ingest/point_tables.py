"""Points that people marked elsewhere, as CSV: pairs of landmarks, and the ends of redrawn lines."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import InputError
from lutra.core.frozen import float64

FIXED = ("fixed_l_mm", "fixed_p_mm", "fixed_s_mm")
MOVING = ("moving_l_mm", "moving_p_mm", "moving_s_mm")
POINT = ("l_mm", "p_mm", "s_mm")
FARTHEST_MM = 1e5
"""No point of a patient lies 100 m from the origin of a scanner."""

Points = npt.NDArray[np.float64]


@frozen(eq=False)
class LandmarkPairs:
    """The same anatomical points in two frames of reference.

    Parameters
    ----------
    names
        Of each pair; its number where the table has no names.
    fixed_lps_mm, moving_lps_mm
        [mm] (n, 3)
    """

    names: tuple[str, ...]
    fixed_lps_mm: Points = field(converter=float64)
    moving_lps_mm: Points = field(converter=float64)


def read_landmark_pairs(path: Path) -> LandmarkPairs:
    """Read a table with a pair of landmarks on each line.

    Parameters
    ----------
    path
        CSV with the columns `fixed_l_mm, fixed_p_mm, fixed_s_mm, moving_l_mm, moving_p_mm, moving_s_mm` in any order, and `name`
        if wanted.

    Raises
    ------
    InputError
        If the file, a column or a number is missing.
    """
    rows = _rows(path, (*FIXED, *MOVING))
    names = tuple((row.get("name") or "").strip() or str(n) for n, row in enumerate(rows, start=1))
    return LandmarkPairs(names, _points(path, rows, FIXED), _points(path, rows, MOVING))


def read_line_ends(path: Path) -> tuple[Points, Points | None]:
    """Read the ends of a longest diameter and, if they are there, those of its short axis. [mm] (2, 3)

    Parameters
    ----------
    path
        CSV with the columns `line` (`long` or `short`), `l_mm`, `p_mm` and `s_mm`, and two lines for each line drawn.

    Raises
    ------
    InputError
        If the file, a column or a number is missing, or a line has not two ends.
    """
    rows = _rows(path, ("line", *POINT))
    kinds = [(row["line"] or "").strip().lower() for row in rows]
    if kinds.count("long") != 2 or kinds.count("short") not in {0, 2} or set(kinds) - {"long", "short"}:
        found = ", ".join(kinds) or "nothing"
        raise InputError(f"ends of: {found}", where=str(path), required="two of long, and two or none of short")
    points = _points(path, rows, POINT)
    long, short = (points[[kind == wanted for kind in kinds]] for wanted in ("long", "short"))
    return long, short if len(short) else None


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str | None]]:
    try:
        reader = csv.DictReader(path.read_text("utf-8-sig").splitlines(), skipinitialspace=True)
        rows = [dict(row) for row in reader]
        there = [name.strip() for name in reader.fieldnames or ()]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"the table cannot be read: {error}", where=str(path), do="see that it is a CSV file"
        ) from error
    missing = [name for name in columns if name not in there]
    if missing:
        raise InputError(
            f"no column {', '.join(missing)}", where=str(path), required=f"the columns {', '.join(columns)} in LPS, mm"
        )
    return rows


def _points(path: Path, rows: Sequence[dict[str, str | None]], columns: Sequence[str]) -> Points:
    points = np.empty((len(rows), 3))
    for n, row in enumerate(rows):
        for axis, column in enumerate(columns):
            points[n, axis] = _number(path, n + 2, column, row[column])
    return points


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = np.nan
    if not abs(number) < FARTHEST_MM:
        raise InputError(f"{text!r} is no place in a scanner", where=f"{path}, line {line}, {column}", required="mm")
    return number
