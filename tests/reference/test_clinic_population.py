"""What the simulated clinic finds in a cohort against published cohorts and the table-level virtual trial."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from math import sqrt
from typing import NamedTuple

import numpy as np
import pytest
from attrs import evolve

from lutra.simulate.clinic import BASELINE_DAY, ClinicSettings, TreatmentCourse, sampling_days, treat
from lutra.simulate.clinic_doses import DosePerActivity
from lutra.simulate.labs import LabSample, Person, sample_traits, take_samples
from lutra.simulate.progression import first_progression, progression_free, sample_death
from lutra.simulate.reads import TRUTH, Reader, ReadLesion, read_course
from lutra.simulate.toxicity import worst_grade

LANDMARK_D, LAST_D, VISIT_EVERY_D = 342, 1460, 84
DAYS = np.arange(-30, LAST_D + 1, 3.0)


def lesions_of(seed: int) -> tuple[ReadLesion, ...]:
    """Lesions of the table-level virtual trial.

    Log ratio of diameters at the landmark = -.20 - .09 (D - 80)/50 + .07 log2(FDG/4) + u(.12) + e(.14); what grew until then
    goes on growing, what shrank stays. New lesions come at .02 per month and are 8 mm when they can be seen first.
    """
    r = np.random.default_rng([seed, 77])
    g2 = r.random() < 0.44
    n = int(np.clip(1 + r.negative_binomial(3, 3 / (3 + 5.0)), 1, 20))
    first = 22 * np.exp(r.normal(0, 0.5) + r.normal(0, 0.5, n))
    keeps = (0.86 if g2 else 0.94) ** np.arange(4)
    dose = (first[:, None] * keeps * np.exp(r.normal(0, 0.12, (n, 4)))).sum(axis=1)
    fdg_log2 = (r.normal(0, 0.45) + 0.35 * (g2 - 0.44) + r.normal(0, 0.35, n)) / np.log(2)
    change = -0.20 - 0.09 * (dose - 80) / 50 + 0.07 * fdg_log2 + r.normal(0, 0.12) + r.normal(0, 0.14, n)
    size = np.clip(26 * np.exp(r.normal(0, 0.45, n)), 10, 120)
    answered = np.clip(1 - np.exp(-np.maximum(DAYS, 0) / 150), 0, None) / (1 - np.exp(-LANDMARK_D / 150))
    later = np.maximum(DAYS / LANDMARK_D - 1, 0)
    organs = r.choice(["liver", "node", "bone", "other"], p=[0.62, 0.18, 0.12, 0.08], size=n)
    lesions = []
    for k in range(n):
        long_mm = size[k] * np.exp(change[k] * np.minimum(answered, 1) + np.maximum(change[k], 0) * later)
        lesions.append(ReadLesion(f"lesion {k + 1}", str(organs[k]), DAYS, long_mm, 0.75 * long_mm))
    day, new = 0.0, 0
    while (day := day + r.exponential(30.44 / 0.02)) < LAST_D:
        new += 1
        long_mm = np.where(day <= DAYS, 8.0 * np.exp(0.0006 * (DAYS - day)), 0.0)
        lesions.append(ReadLesion(f"new {new}", "liver", DAYS, long_mm, 0.75 * long_mm))
    return tuple(lesions)


def visit_days() -> list[int]:
    return [-7, *range(VISIT_EVERY_D, LAST_D + 1, VISIT_EVERY_D)]


def kaplan_meier(times: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and survival after each of them."""
    order = np.argsort(times)
    t, e = times[order], events[order]
    steps = np.unique(t[e])
    survival = np.cumprod([1 - (e & (t == s)).sum() / (t >= s).sum() for s in steps])
    return steps, survival


def median_survival(times: np.ndarray, events: np.ndarray) -> float:
    steps, survival = kaplan_meier(times, events)
    below = np.flatnonzero(survival <= 0.5)
    return float(steps[below[0]]) if below.size else np.inf


class Treated(NamedTuple):
    course: TreatmentCourse
    samples: tuple[LabSample, ...]


class Outcome(NamedTuple):
    at_landmark: str
    truly: str
    months: float
    event: bool


@pytest.fixture(scope="module")
def label_trial() -> list[Treated]:
    """400 patients treated as in the randomised trial: every 8 weeks, one in ten after chemotherapy."""
    rng, first_day, treated = np.random.default_rng(4), datetime(2025, 1, 7, tzinfo=UTC), []
    for seed in range(400):
        egfr = float(np.clip(rng.normal(81.1, 16.3), 50, 130))
        traits = sample_traits(Person("FM"[seed % 2], 63, 72, egfr, chemotherapy_before=bool(rng.random() < 0.1)), seed)
        dose = DosePerActivity()
        dose = evolve(
            dose,
            marrow_gy_per_gbq=dose.marrow_gy_per_gbq * float(np.exp(rng.normal(0, 0.45))),
            kidney_gy_per_gbq=dose.kidney_gy_per_gbq * float(np.exp(rng.normal(0, 0.37))),
            spleen_gy_per_gbq=dose.spleen_gy_per_gbq * float(np.exp(rng.normal(0, 0.50))),
        )
        course = treat(traits, dose, first_day, seed, ClinicSettings(weeks_between=(8, 8)))
        days = [d for d in sampling_days(course, 900) if d <= 720]
        treated.append(Treated(course, take_samples(traits, course.doses, days)))
    return treated


