"""What a mean is worth: hand counts without correlation, simulated noise with it."""

from __future__ import annotations

from math import log, pi

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from lutra.quantify.weighted import counted, independent_samples


def ball(radius: float) -> np.ndarray:
    axis = np.arange(-int(radius) - 1, int(radius) + 2.0)
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    return np.clip(radius - distance + 0.5, 0, 1)


def test_independent_voxels_are_counted_by_their_weights() -> None:
    """Two whole voxels and two halves: 3^2 / (1 + 1 + 1/4 + 1/4) = 3.6."""
    weights = np.array([1, 1, 0.5, 0.5]).reshape(4, 1, 1)
    assert independent_samples(weights, (2, 2, 2)) == pytest.approx(3.6)


@pytest.mark.parametrize("radius", [2.0, 4.0, 6.0])
def test_correlated_noise_as_simulated(radius: float) -> None:
    """White noise blurred to 6 mm on 2 mm voxels: the variance of ball means over that of voxels, over 128^3 places."""
    fwhm_mm, step_mm = 6.0, 2.0
    sigma = fwhm_mm / (8 * log(2)) ** 0.5 / step_mm
    noise = gaussian_filter(np.random.default_rng(5).normal(size=(128, 128, 128)), sigma, mode="wrap")
    weights = ball(radius)
    means = fftconvolve(noise, weights / weights.sum(), mode="valid")
    # The places see the same noise many times over: about one part in ten of the variance is luck for the largest ball.
    assert independent_samples(weights, (step_mm,) * 3, fwhm_mm) == pytest.approx(noise.var() / means.var(), rel=0.1)


def test_a_large_region_is_worth_its_volume_in_resolution_cells() -> None:
    """(4 pi sigma^2)^(3/2) for a box of 120 mm and 6 mm; its edges make it a little more."""
    weights = np.ones((60, 60, 60))
    cell = (4 * pi * 6.0**2 / (8 * log(2))) ** 1.5
    assert independent_samples(weights, (2, 2, 2), 6.0) == pytest.approx(120**3 / cell, rel=0.15)
    assert cell == pytest.approx(3.41 * 6.0**3, rel=1e-3)


def test_a_region_smaller_than_the_resolution_is_one_sample() -> None:
    assert independent_samples(np.ones((2, 2, 2)), (1, 1, 1), 50.0) == pytest.approx(1, abs=0.01)


def test_half_inside_counts_and_the_fullest_of_a_thin_region() -> None:
    assert counted(np.array([0.2, 0.5, 1.0])).tolist() == [False, True, True]
    assert counted(np.array([0.1, 0.3, 0.0])).tolist() == [False, True, False]
    assert not counted(np.zeros(3)).any()
