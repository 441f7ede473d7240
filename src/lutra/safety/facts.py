"""Facts that decision rules look at, each with the words that say where it comes from or what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import inf

from attrs import frozen

from lutra.core.clinical import AdverseEvent, ClinicalRecord, LabResult
from lutra.core.projection import LimitOutlook, Projection
from lutra.core.treatment import Limits, TreatmentPlan
from lutra.reference.ctcae import Grade, ctcae_grade, ctcae_grids

CHECK_BEFORE_D = 14
"""Blood taken later than this before the earliest day of a cycle is a check for that cycle; earlier blood shows the nadir. [d]"""
REDUCED_BELOW = 0.75
"""A cycle with less than this share of the planned activity was a reduced one: between half and full. [1]"""
MG_PER_DL_IN_UMOL_PER_L = 88.402
"""Creatinine, 113.12 g/mol (C4H7N3O)."""
BED, BED_WITH_RISK, DOSE = "kidney BED", "kidney BED, with a risk factor", "kidney dose"
MARROW = "marrow dose"
KIDNEY = "kidney"


@frozen
class Fact:
    """One fact.

    Parameters
    ----------
    value
        None: not known. What it is counted in stands in `words`.
    words
        What was seen and when; if it is not known, what is missing.
    grade
        CTCAE grade, of what has one.
    uln, baseline
        Of a laboratory value, in its unit; None where not known.
    """

    value: float | None
    words: str
    grade: Grade | None = None
    uln: float | None = None
    baseline: float | None = None


def number(value: float) -> str:
    """Write a number as a laboratory would."""
    return f"{value:.4g}"


# ---- blood ----
def lab_fact(record: ClinicalRecord, analyte: str, on: date, limits: Limits, since: date | None = None) -> Fact:
    """Newest value of an analyte on or before a day, neither older than the protocol lets it be nor than `since`."""
    oldest = on - timedelta(days=limits.labs_within_days)
    oldest = max(oldest, since) if since else oldest
    taken = [lab for lab in labs_of(record, analyte) if oldest <= lab.taken_on <= on]
    valued = [lab for lab in taken if lab.value is not None]
    if not valued:
        why = next((f", {lab.missing_reason}" for lab in reversed(taken) if lab.missing_reason), "")
        return Fact(None, f"no {analyte.replace('_', ' ')} from {oldest} to {on}{why}")
    newest = valued[-1]
    assert newest.value is not None  # noqa: S101  (chosen above)
    baseline = baseline_of(record, analyte)
    words = f"{analyte.replace('_', ' ')} {number(newest.value)} {newest.unit} on {newest.taken_on}"
    if baseline is not None:
        words += f", baseline {number(baseline)}"
    grade = None
    if analyte in ctcae_grids(limits.ctcae_version):
        grade = ctcae_grade(
            analyte,
            newest.value,
            unit=newest.unit,
            lln=newest.lln,
            uln=newest.uln,
            baseline=baseline,
            version=limits.ctcae_version,
        )
        words += "" if grade.grade is None else f" (grade {grade.grade}: {grade.basis})"
    return Fact(newest.value, words, grade, newest.uln, baseline)


def baseline_of(record: ClinicalRecord, analyte: str) -> float | None:
    """Last value on or before the day of cycle 1; before that cycle, the last there is."""
    first = record.given_on(1)
    before = [
        lab for lab in labs_of(record, analyte) if lab.value is not None and (first is None or lab.taken_on <= first)
    ]
    return before[-1].value if before else None


def labs_of(record: ClinicalRecord, analyte: str) -> tuple[LabResult, ...]:
    """Results of an analyte in the order of days; clearance by Cockcroft and Gault where it was not measured."""
    found = [lab for lab in record.labs if lab.analyte == analyte]
    if analyte == "creatinine_clearance" and not found:
        found = [made for lab in record.labs if lab.analyte == "creatinine" for made in _clearance(record, lab)]
    return tuple(sorted(found, key=lambda lab: lab.taken_on))


def _clearance(record: ClinicalRecord, creatinine: LabResult) -> Sequence[LabResult]:
    """Cockcroft and Gault, Nephron 16:31 (1976). [mL/min]"""
    if None in (creatinine.value, record.age_y, record.weight_kg, record.sex) or creatinine.unit != "umol/L":
        return ()
    assert creatinine.value and record.age_y and record.weight_kg  # noqa: S101, PT018
    value = (140 - record.age_y) * record.weight_kg / (72 * creatinine.value / MG_PER_DL_IN_UMOL_PER_L)
    value *= 0.85 if record.sex == "F" else 1.0
    words = f"Cockcroft-Gault of creatinine {creatinine.as_written}"
    return (
        LabResult("creatinine_clearance", value, "mL/min", creatinine.taken_on, as_written=words, row=creatinine.row),
    )


# ---- what happened ----
def event_fact(record: ClinicalRecord, on: date, limits: Limits) -> Fact:
    """Worst adverse event that goes on and that blood does not grade."""
    from_blood = set(ctcae_grids(limits.ctcae_version)) | {
        g.term.lower() for g in ctcae_grids(limits.ctcae_version).values()
    }
    going_on = [
        event
        for event in record.events
        if event.started_on <= on and (event.ended_on is None or event.ended_on > on)
        if event.term.lower() not in from_blood and "lymph" not in event.term.lower()
    ]
    if not going_on:
        return Fact(0.0, f"no adverse event but those of blood goes on on {on}", Grade(0, "none"))
    ungraded = [event for event in going_on if event.grade is None]
    worst = max(going_on, key=lambda event: event.grade or 0)
    if ungraded and (worst.grade or 0) < 3:
        return Fact(None, f"{_said(ungraded[0])} has no grade", Grade(None, "not graded"))
    return Fact(float(worst.grade or 0), _said(worst), Grade(worst.grade, "as graded by the site"))


def _said(event: AdverseEvent) -> str:
    grade = "" if event.grade is None else f" of grade {event.grade}"
    return f"{event.term}{grade} since {event.started_on}"


def reduced(record: ClinicalRecord, cycle: int, plan: TreatmentPlan) -> bool | None:
    """Whether a cycle was given with less than the planned activity; None if nobody wrote down how much."""
    given = next((g for g in record.given if g.cycle == cycle), None)
    activity = None if given is None else given.net_bq or given.prepared_bq or given.prescribed_bq
    return None if activity is None else activity < REDUCED_BELOW * plan.activity_bq


def planned_days(record: ClinicalRecord, cycle: int, plan: TreatmentPlan) -> tuple[date, date] | None:
    """First and last day that the protocol plans for a cycle; None for the first, or after a cycle without a day."""
    before = record.given_on(cycle - 1)
    if before is None:
        return None
    low, high = (timedelta(days=round(7 * weeks)) for weeks in plan.weeks_between)
    return before + low, before + high


# ---- doses ----
def dose_facts(
    record: ClinicalRecord, projections: Sequence[Projection], cycle: int, plan: TreatmentPlan, limits: Limits
) -> dict[str, Fact]:
    """Share of the planned activity that fits under each limit of dose."""
    if cycle == 1:
        nothing = Fact(inf, "no cycle was given yet")
        return dict.fromkeys(("kidney_bed_share", "kidney_dose_share", "marrow_dose_share"), nothing)
    return {
        "kidney_bed_share": _bed_share(record, projections, plan, limits),
        "kidney_dose_share": _share(projections, DOSE, plan) or Fact(None, "no dose of a kidney is known"),
        "marrow_dose_share": _share(projections, MARROW, plan) or Fact(None, "no dose of red marrow is known"),
    }


def _bed_share(record: ClinicalRecord, projections: Sequence[Projection], plan: TreatmentPlan, limits: Limits) -> Fact:
    strict, lenient = (_share(projections, name, plan) for name in (BED_WITH_RISK, BED))
    if strict is None or lenient is None:
        return Fact(None, "no dose of a kidney is known")
    if record.risk_factors:
        return Fact(strict.value, f"{strict.words}; risk: {', '.join(record.risk_factors)}")
    if record.risk_factors_known:
        return Fact(lenient.value, f"{lenient.words}; no risk factor")
    if (strict.value or 0.0) >= 1 or (lenient.value or 0.0) < 1:
        return strict if (strict.value or 0.0) >= 1 else lenient
    return Fact(
        None,
        f"risk factors of the kidney are not known, and it depends on them whether {limits.kidney_bed_with_risk_gy:g} or "
        f"{limits.kidney_bed_gy:g} Gy is the limit: {strict.words}",
    )


def _share(projections: Sequence[Projection], name: str, plan: TreatmentPlan) -> Fact | None:
    """Least share over the regions that have the limit: each kidney has to stay below it."""
    held = [(p, limit) for p in projections for limit in p.limits if limit.limit.name == name]
    if not held:
        return None
    worst, outlook = min(held, key=lambda pair: pair[1].fitting_activity_bq)
    return Fact(outlook.fitting_activity_bq / plan.activity_bq, _held(worst, outlook, plan))


def _held(projection: Projection, outlook: LimitOutlook, plan: TreatmentPlan) -> str:
    kind = "absorbed dose" if outlook.limit.alpha_beta_gy is None else "BED"
    words = f"{projection.region}: {kind} {outlook.so_far_gy.median:.1f} Gy so far"
    if outlook.after_next_gy is not None and outlook.exceeded_next is not None:
        after = outlook.after_next_gy
        words += (
            f", {after.median:.1f} Gy ({after.low:.1f} to {after.high:.1f}) after this cycle; "
            f"above {outlook.limit.limit_gy:g} Gy with probability {outlook.exceeded_next:.2f}"
        )
    else:
        words += f"; limit {outlook.limit.limit_gy:g} Gy"
    return f"{words}; {fitting_words(outlook.fitting_activity_bq, plan)} would fit"


def fitting_words(activity_bq: float, plan: TreatmentPlan) -> str:
    """Say which activity fits; of more than twice the planned one nobody needs to know how much."""
    if activity_bq >= 2 * plan.activity_bq:
        return f"more than {2 * plan.activity_gbq:g} GBq"
    return f"{activity_bq / 1e9:.1f} GBq"
