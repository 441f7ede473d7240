"""Transforms as SimpleITK reads them, and those SimpleITK writes as we read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from attrs import evolve
from scipy.spatial.transform import Rotation

from lutra.core.errors import InputError
from lutra.core.grid import Grid
from lutra.core.transform import DisplacementField, Transform
from lutra.export import write_itk_transform
from lutra.ingest import read_itk_transform

RNG = np.random.default_rng(8)


def affine(scales: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [11, -23, 31], degrees=True).as_matrix() @ np.diag(scales)
    matrix[:3, 3] = [512.3, -200.1, 31.7]
    return matrix


def oblique(shape: tuple[int, int, int]) -> Grid:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [5, 2, -3], degrees=True).as_matrix() @ np.diag([3.0, 2, 4])
    matrix[:3, 3] = [-50, -60, 100]
    return Grid(shape, matrix, "f")


def theirs(transform: sitk.Transform, points: np.ndarray) -> np.ndarray:
    return np.array([transform.TransformPoint(point) for point in points.tolist()])


@pytest.mark.parametrize("scales", [(1, 1, 1), (1.1, 0.9, 1.02)])
def test_simpleitk_maps_the_same_points(tmp_path: Path, scales: tuple[float, float, float]) -> None:
    """Fixed points to moving points, to 1e-9 mm over 2 m."""
    transform = Transform("f", "m", affine(scales), 1.0, "known")
    read = sitk.ReadTransform(str(write_itk_transform(tmp_path / "t.tfm", transform)))
    points = RNG.uniform(-1000, 1000, (100, 3))
    np.testing.assert_allclose(theirs(read, points), transform.moving_points(points), atol=1e-9)
    assert [p.name for p in tmp_path.iterdir()] == ["t.tfm"]


def test_simpleitk_maps_the_same_points_through_a_displacement(tmp_path: Path) -> None:
    """Inside an oblique grid of different spacings, to 1e-6 mm; both interpolate linearly. Outside, the affine part alone."""
    grid = oblique((12, 14, 9))
    straight = Transform("f", "m", affine((1.1, 0.9, 1.02)), 1.0, "known")
    transform = evolve(straight, displacement=DisplacementField(grid, RNG.normal(0, 4, (*grid.shape, 3))))
    read = sitk.ReadTransform(str(write_itk_transform(tmp_path / "t.tfm", transform)))
    inside = grid.to_lps_mm(RNG.uniform(0, np.subtract(grid.shape, 1), (300, 3)))
    np.testing.assert_allclose(theirs(read, inside), transform.moving_points(inside), atol=1e-6)
    assert np.abs(transform.moving_points(inside) - straight.moving_points(inside)).max() > 5
    outside = np.array([[900.0, 900, 900]])
    np.testing.assert_allclose(theirs(read, outside), straight.moving_points(outside), atol=1e-9)


def test_resampling_with_it_brings_a_point_back(tmp_path: Path) -> None:
    """The use it is made for: the moving image resampled on the fixed grid shows a spot where `fixed_points` says."""
    transform = Transform("f", "m", affine(), 1.0, "known")
    moving = sitk.Image([21, 21, 21], sitk.sitkFloat32)
    moving.SetOrigin([490, -215, 20])
    moving[10, 11, 12] = 1.0
    spot = np.array(moving.TransformIndexToPhysicalPoint([10, 11, 12]))
    expected = transform.fixed_points(spot)
    fixed = sitk.Image([31, 31, 31], sitk.sitkFloat32)
    fixed.SetOrigin((np.round(expected) - 15).tolist())
    read = sitk.ReadTransform(str(write_itk_transform(tmp_path / "t.tfm", transform)))
    shown = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, read, sitk.sitkLinear))
    k, j, i = np.indices(shown.shape)
    centre = [(shown * index).sum() / shown.sum() for index in (i, j, k)]
    np.testing.assert_allclose(np.add(centre, fixed.GetOrigin()), expected, atol=0.2)


def similarity() -> sitk.Transform:
    made = sitk.Similarity3DTransform(1.05, (0.1, -0.2, 0.05), 0.4, (3, -20, 8))
    made.SetCenter((10, 20, 30))
    return made


def euler(*, zyx: bool) -> sitk.Transform:
    made = sitk.Euler3DTransform((10, -20, 30), 0.2, -0.3, 0.5, (4, 5, -6))
    made.SetComputeZYX(zyx)
    return made


MADE = {
    "affine": sitk.AffineTransform(affine((1.1, 0.9, 1))[:3, :3].ravel().tolist(), (1, -2, 300), (5, 6, 7)),
    "euler": euler(zyx=False),
    "euler zyx": euler(zyx=True),
    "versor": sitk.VersorRigid3DTransform((0.3, -0.5, 0.8), 1.1, (4, 5, -6), (10, -20, 30)),
    "similarity": similarity(),
    "translation": sitk.TranslationTransform(3, (1.5, -2.5, 30)),
    "chain": sitk.CompositeTransform([euler(zyx=False), similarity(), sitk.TranslationTransform(3, (1, 2, 3))]),
}


@pytest.mark.parametrize("kind", MADE)
def test_what_simpleitk_writes_maps_the_same_points(tmp_path: Path, kind: str) -> None:
    sitk.WriteTransform(MADE[kind], str(tmp_path / "t.tfm"))
    transform = read_itk_transform(tmp_path / "t.tfm", "f", "m")
    points = RNG.uniform(-300, 300, (50, 3))
    np.testing.assert_allclose(transform.moving_points(points), theirs(MADE[kind], points), atol=1e-9)
    assert (transform.fixed_frame, transform.moving_frame, transform.error_mm) == ("f", "m", None)
    assert transform.method.startswith("imported from an ITK transform file: ")


def test_our_own_comes_back(tmp_path: Path) -> None:
    transform = Transform("f", "m", affine((1.1, 0.9, 1)), 1.0, "known")
    back = read_itk_transform(write_itk_transform(tmp_path / "t.tfm", transform), "f", "m")
    np.testing.assert_allclose(back.fixed_from_moving, transform.fixed_from_moving, atol=1e-12)


FIRST = "#Insight Transform File V1.0\n"
AFFINE = f"{FIRST}Transform: AffineTransform_double_3_3\nParameters: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DICM", "no ITK transform file"),
        (FIRST, "holds no transform"),
        (f"{FIRST}Transform: AffineTransform_double_2_2\nParameters: 1 0 0 1 0 0\n", "kind AffineTransform_double_2_2"),
        (f"{FIRST}Transform: BSplineTransform_double_3_3\nParameters: 1 2\n", "kind BSplineTransform"),
        (f"{FIRST}Transform: VersorRigid3DTransform_double_3_3\nParameters: 1 1 1 0 0 0\n", "versor of length"),
        (f"{FIRST}Parameters: 1 2 3\n", "does not belong"),
        (f"{AFFINE}1 2 x\n", "no numbers"),
        (f"{AFFINE}1 2 3\n", "required: 12"),
        (f"{AFFINE}1 2 3 2 4 6 0 0 1 0 0 0\n", "no inverse"),
        ("\xe9", "read as text"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.tfm").write_bytes(text.encode("latin1"))
    with pytest.raises(InputError, match=message):
        read_itk_transform(tmp_path / "t.tfm", "f", "m")
    with pytest.raises(InputError, match="read as text"):
        read_itk_transform(tmp_path / "none.tfm", "f", "m")
