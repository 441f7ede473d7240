"""Diameters of shapes one can measure with a ruler."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.contours import rasterise
from lutra.imaging.diameters import longest_axial_diameter

AXIAL = np.diag([1.0, 1, 3, 1])


def region(fraction: npt.NDArray[np.float64], affine: npt.NDArray[np.float64] = AXIAL) -> Region:
    grid = Grid((60, 60, 10), affine, "frame")
    return Region("shape", RegionKind.LESION, grid, (3, 4, 2), fraction, None, RegionOrigin.DRAWN, "test")


def test_rectangle_is_measured_along_its_diagonal() -> None:
    """20 x 10 pixels: the diagonal is 22.4 mm, less the rounding of its two corners."""
    pair = longest_axial_diameter(region(np.ones((20, 10, 1))))
    assert np.hypot(20, 10) - 1.5 < pair.long_mm < np.hypot(20, 10)
    assert pair.slice_k == 2


def test_short_axis_is_perpendicular_in_the_same_slice_and_ends_are_in_patient_coordinates() -> None:
    i, j = np.meshgrid(np.arange(40), np.arange(30), indexing="ij")
    ellipse = (((i - 20) / 15) ** 2 + ((j - 15) / 8) ** 2 <= 1).astype(float)
    pair = longest_axial_diameter(region(np.stack([0 * ellipse, ellipse], axis=2)))
    long, short = (np.diff(ends, axis=0)[0] for ends in (pair.long_ends_lps_mm, pair.short_ends_lps_mm))
    assert np.linalg.norm(long) == pytest.approx(pair.long_mm)
    assert np.linalg.norm(short) == pytest.approx(pair.short_mm)
    assert long @ short == pytest.approx(0, abs=1e-9)
    assert pair.long_ends_lps_mm.mean(axis=0) == pytest.approx([23, 19, 9], abs=0.1)
    # Pixel centres from -15 to 15 and from -8 to 8 are inside, so the pixels reach half a pixel further.
    assert (pair.long_mm, pair.short_mm) == pytest.approx((31, 17), abs=0.2)
    assert pair.slice_k == 3


def test_two_parts_in_a_slice_are_not_measured_across() -> None:
    both = np.zeros((40, 10, 1))
    both[2:12, 1:9] = 1
    both[30:36, 2:8] = 1
    assert longest_axial_diameter(region(both)).long_mm < np.hypot(10, 8)


def test_a_concavity_is_spanned_but_does_not_widen_the_short_axis() -> None:
    """An L with arms 20 long and 4 wide: the longest diameter joins the tips, and across it an arm is 4 x sqrt 2."""
    shape = np.zeros((20, 20, 1))
    shape[:, :4] = shape[:4, :] = 1
    pair = longest_axial_diameter(region(shape))
    assert pair.long_mm == pytest.approx(np.hypot(20, 20), abs=1.5)
    assert pair.short_mm == pytest.approx(4 * np.sqrt(2), abs=1)


def test_pixels_need_not_be_square() -> None:
    """A disc of 32 mm on pixels of 2 x 1 mm."""
    affine, angle = np.diag([2.0, 1, 3, 1]), np.linspace(0, 2 * np.pi, 300, endpoint=False)
    disc = np.column_stack([40 + 16 * np.cos(angle), 30 + 16 * np.sin(angle), np.full(300, 6.0)])
    _, fraction = rasterise([disc], Grid((60, 60, 10), affine, "frame"))
    pair = longest_axial_diameter(region(fraction, affine))
    assert (pair.long_mm, pair.short_mm) == pytest.approx((32, 32), abs=0.3)


def test_less_than_half_a_voxel_everywhere_has_no_diameter() -> None:
    with pytest.raises(OutsideValidity, match="too small to measure"):
        longest_axial_diameter(region(np.full((2, 2, 1), 0.2)))


def test_coronal_slices_are_refused() -> None:
    coronal = np.array([[1.0, 0, 0, 0], [0, 0, 3, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    with pytest.raises(OutsideValidity, match="not axial"):
        longest_axial_diameter(region(np.ones((5, 5, 1)), coronal))
