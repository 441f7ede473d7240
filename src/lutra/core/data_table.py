"""A table of any columns, as somebody's file holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

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
    lines
        Line of the file that each row stands in, where rows were left out.
    """

    name: str
    columns: FrozenMap[str, tuple[str, ...]] = field(converter=frozen_map)
    lines: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    @property
    def digest(self) -> str:
        """SHA-256 of the cells, column by column. [hex]"""
        found = sha256()
        for name, cells in self.columns.items():
            found.update("\x1f".join((name, *cells)).encode() + b"\x1e")
        return found.hexdigest()

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

    def line(self, row: int) -> int:
        """Line of the file that a row stands in; the header is line 1."""
        return row + 2 if self.lines is None else self.lines[row]

    def where(self, wanted: Mapping[str, str]) -> DataTable:
        """Give the rows whose columns have these values; numbers are compared as numbers."""
        if not wanted:
            return self
        rows = range(len(self))
        return self.take([n for n in rows if all(_same(self.text(c)[n], v) for c, v in wanted.items())])

    def take(self, rows: Sequence[int]) -> DataTable:
        """Give some rows, which keep their line in the file."""
        columns = {name: tuple(cells[n] for n in rows) for name, cells in self.columns.items()}
        return DataTable(self.name, FrozenMap(columns), tuple(self.line(n) for n in rows))

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
                raise InputError(f"row {self.line(n)}, column {column}: {cell!r}", where=self.name, required="a number")
            found[n] = value
        return found


def _same(cell: str, value: str) -> bool:
    one, other = _number(cell), _number(value)
    return one == other if one is not None and other is not None else cell.strip() == value


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
