"""The sigmoid of tumour control: what priors do, and what the data do not tell without them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.errors import OutsideValidity
from lutra.stats.random_intercept import fit_logistic, logistic_likelihood
from lutra.stats.tumour_control import LogNormalPrior, fit_tumour_control, unaided_d50_interval

Array = npt.NDArray[np.float64]
D50, GAMMA50 = LogNormalPrior(80, 0.4), LogNormalPrior(1.0, 0.5)
FLAT = LogNormalPrior(1.0, 100.0)


def study(d50: float, gamma50: float, seed: int = 1, patients: int = 50) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), 6)
    dose = 60 * np.exp(0.5 * rng.normal(size=patients)[groups] + 0.5 * rng.normal(size=len(groups)))
    log_odds = 4 * gamma50 * np.log(dose / d50) + 0.7 * rng.normal(size=patients)[groups]
    return dose, (rng.random(len(groups)) < 1 / (1 + np.exp(-log_odds))).astype(float), groups


def test_with_flat_priors_it_is_the_logistic_model_of_the_log_dose() -> None:
    dose, controlled, groups = study(80, 0.8, patients=200)
    fit = fit_tumour_control(dose, controlled, groups, FLAT, FLAT)
    logistic = fit_logistic(np.column_stack([np.ones(len(dose)), np.log(dose)]), controlled, groups, 15)
    a, b = logistic.coefficients
    assert fit.converged
    # What is left is the weak penalty on the patients' spread, a hundredth of a standard error here.
    assert fit.d50_gy == pytest.approx(np.exp(-a / b), rel=0.003)
    assert fit.gamma50 == pytest.approx(b / 4, rel=0.02)
    by = np.array([-1 / b, a / b**2])
    assert np.sqrt(fit.log_covariance[0, 0]) == pytest.approx(np.sqrt(by @ logistic.covariance @ by), rel=0.03)


def test_the_interval_of_laplace_is_that_of_the_whole_posterior() -> None:
    dose, controlled, groups = study(90, 0.4)
    fit = fit_tumour_control(dose, controlled, groups, D50, GAMMA50)
    likelihood = logistic_likelihood(np.column_stack([np.ones(len(dose)), np.log(dose)]), controlled, groups, 15)
    log_d50, log_gamma = np.linspace(np.log(40), np.log(300), 25), np.linspace(np.log(0.15), np.log(1.2), 15)
    log_sd = np.linspace(np.log(0.05), np.log(2.0), 8)
    posterior = np.array(
        [
            [
                [
                    likelihood(np.array([-4 * np.exp(g) * d, 4 * np.exp(g), np.exp(s)]))
                    + D50.log_density(d)
                    + GAMMA50.log_density(g)
                    + s
                    for s in log_sd
                ]
                for g in log_gamma
            ]
            for d in log_d50
        ]
    )
    weights = np.exp(posterior - posterior.max()).sum(axis=(1, 2))
    weights /= weights.sum()
    mean = weights @ log_d50
    sd = np.sqrt(weights @ (log_d50 - mean) ** 2)
    assert np.log(fit.d50_gy) == pytest.approx(mean, abs=0.25 * sd)
    assert np.sqrt(fit.log_covariance[0, 0]) == pytest.approx(sd, rel=0.15)


def test_without_a_prior_a_weak_effect_leaves_the_d50_open_and_a_strong_one_does_not() -> None:
    def is_open(gamma50: float) -> list[bool]:
        spans = [unaided_d50_interval(*study(90, gamma50, seed)) for seed in range(8)]
        return [low == 0 or high / low > 2 for low, high in spans]

    assert not any(is_open(0.8))
    assert sum(is_open(0.1)) > 4
    assert unaided_d50_interval(*study(90, 0.1, 1)) == (0.0, float("inf"))


def test_the_ends_without_a_prior_are_the_doses_at_which_the_log_odds_just_differ_from_zero() -> None:
    dose, controlled, groups = study(90, 0.5)
    fit = fit_logistic(np.column_stack([np.ones(len(dose)), np.log(dose)]), controlled, groups, 15)
    for end in unaided_d50_interval(dose, controlled, groups):
        at = np.array([1.0, np.log(end)])
        z = at @ fit.coefficients / np.sqrt(at @ fit.covariance @ at)
        assert abs(z) == pytest.approx(1.959964, abs=1e-3)


def test_where_nothing_is_controlled_the_prior_decides_and_the_data_exclude_nothing() -> None:
    dose, controlled, groups = study(90, 0.8)
    none = np.zeros_like(controlled)
    assert unaided_d50_interval(dose, none, groups) == (0.0, float("inf"))
    fit = fit_tumour_control(dose, none, groups, D50, GAMMA50)
    assert fit.converged
    assert fit.d50_gy > D50.median


def test_a_narrower_prior_narrows_the_interval() -> None:
    dose, controlled, groups = study(90, 0.15)
    widths = [
        np.ptp(np.log(fit_tumour_control(dose, controlled, groups, D50.widened(by), GAMMA50.widened(by)).d50_95_gy))
        for by in (0.5, 1.0, 2.0)
    ]
    assert widths[0] < widths[1] < widths[2]


def test_the_probability_is_a_half_at_the_d50_and_gamma50_its_slope() -> None:
    fit = fit_tumour_control(*study(90, 0.8), D50, GAMMA50)
    at = fit.d50_gy * np.array([1.0, 1.001])
    probability, low, high = fit.probability(at)
    assert probability[0] == pytest.approx(0.5)
    assert (probability[1] - probability[0]) / 0.001 == pytest.approx(fit.gamma50, rel=2e-3)
    assert low[0] < 0.5 < high[0]
    # At the D50 the interval of the probability and that of the dose are two sides of one thing.
    ends, _, _ = fit.probability(np.array(fit.d50_95_gy))
    assert [low[0], high[0]] == pytest.approx([ends[0], ends[1]], abs=1e-6)


@pytest.mark.parametrize(
    ("dose", "groups"), [([0.0, 10, 20, 30], [0, 0, 1, 1]), ([5.0] * 4, [0, 0, 1, 1]), ([1.0, 2, 3, 4], [0] * 4)]
)
def test_impossible_doses_and_one_patient_are_refused(dose: list[float], groups: list[int]) -> None:
    values = np.array(dose), np.array([0.0, 1, 0, 1]), np.array(groups)
    with pytest.raises(OutsideValidity):
        fit_tumour_control(*values, D50, GAMMA50)
    with pytest.raises(OutsideValidity):
        unaided_d50_interval(*values)
