"""Hazards with Firth's penalty."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import chi2

from lutra.stats.firth_cox import fit_firth_cox


def _data(n: int, seed: int, effect: float = 0.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    free = rng.exponential(1 / np.exp(effect * x[:, 0]))
    stop = rng.exponential(2.0, n)
    return x, np.minimum(free, stop), (free < stop).astype(float)


def test_with_many_events_it_is_nearly_the_plain_fit() -> None:
    x, time, event = _data(300, 1)
    plain = sm.PHReg(time, x, status=event, ties="breslow").fit(disp=0)
    found = fit_firth_cox(x, time, event)
    assert found.converged
    assert found.coefficients == pytest.approx(plain.params, abs=0.02)
    assert found.se == pytest.approx(plain.bse, rel=0.02)
    wald = plain.params + 1.96 * np.array([[-1], [1]]) * plain.bse
    assert found.ci95 == pytest.approx(wald.T, abs=0.04)


GRID = np.linspace(-8, 12, 200_001)


def _by_hand(x: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Penalised likelihood of one 0/1 predictor on the grid, by sums over risk sets; rows end one after the other."""
    grid = GRID
    value, information = np.zeros_like(grid), np.zeros_like(grid)
    for n in np.flatnonzero(event):
        ones, zeros = x[n:].sum(), (1 - x[n:]).sum()
        share = ones * np.exp(grid) / (ones * np.exp(grid) + zeros)
        value += grid * x[n] - np.log(ones * np.exp(grid) + zeros)
        information += share * (1 - share)
    return np.asarray(value + 0.5 * np.log(information))


def test_the_maximum_is_that_of_the_penalised_likelihood_written_out() -> None:
    x = np.array([1, 0, 1, 1, 0, 0, 1, 0], float)
    time, event = np.arange(1.0, 9), np.array([1, 1, 1, 0, 1, 0, 1, 0], float)
    best = GRID[np.argmax(_by_hand(x, event))]
    assert fit_firth_cox(x[:, None], time, event).coefficients[0] == pytest.approx(best, abs=2e-4)


def test_separated_events_have_a_finite_effect_and_an_open_interval() -> None:
    x = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], float)[:, None]
    time = np.arange(1.0, 11)
    event = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], float)
    found = fit_firth_cox(x, time, event)
    assert found.converged
    assert 0 < found.coefficients[0] < 10
    assert found.ci95[0, 0] < found.coefficients[0] < found.ci95[0, 1]
    written = _by_hand(x[:, 0], event)
    assert found.coefficients[0] == pytest.approx(GRID[np.argmax(written)], abs=2e-4)
    ratio = 2 * (written.max() - written[np.argmin(np.abs(GRID))])
    assert found.p[0] == pytest.approx(chi2.sf(ratio, 1), abs=1e-4)
    inside = GRID[written > written.max() - chi2.ppf(0.95, 1) / 2]
    assert found.ci95[0, 0] == pytest.approx(inside[0], abs=2e-4)


def test_it_is_less_biased_with_few_events() -> None:
    plain, penalised = [], []
    for seed in range(40):
        x, time, event = _data(14, seed)
        late = np.quantile(time, 0.7)
        event, time = event * (time <= late), np.minimum(time, late)
        if event.sum() < 3:
            continue
        penalised.append(fit_firth_cox(x, time, event).coefficients[0])
        plain.append(sm.PHReg(time, x, status=event, ties="breslow").fit(disp=0).params[0])
    assert np.isfinite(penalised).all()
    assert abs(np.median(penalised) - 0.7) < abs(np.mean(np.clip(plain, -30, 30)) - 0.7)
    assert np.abs(penalised).max() < np.abs(plain).max()


def test_time_before_the_start_does_not_count() -> None:
    x, time, event = _data(120, 3)
    begin = np.minimum(0.2, time / 2)
    plain = sm.PHReg(time, x, status=event, entry=begin, ties="breslow").fit(disp=0)
    assert fit_firth_cox(x, time, event, begin).coefficients == pytest.approx(plain.params, abs=0.05)