@pytest.fixture(scope="module")
def read_trial() -> list[Outcome]:
    """300 patients of the table-level model, read by one reader and in truth; last contact after 24 to 48 months."""
    outcomes, days = [], visit_days()
    landmark = min(range(1, len(days)), key=lambda n: abs(days[n] - LANDMARK_D))
    for seed in range(300):
        lesions = lesions_of(seed)
        read, true = (read_course(lesions, days, [reader], seed) for reader in (Reader("A"), TRUTH))
        at, truly = (
            next((v.overall for v in c.visits[1:landmark] if v.overall == "PD"), c.visits[landmark].overall)
            for c in (read, true)
        )
        progressed = first_progression(true)
        death = sample_death(progressed.day if progressed else None, seed)
        until = float(np.random.default_rng(seed).uniform(24, 48)) * 30.44
        end = progression_free(read, days, death, until)
        outcomes.append(Outcome(at, truly, end.months, end.event))
    return outcomes


def together(published: float, n_published: int, n: int) -> float:
    """Twice the sampling error of the difference of a published and a simulated share."""
    return 2 * sqrt(published * (1 - published) * (1 / n_published + 1 / n))


# The product label counts the worst grade after randomisation of 111 patients.
LABEL_ANY = {"platelets": 0.53, "haemoglobin": 0.81, "neutrophils": 0.26}
LABEL_SEVERE = {
    "platelets": (0, 0.049),
    "haemoglobin": (0, 0.033),
    "neutrophils": (0.006, 0.077),
    "lymphocytes": (0.34, 0.54),
}
"""Grades 3 and 4: 1, 0, 3 and 44 %; exact 95 % limits of 1, 0, 3 and 49 of 111 patients."""


@pytest.mark.parametrize("analyte", LABEL_ANY)
def test_any_toxicity_is_as_frequent_as_in_the_label(label_trial: list[Treated], analyte: str) -> None:
    share = np.mean([(worst_grade(t.samples, analyte) or 0) > 0 for t in label_trial])
    assert share == pytest.approx(LABEL_ANY[analyte], abs=together(LABEL_ANY[analyte], 111, len(label_trial)))


@pytest.mark.parametrize("analyte", LABEL_SEVERE)
def test_severe_toxicity_is_as_frequent_as_in_the_label(label_trial: list[Treated], analyte: str) -> None:
    low, high = LABEL_SEVERE[analyte]
    assert low <= np.mean([(worst_grade(t.samples, analyte) or 0) >= 3 for t in label_trial]) <= high


def test_few_need_less_activity(label_trial: list[Treated]) -> None:
    """6 % of 111 patients needed a dose reduction; exact 95 % limits 2.6 to 12.6 %."""
    assert (
        0.026 <= np.mean([any(d.verdict == "half activity" for d in t.course.decisions) for t in label_trial]) <= 0.126
    )


def test_stops_for_other_causes(label_trial: list[Treated]) -> None:
    """6 % after cycle 2, and 10 % of the rest after cycle 3, as the virtual trial states."""
    stopped = Counter(len(t.course.administrations) for t in label_trial if t.course.stop_cause == "other cause")
    assert stopped[2] / 400 == pytest.approx(0.06, abs=2.6 * sqrt(0.06 * 0.94 / 400))
    assert stopped[3] / 400 == pytest.approx(0.094, abs=2.6 * sqrt(0.094 * 0.906 / 400))


def test_yearly_change_of_filtration(label_trial: list[Treated]) -> None:
    """-1.8 +- 18.9 % by clearance in 74 patients; the limits are twice the sampling errors of mean and spread."""
    year = BASELINE_DAY + 365
    changes = [
        100
        * (
            next(s for s in t.samples if s.day == year)["dtpa_clearance"].measured
            / t.samples[0]["dtpa_clearance"].measured
            - 1
        )
        for t in label_trial
    ]
    assert np.mean(changes) == pytest.approx(-1.8, abs=2 * 18.9 * sqrt(1 / 74 + 1 / 400))
    assert np.std(changes) == pytest.approx(18.9, abs=2 * 18.9 * sqrt(1 / 148 + 1 / 800))


def test_few_lose_a_fifth_of_their_filtration_in_a_year(label_trial: list[Treated]) -> None:
    """By creatinine: 8.9 % of 178 patients, 81.1 before and 81.1 +- 17.8 mL/min/1.73m2 after; exact 95 % limits of 16 of 178."""
    year = BASELINE_DAY + 365
    before = np.array([t.samples[0]["egfr"].measured for t in label_trial])
    after = np.array([next(s for s in t.samples if s.day == year)["egfr"].measured for t in label_trial])
    assert 0.052 < np.mean(after < 0.8 * before) < 0.142
    assert np.std(after) == pytest.approx(17.8, abs=2 * 17.8 * sqrt(1 / 356 + 1 / 800))


def test_response_three_months_after_treatment(read_trial: list[Outcome]) -> None:
    """The table-level model has PR 18, SD 60, PD 21 %; the two published cohorts 16 to 24, 66 to 70 and 7 to 19 %."""
    share = {k: n / len(read_trial) for k, n in Counter(o.at_landmark for o in read_trial).items()}
    assert share["PR"] == pytest.approx(0.18, abs=2.6 * sqrt(0.18 * 0.82 / 300))
    assert share["SD"] == pytest.approx(0.60, abs=2.6 * sqrt(0.60 * 0.40 / 300))
    assert share["PD"] == pytest.approx(0.21, abs=2.6 * sqrt(0.21 * 0.79 / 300))


def test_median_progression_free_survival(read_trial: list[Outcome]) -> None:
    """24 months in the table-level model, 29 published."""
    months = median_survival(np.array([o.months for o in read_trial]), np.array([o.event for o in read_trial]))
    assert 24 <= months <= 30


def test_readers_do_not_find_what_is_there(read_trial: list[Outcome]) -> None:
    """A reader error of 1.6 mm at 26 mm must show: some categories differ from the truth, most do not."""
    assert 0.05 < np.mean([o.at_landmark != o.truly for o in read_trial]) < 0.3
