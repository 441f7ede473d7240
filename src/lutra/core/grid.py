"""Geometry without voxels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import GridMismatch
from lutra.core.frozen import float64, three_ints

Shape = tuple[int, int, int]
MM3_PER_ML = 1000.0


@frozen(eq=False)
class Grid:
    """A regular grid of voxels in a frame of reference.

    Axis i runs along a row of pixels, j down the rows, k across the slices. Integer indices are voxel *centres*.

    Parameters
    ----------
    shape
        Number of voxels along (i, j, k).
    affine_lps_mm
        Index to patient coordinates, LPS. [mm] (4, 4)
    frame_of_reference
        DICOM Frame of Reference UID; coordinates of two frames must not be mixed without a transform. Empty if unknown.
    """

    shape: Shape = field(converter=three_ints)
    affine_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    frame_of_reference: str = ""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths along (i, j, k). [mm]"""
        lengths = np.linalg.norm(self.affine_lps_mm[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel. [mL]"""
        return float(abs(np.linalg.det(self.affine_lps_mm[:3, :3]))) / MM3_PER_ML

    @property
    def corners_lps_mm(self) -> npt.NDArray[np.float64]:
        """The eight corners of the image, half a voxel beyond the outermost centres. [mm] (8, 3)"""
        ends = [(-0.5, n - 0.5) for n in self.shape]
        return self.to_lps_mm(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3))

    def to_lps_mm(self, ijk: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Patient coordinates of (fractional) voxel indices. [mm] (..., 3)"""
        lps: npt.NDArray[np.float64] = np.asarray(ijk, float) @ self.affine_lps_mm[:3, :3].T + self.affine_lps_mm[:3, 3]
        return lps

    def to_ijk(self, lps_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Fractional voxel indices of patient coordinates. (..., 3)"""
        inverse = np.linalg.inv(self.affine_lps_mm[:3, :3])
        ijk: npt.NDArray[np.float64] = (np.asarray(lps_mm, float) - self.affine_lps_mm[:3, 3]) @ inverse.T
        return ijk

    def matches(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """Tell whether two grids put every voxel in the same place of the same frame."""
        return (
            self.shape == other.shape
            and self.frame_of_reference == other.frame_of_reference
            and bool(np.allclose(self.affine_lps_mm, other.affine_lps_mm, rtol=0, atol=tolerance_mm))
        )

    def require_match(self, other: Grid, what: str) -> None:
        """Raise unless the grids match.

        Raises
        ------
        GridMismatch
            Naming both geometries.
        """
        if not self.matches(other):
            raise GridMismatch(
                f"{what}: {self.describe()} is not {other.describe()}",
                do="register and resample one onto the other",
            )

    def describe(self) -> str:
        """One line: shape, spacing, frame."""
        shape, spacing = (" × ".join(f"{n:.6g}" for n in numbers) for numbers in (self.shape, self.spacing_mm))
        return f"{shape} voxels of {spacing} mm in frame {self.frame_of_reference or 'unknown'}"
