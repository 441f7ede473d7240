"""The compiled fits against scipy on the same points, and what they do with points that hold nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit, least_squares

from lutra.kinetics.least_squares import fit_exponentials
from lutra.kinetics.phase_model import BIEXPONENTIAL, TRIEXPONENTIAL
from lutra.kinetics.washouts import fit_washouts

T = np.array([4.0, 24.0, 96.0, 168.0])
DECAY = np.log(2) / 159.528


def noisy(curves: int, seed: int = 1, noise: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    half_life = rng.uniform(30, 140, curves)
    exact = rng.uniform(1, 10, curves) * np.exp2(-T[:, None] / half_life)
    return exact * (1 + noise * rng.standard_normal(exact.shape))


def washout(t: np.ndarray, a: float, k: float) -> np.ndarray:
    return a * np.exp(-k * t)


@pytest.mark.parametrize("weighted", [False, True])
def test_washouts_are_those_of_scipy(weighted: bool) -> None:
    """scipy's bounded curve_fit at its tightest tolerance; amplitude, rate and covariance."""
    y = noisy(40)
    sd = 0.1 * y if weighted else None
    found = fit_washouts(T, y, sd, DECAY)
    for c in range(y.shape[1]):
        start = (found.amplitudes[c], max(found.rates[c], DECAY * 1.001))
        best, covariance = curve_fit(
            washout, T, y[:, c], start, None if sd is None else sd[:, c], absolute_sigma=True,
            bounds=([0, DECAY], [np.inf, 5]), xtol=1e-15, ftol=1e-15, gtol=1e-15,
        )  # fmt: skip
        assert (found.amplitudes[c], found.rates[c]) == pytest.approx(tuple(best), rel=1e-6)
        ours = found.covariance[:, c]
        assert ours == pytest.approx([covariance[0, 0], covariance[0, 1], covariance[1, 1]], rel=1e-4)


def test_a_curve_is_fitted_the_same_alone_and_among_thousands() -> None:
    y = noisy(3000)
    together, alone = fit_washouts(T, y, None, DECAY), fit_washouts(T, y[:, 1234:1235], None, DECAY)
    assert together.rates[1234] == alone.rates[0]
    assert together.amplitudes[1234] == alone.amplitudes[0]


def test_no_rate_is_below_decay_and_nothing_is_made_of_nothing() -> None:
    y = np.column_stack(([1.0, 2, 3, 4], [0.0, 0, 0, 0], [-1.0, -2, -1, -1], [5.0, -1, 0.5, -0.2], [0.0, 0, 0, 1]))
    found = fit_washouts(T, y, None, DECAY)
    assert found.rates[0] == DECAY
    assert found.amplitudes[0] == pytest.approx((y[:, 0] @ np.exp(-DECAY * T)) / (np.exp(-2 * DECAY * T).sum()))
    assert found.amplitudes[1] == found.amplitudes[2] == 0
    assert found.amplitudes[3] > 0
    assert found.rates[4] == DECAY


def test_uptake_and_washout_are_those_of_scipy() -> None:
    """Every curve reaches the least squares that scipy finds from the truth, or less."""
    rng = np.random.default_rng(5)
    half_life, uptake = rng.uniform(30, 140, 30), rng.uniform(1.5, 3, 30)
    t = np.array([1.0, 4, 24, 96, 168])
    exact = np.exp2(-t[:, None] / half_life) - np.exp2(-t[:, None] / uptake)
    y, sd = exact * (1 + 0.05 * rng.standard_normal(exact.shape)), 0.05 * exact
    bounds = BIEXPONENTIAL.log_rates(DECAY / 3600)
    hours = tuple(b + np.log(3600) for b in bounds)
    found = fit_exponentials(t, y, sd, BIEXPONENTIAL.binding, (hours[0], hours[1]), 0.0)
    assert found.converged.all()
    for c in range(30):

        def misfit(p: np.ndarray, c: int = c) -> np.ndarray:
            return (y[:, c] - p[0] * (np.exp(-np.exp(p[1]) * t) - np.exp(-np.exp(p[2]) * t))) / sd[:, c]

        start = [1.0, np.log(np.log(2) / min(half_life[c], 150)), np.log(np.log(2) / uptake[c])]
        limits = ([0, *hours[0]], [np.inf, *hours[1]])
        best = least_squares(misfit, start, bounds=limits, xtol=1e-15, ftol=1e-15, gtol=1e-15)
        assert found.chi_square[c] <= 2 * best.cost * (1 + 1e-9) + 1e-12
        if found.chi_square[c] > 2 * best.cost * (1 - 1e-9):
            assert found.parameters[c] == pytest.approx(best.x, rel=1e-5, abs=1e-5)


def test_three_exact_exponentials_are_found() -> None:
    t = np.array([0.5, 2, 6, 24, 48, 96, 168, 240])
    slow, fast, up = (np.exp2(-t / h) for h in (90.0, 12.0, 1.0))
    y = (3 * slow + 2 * fast - 5 * up)[:, None]
    hours = tuple(b + np.log(3600) for b in TRIEXPONENTIAL.log_rates(DECAY / 3600))
    found = fit_exponentials(t, y, 0.01 * np.abs(y) + 1e-3, TRIEXPONENTIAL.binding, (hours[0], hours[1]), 0.0)
    assert found.parameters[0, :2] == pytest.approx([3, 2], rel=1e-5)
    assert np.log(2) / np.exp(found.parameters[0, 2:]) == pytest.approx([90, 12, 1], rel=1e-5)
