"""Long, tidy tables of everything on the pages, as CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lutra.report import course
from lutra.report.model import Number, StudyView

Row = Mapping[str, str | float | int | bool | None]

TEXT, FLOAT, INT, BOOL = pa.string(), pa.float64(), pa.int32(), pa.bool_()

RESULT_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("lesion", TEXT),
        ("series", TEXT),
        ("cycle", INT),
        ("quantity", TEXT),
        ("value", FLOAT),
        ("unit", TEXT),
        ("sd", FLOAT),
        ("low95", FLOAT),
        ("high95", FLOAT),
        ("complete", BOOL),
        ("sd_evaluated", FLOAT),
        ("not_evaluated", TEXT),
        ("reason", TEXT),
        ("key", TEXT),
        ("delineation", TEXT),
    ]
)
"""`sd` and the interval stand only where every source was evaluated (`complete`); `sd_evaluated` is then a lower bound."""
DOSE_SCHEMA = RESULT_SCHEMA.append(pa.field("engine", TEXT))
REGION_SCHEMA = pa.schema([("region", TEXT), *(pa.field(f.name, f.type) for f in RESULT_SCHEMA)])
"""Kinetics and doses of organs, lesions and the rest of the body; without a cycle: the sum over cycles."""
CURVE_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("lesion", TEXT),
        ("cycle", INT),
        ("kind", TEXT),
        ("time_h", FLOAT),
        ("activity_mbq", FLOAT),
        ("sd_mbq", FLOAT),
        ("low95_mbq", FLOAT),
        ("high95_mbq", FLOAT),
        ("model", TEXT),
        ("identifiable", BOOL),
    ]
)
FINDING_SCHEMA = pa.schema([(name, TEXT) for name in ("subject", "severity", "code", "text")])
RESPONSE_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("lesion", TEXT),
        ("series", TEXT),
        ("baseline_mm", FLOAT),
        ("current_mm", FLOAT),
        ("change", FLOAT),
        ("category", TEXT),
        ("rule", TEXT),
    ]
)
FEATURE_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("lesion", TEXT),
        ("series", TEXT),
        ("feature", TEXT),
        ("ibsi", TEXT),
        ("name", TEXT),
        ("value", FLOAT),
        ("unit", TEXT),
        ("delineation", TEXT),
        ("key", TEXT),
    ]
)
"""Features as the IBSI defines and names them, in the unit of the image as it is stored, not as the pages show it."""
CHANGE_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("lesion", TEXT),
        ("quantity", TEXT),
        ("baseline", TEXT),
        ("series", TEXT),
        ("before", FLOAT),
        ("after", FLOAT),
        ("unit", TEXT),
        ("change", FLOAT),
        ("lower_limit", FLOAT),
        ("upper_limit", FLOAT),
        ("verdict", TEXT),
        ("reason", TEXT),
        ("limits_confirmed", BOOL),
        ("key", TEXT),
    ]
)
"""`change` and limits are relative; between the limits nothing is known to have changed."""
TRANSFORM_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("fixed", TEXT),
        ("moving", TEXT),
        ("method", TEXT),
        ("error_mm", FLOAT),
        ("check", TEXT),
        ("value", FLOAT),
        ("unit", TEXT),
        ("reason", TEXT),
        ("receipt", TEXT),
    ]
)
"""One row per check of a registration; a single row without a check where none was made."""
CORRESPONDENCE_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("lesion", TEXT),
        ("series", TEXT),
        ("sighting", TEXT),
        ("region", TEXT),
        ("confidence", FLOAT),
        ("matched_by", TEXT),
        ("distance_mm", FLOAT),
        ("volume_ratio", FLOAT),
        ("merged_into", TEXT),
    ]
)
"""One row per lesion and image in which something is said of it; distance and ratio are from where it was seen first."""
DIAMETERS = ("longest-diameter", "short-axis")


FOR_READERS = ("diameters", "responses", "correspondences", "findings")
"""Tables that are written where a subject is blinded; the others would be named after what they may not hold."""


def write_tables(study: StudyView, folder: Path) -> None:
    """Write every table as CSV and Parquet. Missing is an empty cell, never 0.

    `measurements` holds every number of images and lesions; `doses` and `diameters` are the parts of it that are asked for most;
    `dosimetry` holds kinetics and doses of every region, organs included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    measurements = list(measurement_rows(study))
    treated = [(s.subject_id, s.course) for s in study.subjects]
    tables: dict[str, tuple[pa.Schema, Iterable[Row]]] = {
        "measurements": (RESULT_SCHEMA, measurements),
        "doses": (DOSE_SCHEMA, _dose_rows(study)),
        "dosimetry": (REGION_SCHEMA, _region_rows(study)),
        "curves": (CURVE_SCHEMA, _curve_rows(study)),
        "diameters": (RESULT_SCHEMA, [r for r in measurements if r["quantity"] in DIAMETERS]),
        "responses": (RESPONSE_SCHEMA, _response_rows(study)),
        "features": (FEATURE_SCHEMA, _feature_rows(study)),
        "changes": (CHANGE_SCHEMA, _change_rows(study)),
        "registrations": (TRANSFORM_SCHEMA, _transform_rows(study)),
        "correspondences": (CORRESPONDENCE_SCHEMA, _correspondence_rows(study)),
        "decisions": (course.DECISION_SCHEMA, [r for s, c in treated for r in course.decision_rows(s, c)]),
        "projections": (course.PROJECTION_SCHEMA, [r for s, c in treated for r in course.projection_rows(s, c)]),
        "deviations": (course.DEVIATION_SCHEMA, [r for _, c in treated for r in course.deviation_rows(c)]),
        "recist": (course.RECIST_SCHEMA, [r for _, c in treated for r in course.recist_rows(c)]),
        "endpoints": (course.ENDPOINT_SCHEMA, [r for _, c in treated for r in course.endpoint_rows(c)]),
        "lesion_endpoints": (
            course.LESION_ENDPOINT_SCHEMA,
            [r for _, c in treated for r in course.lesion_endpoint_rows(c)],
        ),
        "readers": (course.READERS_SCHEMA, course.readers_rows(study.readers)),
        "findings": (FINDING_SCHEMA, _finding_rows(study)),
    }
    blinded = any(s.blinded for s in study.subjects)
    for name, (schema, rows) in tables.items():
        if not blinded or name in FOR_READERS:
            _write(folder / name, schema, list(rows))


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
                    row = _row(who, lesion.lesion_id, observation.series_label, None, number)
                    yield {**row, "delineation": observation.delineation or None}
            for curve in lesion.curves:
                for number in curve.numbers:
                    yield _row(who, lesion.lesion_id, None, curve.cycle, number)
            for dose in lesion.doses:
                yield _row(who, lesion.lesion_id, None, dose.cycle, dose.number)


