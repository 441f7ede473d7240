"""The course of treatment against the rules it follows."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import FrozenMap
from lutra.simulate.clinic import ClinicSettings, TreatmentCourse, sampling_days, treat
from lutra.simulate.clinic_doses import DosePerActivity
from lutra.simulate.clinic_rules import evaluate, label_rules
from lutra.simulate.infusion import administer
from lutra.simulate.labs import CycleDose, LabTraits, Person, sample_traits, take_samples

FIRST = datetime(2025, 3, 4, tzinfo=UTC)  # a Tuesday
NO_OTHER_STOP = ClinicSettings(other_stops=FrozenMap())


def healthy(seed: int) -> LabTraits:
    traits = sample_traits(Person("M", 60, 75, 90), seed)
    sound = {
        "platelets": 250.0,
        "haemoglobin": 14.5,
        "neutrophils": 5.0,
        "lymphocytes": 2.0,
        "albumin": 42.0,
        "bilirubin": 8.0,
        "alt": 25.0,
        "ast": 25.0,
    }
    kill = {"platelets": 2.0, "neutrophils": 1.5, "haemoglobin": 0.35, "lymphocytes": 1.0}
    return evolve(
        traits, baseline=FrozenMap({**traits.baseline, **sound}), kill_per_gy=FrozenMap(kill), slope_per_year=1.0
    )


def course(seed: int, settings: ClinicSettings = NO_OTHER_STOP, **dose: float) -> TreatmentCourse:
    return treat(healthy(seed), DosePerActivity(**dose), FIRST, seed, settings)


@pytest.mark.parametrize("seed", range(20))
def test_a_sound_patient_gets_four_cycles_on_time(seed: int) -> None:
    """7.4 GBq each, 11 to 13 weeks apart, on Mondays to Thursdays."""
    found = course(seed)
    assert [a.cycle for a in found.administrations] == [1, 2, 3, 4]
    assert all(77 <= b - a <= 91 for a, b in pairwise(found.cycle_days))
    assert all(a.infusion_from.weekday() < 4 for a in found.administrations)
    assert all(a.prescribed_bq == 7.4e9 for a in found.administrations)
    assert {str(d.verdict) for d in found.decisions} == {"proceed"}


EVERY_FIVE_WEEKS = ClinicSettings(other_stops=FrozenMap(), weeks_between=(5, 5))
"""Blood is then taken four weeks after a cycle, near the nadir."""


def test_low_platelets_delay_halve_and_stop() -> None:
    """Cycle 2 waits for the marrow, is given at half and hits it still harder: it is the last."""

    def dose(cycle: int, activity_bq: float) -> CycleDose:
        return DosePerActivity(marrow_gy_per_gbq=0.2 * cycle**2)(cycle, activity_bq)

    found = treat(healthy(1), dose, FIRST, 1, EVERY_FIVE_WEEKS)
    second = [d for d in found.decisions if d.cycle == 2]
    assert str(second[0].verdict) == "delay"
    assert any(r.rule == "thrombocytopenia" and r.wait for r in second[0].reasons)
    assert str(second[-1].verdict) == "half activity"
    assert [a.prescribed_bq for a in found.administrations] == [7.4e9, 3.7e9]
    assert found.administrations[1].day == second[-1].day + 7
    assert found.stop_cause == "toxicity came back at half activity"
    assert str(found.decisions[-1].verdict) == "stop"


def test_full_activity_again_when_half_is_borne() -> None:
    """Only cycle 1 hits the marrow hard: cycle 2 is halved, 3 and 4 are whole again."""

    def dose(cycle: int, activity_bq: float) -> CycleDose:
        return DosePerActivity(marrow_gy_per_gbq=0.2 if cycle == 1 else 0.01)(cycle, activity_bq)

    found = treat(healthy(2), dose, FIRST, 2, EVERY_FIVE_WEEKS)
    assert [a.prescribed_bq / 7.4e9 for a in found.administrations] == [1, 0.5, 1, 1]


def test_no_recovery_in_sixteen_weeks_stops() -> None:
    """Creatinine clearance does not come back: delays every two weeks, and the end before the delay reaches 112 days."""
    traits = evolve(healthy(3), slope_per_year=250.0)
    found = treat(traits, DosePerActivity(), FIRST, 3, NO_OTHER_STOP)
    assert found.stop_cause == "no recovery in time"
    assert len(found.decisions) == 8
    assert found.decisions[-1].day - found.decisions[0].day == 98


def test_doses_follow_the_activity_given() -> None:
    found = course(4)
    for a, d in zip(found.administrations, found.doses, strict=True):
        assert d.day == a.day
        assert d.marrow_gy == pytest.approx(0.031 * a.administered_bq / 1e9)


def test_informative_stopping() -> None:
    """With a slope of 1 per SD, patients at +1.5 SD stop more often than those at -1.5 SD."""
    settings = ClinicSettings(other_stops=FrozenMap({2: 0.3}), stop_dose_slope=1.0)
    stopped = [
        np.mean(
            [
                treat(healthy(s), DosePerActivity(), FIRST, s, settings, dose_score=z).stop_day is not None
                for s in range(60)
            ]
        )
        for z in (-1.5, 1.5)
    ]
    assert stopped[0] < 0.2
    assert stopped[1] > 0.5


def test_same_seed_same_course() -> None:
    assert course(5) == course(5)
    assert course(5) != course(6)


@pytest.mark.parametrize("seed", range(30))
def test_timeline_of_an_infusion(seed: int) -> None:
    """Drugs, then amino acids, therapy about 30 min later over 15 to 30 min, amino acids for 4 to 6 h in all."""
    a = administer(1, 0, FIRST, 7.4e9, seed)
    assert all(at < a.amino_acids_from for _, at in a.premedication)
    assert 20 <= (a.infusion_from - a.amino_acids_from).total_seconds() / 60 <= 60
    assert 15 <= (a.infusion_to - a.infusion_from).total_seconds() / 60 <= 30
    assert 4 <= (a.amino_acids_to - a.amino_acids_from).total_seconds() / 3600 <= 6
    assert a.administered_bq == pytest.approx(7.4e9, rel=0.12)
    assert a.measured_administered_bq == pytest.approx(a.administered_bq, rel=0.06)


def test_a_site_errs_alike_for_all() -> None:
    """The calibrator's factor is that of the site: readings of two patients share it, those of another site do not."""
    ratio = [
        np.mean([(a := administer(1, 0, FIRST, 7.4e9, s, site)).measured_bq / a.prepared_bq for s in range(40)])
        for site in (1, 2)
    ]
    spread = np.std([(a := administer(1, 0, FIRST, 7.4e9, s, 1)).measured_bq / a.prepared_bq for s in range(40)])
    assert spread == pytest.approx(0.004, rel=0.4)
    assert abs(ratio[0] - ratio[1]) > 3 * spread / np.sqrt(40)


