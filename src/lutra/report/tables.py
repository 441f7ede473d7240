"""Long, tidy tables of everything on the pages, as CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lutra.report.model import Number, StudyView

Row = Mapping[str, str | float | int | bool | None]

RESULT_SCHEMA = pa.schema(
    [
        ("subject", pa.string()),
        ("lesion", pa.string()),
        ("image", pa.string()),
        ("cycle", pa.int32()),
        ("quantity", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("sd", pa.float64()),
        ("low95", pa.float64()),
        ("high95", pa.float64()),
        ("not_evaluated", pa.string()),
        ("key", pa.string()),
    ]
)
FINDING_SCHEMA = pa.schema([(name, pa.string()) for name in ("subject", "severity", "code", "text")])
RESPONSE_SCHEMA = pa.schema(
    [
        ("subject", pa.string()),
        ("lesion", pa.string()),
        ("image", pa.string()),
        ("baseline_mm", pa.float64()),
        ("current_mm", pa.float64()),
        ("change", pa.float64()),
        ("category", pa.string()),
        ("rule", pa.string()),
    ]
)


def write_tables(study: StudyView, folder: Path) -> None:
    """Write `measurements`, `responses` and `findings`, each as CSV and Parquet. Missing is an empty cell, never 0."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "measurements", RESULT_SCHEMA, list(measurement_rows(study)))
    _write(folder / "responses", RESPONSE_SCHEMA, list(_response_rows(study)))
    _write(folder / "findings", FINDING_SCHEMA, list(_finding_rows(study)))


def measurement_rows(study: StudyView) -> Iterator[Row]:
    """One row per number, in the unit the pages show."""
    for subject in study.subjects:
        who = subject.subject_id
        for series in subject.series:
            for number in series.numbers:
                yield _row(who, None, series.label, None, number)
        for lesion in subject.lesions:
            for observation in lesion.observations:
                for number in observation.numbers:
                    yield _row(who, lesion.lesion_id, observation.series_label, None, number)
            for curve in lesion.curves:
                for number in curve.numbers:
                    yield _row(who, lesion.lesion_id, None, curve.cycle, number)
            for dose in lesion.doses:
                yield _row(who, lesion.lesion_id, None, dose.cycle, dose.number)


def _row(subject: str, lesion: str | None, image: str | None, cycle: int | None, number: Number) -> Row:
    estimate, factor = number.estimate, number.factor
    interval = estimate.interval() if estimate else None
    sd = estimate.sd if estimate else None
    return {
        "subject": subject,
        "lesion": lesion,
        "image": image,
        "cycle": cycle,
        "quantity": number.quantity,
        "value": estimate.value * factor if estimate else None,
        "unit": number.unit_shown,
        "sd": None if sd is None else sd * factor,
        "low95": interval[0] * factor if interval else None,
        "high95": interval[1] * factor if interval else None,
        "not_evaluated": "; ".join(estimate.not_evaluated) if estimate else number.reason,
        "key": number.key,
    }


def _response_rows(study: StudyView) -> Iterator[Row]:
    for subject in study.subjects:
        for lesion in subject.lesions:
            for r in lesion.responses:
                yield {
                    "subject": subject.subject_id,
                    "lesion": lesion.lesion_id,
                    "image": r.label,
                    "baseline_mm": r.baseline_mm,
                    "current_mm": r.current_mm,
                    "change": r.change,
                    "category": r.category,
                    "rule": r.rule,
                }


def _finding_rows(study: StudyView) -> Iterator[Row]:
    everyone = [("", study.findings), *((s.subject_id, s.findings) for s in study.subjects)]
    for subject, findings in everyone:
        for f in findings:
            yield {"subject": subject, "severity": f.severity.value, "code": f.code, "text": f.text}


def _write(path: Path, schema: pa.Schema, rows: Sequence[Row]) -> None:
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, schema.names)
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist([dict(r) for r in rows], schema=schema), path.with_suffix(".parquet"))
