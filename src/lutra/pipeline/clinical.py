"""The clinic's tables of a study: brought in, compared with what was there, and read for the subjects.

They stand in `clinical/`, as CSV by the data dictionary. Bringing in the same tables again changes nothing; a cell that changed is
written to the audit trail with its old and new text. Nothing is removed: rows that a newer table lacks stay, and are counted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from attrs import frozen

from lutra.core.clinical import ClinicalRecord
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.ingest.tables import ClinicalTables, Table, clinical_records, read_tables
from lutra.pipeline.response_lock import locks
from lutra.reference.data_dictionary import KEYS, REPEAT_KEYS, TABLES

if TYPE_CHECKING:
    from lutra.pipeline.study import StudyFolder

FOLDER = "clinical"
NATURAL_KEYS = {
    "subjects": ("record_id",),
    "administrations": ("record_id", "cycle"),
    "labs": ("record_id", "lab_date", "lab_test"),
    "blood": ("record_id", "cycle", "sampled_at"),
    "events": ("record_id", "event_date", "event_kind", "event_term"),
    "measurements": ("record_id", "visit", "reader", "lesion", "quantity"),
}
"""What tells rows apart in tables without instances."""
READINGS = "measurements"
Row = Mapping[str, str]
Key = tuple[str, ...]


@frozen
class CellChange:
    """A cell whose text is not what it was."""

    table: str
    key: Key
    column: str
    old: str
    new: str


@frozen
class Imported:
    """What an import did.

    Parameters
    ----------
    new_rows
        By table.
    kept_rows
        Rows that the new tables do not have, by table.
    """

    new_rows: dict[str, int]
    changes: tuple[CellChange, ...]
    kept_rows: dict[str, int]
    findings: tuple[Finding, ...]


def import_tables(study: StudyFolder, folder: Path) -> Imported:
    """Bring the tables of a folder into a study.

    Raises
    ------
    InputError
        If there is none, or one cannot be read; nothing is then changed.
    """
    zone = ZoneInfo(study.protocol.study.time_zone)
    given = read_tables(folder, zone)
    target = study.root / FOLDER
    there = read_tables(target, zone) if any(target.glob("*.csv")) else ClinicalTables({})
    new_rows, kept_rows, changes, texts = {}, {}, [], {}
    refused: list[Finding] = []
    locked = {subject for subject, _ in locks(study.ledger.audit_trail())}
    for name, table in given.tables.items():
        old = _by_key(there.tables.get(name))
        new = _by_key(table)
        if name == READINGS:
            refused += _keep_locked(old, new, locked)
        changes += [change for key in new.keys() & old.keys() for change in _changes(name, key, old[key], new[key])]
        new_rows[name] = len(new.keys() - old.keys())
        kept_rows[name] = len(old.keys() - new.keys())
        merged = {**old, **{key: {**old.get(key, {}), **row} for key, row in new.items()}}
        texts[name] = _as_csv(name, merged)
    changes.sort(key=lambda c: (c.table, c.key, c.column))
    target.mkdir(exist_ok=True)
    for change in changes:
        study.log(
            "clinical cell changed",
            {
                "table": change.table,
                "row": list(change.key),
                "column": change.column,
                "old": change.old,
                "new": change.new,
            },
        )
    if any(new_rows.values()):
        study.log("clinical rows added", {"from": str(folder), **{name: n for name, n in new_rows.items() if n}})
    for name, text in texts.items():
        (target / f"{name}.new").write_text(text, encoding="utf-8")
    for name in texts:  # one right after another: tables of two imports should not stand side by side
        (target / f"{name}.new").replace(target / f"{name}.csv")
    return Imported(
        new_rows, tuple(changes), {n: k for n, k in kept_rows.items() if k}, (*refused, *_findings(given, kept_rows))
    )


def read_clinical(folder: Path, time_zone: str) -> tuple[dict[str, ClinicalRecord], tuple[Finding, ...]]:
    """Read the records of all subjects, and what is wrong with the tables; nothing of either where there are none."""
    stats = {path: path.stat() for path in sorted(folder.glob("*.csv"))}
    if not any(path.stem in TABLES for path in stats):
        return {}, ()
    known_by = tuple((path.name, s.st_ino, s.st_size, s.st_mtime_ns) for path, s in stats.items())
    records, findings = _read(folder, time_zone, known_by)
    return dict(records), findings


@lru_cache(maxsize=4)
def _read(
    folder: Path, time_zone: str, _known_by: tuple[tuple[str | int, ...], ...]
) -> tuple[FrozenMap[str, ClinicalRecord], tuple[Finding, ...]]:
    """Read tables; those that have not changed since are remembered, because every page asks for them."""
    tables = read_tables(folder, ZoneInfo(time_zone))
    records = FrozenMap({record.subject_id: record for record in clinical_records(tables)})
    return records, tuple(problem.finding for problem in tables.problems)


def _keep_locked(old: dict[Key, dict[str, str]], new: dict[Key, dict[str, str]], locked: set[str]) -> list[Finding]:
    """Leave out what would change the readings of subjects whose response is locked, and say so."""
    touched = [key for key, row in new.items() if row["record_id"] in locked and row != old.get(key)]
    for key in touched:
        if key in old:
            new[key] = old[key]
        else:
            del new[key]
    subjects = sorted({key[0] for key in touched})
    text = "{}: the response is locked, {} new or changed readings are left out; unlock it with a reason first"
    return [
        Finding(
            Severity.ERROR, "study.response-locked", text.format(subject, sum(key[0] == subject for key in touched))
        )
        for subject in subjects
    ]


def _findings(given: ClinicalTables, kept: Mapping[str, int]) -> tuple[Finding, ...]:
    findings = [problem.finding for problem in given.problems]
    for name, n in kept.items():
        if n:
            text = f"{name}.csv lacks {n} rows that the study has; they are kept. If they were wrong, correct them in the table"
            findings.append(Finding(Severity.WARNING, "study.rows-kept", text))
    return tuple(findings)


def _by_key(table: Table | None) -> dict[Key, dict[str, str]]:
    """Rows as written, by their key; rows that nothing tells apart are counted through."""
    rows: dict[Key, dict[str, str]] = {}
    for row in table.rows if table else ():
        assert table is not None  # noqa: S101  (it has rows)
        text = {name: row.text.get(name, "") for name in table.columns if name in row.text}
        key = (
            row.key
            if row.text.get("redcap_repeat_instance")
            else tuple(row.text.get(n, "") for n in NATURAL_KEYS[table.name])
        )
        n = 1
        while (*key, f"#{n}") in rows:
            n += 1
        rows[*key, f"#{n}"] = text
    return rows


def _changes(table: str, key: Key, old: Row, new: Row) -> list[CellChange]:
    return [
        CellChange(table, key, name, old.get(name, ""), text) for name, text in new.items() if old.get(name, "") != text
    ]


def _as_csv(name: str, rows: Mapping[Key, Row]) -> str:
    columns = [f.name for f in (*KEYS, *REPEAT_KEYS, *TABLES[name])]
    used = [column for column in columns if any(column in row for row in rows.values())]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, used, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows.values())
    return text.getvalue()
