"""The paralysable detector by hand, its inverse, and fits of measured points against the numbers they were made from."""

from __future__ import annotations

from math import e, exp

import numpy as np
import pytest

from lutra.core.errors import OutsideValidity, Undetermined
from lutra.physics.dead_time import fit_dead_time, observed_rate, true_rate

TAU = 0.55e-6
ACTIVITIES = np.array([9000.0, 6400, 3100, 1500, 400])
SENSITIVITY = 60.0


def test_loss_by_hand() -> None:
    """400 000 /s and 0.5 us: n tau = 0.2, and exp(-0.2) = 0.818731 of the events are counted."""
    assert observed_rate(400_000, 0.5e-6) == pytest.approx(400_000 * 0.8187308, rel=1e-7)


def test_one_observed_rate_has_two_true_ones() -> None:
    """m tau = 0.2 exp(-0.2): the other root of x exp(-x) = 0.1637 is x = 2.653 (by bisection, done here again)."""
    low, high = 1.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle * exp(-middle) > 0.2 * exp(-0.2) else (low, middle)
    observed = float(observed_rate(400_000, 0.5e-6))
    assert true_rate(observed, 0.5e-6) == pytest.approx(400_000, rel=1e-12)
    assert true_rate(observed, 0.5e-6, beyond_maximum=True) == pytest.approx(low / 0.5e-6, rel=1e-9)


def test_no_counts_are_no_activity_and_more_than_the_maximum_is_refused() -> None:
    assert true_rate(0.0, TAU) == 0
    assert true_rate(1 / (e * TAU) * (1 - 1e-12), TAU) == pytest.approx(1 / TAU, rel=1e-5)
    for impossible in (1.001 / (e * TAU), -1.0, float("nan")):
        with pytest.raises(OutsideValidity, match="1/"):
            true_rate([1000.0, impossible], TAU)
    with pytest.raises(OutsideValidity):
        true_rate(0.0, TAU, beyond_maximum=True)


def test_exact_points_of_a_decaying_source_give_the_dead_time_back() -> None:
    fit = fit_dead_time(ACTIVITIES, observed_rate(SENSITIVITY * ACTIVITIES, TAU), 60)
    assert fit.tau_s == pytest.approx(TAU, rel=1e-9)
    assert fit.rate_per_activity == pytest.approx(SENSITIVITY, rel=1e-9)


def test_exact_points_of_known_true_rates() -> None:
    true = np.array([1e5, 3e5, 5e5])
    assert fit_dead_time(true, observed_rate(true, TAU), 10, rate_per_activity=1).tau_s == pytest.approx(TAU, rel=1e-9)


def test_the_stated_uncertainty_is_the_spread_of_repeated_measurements() -> None:
    """2000 repetitions with Poisson counts: spread over stated sd within 5 % (the spread itself is known to 1.6 %)."""
    rng = np.random.default_rng(7)
    counts = observed_rate(SENSITIVITY * ACTIVITIES, TAU) * 5
    fits = [fit_dead_time(ACTIVITIES, rng.poisson(counts) / 5, 5) for _ in range(2000)]
    for value, stated in (("tau_s", "tau_sd_s"), ("rate_per_activity", "rate_per_activity_sd")):
        found = np.array([getattr(f, value) for f in fits])
        # Birge's factor only widens, and does so in half of the fits: compare with the fits that needed none.
        plain = np.median([getattr(f, stated) / max(1.0, f.reduced_chi2) ** 0.5 for f in fits])
        assert found.std() == pytest.approx(plain, rel=0.05)
    assert np.mean([f.tau_s for f in fits]) == pytest.approx(TAU, rel=2e-3)


def test_points_that_scatter_more_than_counts_widen_the_uncertainty() -> None:
    wobble = 1 + 0.01 * np.array([1, -1, 1, -1, 1])
    exact, scattered = (
        fit_dead_time(ACTIVITIES, observed_rate(SENSITIVITY * ACTIVITIES, TAU) * w, 60) for w in (1, wobble)
    )
    assert scattered.reduced_chi2 > 100
    assert scattered.tau_sd_s > 10 * exact.tau_sd_s


def test_points_without_losses_or_too_few_are_refused() -> None:
    with pytest.raises(Undetermined, match="no losses"):
        fit_dead_time([1.0, 2, 3], [60.0, 121, 183], 1000)
    with pytest.raises(Undetermined, match="more than 2"):
        fit_dead_time([1.0, 2, 2], [60.0, 119, 119], 10)
