"""Clinical records of subjects, from their rows in the tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from lutra.core.clinical import (
    AdverseEvent,
    BloodSample,
    ClinicalRecord,
    GivenCycle,
    InfusionKind,
    InfusionStep,
    LabResult,
)
from lutra.ingest.tables.read import ClinicalTables, TableRow, written
from lutra.ingest.tables.readings import tumour_courses
from lutra.reference.analytes import analyte_named

MBQ, KBQ = 1e6, 1e3
RISKS = {"hypertension": "hypertension", "diabetes": "diabetes", "prior_chemotherapy": "nephrotoxic-therapy"}
"""Columns of `subjects` that are risk factors of the kidney."""
LOW_GFR_ML_PER_MIN = 60.0
"""Clearance at the baseline below which it is a risk factor: stage 3 of chronic kidney disease."""
OF_SUBJECT = (*RISKS, "sex", "age", "height", "weight", "first_treatment", "cycles_given", "stop_date")
"""Columns of `subjects` that have a place of their own."""
DRUG = re.compile(r"^\s*(?P<name>.*?)\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})\s*$")


def clinical_records(tables: ClinicalTables) -> tuple[ClinicalRecord, ...]:
    """Make one record per subject that any table names, in the order of their identifiers."""
    bad = {(p.table, p.row, p.column) for p in tables.problems}
    subjects = sorted({row.text["record_id"] for table in tables.tables.values() for row in table.rows})
    return tuple(_record(subject, tables, bad) for subject in subjects)


Bad = set[tuple[str, int, str]]
"""Table, row and column of cells that are not to be taken."""


def _record(subject: str, tables: ClinicalTables, bad: Bad) -> ClinicalRecord:
    def rows(table: str) -> list[TableRow]:
        return [row for row in tables.rows(table) if row.text["record_id"] == subject]

    about = next(iter(rows("subjects")), None)
    labs = tuple(sorted((_lab(row, bad) for row in rows("labs")), key=lambda lab: (lab.taken_on, lab.analyte)))
    events = rows("events")
    risks, known = _risks(about, labs)
    died = [_day(row, "event_date") for row in events if row.cells.get("event_kind") == "death"]
    return ClinicalRecord(
        subject,
        _text(about, "sex"),
        _number(about, "age"),
        _number(about, "height"),
        _number(about, "weight"),
        risks,
        known,
        _facts(about),
        tuple(sorted((_given(row, bad) for row in rows("administrations")), key=lambda given: given.cycle)),
        labs,
        tuple(_event(row) for row in events if row.cells.get("event_kind") == "toxicity"),
        tumour_courses(subject, rows("measurements")),
        tuple(sorted((_sample(row) for row in rows("blood")), key=lambda sample: sample.at)),
        _day(about, "stop_date") if about else None,
        next((day for day in died if day is not None), None),
    )


# ---- of one subject ----
def _risks(about: TableRow | None, labs: Sequence[LabResult]) -> tuple[tuple[str, ...], bool]:
    answers = {risk: None if about is None else about.cells.get(column) for column, risk in RISKS.items()}
    found = [risk for risk, answer in answers.items() if answer]
    clearance = [lab for lab in labs if lab.analyte in ("creatinine_clearance", "egfr") and lab.value is not None]
    if clearance and (clearance[0].value or 0.0) < LOW_GFR_ML_PER_MIN:
        found.append("low-gfr")
    return tuple(found), bool(clearance) and all(answer is not None for answer in answers.values())


def _facts(about: TableRow | None) -> tuple[tuple[str, str], ...]:
    if about is None:
        return ()
    keys = ("record_id", "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
    return tuple((name, text) for name, text in about.text.items() if text and name not in (*OF_SUBJECT, *keys))


# ---- rows ----
def _lab(row: TableRow, bad: Bad) -> LabResult:
    analyte = analyte_named(str(row.cells["lab_test"]))
    taken_on = row.cells["lab_date"]
    assert analyte is not None  # noqa: S101  (the dictionary lets nothing else pass)
    assert isinstance(taken_on, date)  # noqa: S101
    unit = _text(row, "lab_unit") or analyte.unit
    factor = analyte.factor(unit)

    def converted(column: str) -> float | None:
        value = None if ("labs", row.line, column) in bad else _number(row, column)
        return None if value is None or factor is None else value * factor

    refused = ("labs", row.line, "lab_value") in bad or factor is None
    return LabResult(
        analyte.name,
        converted("lab_value"),
        analyte.unit,
        taken_on,
        converted("lab_low"),
        converted("lab_high"),
        f"{row.text.get('lab_value', '')} {unit}".strip(),
        f"labs.csv, row {row.line}",
        (_text(row, "missing_reason") or "") if not refused else f"{row.text.get('lab_value', '')!r} was refused",
    )


def _sample(row: TableRow) -> BloodSample:
    cycle, at, value = row.cells["cycle"], row.cells["sampled_at"], row.cells["concentration"]
    assert isinstance(cycle, int)  # noqa: S101  (required by the dictionary)
    assert isinstance(at, datetime)  # noqa: S101
    assert isinstance(value, float)  # noqa: S101
    sd = _number(row, "concentration_sd")
    return BloodSample(cycle, at, value * KBQ, sd * KBQ if sd else None, f"blood.csv, row {row.line}")


def _event(row: TableRow) -> AdverseEvent:
    started_on, grade = row.cells["event_date"], row.cells.get("event_grade")
    assert isinstance(started_on, date)  # noqa: S101  (required by the dictionary)
    return AdverseEvent(
        _text(row, "event_term") or "not named",
        grade if isinstance(grade, int) else None,
        started_on,
        _day(row, "event_end"),
        row=f"events.csv, row {row.line}",
    )


def _given(row: TableRow, bad: Bad) -> GivenCycle:
    cycle = row.cells["cycle"]
    assert isinstance(cycle, int)  # noqa: S101  (required by the dictionary)
    where = f"administrations.csv, row {row.line}"

    def activity(column: str) -> float | None:
        value = _number(row, column)
        return None if value is None or ("administrations", row.line, column) in bad else value * MBQ

    def at(column: str) -> datetime | None:
        value = row.cells.get(column)
        return value if isinstance(value, datetime) and ("administrations", row.line, column) not in bad else None

    amino_acids = InfusionStep(
        InfusionKind.AMINO_ACIDS, "amino acids", at("amino_acids_start"), at("amino_acids_end"), where
    )
    therapy = InfusionStep(
        InfusionKind.RADIOPHARMACEUTICAL, "radiopharmaceutical", at("infusion_start"), at("infusion_end"), where
    )
    drugs = _premedication(written(row, "premedication") or "", at("amino_acids_start") or at("infusion_start"), where)
    return GivenCycle(
        cycle,
        (*drugs, amino_acids, therapy),
        activity("prescribed_activity"),
        activity("measured_activity"),
        activity("residual_activity"),
        _text(row, "calibrator") or "",
        where,
    )


def _premedication(text: str, before: datetime | None, where: str) -> tuple[InfusionStep, ...]:
    """Read `ondansetron 8 mg 08:15; ...`: clock times are of the day of the infusion, and before it."""
    steps = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        found = DRUG.match(part)
        at = None
        if found and before is not None and int(found["hour"]) < 24 and int(found["minute"]) < 60:
            at = before.replace(hour=int(found["hour"]), minute=int(found["minute"]))
            # An infusion soon after midnight has its drugs on the evening before.
            at = at - timedelta(days=1) if at - before > timedelta(hours=12) else at
        steps.append(InfusionStep(InfusionKind.PREMEDICATION, found["name"] if found else part, at, None, where))
    return tuple(steps)


def _text(row: TableRow | None, column: str) -> str | None:
    value = None if row is None else row.cells.get(column)
    return value if isinstance(value, str) else None


def _number(row: TableRow | None, column: str) -> float | None:
    value = None if row is None else row.cells.get(column)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _day(row: TableRow | None, column: str) -> date | None:
    value = None if row is None else row.cells.get(column)
    return value if isinstance(value, date) else None
