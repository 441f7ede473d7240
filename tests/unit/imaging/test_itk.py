"""Images and transforms go to ITK and come back; what ITK makes of points is what Lutra makes of them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from attrs import evolve

from lutra.core.errors import GridMismatch
from lutra.core.grid import Grid
from lutra.core.transform import DisplacementField, Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.itk import grid_of, image_of, itk_transform, resampled, transform_of, volume_of

SHAPE = (7, 9, 11)


def turn(x: float, y: float, z: float) -> np.ndarray:
    euler = SimpleITK.Euler3DTransform()
    euler.SetRotation(x, y, z)
    return np.reshape(euler.GetMatrix(), (3, 3))


def grid(frame: str = "f", axes: np.ndarray | None = None) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if axes is None else axes) * (2.0, 3.0, 4.0)
    affine[:3, 3] = -11, 20, -30
    return Grid(SHAPE, affine, frame)


GRIDS = {
    "straight": grid(),
    "oblique": grid(axes=turn(0.2, -0.1, 0.3)),
    "flipped": grid(axes=np.diag([-1.0, 1, -1])),
    "left-handed": grid(axes=np.diag([1.0, 1, -1])),
    "axes exchanged": grid(axes=np.eye(3)[[2, 0, 1]]),
}


def moved(fixed: str, moving: str) -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn(0.1, 0.05, -0.2), (3, -2, 5)
    return Transform(fixed, moving, matrix, 1.0, "known")


def bent(fixed: str, moving: str) -> Transform:
    where = grid(fixed, turn(0.0, 0.1, 0.0))
    waves = 1.5 * np.sin(np.moveaxis(np.indices(SHAPE), 0, -1)[..., ::-1] / 3)
    return evolve(moved(fixed, moving), displacement=DisplacementField(where, waves))


@pytest.mark.parametrize("name", GRIDS)
def test_an_image_comes_back_as_it_was(name: str) -> None:
    values = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    volume = Volume(values, GRIDS[name], Unit.HU)
    image = image_of(volume)
    for index in ((0, 0, 0), (6, 0, 3), (2, 8, 10)):
        assert image.GetPixel(index) == values[index]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), volume.grid.to_lps_mm(index), atol=1e-9)
    back = volume_of(image, "f", Unit.HU)
    np.testing.assert_array_equal(back.values, values)
    assert back.grid.matches(volume.grid, 1e-9)


def test_itk_has_no_sheared_grids() -> None:
    tilted = np.array(grid().affine_lps_mm)
    tilted[1, 2] = 1.0
    volume = Volume(np.zeros(SHAPE), Grid(SHAPE, tilted), Unit.HU)
    with pytest.raises(GridMismatch, match="right angles"):
        image_of(volume)


@pytest.mark.parametrize("transform", [moved("a", "b"), bent("a", "b")], ids=["rigid", "bent"])
def test_itk_sends_points_where_the_transform_does(transform: Transform) -> None:
    """Direction, order of the parts and centre of rotation, against ITK's own TransformPoint."""
    points = grid("a", turn(0.0, 0.1, 0.0)).to_lps_mm(np.random.default_rng(2).uniform(1, 5, (20, 3)))
    given = itk_transform(transform)
    theirs = [given.TransformPoint(point.tolist()) for point in points]
    np.testing.assert_allclose(theirs, transform.moving_points(points), atol=1e-4)
    back = transform_of(given, "a", "b", 1.0, "back")
    np.testing.assert_allclose(back.moving_points(points), transform.moving_points(points), atol=1e-4)
    assert (back.displacement is None) == (transform.displacement is None)


def test_rigid_is_euler_and_stretched_is_affine() -> None:
    rigid = moved("a", "b")
    assert isinstance(itk_transform(rigid), SimpleITK.Euler3DTransform)
    stretched = evolve(rigid, fixed_from_moving=rigid.fixed_from_moving @ np.diag([1.1, 1, 1, 1]))
    given = itk_transform(stretched)
    assert isinstance(given, SimpleITK.AffineTransform)
    back = transform_of(given, "a", "b", None, "back")
    np.testing.assert_allclose(back.fixed_from_moving, stretched.fixed_from_moving, atol=1e-12)


def test_what_is_no_field_and_affine_map_is_refused() -> None:
    spline = SimpleITK.BSplineTransformInitializer(image_of(Volume(np.zeros(SHAPE), grid(), Unit.HU)), [2, 2, 2])
    with pytest.raises(GridMismatch, match="compose"):
        transform_of(spline, "a", "b", None, "spline")


@pytest.mark.parametrize("transform", [moved("a", "b"), bent("a", "b")], ids=["rigid", "bent"])
def test_a_linear_image_is_resampled_exactly(transform: Transform) -> None:
    """An image linear in its coordinates has the coordinates of the moving point, wherever that is inside."""
    there = Grid((60, 60, 60), np.diag([3.0, 3, 3, 1]) + np.pad([[-90.0], [-60], [-90]], ((0, 1), (3, 0))), "b")
    slope = np.array([1.0, -2.0, 0.5])
    image = Volume(there.to_lps_mm(np.moveaxis(np.indices(there.shape), 0, -1)) @ slope, there, Unit.HU)
    here = GRIDS["oblique"]
    here = evolve(here, frame_of_reference="a")
    found = resampled(image, here, transform, outside=-999.0)
    expected = transform.moving_points(here.to_lps_mm(np.moveaxis(np.indices(SHAPE), 0, -1))) @ slope
    np.testing.assert_allclose(found.values, expected, atol=1e-3)
    assert found.grid.matches(here)


def test_outside_and_labels() -> None:
    labels = Volume(np.random.default_rng(3).integers(0, 5, SHAPE), grid("b"), Unit.ONE)
    shifted = Transform("a", "b", np.eye(4), None, "none")
    far = evolve(grid("a"), affine_lps_mm=grid().affine_lps_mm + np.pad([[500.0], [0], [0]], ((0, 1), (3, 0))))
    assert set(np.unique(resampled(labels, far, shifted, outside=-7, nearest=True).values)) == {-7}
    half = evolve(grid("a"), affine_lps_mm=grid().affine_lps_mm + np.pad([[0.7], [0], [0]], ((0, 1), (3, 0))))
    found = resampled(labels, half, shifted, outside=0, nearest=True)
    np.testing.assert_array_equal(found.values[:-1], labels.values[:-1])


def test_frames_have_to_meet() -> None:
    volume = Volume(np.zeros(SHAPE), grid("b"), Unit.HU)
    with pytest.raises(GridMismatch, match="frame"):
        resampled(volume, grid("a"), moved("a", "c"), outside=0)
    with pytest.raises(GridMismatch, match="frame"):
        resampled(volume, grid("c"), moved("a", "b"), outside=0)
    assert grid_of(image_of(volume), "b").matches(volume.grid)
