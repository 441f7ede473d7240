"""Distances of shapes one can measure with a ruler."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from attrs import evolve

from lutra.core.errors import GridMismatch, OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.distances import centroid_distance_mm, hausdorff_mm, surface_distance_mm

GRID = Grid((80, 40, 20), np.diag([1.0, 1.5, 2.0, 1.0]), "frame")


def region(fraction: npt.NDArray[np.float64], start: tuple[int, int, int] = (0, 0, 0), grid: Grid = GRID) -> Region:
    return Region("shape", RegionKind.LESION, grid, start, fraction, None, RegionOrigin.DRAWN, "test")


def box(i: tuple[int, int], j: tuple[int, int], k: tuple[int, int]) -> Region:
    """Whole voxels from the first to the one before the last."""
    return region(np.ones((i[1] - i[0], j[1] - j[0], k[1] - k[0])), (i[0], j[0], k[0]))


def ball(centre_mm: npt.ArrayLike, radius_mm: float, grid: Grid = GRID) -> Region:
    """Share of each voxel by 3 x 3 x 3 points."""
    index = [(np.arange(3 * n) + 0.5) / 3 - 0.5 for n in grid.shape]
    points = grid.to_lps_mm(np.stack(np.meshgrid(*index, indexing="ij"), axis=-1))
    inside = np.linalg.norm(points - np.asarray(centre_mm), axis=-1) <= radius_mm
    i, j, k = grid.shape
    return region(inside.reshape(i, 3, j, 3, k, 3).mean(axis=(1, 3, 5)), grid=grid)


def test_boxes_along_an_axis() -> None:
    """Faces at 9.5 and 19.5 pixels of 1 mm: 10 mm apart; middles 4.5 and 24.5: 20 mm."""
    one, other = box((0, 10), (5, 15), (5, 15)), box((20, 30), (5, 15), (5, 15))
    assert surface_distance_mm(one, other) == pytest.approx(10)
    assert surface_distance_mm(other, one) == pytest.approx(10)
    assert centroid_distance_mm(one, other) == pytest.approx(20)


def test_balls_in_any_direction() -> None:
    """Centres 30 mm apart along (2, 1, 0) / sqrt 5, radii 8 and 6 mm: surfaces 16 mm apart, to within half a voxel."""
    way = np.array([2, 1, 0]) / np.sqrt(5)
    one, other = ball([25, 25, 20], 8), ball(np.array([25, 25, 20]) + 30 * way, 6)
    assert centroid_distance_mm(one, other) == pytest.approx(30, abs=0.02)
    assert surface_distance_mm(one, other) == pytest.approx(16, abs=0.5)


def test_what_overlaps_or_lies_inside_is_at_no_distance() -> None:
    outer, inner = box((5, 30), (5, 25), (3, 15)), box((12, 16), (12, 16), (7, 9))
    assert surface_distance_mm(outer, inner) == surface_distance_mm(inner, outer) == 0
    assert hausdorff_mm(outer, outer) == 0


def test_hausdorff_of_concentric_balls_is_the_difference_of_the_radii() -> None:
    one, other = ball([40, 30, 20], 12), ball([40, 30, 20], 8)
    assert hausdorff_mm(one, other) == pytest.approx(4, abs=0.3)
    assert hausdorff_mm(one, other, 100) == pytest.approx(4, abs=0.5)
    assert hausdorff_mm(one, other) == hausdorff_mm(other, one)


def test_a_stray_voxel_decides_the_largest_distance_and_not_the_95th_percentile() -> None:
    one = ball([25, 25, 20], 10)
    stray = one.fraction.copy()
    stray[70, 16, 10] = 1  # 44.5 mm from the centre: 34.5 mm from the ball, and half a pixel more to its far face
    other = evolve(one, fraction=stray)
    assert hausdorff_mm(one, other) < 0.1
    assert hausdorff_mm(one, other, 100) == pytest.approx(35.5, abs=0.6)


def test_grids_of_one_frame_may_differ() -> None:
    fine = Grid((30, 30, 30), np.array([[0.8, 0, 0, 15], [0, 0.8, 0, 14], [0, 0, 0.8, 8], [0, 0, 0, 1]]), "frame")
    assert hausdorff_mm(ball([27, 26, 20], 9), ball([27, 26, 20], 9, fine)) < 0.4


def test_two_frames_have_no_distance() -> None:
    one = box((0, 10), (5, 15), (5, 15))
    other = evolve(one, grid=evolve(GRID, frame_of_reference="other"))
    for distance in (surface_distance_mm, centroid_distance_mm, hausdorff_mm):
        with pytest.raises(GridMismatch, match="different frames"):
            distance(one, other)


def test_less_than_half_a_voxel_has_no_surface() -> None:
    with pytest.raises(OutsideValidity, match="no voxel by half"):
        hausdorff_mm(region(np.full((2, 2, 2), 0.4)), box((0, 10), (5, 15), (5, 15)))
