"""The log of deviations: what was given, and when, against what the protocol plans."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from lutra.core.clinical import ClinicalRecord, GivenCycle, InfusionKind, InfusionStep
from lutra.core.treatment import Deviation, Limits, TreatmentPlan

GBQ = 1e9
NOT_WRITTEN = "not written down"


def deviations(record: ClinicalRecord, plan: TreatmentPlan, limits: Limits) -> tuple[Deviation, ...]:
    """List every deviation of a subject, cycle by cycle; what was not written down is one as well."""
    return tuple(_all(record, plan, limits))


def _all(record: ClinicalRecord, plan: TreatmentPlan, limits: Limits) -> Iterator[Deviation]:
    for given in record.given:
        found = [
            *_activity(given, plan),
            *_infusion(given, plan),
            *_premedication(given, plan),
            *_interval(record, given, plan),
            *_blood(record, given, limits),
        ]
        for rule, saw, required in found:
            yield Deviation(record.subject_id, given.cycle, rule, saw, required, given.row)
    for number in range(1, max((g.cycle for g in record.given), default=0)):
        if all(g.cycle != number for g in record.given):
            yield Deviation(
                record.subject_id, number, "cycle", NOT_WRITTEN, f"a row for cycle {number}, as a later one was given"
            )


Found = Iterator[tuple[str, str, str]]
"""Rule, what was seen, what was planned."""


def _activity(given: GivenCycle, plan: TreatmentPlan) -> Found:
    full, tolerance = plan.activity_bq, plan.activity_tolerance
    required = (
        f"{full / GBQ:g} GBq within {tolerance:.0%}, or {plan.reduced_share * full / GBQ:g} GBq where it is reduced"
    )
    for name, value in (("activity prepared", given.prepared_bq), ("activity left over", given.residual_bq)):
        if value is None:
            yield name, NOT_WRITTEN, "measured and written down"
    net = given.net_bq
    if net is not None and all(abs(net - a) > tolerance * a for a in (full, plan.reduced_share * full)):
        yield "activity given", f"{net / GBQ:.3g} GBq", required
    if given.cycle > plan.cycles:
        yield "number of cycles", f"cycle {given.cycle}", f"{plan.cycles} cycles"


def _infusion(given: GivenCycle, plan: TreatmentPlan) -> Found:
    acids, therapy = _step(given, InfusionKind.AMINO_ACIDS), _step(given, InfusionKind.RADIOPHARMACEUTICAL)
    windows = (
        (
            "amino acids before the therapy",
            _between(acids, "started_at", therapy, "started_at"),
            plan.amino_acids_before_min,
            "min",
        ),
        ("infusion duration", _between(therapy, "started_at", therapy, "ended_at"), plan.infusion_min, "min"),
        ("amino acid duration", _between(acids, "started_at", acids, "ended_at"), plan.amino_acids_h, "h"),
    )
    for rule, lasted, (low, high), unit in windows:
        required = f"{low:g} to {high:g} {unit}"
        if lasted is None:
            yield rule, NOT_WRITTEN, required
            continue
        value = lasted.total_seconds() / (60 if unit == "min" else 3600)
        if not low <= value <= high:
            yield rule, f"{value:.3g} {unit}", required


def _premedication(given: GivenCycle, plan: TreatmentPlan) -> Found:
    drugs = [step for step in given.steps if step.kind is InfusionKind.PREMEDICATION]
    acids = _step(given, InfusionKind.AMINO_ACIDS)
    for name in plan.premedication:
        mine = [step for step in drugs if name.lower() in step.name.lower()]
        if not mine:
            yield "premedication", f"{name} {NOT_WRITTEN}", f"{name} before the amino acids"
        elif acids and acids.started_at and mine[0].started_at and mine[0].started_at > acids.started_at:
            yield (
                "premedication",
                f"{name} at {mine[0].started_at:%H:%M}",
                f"before the amino acids at {acids.started_at:%H:%M}",
            )


def _interval(record: ClinicalRecord, given: GivenCycle, plan: TreatmentPlan) -> Found:
    before, day = record.given_on(given.cycle - 1), record.given_on(given.cycle)
    low, high = plan.weeks_between
    if before and day and not timedelta(weeks=low) <= day - before <= timedelta(weeks=high):
        yield (
            "interval",
            f"{(day - before).days / 7:.1f} weeks after cycle {given.cycle - 1}",
            f"{low:g} to {high:g} weeks",
        )


def _blood(record: ClinicalRecord, given: GivenCycle, limits: Limits) -> Found:
    day = record.given_on(given.cycle)
    if day is None:
        yield "day of the cycle", NOT_WRITTEN, "start of the infusion"
        return
    oldest = day - timedelta(days=limits.labs_within_days)
    if not any(_counts(lab.value, lab.taken_on, oldest, day) for lab in record.labs):
        yield "blood", f"none from {oldest} to {day}", f"blood within {limits.labs_within_days:g} days before the cycle"


def _counts(value: float | None, taken_on: date, oldest: date, day: date) -> bool:
    return value is not None and oldest <= taken_on <= day


def _step(given: GivenCycle, kind: InfusionKind) -> InfusionStep | None:
    return next((step for step in given.steps if step.kind is kind), None)


def _between(one: InfusionStep | None, start: str, other: InfusionStep | None, end: str) -> timedelta | None:
    first: datetime | None = getattr(one, start, None)
    last: datetime | None = getattr(other, end, None)
    return None if first is None or last is None else last - first
