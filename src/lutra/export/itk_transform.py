"""Transforms as ITK text, which SimpleITK, 3D Slicer and ANTs read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutra.core.transform import DisplacementField, Transform

FIRST_LINE = "#Insight Transform File V1.0"
FLOAT64_DIGITS, FLOAT32_DIGITS = 17, 9
"""Decimal digits from which the same binary number is read back."""


def write_itk_transform(path: Path, transform: Transform) -> Path:
    """Write a transform as an Insight Transform File (.tfm), under its final name only when complete.

    ITK maps points of the fixed image to the moving one, in LPS: :meth:`~lutra.core.transform.Transform.moving_points`. A
    transform with a displacement field becomes a CompositeTransform of the affine part and the field, of which ITK applies the
    last one first. Half a voxel beyond the outermost centres of the field ITK knows no displacement, where Lutra takes that of the
    nearest voxel; the affine part holds everywhere. Fields are long as text: some 10 bytes a number.
    """
    blocks = [_affine(transform)]
    if transform.displacement is not None:
        blocks = [_block("CompositeTransform_double_3_3", None, None), *blocks, _field(transform.displacement)]
    text = "".join(f"#Transform {n}\n{block}" for n, block in enumerate(blocks))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(f"{FIRST_LINE}\n{text}", "ascii")
    partial.rename(path)
    return path


def _affine(transform: Transform) -> str:
    matrix = np.linalg.inv(transform.fixed_from_moving)
    return _block("AffineTransform_double_3_3", (*matrix[:3, :3].ravel(), *matrix[:3, 3]), (0.0, 0.0, 0.0))


def _field(field: DisplacementField) -> str:
    """Vectors with i running fastest; size, origin, spacing and directions (by row) as fixed parameters."""
    affine, spacing = field.grid.affine_lps_mm, np.array(field.grid.spacing_mm)
    geometry = (*field.grid.shape, *affine[:3, 3], *spacing, *(affine[:3, :3] / spacing).ravel())
    vectors: npt.NDArray[np.float32] = field.lps_mm.transpose(2, 1, 0, 3).ravel()
    return _block("DisplacementFieldTransform_double_3_3", vectors.tolist(), geometry, digits=FLOAT32_DIGITS)


def _block(
    kind: str, parameters: Iterable[float] | None, fixed: Iterable[float] | None, *, digits: int = FLOAT64_DIGITS
) -> str:
    lines = [f"Transform: {kind}"]
    for key, numbers in (("Parameters", parameters), ("FixedParameters", fixed)):
        if numbers is not None:
            lines.append(f"{key}: {' '.join([f'{x:.{digits}g}' for x in numbers])}")
    return "\n".join(lines) + "\n"
