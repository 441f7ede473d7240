"""Blur and noise against what is known of a Gaussian."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.simulate.anatomy import Ellipsoid
from lutra.simulate.scanner import blur, emission


def test_activity_inside_the_field_is_conserved() -> None:
    """An object at least four standard deviations from every side loses nothing."""
    image = np.zeros((40, 36, 32), np.float32)
    image[15:22, 14:20, 13:18] = np.random.default_rng(2).uniform(0, 1e5, (7, 6, 5))
    seen = blur(image, 12.0, (2.0, 2.0, 2.5))
    assert seen.sum(dtype=float) == pytest.approx(image.sum(dtype=float), rel=1e-4)
    assert seen.max() < image.max()


def test_a_uniform_image_stays_as_it_is_up_to_the_border() -> None:
    np.testing.assert_allclose(blur(np.full((9, 8, 7), 3.0, np.float32), 12.0, (4.8, 4.8, 4.8)), 3.0, rtol=1e-6)


def test_a_point_is_half_as_bright_at_half_the_fwhm() -> None:
    """12 mm FWHM: half the peak 6 mm away along each axis, whatever the spacing."""
    image = np.zeros((61, 41, 31), np.float32)
    image[30, 20, 15] = 1
    seen = blur(image, 12.0, (1.0, 1.5, 2.0))
    along = np.array([seen[36, 20, 15], seen[30, 24, 15], seen[30, 20, 18]]) / seen[30, 20, 15]
    np.testing.assert_allclose(along, 0.5, rtol=1e-3)


@pytest.mark.parametrize(("diameter_mm", "recovery"), [(22, 0.485), (37, 0.679), (60, 0.799)])
def test_recovery_of_a_sphere(diameter_mm: float, recovery: float) -> None:
    """Closed form of a sphere in a Gaussian of 12 mm FWHM."""
    n = 49
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -(n - 1)
    sphere = Ellipsoid("s", (0, 0, 0), (diameter_mm / 2,) * 3, 0).fraction(Grid((n, n, n), affine))
    seen = blur(sphere, 12.0, (2.0, 2.0, 2.0))
    assert (seen * sphere).sum() / sphere.sum() == pytest.approx(
        recovery, abs=0.012
    )  # voxels of 2 mm blur a little more


def test_noise_is_as_strong_as_asked_and_follows_the_seed() -> None:
    """In a uniform image the upper percent is the image: its relative standard deviation is the one asked for."""
    flat = np.full((24, 24, 24), 5e4, np.float32)

    def seen(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return emission(flat, 6.0, (4.0, 4.0, 4.0), 0.04, np.random.default_rng(seed))

    assert seen(1).std() / seen(1).mean() == pytest.approx(
        0.04, rel=0.03
    )  # the spread of 13 824 voxels is known to 0.6 %
    np.testing.assert_array_equal(seen(1), seen(1))
    assert (seen(1) != seen(2)).any()
