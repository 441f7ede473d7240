"""Worth of predictions, against numbers made by hand."""

import numpy as np
import pytest

from lutra.stats import performance as perf

P = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.7, 0.9])
Y = np.array([0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0])


def test_area_counts_pairs_and_half_of_ties() -> None:
    pairs = [(a > b) + 0.5 * (a == b) for a in P[Y == 1] for b in P[Y == 0]]
    assert perf.area(P, Y) == pytest.approx(np.mean(pairs))
    assert np.isnan(perf.area(P, np.ones(8)))


def test_brier() -> None:
    assert perf.brier(P, Y) == pytest.approx(sum((p - y) ** 2 for p, y in zip(P, Y, strict=True)) / 8)


def test_a_model_that_is_right_has_slope_1_and_intercept_0() -> None:
    rng = np.random.default_rng(5)
    logit = rng.normal(-1, 1.5, 200_000)
    y = (rng.random(len(logit)) < 1 / (1 + np.exp(-logit))).astype(float)
    slope, intercept = perf.calibration_of_probabilities(1 / (1 + np.exp(-logit)), y)
    assert slope == pytest.approx(1, abs=0.02)
    assert intercept == pytest.approx(0, abs=0.03)
    slope, intercept = perf.calibration_of_probabilities(1 / (1 + np.exp(-(2 * logit + 1))), y)
    assert slope == pytest.approx(0.5, abs=0.01)
    assert intercept < -0.1


def test_separated_outcomes_have_no_slope() -> None:
    slope, _ = perf.calibration_of_probabilities(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert np.isnan(slope)


def test_net_benefit_of_the_book() -> None:
    """At a threshold of 20 % a false positive costs a quarter of a true one."""
    (at,) = perf.net_benefit(P, Y, [0.2])
    assert at["model"] == pytest.approx(4 / 8 - 0.25 * 3 / 8)
    assert at["all"] == pytest.approx(0.5 - 0.25 * 0.5)


def test_numbers() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0])
    assert perf.of_numbers(y, y) == pytest.approx({"r2": 1, "mae": 0, "slope": 1, "intercept": 0})
    assert perf.of_numbers(2 * y, y)["slope"] == pytest.approx(0.5)
    assert perf.of_numbers(np.full(4, 2.5), y)["r2"] == pytest.approx(0)


def test_groups_keep_ties_together() -> None:
    groups = perf.calibration_groups(np.array([0.1] * 6 + [0.5, 0.9]), np.zeros(8), 4)
    assert [sorted(set(p.tolist())) for p, _ in groups] == [[0.1], [0.5, 0.9]]
