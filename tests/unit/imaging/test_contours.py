"""Rasterised contours against areas one can compute by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.imaging.contours import outlines, planes_of, rasterise


def grid(spacing_mm: tuple[float, float, float] = (1, 1, 1), shape: tuple[int, int, int] = (40, 30, 20)) -> Grid:
    return Grid(shape, np.diag([*spacing_mm, 1.0]), "frame")


def rectangle(x: tuple[float, float], y: tuple[float, float], z: float) -> npt.NDArray[np.float64]:
    return np.array([[x[0], y[0], z], [x[1], y[0], z], [x[1], y[1], z], [x[0], y[1], z]])


def test_partial_voxels_of_a_rectangle_by_hand() -> None:
    """x from 2.25 to 5.5: a quarter of voxel 2 (1.5 to 2.5), all of 3, 4 and 5. y from 1 to 2: halves of 1 and 2."""
    start, fraction = rasterise([rectangle((2.25, 5.5), (1, 2), 3)], grid())
    assert start == (2, 1, 3)
    filled = fraction[:4, :, 0]
    np.testing.assert_allclose(filled, np.outer([0.25, 1, 1, 1], [0.5, 0.5]), atol=1e-6)
    assert fraction.sum() == pytest.approx(3.25, rel=1e-6)


def test_slanted_edges_hold_the_area_of_a_triangle() -> None:
    corners = np.array([[3.3, 2.1, 4], [17.8, 6.4, 4], [8.2, 19.7, 4]])
    (x0, y0), (x1, y1), (x2, y2) = corners[:, :2]
    area = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) / 2
    _, fraction = rasterise([corners], grid())
    assert fraction.sum() == pytest.approx(area, rel=2e-4)


def test_direction_and_first_point_do_not_matter() -> None:
    corners = np.array([[3.3, 2.1, 4], [17.8, 6.4, 4], [8.2, 19.7, 4]])
    _, fraction = rasterise([corners], grid())
    _, reversed_fraction = rasterise([np.roll(corners[::-1], 1, axis=0)], grid())
    np.testing.assert_allclose(fraction, reversed_fraction, atol=1e-6)


def test_inner_contour_is_a_hole_and_a_separate_one_an_island() -> None:
    outer, hole = rectangle((2, 12), (2, 12), 5), rectangle((5, 8), (5, 8), 5)
    island = rectangle((6, 7), (6, 7), 5)
    _, fraction = rasterise([outer, hole, island, rectangle((20, 24), (3, 8), 5)], grid())
    assert fraction.sum() == pytest.approx(100 - 9 + 1 + 20, rel=1e-5)


def test_keyhole_contour_is_a_ring() -> None:
    """One contour that walks in to the hole and back out by the same line."""
    outer = [[2, 2], [12, 2], [12, 12], [2, 12], [2, 6]]
    inner = [[5, 6], [5, 8], [8, 8], [8, 5], [5, 5], [5, 6], [2, 6]]
    points = np.column_stack([np.array(outer + inner, float), np.full(12, 5.0)])
    _, fraction = rasterise([points], grid())
    assert fraction.sum() == pytest.approx(91, rel=1e-5)


def test_planes_of_this_image_belong_to_their_slice() -> None:
    """Coordinates rounded to 0.01 mm do not leak into the neighbouring slices."""
    planes = [rectangle((2, 6), (2, 6), z) for z in (9.01, 11.99, 15.0)]
    start, fraction = rasterise(planes, grid((1, 1, 3)))
    assert start[2] == 3
    np.testing.assert_allclose(fraction.sum(axis=(0, 1)), [16, 16, 16], rtol=1e-6)


def test_contours_of_a_coarser_image_keep_their_volume() -> None:
    """Three planes 5 mm apart on slices of 2 mm: 3 x 5 mm x 16 mm2 = 240 mm3, centred on the middle plane."""
    fine = grid((1, 1, 2))
    start, fraction = rasterise([rectangle((2, 6), (2, 6), z) for z in (10, 15, 20)], fine)
    per_slice = fraction.sum(axis=(0, 1))
    assert fraction.sum() * 2 == pytest.approx(240, rel=1e-5)
    centre_mm = 2 * (start[2] + np.average(np.arange(len(per_slice)), weights=per_slice))
    assert centre_mm == pytest.approx(15, abs=1e-5)


def test_contours_of_a_finer_image_keep_their_volume() -> None:
    """Ten planes 1 mm apart on slices of 4 mm: 10 mm x 16 mm2 = 160 mm3."""
    _, fraction = rasterise([rectangle((2, 6), (2, 6), 10 + n) for n in range(10)], grid((1, 1, 4)))
    assert fraction.sum() * 4 == pytest.approx(160, rel=1e-5)


def test_a_slice_left_out_stays_empty() -> None:
    planes = [rectangle((2, 6), (2, 6), z) for z in (4, 5, 7, 8)]
    _, fraction = rasterise(planes, grid())
    np.testing.assert_allclose(fraction.sum(axis=(0, 1)), [16, 16, 0, 16, 16], rtol=1e-6)
    assert planes_of(planes, grid()).gaps == 1


def test_contours_are_cut_at_the_edge_of_the_image() -> None:
    """The image begins at -0.5: of a square from -5 to 5 there remain 5.5 x 5.5."""
    start, fraction = rasterise([rectangle((-5, 5), (-5, 5), 0)], grid())
    assert start == (0, 0, 0)
    assert fraction.sum() == pytest.approx(5.5**2, rel=1e-5)


def test_flipped_axes_give_the_same_volume() -> None:
    """An image stored feet first or mirrored has negative directions."""
    flipped = Grid((40, 30, 20), np.array([[-1.0, 0, 0, 39], [0, 1, 0, 0], [0, 0, -2, 38], [0, 0, 0, 1]]), "frame")
    corners = np.array([[3.3, 2.1, 8], [17.8, 6.4, 8], [8.2, 19.7, 8]])
    _, one = rasterise([corners, corners + np.array([0, 0, 2])], grid((1, 1, 2)))
    _, other = rasterise([corners, corners + np.array([0, 0, 2])], flipped)
    assert other.sum() == pytest.approx(one.sum(), rel=1e-6)
    np.testing.assert_allclose(other[::-1, :, ::-1].sum(axis=2), one.sum(axis=2), atol=1e-5)


def test_keyhole_whose_seam_does_not_coincide() -> None:
    """In along y = 6.0 and back along y = 6.1: the slit of 3 mm x 0.1 mm stays out of the ring of 91 mm2."""
    outer = [[2, 2], [12, 2], [12, 12], [2, 12], [2, 6.1]]
    inner = [[5, 6.1], [5, 8], [8, 8], [8, 5], [5, 5], [5, 6], [2, 6]]
    points = np.column_stack([np.array(outer + inner, float), np.full(12, 5.0)])
    _, fraction = rasterise([points], grid())
    assert fraction.sum() == pytest.approx(91 - 0.3, rel=2e-3)


@pytest.mark.parametrize("axis", [0, 1])
def test_contours_on_the_other_sections_of_the_image(axis: int) -> None:
    """Three sagittal or coronal squares 2 mm apart, 4 x 4 mm: 96 mm3 on voxels of 1 x 1 x 3 mm, centred on the middle one."""
    squares = [np.roll(rectangle((2, 6), (2, 6), at), axis + 1, axis=1) for at in (8, 10, 12)]
    image = grid((1, 1, 3))
    assert planes_of(squares, image).axis == axis
    start, fraction = rasterise(squares, image)
    assert fraction.sum() * 3 == pytest.approx(96, rel=1e-5)
    across = fraction.sum(axis=tuple(a for a in range(3) if a != axis))
    assert start[axis] + np.average(np.arange(len(across)), weights=across) == pytest.approx(10, abs=1e-5)


def test_oblique_contours_keep_volume_and_place() -> None:
    """A cuboid of 10 x 8 x 9 mm drawn in planes tilted by 30 degrees: 720 mm3 about its centre, all inside full."""
    tilt = np.deg2rad(30)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    drawn = [rectangle((-5, 5), (-4, 4), z) @ turn.T + (20, 15, 10) for z in (-3, 0, 3)]
    assert planes_of(drawn, grid()).axis is None
    start, fraction = rasterise(drawn, grid())
    assert fraction.sum() == pytest.approx(720, rel=2e-3)
    index = np.argwhere(fraction) + start
    np.testing.assert_allclose(np.average(index, axis=0, weights=fraction[fraction > 0]), (20, 15, 10), atol=0.02)
    inside = np.abs((index - (20, 15, 10)) @ turn) < np.array([5, 4, 4.5]) - np.sqrt(3) / 2
    assert np.all(fraction[fraction > 0][inside.all(axis=1)] == 1)


def test_order_of_planes_does_not_matter() -> None:
    planes = [rectangle((2, 6 + n / 10), (2, 6), z) for n, z in enumerate((4, 5, 6, 7, 8))]
    _, one = rasterise(planes, grid())
    _, other = rasterise([planes[n] for n in (3, 0, 4, 1, 2)], grid())
    np.testing.assert_array_equal(one, other)


def test_planes_that_are_not_parallel_are_refused() -> None:
    with pytest.raises(OutsideValidity, match="degrees to the others"):
        rasterise([rectangle((2, 12), (2, 12), 5), np.roll(rectangle((2, 6), (2, 6), 8), 1, axis=1)], grid())


def test_oblique_contours_outside_the_image_are_refused() -> None:
    tilted = np.array([[100.0, 1, 1], [105, 1, 3], [105, 5, 3], [100, 5, 1]])
    with pytest.raises(OutsideValidity, match="outside"):
        rasterise([tilted], grid())


@pytest.mark.parametrize(
    ("contour", "message"),
    [
        (np.array([[1.0, 1, 1], [5, 1, 3], [5, 5, 1], [1, 5, 1]]), "leaves its plane by"),
        (rectangle((100, 110), (5, 10), 5), "outside the image"),
        (rectangle((1, 5), (5, 10), 50), "outside the image"),
    ],
)
def test_contours_that_cannot_be_used_say_why(contour: npt.NDArray[np.float64], message: str) -> None:
    with pytest.raises(OutsideValidity, match=message):
        rasterise([contour], grid())


def test_outline_of_a_rasterised_disc_is_the_disc() -> None:
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    disc = np.column_stack([15.3 + 9 * np.cos(angle), 14.6 + 9 * np.sin(angle), np.full(400, 3.0)])
    start, fraction = rasterise([disc], grid())
    (line,) = outlines(fraction[:, :, 0])
    radius = np.hypot(*(line + start[:2] - [15.3, 14.6]).T)
    assert radius.mean() == pytest.approx(9, abs=0.02)
    assert np.abs(radius - 9).max() < 0.15
