"""Tables by the data dictionary: which cells can be taken, and which rule each other one breaks."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from attrs import evolve, field, frozen

from lutra.core.errors import InputError
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.ingest.tables.cells import Broken, Value, is_empty, read_cell
from lutra.ingest.tables.rules import rules_broken
from lutra.reference.analytes import analyte_named
from lutra.reference.data_dictionary import KEYS, REPEAT_KEYS, TABLES, Field

IGNORED = ("dictionary.csv",)
ONE_PER_SUBJECT = "subjects"


@frozen
class CellProblem:
    """A cell that is not taken; everything else of its row is.

    Parameters
    ----------
    row
        Line in the file, the head being 1; 0 for the whole table.
    """

    table: str
    row: int
    column: str
    value: str
    rule: str

    @property
    def finding(self) -> Finding:
        """The same for the report."""
        where = f"{self.table}.csv" + (f", row {self.row}" if self.row else "")
        saw = f" holds {self.value!r}, which" if self.value else ""
        text = f"{where}, column {self.column}:{saw} {self.rule}"
        evidence = {
            "table": self.table,
            "row": str(self.row),
            "column": self.column,
            "value": self.value,
            "rule": self.rule,
        }
        return Finding(Severity.WARNING, "ingest.table-cell", text, FrozenMap(evidence))


@frozen
class TableRow:
    """One row.

    Parameters
    ----------
    line
        In the file, the head being 1.
    cells
        What could be read, by column; without those that are empty or broken.
    text
        As written, by column.
    """

    line: int
    cells: FrozenMap[str, Value] = field(converter=frozen_map)
    text: FrozenMap[str, str] = field(converter=frozen_map)

    @property
    def key(self) -> tuple[str, ...]:
        """What tells a row from the others of its table."""
        return tuple(self.text.get(f.name, "") for f in (*KEYS, *REPEAT_KEYS))


@frozen
class Table:
    """A table of the dictionary as a file holds it."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


@frozen
class ClinicalTables:
    """Every table of a folder."""

    tables: FrozenMap[str, Table] = field(converter=frozen_map)
    problems: tuple[CellProblem, ...] = ()

    def rows(self, table: str) -> tuple[TableRow, ...]:
        """Rows of a table; none if it is not there."""
        return self.tables[table].rows if table in self.tables else ()


def read_tables(folder: Path, zone: ZoneInfo) -> ClinicalTables:
    """Read every table of the dictionary that a folder holds as CSV.

    Parameters
    ----------
    zone
        Applies to times that name none.

    Raises
    ------
    InputError
        If the folder holds no table of the dictionary, or one cannot be read as CSV at all.
    """
    paths = {path.stem: path for path in sorted(folder.glob("*.csv")) if path.name not in IGNORED}
    known = {name: path for name, path in paths.items() if name in TABLES}
    if not known:
        raise InputError(
            "no clinical table here",
            where=str(folder),
            required=", ".join(f"{name}.csv" for name in TABLES),
            do="name the files so",
        )
    problems = [
        CellProblem(name, 0, "(all)", "", f"is no table of the dictionary and is not read; known: {', '.join(TABLES)}")
        for name in paths
        if name not in known
    ]
    tables = {}
    for name, path in known.items():
        tables[name], found = _table(name, path, zone)
        problems += found
    subjects = {row.text["record_id"] for row in tables["subjects"].rows} if "subjects" in tables else None
    if subjects is not None:
        problems += [
            CellProblem(name, row.line, "record_id", row.text["record_id"], "has no row in subjects.csv")
            for name, table in tables.items()
            for row in _first_of_each(table)
            if row.text["record_id"] not in subjects
        ]
    return ClinicalTables(tables, tuple(problems))


def _first_of_each(table: Table) -> Iterator[TableRow]:
    seen: set[str] = set()
    for row in table.rows:
        if row.text["record_id"] not in seen:
            seen.add(row.text["record_id"])
            yield row


def _table(name: str, path: Path, zone: ZoneInfo) -> tuple[Table, list[CellProblem]]:
    fields = {f.name: f for f in (*KEYS, *REPEAT_KEYS, *TABLES[name])}
    columns, lines = _lines(path)
    columns = tuple(c.removeprefix(f"{name}_") if c.removeprefix(f"{name}_") in fields else c for c in columns)
    problems = [
        CellProblem(name, 1, column, "", "is not in the dictionary and is not read")
        for column in columns
        if column not in fields
    ]
    missing = [f.name for f in fields.values() if f.required and f.name not in columns]
    if missing:
        problems += [
            CellProblem(name, 1, column, "", "is missing; no row of the table can be taken") for column in missing
        ]
        return Table(name, columns, ()), problems
    rows: list[TableRow] = []
    first: dict[tuple[str, ...], int] = {}
    for line, text in lines:
        row, found = _row(name, line, text, fields, zone)
        problems += found
        if row is None:
            continue
        key = (row.text["record_id"],) if name == ONE_PER_SUBJECT else row.key
        # Without instances nothing tells rows of a subject apart, and nothing says that two are one.
        told_apart = name == ONE_PER_SUBJECT or row.text.get("redcap_repeat_instance")
        if told_apart and key in first:
            rule = f"repeats the row of line {first[key]}; the first one is taken"
            problems.append(CellProblem(name, line, "record_id", row.text["record_id"], rule))
            continue
        first[key] = line
        rows.append(row)
    return Table(name, columns, tuple(rows)), problems


def _lines(path: Path) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=";" if head.count(";") > head.count(",") else ",")
            names = tuple((name or "").strip() for name in reader.fieldnames or ())
            lines = [
                (reader.line_num, {(k or "").strip(): (v or "").strip() for k, v in row.items() if isinstance(k, str)})
                for row in reader
            ]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), do="save it as CSV in UTF-8") from error
    if not names or "record_id" not in names:
        raise InputError(
            "no column record_id", where=str(path), required="a head with record_id", do="correct the head"
        )
    return names, [(line, row) for line, row in lines if any(row.values())]


def _row(
    table: str, line: int, text: Mapping[str, str], fields: Mapping[str, Field], zone: ZoneInfo
) -> tuple[TableRow | None, list[CellProblem]]:
    problems, cells, whole = [], {}, True
    for name, entry in fields.items():
        written = text.get(name, text.get(f"{table}_{name}", ""))
        value = read_cell(_accepting_aliases(entry, written), written, zone)
        if isinstance(value, Broken):
            problems.append(CellProblem(table, line, name, written, value.rule))
            whole = whole and not entry.required
        elif value is not None:
            cells[name] = value
    row = TableRow(
        line, FrozenMap(cells), FrozenMap({name: text.get(name, text.get(f"{table}_{name}", "")) for name in fields})
    )
    problems += [
        CellProblem(table, line, name, text.get(name, ""), rule) for name, rule in rules_broken(table, row.cells)
    ]
    return (row if whole else None), problems


def _accepting_aliases(entry: Field, written: str) -> Field:
    """Let a laboratory call an analyte by one of its other names."""
    if entry.name != "lab_test" or (analyte := analyte_named(written)) is None:
        return entry
    return evolve(entry, codes=FrozenMap({**entry.codes, analyte.name: written.strip()}))


def written(row: TableRow, column: str) -> str | None:
    """Cell as text; None of an empty one."""
    text = row.text.get(column, "")
    return None if is_empty(text) else text
