"""Rules that look at several cells of a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import pairwise

from lutra.ingest.tables.cells import Value
from lutra.reference.analytes import analyte_named

Cells = Mapping[str, Value]
IN_ORDER = {
    "administrations": ("amino_acids_start", "infusion_start", "infusion_end", "amino_acids_end"),
    "events": ("event_date", "event_end"),
}
"""Columns whose days or times follow each other."""


def rules_broken(table: str, cells: Cells) -> Iterator[tuple[str, str]]:
    """Give the column and rule of every cell that does not fit the others of its row.

    Parameters
    ----------
    cells
        Those that can be taken one by one.
    """
    there = [(name, value) for name in IN_ORDER.get(table, ()) if (value := cells.get(name)) is not None]
    for (before, first), (name, second) in pairwise(there):
        if isinstance(first, date) and isinstance(second, date) and second < first:
            yield name, f"must not be before {before} ({first.isoformat()})"
    if table == "administrations":
        measured, residual = cells.get("measured_activity"), cells.get("residual_activity")
        if isinstance(measured, float) and isinstance(residual, float) and residual >= measured:
            yield "residual_activity", f"must be less than measured_activity ({measured:g})"
    if table == "labs":
        yield from _of_labs(cells)


def _of_labs(cells: Cells) -> Iterator[tuple[str, str]]:
    analyte = analyte_named(str(cells.get("lab_test", "")))
    if analyte is None:
        return
    unit, value = str(cells.get("lab_unit", "")), cells.get("lab_value")
    factor = analyte.factor(unit)
    if isinstance(value, float) and factor is None:
        yield "lab_unit", f"must be a unit of {analyte.name}: {', '.join((analyte.unit, *analyte.units))}"
    elif isinstance(value, float) and factor is not None:
        low, high = (bound / factor for bound in analyte.plausible)
        if not low <= value <= high:
            yield "lab_value", f"must be from {low:g} to {high:g} {unit} to be {analyte.label}; check value and unit"
    least, most = cells.get("lab_low"), cells.get("lab_high")
    if isinstance(least, float) and isinstance(most, float) and least >= most:
        yield "lab_low", f"must be below lab_high ({most:g})"
