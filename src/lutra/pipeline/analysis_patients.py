"""Rows of the analysis tables of patients, and of the intervals between their cycles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from statistics import fmean

from lutra.core.analysis_table import Cell, Value
from lutra.core.clinical import ClinicalRecord
from lutra.core.estimate import Estimate
from lutra.core.study import Subject
from lutra.core.tumour import ReaderResponse
from lutra.pipeline.analysis_lesions import Cells
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.record import SubjectRecord
from lutra.pipeline.results import slug

GBQ = 1e9
ADJUDICATED = ("adjudicator", "adjudicated", "consensus")
RESPONSES, NOT_EVALUABLE = ("CR", "PR"), "NE"
NO_TABLE = "no clinical table"


def covariates(clinical: ClinicalRecord | None, subject: Subject | None) -> Cells:
    """Sex, age, grade and primary site, the same in every row of a patient."""
    sex = (clinical.sex if clinical else None) or (subject.sex if subject else None)
    facts = dict(clinical.facts) if clinical else {}
    gone = "not in the clinic's table of subjects" if clinical else NO_TABLE
    values: dict[str, Value] = {
        "sex": sex or None,
        "age": clinical.age_y if clinical else None,
        "grade": _grade(facts.get("grade", "")),
        "primary_site": facts.get("primary_site") or None,
    }
    return {name: Cell(value, reason="" if value is not None else gone) for name, value in values.items()}


def _grade(text: str) -> str | None:
    """Give `G1`, `G2`, `G3` for whatever way a table writes it; a number alone would be taken for a dose of grade."""
    text = text.strip().upper()
    return (f"G{text}" if text in {"1", "2", "3"} else text) or None


def patient_row(conductor: Conductor, record: SubjectRecord, covariates: Cells, lesions: Sequence[Cells]) -> Cells:
    """Row of one patient.

    Parameters
    ----------
    lesions
        The patient's rows of the table of lesions.
    """
    subject = record.subject
    given = subject.administrations
    last = max((a.cycle for a in given), default=0)
    final = [row for row in lesions if row["landmark"].value == last]
    activities = [a.activity_bq for a in given]
    known = [a for a in activities if a is not None]
    activity = (
        Cell(sum(known) / GBQ) if given and len(known) == len(given) else Cell(reason="not stated for every cycle")
    )
    return {
        "subject": Cell(subject.subject_id),
        **covariates,
        "cycles_given": Cell(len(given)),
        "activity": activity,
        "lesions": Cell(len(record.lesions)),
        "lesions_with_outcome": Cell(sum(row["log_ratio"].value is not None for row in final)),
        "kidney_dose": _kidney_dose(conductor, record),
        "dose_cycle_1_mean": _over(final, "dose_cycle_1", fmean),
        "dose_cycle_1_max": _over(final, "dose_cycle_1", max),
        "dose_cumulative_mean": _over(final, "dose_cumulative", fmean),
        **_response(_readings(conductor, record)),
    }


def _over(rows: Sequence[Cells], column: str, function: Callable[[Sequence[float]], float]) -> Cell:
    values = [value for row in rows if column in row and isinstance(value := row[column].value, float)]
    if not values:
        return Cell(reason="of no lesion")
    return Cell(
        float(function(values)), path="; ".join(row[column].path for row in rows if row[column].value is not None)
    )


def _kidney_dose(conductor: Conductor, record: SubjectRecord) -> Cell:
    found: list[tuple[float, Estimate, str, str]] = []
    for region in record.dosimetry:
        for dose in region.cumulative[:1] if "kidney" in region.name else ():
            if dose.dose:
                estimate = conductor.value(dose.dose).absorbed_dose
                path = f"{record.subject.subject_id}/{slug(region.name)}/cumulative/absorbed-dose.{dose.engine}"
                found.append((estimate.value, estimate, path, dose.dose.receipt))
    if not found:
        return Cell(reason="no dose of the kidneys")
    value, estimate, path, receipt = max(found, key=lambda f: f[0])
    return Cell(value, estimate.least_sd, estimate.not_evaluated, path, receipt)


# ---- response ----
def _readings(conductor: Conductor, record: SubjectRecord) -> tuple[ReaderResponse, ...]:
    made = record.course.responses
    readings: tuple[ReaderResponse, ...] = conductor.value(made) if made else ()
    return tuple(sorted(readings, key=lambda r: (r.reader.lower() not in ADJUDICATED, r.reader)))


OF_RESPONSE = (
    "reader",
    "best_response",
    "best_response_confirmed",
    "readers_agree",
    "response",
    "progression",
    "new_lesion",
    "best_sum_change",
    "pfs_days",
    "pfs_event",
    "ttp_days",
    "ttp_event",
    "os_days",
    "os_event",
)


def _response(readings: Sequence[ReaderResponse]) -> Cells:
    if not readings:
        return dict.fromkeys(OF_RESPONSE, Cell(reason="no reading of response"))
    chosen = readings[0]
    ends = chosen.endpoints
    evaluable = ends.bor != NOT_EVALUABLE
    agree = len({r.endpoints.bor for r in readings}) == 1 if len(readings) > 1 else None
    values: dict[str, tuple[Value, str]] = {
        "reader": (chosen.reader, ""),
        "best_response": (ends.bor, ""),
        "best_response_confirmed": (ends.confirmed_bor, ""),
        "readers_agree": (agree, "one reader"),
        "response": (ends.bor in RESPONSES if evaluable else None, "not evaluable"),
        "progression": (ends.bor == "PD" if evaluable else None, "not evaluable"),
        "new_lesion": (any(t.new_lesion for t in chosen.timepoints), ""),
        "best_sum_change": (_best_sum_change(chosen), "no complete sum of targets after baseline"),
        "pfs_days": (ends.pfs_days, "no start or no visit"),
        "pfs_event": (ends.pfs_event, "no start or no visit"),
        "ttp_days": (ends.ttp_days, "no start or no visit"),
        "ttp_event": (ends.ttp_event, "no start or no visit"),
        "os_days": (ends.os_days, "no date of death or of last contact"),
        "os_event": (ends.os_event, "no date of death or of last contact"),
    }
    return {name: Cell(value, reason=reason if value is None else "") for name, (value, reason) in values.items()}


def _best_sum_change(reading: ReaderResponse) -> float | None:
    first = reading.timepoints[0].nadir_mm if reading.timepoints else None
    sums = [t.sum_mm for t in reading.timepoints if t.complete and t.sum_mm is not None]
    return min(sums) / first - 1 if first and sums else None


def interval_rows(record: SubjectRecord, patient: Cells, lesions: Sequence[Cells]) -> Iterator[Cells]:
    """Time of one patient cut at each cycle, so that a dose counts from when it was given and not before."""
    end, event = patient["pfs_days"].value, patient["pfs_event"].value
    given = sorted(record.subject.administrations, key=lambda a: a.cycle)
    if not isinstance(end, int) or event is None or not given:
        return
    days = [_days(given[0].started_at.date(), a.started_at.date()) for a in given]
    for n, (administration, start) in enumerate(zip(given, days, strict=True)):
        stop = min(days[n + 1] if n + 1 < len(days) else end, end)
        if stop <= start:
            continue
        at = [row for row in lesions if row["landmark"].value == administration.cycle]
        yield {
            "subject": patient["subject"],
            "start": Cell(start),
            "stop": Cell(stop),
            "event": Cell(bool(event) and stop == end),
            "cycles_so_far": Cell(administration.cycle),
            "dose_so_far": _over(at, "dose_cumulative", fmean),
        }


def _days(one: date, other: date) -> int:
    return (other - one).days