def test_day_without_zone_is_refused() -> None:
    with pytest.raises(OutsideValidity, match="aware"):
        administer(1, 0, datetime(2025, 3, 4), 7.4e9, 1)  # noqa: DTZ001


def test_every_rule_is_evaluated() -> None:
    traits = healthy(1)
    now, before = take_samples(traits, (), [10])[0], take_samples(traits, (), [-14])[0]
    seen = evaluate(label_rules().rules, now, before, traits.person)
    assert [s.rule for s in seen] == [r.name for r in label_rules().rules]
    assert not any(s.wait for s in seen)


@pytest.mark.parametrize(
    ("analyte", "measured", "rule"),
    [
        ("platelets", 74, "thrombocytopenia"),
        ("haemoglobin", 7.9, "anaemia"),
        ("neutrophils", 0.9, "neutropenia"),
        ("creatinine_clearance", 39, "low clearance"),
        ("bilirubin", 64, "bilirubin"),
        ("albumin", 29, "albumin"),
        ("alt", 226, "transaminases, ALT"),
    ],
)
def test_each_rule_fires_at_its_bound(analyte: str, measured: float, rule: str) -> None:
    from lutra.simulate.labs import GRADED, LabSample, analytes, grade

    traits = healthy(1)
    now, before = take_samples(traits, (), [10])[0], take_samples(traits, (), [-14])[0]
    row = next(a for a in analytes() if a.name == analyte)
    g = grade(traits.person, row, measured, 80.0) if analyte in GRADED else None
    changed = LabSample(
        10, tuple(evolve(v, measured=measured, grade_measured=g) if v.analyte == analyte else v for v in now.values)
    )
    assert rule in {s.rule for s in evaluate(label_rules().rules, changed, before, traits.person) if s.wait}


def test_severe_lymphopenia_alone_changes_nothing() -> None:
    assert "lymphocytes" not in {r.fact for r in label_rules().rules}


def test_blood_is_taken_as_planned() -> None:
    """Baseline, before each cycle, and no gap above four weeks until twelve weeks after the last cycle."""
    found = course(1)
    days = sampling_days(found, 700)
    assert min(days) == -14
    assert set(found.checks) <= set(days)
    frequent = [0, *(d for d in days if 0 < d <= found.cycle_days[-1] + 84)]
    assert max(b - a for a, b in pairwise(frequent)) <= 28
    assert days[-14] == ("counts", "chemistry", "marker", "clearance")
    assert "clearance" in days[351]
