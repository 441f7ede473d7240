"""Deviations from the plan: one day as planned, and one thing changed at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from attrs import evolve

from lutra.core.clinical import ClinicalRecord, GivenCycle, InfusionKind, InfusionStep, LabResult
from lutra.core.treatment import Limits, TreatmentPlan
from lutra.safety import deviations

DAY = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return DAY + timedelta(minutes=minutes)


def given(
    cycle: int = 1,
    days: int = 0,
    *,
    start: float = 30.0,
    lasts: float = 20.0,
    acids_h: float = 4.5,
    prepared: float | None = 7.45e9,
    drugs: tuple[str, ...] = ("ondansetron 8 mg", "methylprednisolone", "metoclopramide"),
    drug_at: float = -20.0,
) -> GivenCycle:
    off = days * 24 * 60
    steps = (
        *(InfusionStep(InfusionKind.PREMEDICATION, d, at(off + drug_at)) for d in drugs),
        InfusionStep(InfusionKind.AMINO_ACIDS, "amino acids", at(off), at(off + 60 * acids_h)),
        InfusionStep(InfusionKind.RADIOPHARMACEUTICAL, "radiopharmaceutical", at(off + start), at(off + start + lasts)),
    )
    return GivenCycle(cycle, steps, 7.4e9, prepared, 0.05e9, "meter 1", f"administrations.csv, row {cycle + 1}")


def record(*cycles: GivenCycle) -> ClinicalRecord:
    blood = tuple(LabResult("platelets", 200.0, "10*9/L", date(2026, 1, 1) + timedelta(days=7 * n)) for n in range(40))
    return ClinicalRecord("P1", given=cycles, labs=blood)


def rules(*cycles: GivenCycle) -> list[tuple[str, str]]:
    return [(d.rule, d.saw) for d in deviations(record(*cycles), TreatmentPlan(), Limits())]


def test_as_planned_there_is_none() -> None:
    assert rules(given(), given(2, 84), given(3, 168, prepared=3.75e9)) == []


@pytest.mark.parametrize(
    ("cycle", "rule", "saw"),
    [
        (given(start=10), "amino acids before the therapy", "10 min"),
        (given(lasts=45), "infusion duration", "45 min"),
        (given(acids_h=3), "amino acid duration", "3 h"),
        (given(prepared=5.5e9), "activity given", "5.45 GBq"),
        (given(prepared=None), "activity prepared", "not written down"),
        (given(drugs=("ondansetron", "metoclopramide")), "premedication", "methylprednisolone not written down"),
    ],
)
def test_each_deviation_is_named_with_what_was_seen(cycle: GivenCycle, rule: str, saw: str) -> None:
    assert rules(cycle) == [(rule, saw)]


def test_drugs_after_the_amino_acids() -> None:
    assert [rule for rule, _ in rules(given(drug_at=5))] == ["premedication"] * 3


@pytest.mark.parametrize(("days", "found"), [(76, True), (77, False), (91, False), (92, True)])
def test_the_interval_between_cycles(days: int, found: bool) -> None:
    assert [rule for rule, _ in rules(given(), given(2, days))] == ["interval"] * found


def test_a_cycle_without_a_row_and_one_too_many() -> None:
    said = deviations(record(given(), given(3, 84)), TreatmentPlan(cycles=2), Limits())
    assert [(d.cycle, d.rule) for d in said] == [(3, "number of cycles"), (2, "cycle")]


def test_times_that_nobody_wrote_down_are_deviations() -> None:
    bare = evolve(given(), steps=given().steps[:3])
    said = {d.rule: d.saw for d in deviations(record(bare), TreatmentPlan(), Limits())}
    assert said["infusion duration"] == said["day of the cycle"] == "not written down"


def test_blood_before_the_cycle() -> None:
    old = evolve(record(given()), labs=(LabResult("platelets", 200.0, "10*9/L", date(2025, 12, 1)),))
    assert [d.rule for d in deviations(old, TreatmentPlan(), Limits())] == ["blood"]
