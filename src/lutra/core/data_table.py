"""A table of any columns, as somebody's file holds it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import InputError
from lutra.core.frozen import FrozenMap, frozen_map

MISSING = frozenset({"", "na", "nan", "n/a", ".", "null"})
TRUTHS = {"true": 1.0, "false": 0.0, "t": 1.0, "f": 0.0}


@frozen
class DataTable:
    """Cells as text, column by column.

    Parameters
    ----------
    name
        For messages: the file.
    columns
        All of one length.
    """

    name: str
    columns: FrozenMap[str, tuple[str, ...]] = field(converter=frozen_map)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def text(self, column: str) -> tuple[str, ...]:
        """Cells of a column.

        Raises
        ------
        InputError
            If there is none, with those there are.
        """
        if column not in self.columns:
            raise InputError(
                f"no column {column!r}",
                where=self.name,
                required=f"one of: {', '.join(self.columns)}",
                do="correct the name",
            )
        return self.columns[column]

    def missing(self, column: str) -> npt.NDArray[np.bool_]:
        """Which cells say nothing. (n,)"""
        return np.array([cell.strip().lower() in MISSING for cell in self.text(column)], dtype=bool)

    def is_numeric(self, column: str) -> bool:
        """Whether every cell that says something is a number or a truth."""
        cells = [c.strip().lower() for c, gone in zip(self.text(column), self.missing(column), strict=True) if not gone]
        return bool(cells) and all(cell in TRUTHS or _number(cell) is not None for cell in cells)

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Cells as numbers, NaN where they say nothing. (n,)

        Raises
        ------
        InputError
            For a cell that is no number, by its row.
        """
        found = np.full(len(self), np.nan)
        for n, (cell, gone) in enumerate(zip(self.text(column), self.missing(column), strict=True)):
            if gone:
                continue
            value = TRUTHS.get(cell.strip().lower(), _number(cell))
            if value is None:
                raise InputError(f"row {n + 2}, column {column}: {cell!r}", where=self.name, required="a number")
            found[n] = value
        return found


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
