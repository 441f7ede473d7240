"""Diameters of shapes one can measure with a ruler."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.contours import rasterise
from lutra.imaging.diameters import diameters_by_part, longest_axial_diameter, short_axis_across
from lutra.imaging.orientation import axial_region, is_axial, slice_normal_lps

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
    ellipse = (((i - 20.3) / 15) ** 2 + ((j - 15.4) / 8) ** 2 <= 1).astype(float)
    pair = longest_axial_diameter(region(np.stack([0 * ellipse, ellipse], axis=2)))
    long, short = (np.diff(ends, axis=0)[0] for ends in (pair.long_ends_lps_mm, pair.short_ends_lps_mm))
    assert np.linalg.norm(long) == pytest.approx(pair.long_mm)
    assert np.linalg.norm(short) == pytest.approx(pair.short_mm)
    assert long @ short == pytest.approx(0, abs=1e-9)
    assert pair.long_ends_lps_mm.mean(axis=0) == pytest.approx([23.3, 19.4, 9], abs=1)
    assert (pair.long_mm, pair.short_mm) == pytest.approx((30, 16), abs=0.5)
    assert pair.slice_k == 3


def test_two_parts_in_a_slice_are_not_measured_across() -> None:
    both = np.zeros((40, 10, 1))
    both[2:12, 1:9] = 1
    both[30:36, 2:8] = 1
    pair = longest_axial_diameter(region(both))
    assert pair.long_mm < np.hypot(10, 8)
    assert pair.parts == 2


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


def disc(i: float, j: float, radius: float, shape: tuple[int, int] = (50, 50)) -> npt.NDArray[np.float64]:
    """Share of each pixel in a disc, by 10 x 10 points."""
    x, y = np.meshgrid(*((np.arange(10 * n) + 0.5) / 10 - 0.5 for n in shape), indexing="ij")
    inside = (x - i) ** 2 + (y - j) ** 2 <= radius**2
    return inside.reshape(shape[0], 10, shape[1], 10).mean(axis=(1, 3))


def test_each_part_is_measured_by_itself_and_the_longest_comes_first() -> None:
    """Discs of 12 and 20 mm diameter, the larger one on another slice: what RECIST adds is 32 mm."""
    parts = diameters_by_part(region(np.stack([disc(12, 12, 6), 0 * disc(12, 12, 6), disc(30, 30, 10)], axis=2)))
    assert [part.long_mm for part in parts] == pytest.approx([20, 12], abs=0.15)
    assert [part.parts for part in parts] == [1, 1]


def test_outlines_that_join_in_another_slice_are_one_part() -> None:
    """A pair of trousers: two legs in one slice, one waist in the next."""
    legs, waist = np.zeros((40, 10)), np.zeros((40, 10))
    legs[2:12, 2:8] = legs[25:35, 2:8] = 1
    waist[2:35, 2:8] = 1
    (whole,) = diameters_by_part(region(np.stack([legs, waist], axis=2)))
    assert whole.long_mm == pytest.approx(np.hypot(33, 6), abs=1.5)


def test_holes_do_not_shorten_a_diameter() -> None:
    """A ring of outer radius 12 mm."""
    pair = longest_axial_diameter(region((disc(25, 25, 12) - disc(25, 25, 7))[:, :, None]))
    assert (pair.long_mm, pair.short_mm) == pytest.approx((24, 24), abs=0.15)


@pytest.mark.parametrize(("size", "diameter"), [((1, 1), (1.15, 1.15)), ((1, 2), (2, 1.15))])
def test_one_or_two_pixels_have_the_diameters_of_an_ellipse_with_their_moments(
    size: tuple[int, int], diameter: tuple[float, float]
) -> None:
    """One pixel: 4 x sqrt(1/12) = 1.15. Two: the centres spread by 1/4 pixel2, 4 x sqrt(1/4) = 2."""
    pair = longest_axial_diameter(region(np.pad(np.ones((*size, 1)), ((3, 3), (3, 3), (0, 0)))))
    assert (pair.long_mm, pair.short_mm) == pytest.approx(diameter, abs=0.25)


def test_the_slice_is_chosen_by_length_in_mm_where_pixels_are_oblong() -> None:
    """On pixels of 1 x 3 mm, 10 pixels along j are longer than 20 along i."""
    affine = np.diag([1.0, 3, 3, 1])
    along_i, along_j = np.zeros((30, 14)), np.zeros((30, 14))
    along_i[2:22, 2:5] = 1
    along_j[2:5, 2:12] = 1
    pair = longest_axial_diameter(region(np.stack([along_i, along_j], axis=2), affine))
    assert pair.slice_k == 3
    assert pair.long_mm == pytest.approx(30, abs=2)


def test_a_drawn_line_gets_the_short_axis_of_its_own_slice() -> None:
    """Across a line along i, an ellipse-like box of 20 x 8 mm is 8 mm wide, less what its smoothed ends take."""
    box = np.zeros((30, 20, 2))
    box[5:25, 6:14, 1] = 1
    shape = region(box)
    line = shape.grid.to_lps_mm([[8, 14, 3], [27, 14, 3]])
    across = short_axis_across(shape, line, 3)
    assert np.linalg.norm(across[1] - across[0]) == pytest.approx(8, abs=0.5)
    assert (across[1] - across[0]) @ (line[1] - line[0]) == pytest.approx(0, abs=1e-9)
    with pytest.raises(OutsideValidity, match="no outline in slice 2"):
        short_axis_across(shape, line, 2)


CORONAL = np.array([[1.0, 0, 0, 0], [0, 0, 5, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def ball(grid: Grid, centre_lps_mm: npt.ArrayLike, semi_mm: npt.ArrayLike) -> Region:
    """Share of each voxel in an ellipsoid along the axes of the body, by 3 x 3 x 3 points."""
    index = [(np.arange(3 * n) + 0.5) / 3 - 0.5 for n in grid.shape]
    points = grid.to_lps_mm(np.stack(np.meshgrid(*index, indexing="ij"), axis=-1))
    inside = (((points - np.asarray(centre_lps_mm)) / np.asarray(semi_mm)) ** 2).sum(axis=-1) <= 1
    i, j, k = grid.shape
    fraction = inside.reshape(i, 3, j, 3, k, 3).mean(axis=(1, 3, 5))
    return Region("ball", RegionKind.LESION, grid, (0, 0, 0), fraction, None, RegionOrigin.DRAWN, "test")


@pytest.mark.parametrize("turn_deg", [0.0, 20.0, 45.0])
def test_a_region_on_other_slices_is_cut_into_axial_ones(turn_deg: float) -> None:
    """An ellipsoid of 30 x 24 x 50 mm on coronal slices 5 mm apart, also turned: 30 and 24 mm in axial slices, its length never."""
    turn = np.deg2rad(turn_deg)
    about_x = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine = CORONAL.copy()
    affine[:3, :3] = about_x @ CORONAL[:3, :3]
    affine[:3, 3] = -affine[:3, :3] @ [20, 30, 6]
    on_coronal = ball(Grid((41, 61, 13), affine, "frame"), (0, 0, 0), (15, 12, 25))
    axial = axial_region(on_coronal)
    assert not is_axial(on_coronal.grid)
    assert is_axial(axial.grid)
    assert axial.volume_ml == pytest.approx(on_coronal.volume_ml, rel=1e-4)
    pair = longest_axial_diameter(axial)
    assert pair.long_mm == pytest.approx(30, abs=0.8)
    assert pair.short_mm == pytest.approx(24, abs=2.5)  # half a voxel: 5 mm from front to back


def test_slices_of_a_tilted_gantry_are_axial_though_stacked_straight_up() -> None:
    """Tilted by 20 degrees and moved along the body: the normal leans, the stack does not."""
    tilt = np.deg2rad(20)
    affine = np.eye(4)
    affine[:3, 1] = [0, np.cos(tilt), np.sin(tilt)]
    affine[:3, 2] = [0, 0, 5]
    grid = Grid((9, 9, 9), affine, "frame")
    assert slice_normal_lps(grid) == pytest.approx([0, -np.sin(tilt), np.cos(tilt)])
    assert is_axial(grid)
