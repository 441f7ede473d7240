"""Transforms of a DICOM Spatial Registration or Deformable Spatial Registration, as another program or Lutra wrote them."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from lutra.core.errors import InputError
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.transform import DisplacementField, Transform
from lutra.ingest.elements import items, numbers, place, text, value_of
from lutra.ingest.files import parsed
from lutra.ingest.quiet import quietly

RIGID_SLACK = 1e-3
"""Largest deviation of a matrix called RIGID from a rotation: files carry as few as four decimals. [1]"""
SAME_MM = 1e-3
"""Two orders of matrices that differ by less, over a metre, are one. [mm]"""
AXES_SLACK = 1e-4
"""Largest deviation of two axes from unit length and a right angle. [1]"""
FARTHEST_MM = 1e5
"""Nothing in a scanner is moved by 100 m, and no grid is as large."""
Numbers = npt.NDArray[np.float64]


@quietly()
def read_spatial_registration(path: Path) -> Outcome[tuple[Transform, ...]]:
    """Read every registration of a REG file.

    The frame of reference of the file (0020,0052) is the registered one and becomes the fixed frame, each source frame a moving
    one. The identity of the registered frame with itself is no transform. A deformation is
    source = post (pre p + d(p)) [PS3.3 C.20.3.1.1]. How exact a registration is, the file does not say.

    Returns
    -------
    Outcome
        A registration that cannot be used leaves a Finding and the others go on. None if none is left, with an ERROR if the file
        cannot be read.
    """
    findings: list[Finding] = []
    found: list[Transform] = []
    try:
        file = parsed(path).header
        fixed, source = _registered_frame(file), text(file, "SOPInstanceUID")
        listed = [(item, False) for item in items(file, "RegistrationSequence")]
        listed += [(item, True) for item in items(file, "DeformableRegistrationSequence")]
    except InputError as error:
        words = f"{path} is broken: {error}. To do: export it again"
        return Outcome(None, (Finding(Severity.ERROR, "ingest.unreadable", words),))
    for n, (item, deformable) in enumerate(listed, start=1):
        try:
            transform = _deformable(item, fixed, source) if deformable else _linear(item, fixed, source, findings)
        except InputError as error:
            words = f"{path}, registration {n} of {len(listed)}: {error}. It is left out"
            findings.append(Finding(Severity.WARNING, "ingest.registration-left-out", words))
            continue
        if not _says_nothing(transform):
            found.append(transform)
    if not found:
        words = f"{path} relates no two frames of reference that could be used"
        findings.append(Finding(Severity.WARNING, "ingest.no-registration", words))
        return Outcome(None, findings)
    return Outcome(tuple(found), findings)


def _registered_frame(file: Dataset) -> str:
    frame = text(file, "FrameOfReferenceUID")
    if not frame:
        raise InputError(
            "no registered frame of reference", where=place(file, "FrameOfReferenceUID"), required="its UID"
        )
    return frame


def _linear(item: Dataset, fixed: str, source: str, findings: list[Finding]) -> Transform:
    moving = text(item, "FrameOfReferenceUID")
    if not moving:
        raise InputError(
            "it is for single images, not for a frame of reference", where=place(item, "FrameOfReferenceUID"),
            required="the UID of the source frame (0020,0052)",
        )  # fmt: skip
    registrations = items(item, "MatrixRegistrationSequence")
    if len(registrations) != 1:
        raise InputError(f"{len(registrations)} items in (0070,0309)", required="one")
    matrices = [_matrix(one) for one in items(registrations[0], "MatrixSequence")]
    if not matrices:
        raise InputError("no matrix", where=place(item, "MatrixSequence"), required="one or more")
    matrix = _product(matrices, source, findings)
    return Transform(fixed, moving, matrix, None, _words(source, registrations[0]))


def _product(matrices: list[Numbers], source: str, findings: list[Finding]) -> Numbers:
    """First item times second times third: their order is that of the multiplication [PS3.3 C.20.2.1.1]."""
    forward = backward = np.eye(4)
    for matrix in matrices:
        forward, backward = forward @ matrix, matrix @ backward
    corners = np.array([[x, y, z, 1] for x in (-500, 500) for y in (-500, 500) for z in (-500, 500)])
    apart_mm = float(np.linalg.norm((corners @ (forward - backward).T)[:, :3], axis=1).max())
    if apart_mm > SAME_MM:
        words = (
            f"Registration {source} gives its transform as {len(matrices)} matrices (0070,030A), which are multiplied in their "
            f"order. The other order would differ by {apart_mm:.3g} mm within a metre, and not all programs keep to the standard. "
            "To do: look at the registered images"
        )
        findings.append(Finding(Severity.WARNING, "ingest.registration-of-several-matrices", words))
    return forward


def _deformable(item: Dataset, fixed: str, source: str) -> Transform:
    moving = text(item, "SourceFrameOfReferenceUID")
    if not moving:
        raise InputError(
            "no source frame of reference", where=place(item, "SourceFrameOfReferenceUID"), required="its UID"
        )
    before, after = (_one_matrix(item, f"{which}DeformationMatrixRegistrationSequence") for which in ("Pre", "Post"))
    grids = items(item, "DeformableRegistrationGridSequence")
    field = None
    if grids:
        grid, offsets = _grid(grids[0], fixed)
        field = DisplacementField(grid, offsets @ np.linalg.inv(before[:3, :3]).T)
    return Transform(fixed, moving, np.linalg.inv(after @ before), None, _words(source, item), field)


def _grid(item: Dataset, frame: str) -> tuple[Grid, Numbers]:
    """Grid in the registered frame, and its offsets. [mm] (i, j, k, 3)"""
    row, column = numbers(item, "ImageOrientationPatient", 6).reshape(2, 3)
    axes = np.column_stack([row, column, np.cross(row, column)])
    if np.abs(axes.T @ axes - np.eye(3)).max() > AXES_SLACK:
        raise InputError("the axes of the grid are not perpendicular", where=place(item, "ImageOrientationPatient"))
    shape = tuple(int(n) for n in numbers(item, "GridDimensions", 3))
    spacing = numbers(item, "GridResolution", 3)
    start = numbers(item, "ImagePositionPatient", 3)
    if min(shape) < 1 or spacing.min() <= 0 or max(np.abs(start).max(), (spacing * shape).max()) > FARTHEST_MM:
        raise InputError(f"a grid of {shape} voxels of {spacing.tolist()} mm", where=place(item, "GridDimensions"))
    data = value_of(item, "VectorGridData")
    expected = 12 * prod(shape)
    if not isinstance(data, bytes) or len(data) != expected:
        n = len(data) if isinstance(data, bytes) else 0
        raise InputError(f"{n} bytes of offsets", where=place(item, "VectorGridData"), required=f"{expected}")
    offsets = np.frombuffer(data, "<f4").reshape(*shape[::-1], 3).transpose(2, 1, 0, 3)
    if not (np.abs(offsets) < FARTHEST_MM).all():  # (NaN, NaN, NaN) stands for undefined
        raise InputError("it is not defined in parts of its grid", where=place(item, "VectorGridData"))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * spacing, start
    return Grid((shape[0], shape[1], shape[2]), affine, frame), offsets.astype(float)


def _one_matrix(item: Dataset, tag: str) -> Numbers:
    listed = items(item, tag)
    if len(listed) > 1:
        raise InputError(f"{len(listed)} items", where=place(item, tag), required="one")
    return _matrix(listed[0]) if listed else np.eye(4)


def _matrix(item: Dataset) -> Numbers:
    matrix = numbers(item, "FrameOfReferenceTransformationMatrix", 16).reshape(4, 4)
    where = place(item, "FrameOfReferenceTransformationMatrix")
    possible = np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6) and np.abs(matrix).max() < FARTHEST_MM
    if not possible or abs(np.linalg.det(matrix)) < 1e-6:
        raise InputError(
            f"the matrix {matrix.tolist()} is no map of space",
            where=where,
            required="last row 0 0 0 1, with an inverse",
        )
    linear = matrix[:3, :3]
    kind = text(item, "FrameOfReferenceTransformationMatrixType")
    off = max(float(np.abs(linear.T @ linear - np.eye(3)).max()), float(abs(np.linalg.det(linear) - 1)))
    if kind == "RIGID" and off > RIGID_SLACK:
        raise InputError(f"a matrix called RIGID is off a rotation by {off:.2g}", where=where, required="a rotation")
    return matrix


def _words(source: str, described: Dataset) -> str:
    comment = text(described, "FrameOfReferenceTransformationComment")
    return f"imported from DICOM registration {source}" + (f": {comment}" if comment else "")


def _says_nothing(transform: Transform) -> bool:
    """Whether a frame is mapped to itself as it is."""
    return (
        transform.fixed_frame == transform.moving_frame
        and transform.displacement is None
        and bool(np.allclose(transform.fixed_from_moving, np.eye(4), atol=1e-6))
    )
