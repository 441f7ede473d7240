"""Decisions on the next cycle: one patient in whom nothing is wrong, and one thing changed at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from attrs import evolve

from lutra.core.clinical import AdverseEvent, ClinicalRecord, GivenCycle, InfusionKind, InfusionStep, LabResult
from lutra.core.decision import Decision, Verdict
from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap
from lutra.core.projection import DoseLimit, GivenDose, Projection
from lutra.core.treatment import Limits, TreatmentPlan
from lutra.core.units import Unit
from lutra.reference.decision_tables import shipped_table
from lutra.safety.decide import decide
from lutra.safety.facts import BED, BED_WITH_RISK, DOSE, MARROW
from lutra.safety.projection import Outlook, project

FIRST = date(2026, 1, 5)
PLAN, LIMITS, TABLE = TreatmentPlan(), Limits(), shipped_table("label")
NORMAL = {
    "platelets": (220.0, "10*9/L", 150.0, 400.0),
    "haemoglobin": (13.5, "g/dL", 12.0, 15.5),
    "neutrophils": (4.0, "10*9/L", 1.8, 7.5),
    "creatinine": (80.0, "umol/L", None, 90.0),
    "creatinine_clearance": (85.0, "mL/min", None, None),
    "bilirubin": (10.0, "umol/L", None, 21.0),
    "albumin": (40.0, "g/L", 35.0, 50.0),
    "alt": (25.0, "U/L", None, 45.0),
    "ast": (25.0, "U/L", None, 35.0),
}
THIRD = FIRST + timedelta(days=2 * 84)
"""Day planned for cycle 3."""
CHECK = THIRD - timedelta(days=7)


def blood(on: date, **changed: float | None) -> tuple[LabResult, ...]:
    return tuple(
        LabResult(name, changed.get(name, value), unit, on, lln, uln)
        for name, (value, unit, lln, uln) in NORMAL.items()
    )


def cycle(number: int, on: date, share: float = 1.0) -> GivenCycle:
    at = datetime(on.year, on.month, on.day, 10, tzinfo=UTC)
    step = InfusionStep(InfusionKind.RADIOPHARMACEUTICAL, "177Lu-octreotate", at, at + timedelta(minutes=20))
    return GivenCycle(number, (step,), 7.4e9 * share, 7.45e9 * share, 0.05e9 * share)


def patient(*labs: tuple[LabResult, ...], second: float = 1.0) -> ClinicalRecord:
    """Two cycles given, twelve weeks apart; baseline blood and whatever else is given."""
    everything = (blood(FIRST - timedelta(days=14)), *labs)
    return ClinicalRecord(
        "P1",
        "F",
        60.0,
        1.65,
        70.0,
        risk_factors_known=True,
        given=(cycle(1, FIRST), cycle(2, FIRST + timedelta(days=84), second)),
        labs=tuple(lab for sample in everything for lab in sample),
    )


def kidney(dose_gy: float, cycles: int = 2) -> Projection:
    doses = [
        GivenDose(c, 7.4e9, Estimate(dose_gy, Unit.GY, FrozenMap({"camera": 0.05 * dose_gy})), 0.9)
        for c in range(1, cycles + 1)
    ]
    limits = (DoseLimit(BED, 40.0, 2.6), DoseLimit(BED_WITH_RISK, 28.0, 2.6), DoseLimit(DOSE, 23.0))
    found = project("left kidney", "kidney", doses, Outlook(4, 7.4e9, 0.5), limits, 1).value
    assert found is not None
    return found


def asked(record: ClinicalRecord, *, on: date = CHECK, number: int = 3, dose_gy: float = 4.0, **more: date) -> Decision:
    return decide(record, number, on, TABLE, PLAN, LIMITS, (kidney(dose_gy),), **more)


def reason(decision: Decision, rule: str) -> str:
    return next(r.saw for r in decision.reasons if r.rule == rule)


def test_nothing_wrong_proceeds_with_the_planned_activity() -> None:
    found = asked(patient(blood(CHECK)))
    assert found.verdict is Verdict.PROCEED
    assert found.activity_bq == pytest.approx(7.4e9)
    assert [r.rule for r in found.reasons] == [r.name for r in TABLE.rules]
    assert (found.earliest_on, found.latest_on) == (date(2026, 6, 15), date(2026, 6, 29))


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"platelets": 74.0}, "thrombocytopenia"),
        ({"haemoglobin": 7.9}, "anaemia"),
        ({"neutrophils": 0.9}, "neutropenia"),
        ({"creatinine_clearance": 39.0}, "low clearance"),
        ({"creatinine_clearance": 51.0}, "clearance fell"),
        ({"creatinine": 112.0}, "creatinine rose"),
        ({"bilirubin": 64.0}, "bilirubin"),
        ({"albumin": 29.0}, "albumin"),
        ({"alt": 226.0}, "transaminases, ALT"),
        ({"ast": 176.0}, "transaminases, AST"),
    ],
)
def test_each_toxicity_delays(changed: dict[str, float], rule: str) -> None:
    found = asked(patient(blood(CHECK, **changed)))
    assert found.verdict is Verdict.DELAY
    assert found.activity_bq is None
    assert {r.rule for r in found.reasons if r.verdict is Verdict.DELAY} >= {rule}


@pytest.mark.parametrize(
    "changed",
    [
        {"platelets": 75.0},
        {"haemoglobin": 8.0},
        {"neutrophils": 1.0},
        {"creatinine_clearance": 52.0},
        {"creatinine": 111.0},
        {"bilirubin": 63.0},
        {"albumin": 30.0},
        {"alt": 225.0},
    ],
)
def test_just_within_each_bound_proceeds(changed: dict[str, float]) -> None:
    assert asked(patient(blood(CHECK, **changed))).verdict is Verdict.PROCEED


@pytest.mark.parametrize("analyte", NORMAL)
def test_a_missing_value_is_undetermined_and_named(analyte: str) -> None:
    found = asked(patient(blood(CHECK, **{analyte: None})))
    assert found.verdict is Verdict.UNDETERMINED
    assert found.activity_bq is None
    assert any(f"no {analyte.replace('_', ' ')}" in text for text in found.missing)


def test_old_blood_is_no_blood() -> None:
    old = asked(patient(blood(CHECK - timedelta(days=29))))
    assert old.verdict is Verdict.UNDETERMINED
    assert asked(patient(blood(CHECK - timedelta(days=28)))).verdict is Verdict.PROCEED


def test_known_toxicity_decides_though_something_is_missing() -> None:
    assert asked(patient(blood(CHECK, platelets=40.0, albumin=None))).verdict is Verdict.DELAY


def test_blood_after_the_day_is_not_looked_at() -> None:
    later = blood(CHECK + timedelta(days=1), platelets=40.0)
    assert asked(patient(blood(CHECK), later)).verdict is Verdict.PROCEED


def test_the_nadir_between_cycles_changes_nothing() -> None:
    nadir = blood(FIRST + timedelta(days=84 + 35), platelets=60.0)
    assert asked(patient(nadir, blood(CHECK))).verdict is Verdict.PROCEED


def test_after_a_toxicity_half_is_given() -> None:
    again = CHECK + timedelta(days=14)
    found = asked(patient(blood(CHECK, platelets=60.0), blood(again)), on=again)
    assert found.verdict is Verdict.REDUCE
    assert found.activity_bq == pytest.approx(3.7e9)
    assert "thrombocytopenia" in reason(found, "after a toxicity")


def test_full_again_after_a_reduced_cycle_that_was_borne() -> None:
    before_second = blood(FIRST + timedelta(days=77), platelets=60.0)
    found = asked(patient(before_second, blood(CHECK), second=0.5))
    assert found.verdict is Verdict.PROCEED
    assert found.activity_bq == pytest.approx(7.4e9)


def test_toxicity_that_comes_back_after_a_reduced_cycle_ends_it() -> None:
    before_second = blood(FIRST + timedelta(days=77), platelets=60.0)
    assert asked(patient(before_second, blood(CHECK, platelets=60.0), second=0.5)).verdict is Verdict.STOP
    other = asked(patient(before_second, blood(CHECK, haemoglobin=7.0), second=0.5))
    assert other.verdict is Verdict.DELAY


def test_sixteen_weeks_of_delay_by_toxicity_end_it() -> None:
    checks = [CHECK + timedelta(days=14 * n) for n in range(10)]
    record = patient(*(blood(day, platelets=60.0) for day in checks))
    latest = FIRST + timedelta(days=84 + 91)
    assert asked(record, on=checks[8], infusion_on=latest + timedelta(days=111)).verdict is Verdict.DELAY
    assert asked(record, on=checks[9], infusion_on=latest + timedelta(days=112)).verdict is Verdict.STOP


def test_a_late_cycle_without_toxicity_is_given() -> None:
    late = THIRD + timedelta(days=150)
    assert asked(patient(blood(late)), on=late).verdict is Verdict.PROCEED


def test_too_early_waits() -> None:
    found = asked(patient(blood(CHECK)), infusion_on=FIRST + timedelta(days=84 + 76))
    assert found.verdict is Verdict.DELAY
    assert asked(patient(blood(CHECK)), infusion_on=FIRST + timedelta(days=84 + 77)).verdict is Verdict.PROCEED


def test_no_cycle_beyond_the_plan_nor_after_the_end() -> None:
    record = patient(blood(CHECK))
    assert decide(record, 3, CHECK, TABLE, TreatmentPlan(cycles=2), LIMITS, (kidney(4.0),)).verdict is Verdict.STOP
    assert asked(evolve(record, stopped_on=CHECK)).verdict is Verdict.STOP
    assert asked(evolve(record, stopped_on=CHECK + timedelta(days=1))).verdict is Verdict.PROCEED


@pytest.mark.parametrize(
    ("term", "grade", "ended", "verdict"),
    [
        ("nausea", 3, None, Verdict.DELAY),
        ("nausea", 2, None, Verdict.PROCEED),
        ("nausea", 3, CHECK, Verdict.PROCEED),
        ("nausea", None, None, Verdict.UNDETERMINED),
        ("lymphopenia", 4, None, Verdict.PROCEED),
        ("Platelet count decreased", 3, None, Verdict.PROCEED),
    ],
)
def test_adverse_events(term: str, grade: int | None, ended: date | None, verdict: Verdict) -> None:
    event = AdverseEvent(term, grade, CHECK - timedelta(days=3), ended)
    assert asked(evolve(patient(blood(CHECK)), events=(event,))).verdict is verdict


# ---- doses ----
def test_the_bed_limit_depends_on_risk_factors() -> None:
    """5 Gy a cycle: BED 13.65, after three 41 and more with the trend: too much without risk; far too much with one."""
    without = asked(patient(blood(CHECK)), dose_gy=5.0)
    with_risk = asked(evolve(patient(blood(CHECK)), risk_factors=("diabetes",)), dose_gy=5.0)
    assert without.verdict is Verdict.REDUCE
    assert without.activity_bq is not None
    assert 3.7e9 < without.activity_bq < 7.4e9
    assert with_risk.verdict is Verdict.STOP
    assert "diabetes" in reason(with_risk, "kidney BED")


def test_unknown_risk_factors_matter_only_if_the_limit_depends_on_them() -> None:
    unknown = evolve(patient(blood(CHECK)), risk_factors_known=False)
    assert asked(unknown, dose_gy=2.0).verdict is Verdict.PROCEED
    between = asked(unknown, dose_gy=4.5)
    assert between.verdict is Verdict.UNDETERMINED
    assert "28 or 40 Gy" in between.missing[0]


def test_no_known_kidney_dose_is_undetermined_except_before_the_first_cycle() -> None:
    assert decide(patient(blood(CHECK)), 3, CHECK, TABLE, PLAN, LIMITS).verdict is Verdict.UNDETERMINED
    before = evolve(patient(), given=())
    first = decide(before, 1, FIRST - timedelta(days=7), TABLE, PLAN, LIMITS)
    assert first.verdict is Verdict.PROCEED


def test_the_absorbed_dose_limit_and_marrow_advise_only() -> None:
    found = asked(patient(blood(CHECK)), dose_gy=4.0)
    advice = {r.rule: r for r in found.reasons if r.advisory}
    assert set(advice) == {"kidney dose", "marrow dose"}
    assert advice["marrow dose"].verdict is Verdict.UNDETERMINED
    assert found.verdict is Verdict.PROCEED
    assert MARROW == "marrow dose"


def test_more_dose_never_turns_stop_into_proceed() -> None:
    order = list(Verdict)
    for record in (patient(blood(CHECK)), evolve(patient(blood(CHECK)), risk_factors=("hypertension",))):
        verdicts = [order.index(asked(record, dose_gy=d).verdict) for d in (1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 6.0, 8.0)]
        assert verdicts == sorted(verdicts)


def test_worse_blood_never_improves_the_verdict() -> None:
    order = list(Verdict)
    verdicts = [
        order.index(asked(patient(blood(CHECK, platelets=p))).verdict) for p in (300.0, 150.0, 100.0, 74.0, 49.0, 10.0)
    ]
    assert verdicts == sorted(verdicts)
