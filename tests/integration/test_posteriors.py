"""Posteriors of the sampler against lme4 and against integrals done another way."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from attrs import frozen
from scipy import stats

from lutra.simulate.table_trial import TableTrial, simulate_tables
from lutra.stats.bayesian import Latent, sample_linear, sample_logistic
from lutra.stats.linear_mixed import _solve, _Sums, fit_linear_mixed
from lutra.stats.random_intercept import fit_logistic, logistic_likelihood

pytest.importorskip("numpyro", reason="the extra `bayes` is not installed")

Array = npt.NDArray[np.float64]
LME4 = np.array([-0.1720283993, -0.0577159502, 0.0888075839, -0.0091156512])


@frozen(eq=False)
class Study:
    x: Array
    change: Array
    response: Array
    patients: npt.NDArray[np.intp]


@pytest.fixture(scope="module")
def study(shared_data: Path) -> Study:
    with (shared_data / "clinical/virtual_trial_R/ref_lesions.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in ("x_dose", "x_fdg", "x_adc", "y", "resp")}
    _, patients = np.unique([row["pat"] for row in rows], return_inverse=True)
    x = np.column_stack([columns[name] for name in ("x_dose", "x_fdg", "x_adc")])
    return Study(x, columns["y"], columns["resp"], patients)


def test_with_flat_priors_the_effects_are_those_of_lme4(study: Study) -> None:
    found = sample_linear(study.x, study.change, study.patients, np.inf)
    assert found.converged
    assert np.all(np.abs(found.mean[:4] - LME4) < 2 * found.monte_carlo_error[:4])
    # Standard deviations have skewed posteriors, whose mean is no mode: exactly, by summing the restricted likelihood.
    sums = _Sums(np.column_stack([np.ones(len(study.x)), study.x]), study.change, [study.patients])
    free = sums.n - sums.p
    sd, rest = np.linspace(0.02, 0.35, 80), np.linspace(0.15, 0.25, 80)
    log_density = np.empty((80, 80))
    for i, s in enumerate(sd):
        for j, e in enumerate(rest):
            products, log_det, _, _ = sums.products(np.array([s / e]))
            squares = _solve(products, sums.p)[1]
            log_det_x = np.linalg.slogdet(products[: sums.p, : sums.p])[1]
            log_density[i, j] = -0.5 * (2 * free * np.log(e) + log_det + log_det_x + squares / e**2)
    weights = np.exp(log_density - log_density.max())
    exact = np.array([(weights.sum(1) @ sd), (weights.sum(0) @ rest)]) / weights.sum()
    assert np.all(np.abs(found.mean[4:] - exact) < 3 * found.monte_carlo_error[4:])


def test_the_posterior_of_log_odds_is_that_of_importance_sampling(study: Study) -> None:
    width = 1.0
    found = sample_logistic(study.x, study.response, study.patients, width)
    assert found.converged
    design = np.column_stack([np.ones(len(study.x)), study.x])
    fit = fit_logistic(design, study.response, study.patients)
    assert fit.se_sd_random is not None
    likelihood = logistic_likelihood(design, study.response, study.patients, 15)
    spread = np.zeros((5, 5))
    spread[:4, :4], spread[4, 4] = 1.5 * fit.covariance, 1.5 * (fit.se_sd_random / fit.sd_random) ** 2
    proposal = stats.multivariate_t(np.append(fit.coefficients, np.log(fit.sd_random)), spread, df=6, seed=1)
    drawn = proposal.rvs(4000)
    sd = np.exp(drawn[:, 4])
    prior = stats.norm.logpdf(drawn[:, 1:4] * study.x.std(axis=0, ddof=1), scale=width).sum(axis=1)
    prior += -0.5 * (sd / width) ** 2 + drawn[:, 4]
    logs = np.array([likelihood(np.append(row[:4], s)) for row, s in zip(drawn, sd, strict=True)])
    log_weights = logs + prior - proposal.logpdf(drawn)
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    values = np.column_stack([drawn[:, :4], sd])
    mean = weights @ values
    error = np.sqrt((weights**2) @ (values - mean) ** 2 + found.monte_carlo_error**2)
    assert 1 / (weights**2).sum() > 500
    assert np.all(np.abs(found.mean - mean) < 3 * error)
    assert found.sd == pytest.approx(np.sqrt(weights @ (values - mean) ** 2), rel=0.1)


def test_a_latent_dose_gives_back_the_slope_that_error_took() -> None:
    """One trial, error of 40 %: what the naive slope loses, the posterior has again, with an interval that holds the truth."""
    lesions = simulate_tables(TableTrial(dose_cv=0.4, reader_mm=0.0), 3).lesions
    x = np.column_stack([lesions[name].astype(float) for name in ("dose", "x_fdg", "x_adc")]) / np.array([50.0, 1, 1])
    exact = x.copy()
    exact[:, 0] = lesions["dose_true"].astype(float) / 50
    _, patients = np.unique(lesions["pat"], return_inverse=True)
    change = lesions["y"].astype(float)
    naive, oracle = (
        fit_linear_mixed(np.column_stack([np.ones(len(x)), columns]), change, [patients]).coefficients[1]
        for columns in (x, exact)
    )
    found = sample_linear(x, change, patients, latent=[Latent(0, 0.4)])
    assert found.converged
    low, high = found.interval()
    assert abs(naive) < 0.75 * abs(oracle)
    assert abs(found.mean[1] - oracle) < 0.5 * abs(naive - oracle)
    assert low[1] < -0.09 < high[1]
