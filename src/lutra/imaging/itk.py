"""Images and transforms as SimpleITK has them, and back.

ITK counts in LPS millimetres and gives a voxel's centre an index, as Lutra does, so only two things change. SimpleITK's arrays
run (k, j, i): the transpose is a view, and images here have i running fastest, so ITK copies them once without reordering. And
ITK keeps spacing and directions apart; a grid whose axes are not at right angles it cannot hold.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK
from attrs import evolve

from lutra.core.errors import GridMismatch
from lutra.core.frozen import float64
from lutra.core.grid import Grid
from lutra.core.transform import DisplacementField, Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume

RIGHT_ANGLE_TOLERANCE = 1e-3
"""Cosine between two axes of a grid up to which ITK takes it; gantry tilt is far above, rounding in DICOM far below. [1]"""
THREADS = 1
"""Threads of a resampling: sums do not depend on it, but a study runs its subjects side by side already."""


def image_of(volume: Volume) -> SimpleITK.Image:
    """Give an image to ITK. The frame of reference, unit and clock stay behind.

    Raises
    ------
    GridMismatch
        If the axes of the grid are not at right angles.
    """
    return _placed(SimpleITK.GetImageFromArray(volume.values.T), volume.grid)


def volume_of(image: SimpleITK.Image, frame_of_reference: str, unit: Unit) -> Volume:
    """Take an image from ITK, with what ITK does not know."""
    values = SimpleITK.GetArrayViewFromImage(image).T
    return Volume(np.array(values, np.float32, order="F"), grid_of(image, frame_of_reference), unit)


def grid_of(image: SimpleITK.Image, frame_of_reference: str) -> Grid:
    """Geometry of an image."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return Grid(image.GetSize(), affine, frame_of_reference)


def itk_transform(transform: Transform, over: Grid | None = None) -> SimpleITK.Transform:
    """Give a transform to ITK, in ITK's direction: from fixed to moving points.

    Parameters
    ----------
    over
        Grid in the fixed frame on which it has to hold: ITK's displacement is zero beyond its field, Lutra's that of the nearest
        voxel, so the field is continued as far as this grid reaches. None leaves it as it is.

    Returns
    -------
    SimpleITK.Transform
        An Euler3DTransform for a rigid map, an AffineTransform for another affine one, and a CompositeTransform of it and a
        DisplacementFieldTransform where the body is bent.
    """
    matrix = float64(np.linalg.inv(transform.fixed_from_moving))
    straight = _euler(matrix) if _is_rigid(matrix) else _affine(matrix)
    if transform.displacement is None:
        return straight
    field = SimpleITK.DisplacementFieldTransform(displacement_image(_continued(transform.displacement, over)))
    # A composite applies its last transform first, as a matrix product does.
    return SimpleITK.CompositeTransform([straight, field])


def transform_of(
    found: SimpleITK.Transform, fixed_frame: str, moving_frame: str, error_mm: float | None, method: str
) -> Transform:
    """Take a transform from ITK, in its direction: from fixed to moving points.

    Parameters
    ----------
    found
        Affine in any parametrisation, a displacement field, or a composite of a field applied first and an affine map after it.

    Raises
    ------
    GridMismatch
        If it is anything else.
    """
    parts = _parts(found)
    field = None
    if isinstance(parts[-1], SimpleITK.DisplacementFieldTransform):  # the last one is applied first
        field = _field(parts.pop(), fixed_frame)
    if len(parts) > 1 or (parts and not parts[0].IsLinear()):
        raise GridMismatch(
            f"an ITK transform {found.GetName()} of {len(parts)} parts",
            required="an affine map, a displacement field, or the field followed by the affine map",
            do="compose it into one of these",
        )
    moving_from_fixed = _matrix(parts[0]) if parts else np.eye(4)
    return Transform(fixed_frame, moving_frame, np.linalg.inv(moving_from_fixed), error_mm, method, field)


