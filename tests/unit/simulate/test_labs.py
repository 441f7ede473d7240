"""Laboratory values: what is true, what is measured, and the kidney."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.simulate.clinic_doses import DosePerActivity, bed_gy, pooled_lymphocyte_gy
from lutra.simulate.kidney_function import (
    clearance_cockcroft_gault,
    creatinine_from_egfr,
    egfr_ckd_epi,
    egfr_over_days,
)
from lutra.simulate.labs import CycleDose, LabSample, Person, sample_person, sample_traits, take_samples, true_labs
from lutra.simulate.toxicity import toxicities

PERSON = Person("F", 60, 70, 80)
TRAITS = sample_traits(PERSON, 3)
CYCLES = [CycleDose(0.22, 50, 4.0, 0.6, 60, day=84.0 * n) for n in range(4)]


def test_ckd_epi_by_hand() -> None:
    """60 years, 0.9 mg/dL. Woman: 142 (0.9/0.7)^-1.2 0.9938^60 1.012 = 73.2; man, at the knee: 142 0.9938^60 = 97.8."""
    assert egfr_ckd_epi(0.9 * 88.42, 60, "F") == pytest.approx(73.2, abs=0.05)
    assert egfr_ckd_epi(0.9 * 88.42, 60, "M") == pytest.approx(97.8, abs=0.05)


@pytest.mark.parametrize("sex", ["F", "M"])
def test_creatinine_is_the_inverse(sex: str) -> None:
    egfr = np.array([12, 40, 80, 97, 110, 140.0])
    assert egfr_ckd_epi(creatinine_from_egfr(egfr, 55, sex), 55, sex) == pytest.approx(egfr, rel=1e-12)


def test_cockcroft_gault_by_hand() -> None:
    """(140 - 60) 72 / (72 1.0) = 80 mL/min; 0.85 of it for a woman."""
    assert clearance_cockcroft_gault(88.42, 60, "M", 72) == pytest.approx(80)
    assert clearance_cockcroft_gault(88.42, 60, "F", 72) == pytest.approx(68)


def test_bed_of_a_kidney_against_a_stated_value() -> None:
    """5 Gy, T_eff 52 h, repair 2.8 h, alpha/beta 2.6: 5.49130 Gy."""
    assert bed_gy(5, 52) == pytest.approx(5.49130, abs=5e-6)


def test_pooled_lymphocyte_dose_of_a_typical_cycle() -> None:
    assert pooled_lymphocyte_gy(7.4 * 0.031, 7.4 * 0.72) == pytest.approx(0.6, abs=0.02)


def test_filtration_falls_faster_above_the_threshold_only() -> None:
    """50 Gy, 10 above 40, cost .12 times 10 per year from the day they are reached; with risk 22 above 28."""
    beds = [(0.0, 30.0), (100.0, 20.0)]
    year = [100 + 365.25]
    own = 80 - 1.0 * year[0] / 365.25
    assert egfr_over_days(80, 1.0, beds, year, threshold_gy=40)[0] == pytest.approx(own - 1.2)
    at_risk = 0.12 * (22 + 2 * 100 / 365.25)
    assert egfr_over_days(80, 1.0, beds, year, threshold_gy=28)[0] == pytest.approx(own - at_risk)
    assert egfr_over_days(80, 1.0, beds, year, threshold_gy=28, renal_effect=False)[0] == pytest.approx(own)


def test_without_dose_nothing_moves_but_filtration() -> None:
    """Counts, liver values and marker stay where they were; filtration has its slope."""
    zero = [CycleDose(0, 50, 0, 0, 60, day=84.0 * n) for n in range(4)]
    values = true_labs(TRAITS, zero, np.arange(-14.0, 700, 7))
    for name in ("platelets", "neutrophils", "haemoglobin", "lymphocytes", "wbc", "alt", "albumin", "chromogranin_a"):
        assert np.ptp(values[name]) < 1e-5 * values[name][0]
    years = 714 / 365.25
    assert values["egfr"][0] - values["egfr"][-1] == pytest.approx(TRAITS.slope_per_year * years, rel=0.01)


def test_marker_follows_the_tumour() -> None:
    """Half of the living volume: 0.5^0.8 = 0.574 of the marker."""
    values = true_labs(TRAITS, CYCLES, [0.0, 300.0], tumour_ratio=[1.0, 0.5])
    assert values["chromogranin_a"][1] / values["chromogranin_a"][0] == pytest.approx(0.574, abs=5e-4)


def test_noise_is_that_of_the_table() -> None:
    days = list(range(3000))
    samples = take_samples(TRAITS, (), days)
    for name, cv in (
        ("platelets", 0.08),
        ("neutrophils", 0.20),
        ("haemoglobin", 0.03),
        ("dtpa_clearance", 0.11),
        ("egfr", 0.06),
    ):
        errors = [np.log(s[name].measured / s[name].true) for s in samples]
        assert np.mean(errors) == pytest.approx(0, abs=3.5 * cv / np.sqrt(len(days)))
        assert np.std(errors) == pytest.approx(cv, rel=0.06)


def test_one_more_sample_changes_no_other() -> None:
    few, more = take_samples(TRAITS, CYCLES, [21, 77]), take_samples(TRAITS, CYCLES, [-14, 21, 42, 77])
    assert few == (more[1], more[3])


def test_parts_of_a_sample_agree() -> None:
    """White cells are the sum of their kinds, as measured; eGFR and clearance come from the measured creatinine."""
    (sample,) = take_samples(TRAITS, CYCLES, [30])
    assert sample["wbc"].measured == pytest.approx(
        sample["neutrophils"].measured + sample["lymphocytes"].measured + 0.6
    )
    age = 60 + 30 / 365.25
    assert sample["egfr"].measured == pytest.approx(float(egfr_ckd_epi(sample["creatinine"].measured, age, "F")))


def test_panels() -> None:
    (sample,) = take_samples(TRAITS, (), [0], panels={0: ("counts",)})
    assert {v.analyte for v in sample.values} == {"platelets", "neutrophils", "haemoglobin", "lymphocytes", "wbc"}
    with pytest.raises(UsageError, match="no albumin"):
        sample["albumin"]


def test_chemotherapy_makes_the_marrow_more_sensitive() -> None:
    after = sample_traits(Person("F", 60, 70, 80, chemotherapy_before=True), 3)
    assert after.kill_per_gy["platelets"] == pytest.approx(1.5 * TRAITS.kill_per_gy["platelets"])


def test_marrow_dose_predicts_toxicity_poorly() -> None:
    """The patient's own sensitivity hides it: a rank correlation of dose and platelet nadir well below that of the model."""
    rng = np.random.default_rng(0)
    doses, nadirs = 0.22 * np.exp(rng.normal(0, 0.25, 150)), []
    for seed, gy in enumerate(doses):
        traits = sample_traits(PERSON, seed)
        platelets = true_labs(traits, [CycleDose(gy, 50, 0, 0, 60)], np.arange(0.0, 80))["platelets"]
        nadirs.append(platelets.min() / platelets[0])
    ranks = np.corrcoef(np.argsort(np.argsort(doses)), np.argsort(np.argsort(nadirs)))[0, 1]
    assert -0.6 < ranks < -0.1


def test_history_is_of_the_seed() -> None:
    people = [sample_person(seed, "M", 63, 75, 81) for seed in range(400)]
    assert people[5] == sample_person(5, "M", 63, 75, 81)
    assert np.mean([p.hypertension for p in people]) == pytest.approx(0.45, abs=0.07)


def test_typical_doses() -> None:
    dose = DosePerActivity()(1, 7.4e9)
    assert dose.marrow_gy == pytest.approx(0.2294)
    assert DosePerActivity()(1, 3.7e9).marrow_gy == pytest.approx(dose.marrow_gy / 2)


def test_episodes_of_toxicity() -> None:
    """Grades 1 (baseline), 2, 3, 1, 2: one episode up to grade 3 that ends with the fourth sample, one that does not end."""
    one = take_samples(TRAITS, (), [0])[0]["platelets"]
    row = [
        LabSample(d, (evolve(one, grade_measured=g),))
        for d, g in zip((0, 21, 42, 63, 84), (1, 2, 3, 1, 2), strict=True)
    ]
    found = [(t.from_day, t.to_day, t.grade) for t in toxicities(row)]
    assert found == [(21, 63, 3), (84, None, 2)]
