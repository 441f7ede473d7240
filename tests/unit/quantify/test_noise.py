"""Uncertainty of a mean by correlated noise: simulated fields whose true mean is known, and borders by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lutra.quantify.noise import border_effect, sd_of_mean
from lutra.quantify.weighted import independent_samples, weighted_sd

SPACING_MM = (2.6, 2.6, 4.0)
DRAWS = 100
PAD = 8
FWHM_PER_SIGMA = 2.3548


def sphere(radius_mm: float) -> np.ndarray:
    """Share of each voxel inside, by its distance from the surface."""
    counts = [2 * int(np.ceil(radius_mm / s)) + 3 for s in SPACING_MM]
    x, y, z = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * s for n, s in zip(counts, SPACING_MM, strict=True)), indexing="ij"
    )
    return np.clip((radius_mm - np.sqrt(x * x + y * y + z * z)) / np.mean(SPACING_MM) + 0.5, 0, 1)


def fields(shape: tuple[int, ...], fwhm_mm: float) -> list[np.ndarray]:
    """Noise of mean 0: smooth of 12 HU, as wide as said, with independent noise of 9 HU on top."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(DRAWS):
        white = rng.standard_normal([n + 2 * PAD for n in shape])
        smooth = gaussian_filter(white, [fwhm_mm / FWHM_PER_SIGMA / s for s in SPACING_MM], mode="wrap")
        field = 12 * smooth / smooth.std() + 9 * rng.standard_normal(white.shape)
        found.append(field[PAD:-PAD, PAD:-PAD, PAD:-PAD])
    return found


@pytest.mark.parametrize(("radius_mm", "fwhm_mm"), [(9, 4), (15, 4), (15, 8), (22, 10)])
def test_intervals_hold_the_true_mean(radius_mm: float, fwhm_mm: float) -> None:
    """95 % of intervals hold it, less the 5 points that a width read off so few grains costs, give or take 2.5 sd of the draws."""
    weights, held, counting_held = sphere(radius_mm), [], []
    for field in fields(weights.shape, fwhm_mm):
        off = abs(np.average(field, weights=weights))
        held.append(off < 1.96 * (sd_of_mean(field, weights, SPACING_MM) or 0))
        counted = weighted_sd(field, weights) / independent_samples(weights, SPACING_MM) ** 0.5
        counting_held.append(off < 1.96 * counted)
    assert 0.90 - 2.5 * np.sqrt(0.9 * 0.1 / DRAWS) < np.mean(held) <= 0.99
    assert np.mean(counting_held) < 0.75  # as if every voxel were independent


def test_independent_voxels_count_as_such() -> None:
    """Spread over the root of their number; with what the fit cannot exclude, at most a third more."""
    weights = sphere(15)
    rng = np.random.default_rng(6)
    ratios = []
    for _ in range(40):
        field = rng.standard_normal(weights.shape)
        ratios.append((sd_of_mean(field, weights, SPACING_MM) or 0) * independent_samples(weights, SPACING_MM) ** 0.5)
    assert 0.9 < np.median(ratios) < 1.33


def test_noise_in_a_large_organ_is_read_off_its_middle() -> None:
    """A box of 60 mm, and the same field cut to its middle of 40: 3.4 times as many voxels, and the root of that in the mean."""
    rng = np.random.default_rng(7)
    smooth = gaussian_filter(rng.standard_normal((60, 60, 60)), 2.0, mode="wrap")
    whole, part = (sd_of_mean(f, np.ones(f.shape), (1.0, 1.0, 1.0)) for f in (smooth, smooth[10:50, 10:50, 10:50]))
    assert whole is not None
    assert part is not None
    assert part / whole == pytest.approx((60 / 40) ** 1.5, rel=0.1)


def test_a_single_voxel_tells_nothing() -> None:
    assert sd_of_mean(np.full((1, 1, 1), 40.0), np.ones((1, 1, 1)), SPACING_MM) is None
    assert border_effect(np.full((1, 1, 1), 40.0), np.ones((1, 1, 1))) == 0


def test_a_ring_around_an_empty_middle() -> None:
    """Cropping to the middle leaves nothing of it, so all of it is looked at; one draw may look smoother than it is."""
    weights = np.ones((80, 80, 3))
    weights[4:-4, 4:-4] = 0
    field = np.random.default_rng(8).standard_normal(weights.shape)
    assert 0.9 < (sd_of_mean(field, weights, (1.0, 1.0, 1.0)) or 0) * np.sqrt(weights.sum()) < 2


def test_border_is_the_difference_from_the_inner_voxels() -> None:
    """A cube of 5 voxels, 100 HU inside and 40 HU in its outer layer: 27 of 125 voxels are inner ones."""
    values = np.full((5, 5, 5), 40.0)
    values[1:-1, 1:-1, 1:-1] = 100
    assert border_effect(values, np.ones((5, 5, 5))) == pytest.approx((27 * 100 + 98 * 40) / 125 - 100)
    thin = values[:, :, 2:4]
    assert border_effect(thin, np.ones(thin.shape)) == pytest.approx(thin.std())