def resampled(volume: Volume, grid: Grid, transform: Transform, *, outside: float, nearest: bool = False) -> Volume:
    """Bring a moving image onto a grid in the fixed frame, interpolating once whatever the transform is made of.

    Parameters
    ----------
    grid
        In the fixed frame of the transform.
    outside
        Value where the moving image does not reach. [unit]
    nearest
        Take the nearest voxel, for labels; otherwise linear between voxel centres.

    Raises
    ------
    GridMismatch
        If image, transform and grid do not meet in their frames of reference.
    """
    for what, frame, required in (
        ("image", volume.grid.frame_of_reference, transform.moving_frame),
        ("grid", grid.frame_of_reference, transform.fixed_frame),
    ):
        if frame != required:
            raise GridMismatch(f"{what} in frame {frame or 'unknown'}", required=f"frame {required or 'unknown'}")
    filter_ = SimpleITK.ResampleImageFilter()
    filter_.SetNumberOfThreads(THREADS)
    filter_.SetReferenceImage(_placed(SimpleITK.Image(list(grid.shape), SimpleITK.sitkUInt8), grid))
    filter_.SetTransform(itk_transform(transform, grid))
    filter_.SetInterpolator(SimpleITK.sitkNearestNeighbor if nearest else SimpleITK.sitkLinear)
    filter_.SetDefaultPixelValue(outside)
    found = filter_.Execute(image_of(volume))
    values = SimpleITK.GetArrayViewFromImage(found).T  # a view: `found` has to outlive it
    return evolve(volume, values=np.array(values, order="F"), grid=grid)


def displacement_image(field: DisplacementField) -> SimpleITK.Image:
    """Give a displacement field to ITK as an image of vectors. [mm]"""
    vectors = field.lps_mm.transpose(2, 1, 0, 3).astype(np.float64)
    return _placed(SimpleITK.GetImageFromArray(vectors, isVector=True), field.grid)


def _continued(field: DisplacementField, over: Grid | None) -> DisplacementField:
    if over is None:
        return field
    corners = field.grid.to_ijk(over.corners_lps_mm)
    before = np.maximum(np.ceil(-corners.min(axis=0)), 0).astype(int)
    after = np.maximum(np.ceil(corners.max(axis=0) - np.subtract(field.grid.shape, 1)), 0).astype(int)
    vectors = np.pad(field.lps_mm, [*zip(before, after, strict=True), (0, 0)], mode="edge")
    affine = np.array(field.grid.affine_lps_mm)
    affine[:3, 3] = field.grid.to_lps_mm(-before)
    return DisplacementField(evolve(field.grid, shape=vectors.shape[:3], affine_lps_mm=affine), vectors)


def _placed(image: SimpleITK.Image, grid: Grid) -> SimpleITK.Image:
    spacing = np.array(grid.spacing_mm)
    direction = grid.affine_lps_mm[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > RIGHT_ANGLE_TOLERANCE:
        raise GridMismatch(
            f"axes that are not at right angles: {grid.describe()}",
            required="perpendicular axes",
            do="resample the image onto a straight grid first",
        )
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(grid.affine_lps_mm[:3, 3].tolist())
    return image


def _is_rigid(matrix: npt.NDArray[np.float64]) -> bool:
    turn = matrix[:3, :3]
    return bool(np.allclose(turn @ turn.T, np.eye(3), atol=1e-9) and np.linalg.det(turn) > 0)


def _euler(matrix: npt.NDArray[np.float64]) -> SimpleITK.Transform:
    euler = SimpleITK.Euler3DTransform()
    euler.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-8)
    euler.SetTranslation(matrix[:3, 3].tolist())
    return euler


def _affine(matrix: npt.NDArray[np.float64]) -> SimpleITK.Transform:
    affine = SimpleITK.AffineTransform(3)
    affine.SetMatrix(matrix[:3, :3].ravel().tolist())
    affine.SetTranslation(matrix[:3, 3].tolist())
    return affine


def _parts(found: SimpleITK.Transform) -> list[SimpleITK.Transform]:
    found = found.Downcast()
    if isinstance(found, SimpleITK.CompositeTransform):
        return [found.GetNthTransform(n).Downcast() for n in range(found.GetNumberOfTransforms())]
    return [found]


def _matrix(linear: SimpleITK.Transform) -> npt.NDArray[np.float64]:
    """Read off an affine map from what it does to four points, which no parametrisation can hide. (4, 4)"""
    origin = np.array(linear.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    for axis in range(3):
        matrix[:3, axis] = np.array(linear.TransformPoint(np.eye(3)[axis].tolist())) - origin
    matrix[:3, 3] = origin
    return matrix


def _field(found: SimpleITK.Transform, frame: str) -> DisplacementField:
    image = found.GetDisplacementField()
    vectors = SimpleITK.GetArrayViewFromImage(image).transpose(2, 1, 0, 3)
    return DisplacementField(grid_of(image, frame), vectors)