def _row(subject: str, lesion: str | None, series: str | None, cycle: int | None, number: Number) -> Row:
    estimate, factor = number.estimate, number.factor
    row: dict[str, str | float | int | bool | None] = dict.fromkeys(RESULT_SCHEMA.names)
    row |= {"subject": subject, "lesion": lesion, "series": series, "cycle": cycle, "quantity": number.quantity}
    row |= {"unit": number.unit_shown, "complete": False, "reason": number.reason, "key": number.key}
    if estimate is None:
        return row
    row |= {"value": estimate.value * factor, "not_evaluated": "; ".join(estimate.not_evaluated)}
    if estimate.evaluated_sd:
        row["sd_evaluated"] = estimate.evaluated_sd * factor
    sd, interval = estimate.sd, estimate.interval()
    if sd and interval:
        row |= {"complete": True, "sd": sd * factor, "low95": interval[0] * factor, "high95": interval[1] * factor}
    return row


def _dose_rows(study: StudyView) -> Iterator[Row]:
    for subject in study.subjects:
        for lesion in subject.lesions:
            for dose in lesion.doses:
                row = _row(subject.subject_id, lesion.lesion_id, None, dose.cycle, dose.number)
                yield {**row, "engine": dose.engine}


def _region_rows(study: StudyView) -> Iterator[Row]:
    for subject in study.subjects:
        for region in subject.regions:
            for cycle, number in region.numbers:
                lesion = region.title.split(" ")[0] if region.lesion else None
                yield {"region": region.title, **_row(subject.subject_id, lesion, None, cycle, number)}


