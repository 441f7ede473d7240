"""Laws of regions: where they lie and in which order they are told changes nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lutra.core.grid import Grid
from lutra.imaging.contours import rasterise
from lutra.imaging.regrid import regrid

SEEDS = st.integers(0, 2**31)


def drawn(seed: int, planes: int = 5) -> list[npt.NDArray[np.float64]]:
    """Stars of random radii about a wandering centre, in planes 3 mm apart. [mm]

    One corner in each sector: with a gap of half a turn a star would cross itself, and have another area than its corners say.
    """
    random = np.random.default_rng(seed)
    contours = []
    for n in range(planes):
        corners = random.integers(5, 40)
        angle = 2 * np.pi * (np.arange(corners) + random.uniform(0, 1, corners)) / corners
        radius = random.uniform(4, 14, len(angle))
        centre = random.uniform(-3, 3, 2)
        contours.append(
            np.column_stack(
                [radius * np.cos(angle) + centre[0], radius * np.sin(angle) + centre[1], np.full(len(angle), 3.0 * n)]
            )
        )
    return contours


def grid(spacing: tuple[float, float, float] = (2.3, 1.9, 3.0)) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -25, -25, -6
    return Grid((24, 30, 12), affine, "frame")


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_turning_and_moving_contours_and_image_together_changes_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    turn, shift = Rotation.random(random_state=seed % 2**31).as_matrix(), random.uniform(-300, 300, 3)
    image = grid()
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = turn, shift
    moved = Grid(image.shape, motion @ image.affine_lps_mm, "frame")
    start, fraction = rasterise(drawn(seed), image)
    moved_start, moved_fraction = rasterise([c @ turn.T + shift for c in drawn(seed)], moved)
    assert start == moved_start
    np.testing.assert_allclose(fraction, moved_fraction, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_order_direction_and_first_point_do_not_matter(seed: int) -> None:
    random = np.random.default_rng(seed)
    contours = drawn(seed)
    told_otherwise = [
        np.roll(c[:: random.choice([1, -1])], random.integers(len(c)), axis=0)
        for c in (contours[n] for n in random.permutation(len(contours)))
    ]
    start, fraction = rasterise(contours, grid())
    other_start, other = rasterise(told_otherwise, grid())
    assert start == other_start
    np.testing.assert_allclose(fraction, other, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_a_region_and_its_complement_add_to_the_whole(seed: int) -> None:
    """A rectangle around each contour makes a hole of it: the two shares are 1 together, or less where the frame ends."""
    contours = drawn(seed)
    frame = np.array([[-20.0, -20], [20, -20], [20, 20], [-20, 20]])
    frames = [np.column_stack([frame, np.full(4, c[0, 2])]) for c in contours]
    parts = np.zeros((3, *grid().shape))
    for n, some in enumerate((contours, [*contours, *frames], frames)):
        start, fraction = rasterise(some, grid())
        parts[n][tuple(slice(a, a + m) for a, m in zip(start, fraction.shape, strict=True))] = fraction
    np.testing.assert_allclose(parts[0] + parts[1], parts[2], atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.floats(-40, 40), st.floats(-40, 40))
def test_oblique_contours_have_the_volume_of_their_polygons(seed: int, about_x: float, about_y: float) -> None:
    """Within 0.3 %: area x distance of the planes, whatever their tilt to the image."""
    turn = Rotation.from_euler("xy", [about_x, about_y], degrees=True).as_matrix()
    contours = [c @ turn.T for c in drawn(seed)]
    flat = [c - c.mean(axis=0) for c in drawn(seed)]
    area = sum(float(np.linalg.norm(np.cross(c, np.roll(c, -1, axis=0)).sum(axis=0))) / 2 for c in flat)
    affine = np.diag([2.3, 1.9, 3.0, 1.0])
    affine[:3, 3] = -60, -60, -60
    image = Grid((60, 70, 50), affine, "frame")
    _, fraction = rasterise(contours, image)
    assert fraction.sum(dtype=float) * image.voxel_volume_ml == pytest.approx(area * 3 / 1000, rel=3e-3)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.tuples(*[st.floats(0.6, 6)] * 3), st.tuples(*[st.floats(-4, 4)] * 3))
def test_another_spacing_keeps_the_volume(
    seed: int, spacing: tuple[float, float, float], shift: tuple[float, float, float]
) -> None:
    fraction = np.random.default_rng(seed).random((6, 5, 4)).astype(np.float32)
    source = Grid((6, 5, 4), np.diag([2.0, 2, 3, 1]), "frame")
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = np.add(shift, -8)
    target = Grid((60, 60, 60), affine, "frame")
    _, there = regrid((0, 0, 0), fraction, source, target)
    assert there.max() <= 1
    assert there.sum(dtype=float) * target.voxel_volume_ml == pytest.approx(fraction.sum(dtype=float) * 0.012, rel=1e-4)
