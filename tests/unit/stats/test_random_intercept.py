"""Random intercepts of binary outcomes: the gradient and the fit that it leads to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from lutra.stats import random_intercept
from lutra.stats.random_intercept import fit_logistic


def _data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(15), rng.integers(2, 9, 15))
    x = np.column_stack([np.ones(len(groups)), rng.normal(size=(len(groups), 2))])
    eta = x @ [-0.3, 0.8, 0.0] + 1.2 * rng.normal(size=15)[groups]
    return x, (rng.random(len(groups)) < 1 / (1 + np.exp(-eta))).astype(float), groups


@pytest.mark.parametrize("sd", [0.0, 0.2, 1.3])
def test_the_gradient_is_that_of_the_likelihood(sd: float) -> None:
    x, y, groups = _data(1)
    likelihood = random_intercept._Likelihood(random_intercept._log_odds(x, y), groups, 25)
    at = np.array([0.1, 0.5, -0.4, sd])
    value, gradient = likelihood.with_gradient(at, x)
    assert value == likelihood(at)
    free = slice(None) if sd else slice(3)  # At zero the slope by the spread is one-sided.
    assert gradient[free] == pytest.approx(approx_fprime(at, likelihood, 1e-6)[free], abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_it_leads_to_the_fit_that_differences_lead_to(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, groups = _data(seed)
    by_gradient = fit_logistic(x, y, groups)
    monkeypatch.setattr(random_intercept, "NODES_FOR_GRADIENT", 100)
    by_differences = fit_logistic(x, y, groups)
    assert by_gradient.converged
    assert by_differences.converged
    assert by_gradient.coefficients == pytest.approx(by_differences.coefficients, abs=2e-5)
    assert by_gradient.sd_random == pytest.approx(by_differences.sd_random, abs=1e-4)
    assert by_gradient.log_likelihood >= by_differences.log_likelihood - 1e-8