def _curve_rows(study: StudyView) -> Iterator[Row]:
    """Measured points first, then the fitted curve with its interval."""
    for subject in study.subjects:
        for lesion in subject.lesions:
            for curve in lesion.curves:
                whose: Row = {
                    "subject": subject.subject_id,
                    "lesion": lesion.lesion_id,
                    "cycle": curve.cycle,
                    "model": curve.model,
                    "identifiable": curve.identifiable,
                }
                for t, mbq, sd in curve.measured:
                    yield {**whose, "kind": "measured", "time_h": t, "activity_mbq": mbq, "sd_mbq": sd}
                for t, best, low, high in curve.band:
                    fitted: Row = {"time_h": t, "activity_mbq": best, "low95_mbq": low, "high95_mbq": high}
                    yield {**whose, "kind": "fitted", **fitted}


def _response_rows(study: StudyView) -> Iterator[Row]:
    for subject in study.subjects:
        for lesion in subject.lesions:
            for r in lesion.responses:
                yield {
                    "subject": subject.subject_id,
                    "lesion": lesion.lesion_id,
                    "series": r.label,
                    "baseline_mm": r.baseline_mm,
                    "current_mm": r.current_mm,
                    "change": r.change,
                    "category": r.category,
                    "rule": r.rule,
                }


def _feature_rows(study: StudyView) -> Iterator[Row]:
    for subject in study.subjects:
        for lesion in subject.lesions:
            for observation in lesion.observations:
                for f in observation.features:
                    yield {
                        "subject": subject.subject_id,
                        "lesion": lesion.lesion_id,
                        "series": observation.series_label,
                        "feature": f.tag,
                        "ibsi": f.code,
                        "name": f.name,
                        "value": f.value,
                        "unit": f.unit,
                        "delineation": observation.delineation,
                        "key": f.key,
                    }


def _change_rows(study: StudyView) -> Iterator[Row]:
    for subject in study.subjects:
        for lesion in subject.lesions:
            for c in lesion.changes:
                yield {
                    "subject": subject.subject_id,
                    "lesion": lesion.lesion_id,
                    "quantity": c.quantity,
                    "baseline": c.baseline_label,
                    "series": c.label,
                    "before": c.before,
                    "after": c.after,
                    "unit": c.unit,
                    "change": c.change,
                    "lower_limit": c.lower,
                    "upper_limit": c.upper,
                    "verdict": c.verdict,
                    "reason": c.reason,
                    "limits_confirmed": c.confirmed,
                    "key": c.key or None,
                }


def _transform_rows(study: StudyView) -> Iterator[Row]:
    for subject in study.subjects:
        for t in subject.transforms:
            whose: Row = {
                "subject": subject.subject_id,
                "fixed": t.fixed_label,
                "moving": t.moving_label,
                "method": t.method,
                "error_mm": t.error_mm,
                "reason": t.reason or None,
                "receipt": t.receipt,
            }
            for name, value, unit in t.checks or ((None, None, None),):
                yield {**whose, "check": name, "value": value, "unit": unit}


def _correspondence_rows(study: StudyView) -> Iterator[Row]:
    for subject in study.subjects:
        for c in subject.correspondences:
            yield {
                "subject": subject.subject_id,
                "lesion": c.lesion_id,
                "series": c.series_label,
                "sighting": c.sighting,
                "region": c.region_name or None,
                "confidence": c.confidence,
                "matched_by": c.matched_by or None,
                "distance_mm": c.distance_mm,
                "volume_ratio": c.volume_ratio,
                "merged_into": c.merged_into or None,
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
