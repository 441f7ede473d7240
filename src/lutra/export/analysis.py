"""Analysis tables as files: CSV and Parquet, a dictionary of their columns, and the lineage of every cell."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO, StringIO

import pyarrow as pa
import pyarrow.parquet as pq

from lutra.core.analysis_table import AnalysisTable, Column, ColumnType, as_text

ARROW = {
    ColumnType.TEXT: pa.string(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.WHOLE: pa.int32(),
    ColumnType.TRUTH: pa.bool_(),
}
DICTIONARY = ("table", "column", "label", "type", "unit", "definition", "rows", "missing", "reasons_for_missing")
LINEAGE = (
    *("table", "row", "column", "value", "sd"),
    *("sources_not_evaluated", "path", "receipt", "reason_for_missing"),
)
SD_WORDS = "standard uncertainty (k = 1) of {}; a lower bound where the lineage names sources that were not evaluated"


def table_files(tables: Iterable[AnalysisTable]) -> Iterator[tuple[str, bytes]]:
    """Give each table as `NAME.csv` and `NAME.parquet`, with `dictionary.csv` and `lineage.csv` for all of them, by name.

    Missing is an empty cell, never 0; why stands in the lineage.
    """
    tables = tuple(tables)
    for table in tables:
        flat = table.flat()
        yield f"{table.name}.csv", _csv(list(flat), zip(*flat.values(), strict=True))
        with BytesIO() as file:
            pq.write_table(pa.table(flat, schema=arrow_schema(table.columns)), file)
            yield f"{table.name}.parquet", file.getvalue()
    yield "dictionary.csv", _csv(DICTIONARY, (row for t in tables for row in dictionary_rows(t)))
    yield "lineage.csv", _csv(LINEAGE, (row for t in tables for row in lineage_rows(t)))


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Types of a table's columns; each field carries its label, unit and definition."""
    fields = []
    for column in columns:
        about = {"label": column.label, "unit": column.unit, "definition": column.definition}
        fields.append(pa.field(column.name, ARROW[column.kind], metadata=about))
        if column.uncertain:
            said = {"label": f"uncertainty of {column.label}", "unit": column.unit}
            fields.append(pa.field(f"{column.name}_sd", pa.float64(), metadata=said))
    return pa.schema(fields)


def dictionary_rows(table: AnalysisTable) -> Iterable[Sequence[str | int]]:
    """One row per column, with how much of it is missing and why."""
    for column in table.columns:
        gone = table.missing(column.name)
        reasons = "; ".join(f"{reason}: {n}" for reason, n in gone.items())
        about = (column.label, column.kind.value, column.unit, column.definition)
        yield (table.name, column.name, *about, len(table), sum(gone.values()), reasons)
        if column.uncertain:
            empty = sum(cell.sd is None for cell in table.cells(column.name))
            words = SD_WORDS.format(column.name)
            label = f"uncertainty of {column.label}"
            yield (table.name, f"{column.name}_sd", label, "number", column.unit, words, len(table), empty, "")


def lineage_rows(table: AnalysisTable) -> Iterable[Sequence[str]]:
    """One row per cell that came of a computation or is missing: where it is from, or why it is not there."""
    for row in table.rows:
        keys = " ".join(as_text(row[key].value) for key in table.keys)
        for column in table.columns:
            cell = row.get(column.name)
            if cell is None or not (cell.path or cell.reason):
                continue
            not_evaluated = "; ".join(cell.not_evaluated)
            values = (as_text(cell.value), as_text(cell.sd), not_evaluated, cell.path, cell.receipt, cell.reason)
            yield (table.name, keys, column.name, *values)


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    with StringIO(newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow([as_text(v) if v is None or isinstance(v, bool | float) else v for v in row])
        return file.getvalue().encode()
