"""One image plane of a file: what classic slices, frames of a multi-frame object and reconstructed NM have in common.

Readers of the different objects make frames; everything after that (order, grid, header) knows frames only.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from pydicom import Dataset

from lutra.core.errors import InputError
from lutra.core.frozen import float64
from lutra.core.study import VolumeKey
from lutra.ingest.elements import numbers

ORTHONORMAL_TOLERANCE = 1e-3


@frozen(eq=False)
class Frame:
    """One plane of pixels and where it is.

    Parameters
    ----------
    path, index
        File, and frame in it from 0.
    uid
        SOP Instance UID of the file.
    header
        Where further attributes are read: the file's own dataset, or for a frame of an enhanced object its functional groups
        laid over it.
    shape
        Columns and rows.
    position_lps_mm
        Centre of the first pixel. [mm] (3,)
    along_row_lps, along_column_lps
        Unit vectors: direction in which the column index grows, and the row index. (3,)
    spacing_mm
        Distance of pixels along a row and along a column. [mm]
    key
        Which volume of the series it belongs to.
    acquired_at
        Start of the acquisition of this plane.
    """

    path: Path
    index: int
    uid: str
    header: Dataset
    shape: tuple[int, int]
    position_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    along_row_lps: npt.NDArray[np.float64] = field(converter=float64)
    along_column_lps: npt.NDArray[np.float64] = field(converter=float64)
    spacing_mm: tuple[float, float]
    key: VolumeKey = field(factory=VolumeKey)
    acquired_at: datetime | None = None

    @property
    def normal_lps(self) -> npt.NDArray[np.float64]:
        """Direction of the slice axis of a right-handed stack. (3,)"""
        return np.cross(self.along_row_lps, self.along_column_lps)

    @property
    def name(self) -> str:
        """File name, with the frame's number from 1 where the file has several."""
        return f"{self.path.name} frame {self.index + 1}" if self.index else self.path.name


def directions(header: Dataset) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Read the unit vectors along a row and along a column, from (0020,0037) Image Orientation (Patient).

    Raises
    ------
    InputError
        If they are missing, or not orthonormal within 0.001.
    """
    cosines = numbers(header, "ImageOrientationPatient", 6)
    row, column = cosines[:3], cosines[3:]
    lengths = [np.linalg.norm(row), np.linalg.norm(column)]
    if abs(np.dot(row, column)) > ORTHONORMAL_TOLERANCE or not np.allclose(lengths, 1, atol=ORTHONORMAL_TOLERANCE):
        raise InputError(
            f"direction cosines {cosines.tolist()} are not orthonormal",
            where=f"{getattr(header, 'filename', '')} (0020,0037)",
            do="export the series again",
        )
    return row, column


def pixel_spacing(header: Dataset) -> tuple[float, float]:
    """Read the distance of pixels along a row and along a column, from (0028,0030), which gives that between rows first. [mm]

    Raises
    ------
    InputError
        If they are missing or not positive.
    """
    between_rows, between_columns = numbers(header, "PixelSpacing", 2)
    if not min(between_rows, between_columns) > 0:
        raise InputError(
            f"PixelSpacing {between_rows:g}, {between_columns:g} mm",
            where=f"{getattr(header, 'filename', '')} (0028,0030)",
            required="positive distances",
            do="export the series again",
        )
    return float(between_columns), float(between_rows)
