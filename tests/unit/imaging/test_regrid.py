"""Regions on other grids: exact where voxels coincide, volumes kept where axes are parallel, close where they are not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.errors import GridMismatch, OutsideValidity
from lutra.core.grid import Grid
from lutra.imaging.regrid import regrid, same_voxels

SOURCE = Grid((12, 10, 8), np.diag([2.0, 2, 3, 1]), "frame")


def random_region(shape: tuple[int, int, int] = (5, 4, 3)) -> npt.NDArray[np.float32]:
    return (np.random.default_rng(5).random(shape) * 0.9 + 0.1).astype(np.float32)


def on(grid: Grid, start: tuple[int, int, int], fraction: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    whole = np.zeros(grid.shape, np.float32)
    whole[tuple(slice(a, a + n) for a, n in zip(start, fraction.shape, strict=True))] = fraction
    return whole


def test_a_part_of_the_image_is_put_where_it_belongs() -> None:
    """The source begins 3, 1 and 2 voxels inside the target."""
    affine = SOURCE.affine_lps_mm.copy()
    affine[:3, 3] = [-6, -2, -6]
    start, fraction = regrid((1, 2, 3), random_region(), SOURCE, Grid((30, 30, 30), affine, "frame"))
    assert start == (4, 3, 5)
    np.testing.assert_array_equal(fraction, random_region())


def test_flipped_slices_and_exchanged_axes_are_exact() -> None:
    """Target axes: k backwards, j, i. Every voxel keeps its share at the same place in the patient."""
    affine = np.array([[0.0, 0, 2, 0], [0, 2, 0, 0], [-3, 0, 0, 21], [0, 0, 0, 1]])
    target = Grid((8, 10, 12), affine, "frame")
    start, fraction = regrid((1, 2, 3), random_region(), SOURCE, target)
    assert fraction.shape == (3, 4, 5)
    for ijk in np.argwhere(random_region() > 0):
        there = np.rint(target.to_ijk(SOURCE.to_lps_mm(np.add(ijk, (1, 2, 3))))).astype(int) - start
        assert fraction[tuple(there)] == random_region()[tuple(ijk)]


def test_positions_rounded_by_a_writer_are_the_same_voxels() -> None:
    affine = SOURCE.affine_lps_mm.copy()
    affine[2, 2], affine[0, 3] = 3.003, 0.01
    assert same_voxels(((1, 2, 3), (5, 4, 3)), SOURCE, Grid(SOURCE.shape, affine, "frame")) is not None
    affine[2, 2] = 3.5
    assert same_voxels(((1, 2, 3), (5, 4, 1)), SOURCE, Grid(SOURCE.shape, affine, "frame")) is None


def below(
    grid: Grid, start: tuple[int, int, int], fraction: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Faces of the voxels along an axis [mm], and the volume below each of them [mL]."""
    faces = np.arange(fraction.shape[axis] + 1) - 0.5 + start[axis]
    along = fraction.sum(axis=tuple(a for a in range(3) if a != axis), dtype=float) * grid.voxel_volume_ml
    return faces * grid.spacing_mm[axis] + grid.affine_lps_mm[axis, 3], np.concatenate([[0], np.cumsum(along)])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 5.0), (4.7, 3.1, 2.9), (0.7, 6.0, 3.0)])
@pytest.mark.parametrize("shift", [0.0, 0.37, 1.9])
def test_another_spacing_keeps_the_volume_below_every_face(spacing: tuple[float, float, float], shift: float) -> None:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -10 + shift
    target = Grid((80, 80, 80), affine, "frame")
    start, fraction = regrid((1, 2, 3), random_region(), SOURCE, target)
    volume = random_region().sum(dtype=float) * SOURCE.voxel_volume_ml
    assert fraction.sum(dtype=float) * target.voxel_volume_ml == pytest.approx(volume, rel=1e-5)

    for axis in range(3):
        here_mm, here = below(target, start, fraction, axis)
        there_mm, there = below(SOURCE, (1, 2, 3), random_region(), axis)
        np.testing.assert_allclose(here, np.interp(here_mm, there_mm, there), atol=1e-6 * volume)


def test_overlap_by_hand() -> None:
    """The source voxel spans -1 to 1 mm along x and y, the target voxel -0.5 to 2.5 along x and -1.5 to 1.5 along y: it takes
    1.5 of its 3 mm along x, 2 of 3 along y and all along z."""
    affine = np.diag([3.0, 3, 3, 1])
    affine[0, 3] = 1
    whole = Grid((3, 3, 3), np.diag([2.0, 2, 3, 1]), "frame")
    start, fraction = regrid((0, 0, 0), np.ones((1, 1, 1), np.float32), whole, Grid((3, 3, 3), affine, "frame"))
    assert start == (0, 0, 0)
    assert fraction[0, 0, 0] == pytest.approx(1.5 / 3 * 2 / 3)


def test_turned_grids_keep_the_volume_of_a_ball() -> None:
    """Ball of 8 mm radius on 2 mm voxels, put on a grid turned by 20 degrees: the same volume and centre, full inside."""
    index = np.stack(np.meshgrid(*[np.arange(12)] * 3, indexing="ij"), axis=-1)
    ball = (np.linalg.norm(index - 5.5, axis=-1) <= 4).astype(np.float32)
    cos, sin = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
    source = Grid((12, 12, 12), np.diag([2.0, 2, 2, 1]), "frame")
    affine = np.eye(4)
    affine[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * (2.3, 1.9, 2.5)
    affine[:3, 3] = [-5, -15, -5]
    target = Grid((40, 40, 40), affine, "frame")
    start, fraction = regrid((0, 0, 0), ball, source, target)
    assert fraction.max() == 1
    assert fraction.sum() * target.voxel_volume_ml == pytest.approx(ball.sum() * source.voxel_volume_ml, rel=1e-5)
    centre = target.to_lps_mm(np.average(np.argwhere(fraction > 0) + start, axis=0, weights=fraction[fraction > 0]))
    np.testing.assert_allclose(centre, source.to_lps_mm((5.5, 5.5, 5.5)), atol=0.05)


def test_parts_off_the_grid_are_cut() -> None:
    """The target holds only the first two of five columns."""
    _, fraction = regrid(
        (0, 0, 0), np.ones((5, 4, 3), np.float32), SOURCE, Grid((2, 10, 8), SOURCE.affine_lps_mm, "frame")
    )
    assert fraction.shape == (2, 4, 3)


def test_other_frames_and_places_are_refused() -> None:
    with pytest.raises(GridMismatch, match="register"):
        regrid((0, 0, 0), random_region(), SOURCE, Grid(SOURCE.shape, SOURCE.affine_lps_mm, "another"))
    for step in (1.0, 1.7):
        affine = SOURCE.affine_lps_mm * step
        affine[:3, 3], affine[3, 3] = 500, 1
        with pytest.raises(OutsideValidity, match="outside"):
            regrid((0, 0, 0), random_region(), SOURCE, Grid(SOURCE.shape, affine, "frame"))
