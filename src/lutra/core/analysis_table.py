"""A table for statistics whose every cell knows where it comes from, or why it is empty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from attrs import field, frozen

from lutra.core.data_table import DataTable
from lutra.core.frozen import FrozenMap, frozen_map

Value = float | int | str | bool | None


class ColumnType(StrEnum):
    """What the cells of a column are."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole number"
    TRUTH = "0 or 1"


@frozen
class Column:
    """What a column holds.

    Parameters
    ----------
    unit
        Empty for words and pure numbers.
    definition
        How the value comes about, in a sentence a statistician can put in a report.
    uncertain
        Whether its cells have a standard uncertainty, which is then a column of its own: `NAME_sd`.
    """

    name: str
    label: str
    kind: ColumnType = field(converter=ColumnType)
    unit: str = ""
    definition: str = ""
    uncertain: bool = False


@frozen
class Cell:
    """One value with its origin.

    Parameters
    ----------
    value
        None is missing; `reason` then says why.
    sd
        Standard uncertainty, in the unit of the column; a lower bound if `not_evaluated` names sources. None if not known.
    path, receipt
        Address of the number in the study, as `lutra why` takes it, and the step that made it; empty for what the clinic's
        tables say.
    """

    value: Value = None
    sd: float | None = None
    not_evaluated: tuple[str, ...] = ()
    path: str = ""
    receipt: str = ""
    reason: str = ""


MISSING = Cell(reason="not recorded")


def _frozen_rows(rows: Iterable[Mapping[str, Cell]]) -> tuple[FrozenMap[str, Cell], ...]:
    return tuple(frozen_map(row) for row in rows)


@frozen
class AnalysisTable:
    """Rows with a cell for each column.

    Parameters
    ----------
    keys
        Columns that tell rows apart.
    rows
        Cells by column; a column that a row lacks is :data:`MISSING`.
    """

    name: str
    keys: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[FrozenMap[str, Cell], ...] = field(converter=_frozen_rows)

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, column: str) -> Iterator[Cell]:
        """Cells of one column, row by row."""
        return (row.get(column, MISSING) for row in self.rows)

    def missing(self, column: str) -> dict[str, int]:
        """How many cells are empty, by reason, the most frequent first."""
        return dict(Counter(cell.reason for cell in self.cells(column) if cell.value is None).most_common())

    def flat(self) -> dict[str, list[Value]]:
        """Plain columns; uncertainties beside the values they are of."""
        found: dict[str, list[Value]] = {}
        for column in self.columns:
            cells = list(self.cells(column.name))
            found[column.name] = [cell.value for cell in cells]
            if column.uncertain:
                found[f"{column.name}_sd"] = [cell.sd for cell in cells]
        return found

    def as_data_table(self) -> DataTable:
        """Give the same as text, as models take it. Truths are 0 and 1, missing is empty."""
        return DataTable(
            self.name, FrozenMap({name: tuple(map(as_text, cells)) for name, cells in self.flat().items()})
        )


def as_text(value: Value) -> str:
    """Write a cell so that reading it gives the same number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)
