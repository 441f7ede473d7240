"""Scatter from side windows by hand, and its uncertainty against repeated Poisson counts."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import OutsideValidity
from lutra.physics.energy_windows import scatter_from_windows


def test_trapezium_by_hand() -> None:
    """208 keV, windows of 41.6, 20 and 10 keV: (3000/20 + 500/10) x 41.6/2 = 4160 of 10000."""
    found = scatter_from_windows(10_000, 41.6, 3000, 20, 500, 10)
    assert found.scatter == pytest.approx(4160)
    assert found.primary == pytest.approx(5840)
    # (3000/400 + 500/100) x 20.8^2 = 5408
    assert found.scatter_sd == pytest.approx(5408**0.5)
    assert found.primary_sd == pytest.approx((10_000 + 5408) ** 0.5)


def test_without_an_upper_window_its_height_is_zero() -> None:
    below = scatter_from_windows(10_000, 40, 3000, 20)
    assert below.scatter == pytest.approx(3000)  # half the trapezium: k = 0.5 for a window as wide as the peak
    assert below.scatter == scatter_from_windows(10_000, 40, 3000, 20, 0, 7).scatter


def test_uncertainty_is_the_spread_of_repeated_counts() -> None:
    rng = np.random.default_rng(3)
    peak, lower, upper = (rng.poisson(mean, 200_000) for mean in (900, 400, 60))
    found = scatter_from_windows(peak, 41.6, lower, 20, upper, 20)
    assert found.scatter.std() == pytest.approx(np.sqrt(np.mean(found.scatter_sd**2)), rel=0.01)
    assert found.primary.std() == pytest.approx(np.sqrt(np.mean(found.primary_sd**2)), rel=0.01)


def test_noise_may_make_a_voxel_negative_and_sums_stay_right() -> None:
    found = scatter_from_windows([1.0, 9], 40, [4.0, 0], 20)
    assert found.primary.tolist() == [-3, 9]


@pytest.mark.parametrize("wrong", [(1, 0, 1, 1), (1, 1, 1, -1), (-1, 1, 1, 1), (1, 1, 1, 1, 1)])
def test_impossible_windows_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(OutsideValidity):
        scatter_from_windows(*wrong)
