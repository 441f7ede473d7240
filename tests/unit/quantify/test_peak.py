"""The 1 mL sphere: its volume on any voxels by geometry, and peaks of images whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.spheres import sphere_shares
from lutra.quantify.peak import PEAK_RADIUS_MM, local_peaks, suv_peak

SPACINGS = [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (4.07, 4.07, 5.0), (5.3, 5.3, 2.0), (1.17, 1.17, 3.27), (9.0, 9.0, 9.0)]


def image(values: Any, spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)) -> Volume:
    array = np.asarray(values, float)
    return Volume(array, Grid(array.shape, np.diag([*spacing, 1.0]), "1"), Unit.SUV_BW)


def box(volume: Volume, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Region:
    whole = np.ones(shape, np.float32)
    return Region("r", RegionKind.LESION, volume.grid, start, whole, None, RegionOrigin.DRAWN, "test")


def test_radius_is_that_of_one_millilitre() -> None:
    assert pytest.approx(6.2035, abs=5e-5) == PEAK_RADIUS_MM  # as PERCIST states it


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_sphere_holds_one_millilitre_on_any_voxels(spacing: tuple[float, float, float]) -> None:
    assert sphere_shares(PEAK_RADIUS_MM, spacing).sum() * np.prod(spacing) / 1000 == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("spacing", SPACINGS[2:4])
def test_shares_are_those_of_a_brute_count(spacing: tuple[float, float, float]) -> None:
    """A million points in one voxel: they count to 0.0005, one sigma. Mirrored voxels are alike."""
    shares = sphere_shares(PEAK_RADIUS_MM, spacing)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (1_000_000, 3))
    for offset in ((1, 0, 0), (1, 1, 0), (0, 1, 1), (1, 1, 1)):
        inside = (((points + offset) * spacing) ** 2).sum(axis=1) <= PEAK_RADIUS_MM**2
        for sign in ((1, 1, 1), (-1, 1, 1), (1, -1, -1)):
            place = tuple(np.array(shares.shape) // 2 + np.multiply(offset, sign))
            assert shares[place] == pytest.approx(inside.mean(), abs=2e-3)


def test_a_ramp_has_its_peak_at_the_voxel_furthest_up() -> None:
    """The mean of a linear field over a sphere is its value in the centre, whatever the voxels."""
    volume = image(np.broadcast_to(np.arange(12.0)[:, None, None], (12, 12, 12)), (3.0, 4.0, 5.0))
    assert suv_peak(volume, box(volume, (3, 4, 4), (5, 3, 3))) == pytest.approx(7, rel=1e-9)


def test_the_sphere_reaches_beyond_the_region_but_its_centre_does_not() -> None:
    values = np.zeros((15, 15, 15))
    values[9:] = 1
    volume = image(values)
    shares = sphere_shares(PEAK_RADIUS_MM, (2.0, 2.0, 2.0))
    beyond = shares[4:].sum() / shares.sum()  # the region ends one voxel before the bright half
    assert suv_peak(volume, box(volume, (5, 7, 7), (4, 1, 1))) == pytest.approx(beyond, rel=1e-6)


def test_a_corner_of_the_image_counts_what_is_there() -> None:
    volume = image(np.full((6, 6, 6), 3.0), (4.0, 4.0, 4.0))
    assert suv_peak(volume, box(volume, (0, 0, 0), (1, 1, 1))) == pytest.approx(3, rel=1e-9)


def test_an_image_smaller_than_the_sphere() -> None:
    volume = image(np.full((1, 2, 1), 3.0))
    assert suv_peak(volume, box(volume, (0, 0, 0), (1, 2, 1))) == pytest.approx(3, rel=1e-9)


def test_voxels_without_a_value_do_not_count() -> None:
    values = np.full((12, 12, 12), 2.0)
    values[6, 6, 7] = np.nan
    volume = image(values)
    assert suv_peak(volume, box(volume, (5, 5, 5), (3, 3, 3))) == pytest.approx(2, rel=1e-9)


def test_peak_of_the_standard_takes_whole_voxels() -> None:
    """4 mm voxels: the centres of 19 lie within 6.2 mm, so a point of 19 gives 1; by volume it fills 0.064 of 1 mL."""
    values = np.zeros((9, 9, 9))
    values[4, 4, 4] = 19
    volume = image(values, (4.0, 4.0, 4.0))
    region = box(volume, (4, 4, 4), (1, 1, 1))
    assert local_peaks(volume, region, np.ones((1, 1, 1), bool))[0] == pytest.approx(1, rel=1e-9)
    assert suv_peak(volume, region) == pytest.approx(19 * 0.064, rel=1e-3)


def test_of_several_highest_voxels_the_higher_mean_counts() -> None:
    values = np.zeros((20, 9, 9))
    values[4, 4, 4] = values[15, 4, 4] = 5
    values[16, 4, 4] = 4
    volume = image(values)
    region = box(volume, (3, 3, 3), (14, 3, 3))
    mask = np.ones(region.fraction.shape, bool)
    local, everywhere = local_peaks(volume, region, mask)
    n = 123  # voxels of 2 mm with their centre within 6.2 mm: |r|^2 <= 9 in units of a voxel
    assert local == pytest.approx(9 / n, rel=1e-9)
    assert everywhere == pytest.approx(9 / n, rel=1e-9)
