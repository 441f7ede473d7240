"""Where something is: contours as drawn, and regions as partial voxels."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import GridMismatch
from lutra.core.frozen import float32, float64_each, three_ints
from lutra.core.grid import Grid, Shape


class RegionKind(StrEnum):
    """What a region stands for."""

    LESION = "lesion"
    ORGAN = "organ"
    OTHER = "other"


class RegionOrigin(StrEnum):
    """How a region came about."""

    IMPORTED = "imported"
    PROPAGATED = "propagated"
    DRAWN = "drawn"
    THRESHOLD = "threshold"
    ALGEBRA = "algebra"


@frozen
class ConceptCode:
    """A coded meaning, as in DICOM and FHIR."""

    value: str
    scheme: str
    meaning: str


@frozen(eq=False)
class ContourSet:
    """The planar contours of one region, as somebody drew them.

    Parameters
    ----------
    name
        Name given by the author.
    contours_lps_mm
        Closed polygons in patient coordinates, the last point not repeated. [mm] each (n, 3)
    frame_of_reference
        Frame the points are in.
    referenced_series_uid
        Series it was drawn on, or None if the file does not say.
    source_uid
        SOP Instance UID of the file.
    """

    name: str
    contours_lps_mm: tuple[npt.NDArray[np.float64], ...] = field(converter=float64_each)
    frame_of_reference: str
    referenced_series_uid: str | None
    source_uid: str


@frozen(eq=False)
class Region:
    """Part of a grid, as the fraction of each voxel that belongs to it.

    Only the bounding box is held. A voxel outside it has fraction 0.

    Parameters
    ----------
    name
        As given by its author.
    grid
        Grid the region lives on.
    start_ijk
        Index of the first voxel of the box.
    fraction
        Share of each voxel of the box inside the region, 0 to 1. [1] (i, j, k)
    code
        What it is, if known.
    source
        What it was made from: SOP Instance UID, algorithm, or expression.
    referenced_series_uid
        Series it was drawn on; None if its source does not say.
    tracking_id, tracking_uid
        (0062,0020) and (0062,0021): the name of the same thing in other images of the person, given by its author. Empty
        if there is none.
    """

    name: str
    kind: RegionKind = field(converter=RegionKind)
    grid: Grid
    start_ijk: Shape = field(converter=three_ints)
    fraction: npt.NDArray[np.float32] = field(converter=float32)
    code: ConceptCode | None
    origin: RegionOrigin = field(converter=RegionOrigin)
    source: str
    referenced_series_uid: str | None = None
    tracking_id: str = ""
    tracking_uid: str = ""

    def __attrs_post_init__(self) -> None:
        stop = np.add(self.start_ijk, self.fraction.shape)
        if self.fraction.ndim != 3 or min(self.start_ijk) < 0 or np.any(stop > self.grid.shape):
            raise GridMismatch(f"region {self.name}: box {self.start_ijk} to {tuple(stop)} leaves {self.grid.shape}")

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Slices that cut the bounding box out of an array on the grid."""
        i, j, k = (slice(start, start + n) for start, n in zip(self.start_ijk, self.fraction.shape, strict=True))
        return i, j, k

    @property
    def box_corners_lps_mm(self) -> npt.NDArray[np.float64]:
        """Corners of the bounding box, at the outer faces of its voxels. [mm] (8, 3)"""
        ends = [(first - 0.5, first + n - 0.5) for first, n in zip(self.start_ijk, self.fraction.shape, strict=True)]
        return self.grid.to_lps_mm(np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3))

    @property
    def volume_ml(self) -> float:
        """Volume, partial voxels counted by their fraction. [mL]"""
        return float(self.fraction.sum(dtype=np.float64)) * self.grid.voxel_volume_ml

    @property
    def delineation(self) -> str:
        """How it came about and from what, in one line: what a volume or a mean in it is worth nothing without."""
        return f"{self.origin.value}: {self.source}"

    @property
    def centroid_lps_mm(self) -> npt.NDArray[np.float64]:
        """Centre of gravity. [mm] (3,)"""
        weights = self.fraction.astype(np.float64)
        index = [np.tensordot(weights.sum(axis=_others(axis)), np.arange(n), 1) for axis, n in enumerate(weights.shape)]
        return self.grid.to_lps_mm(np.add(np.divide(index, weights.sum()), self.start_ijk))


def _others(axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(3) if a != axis)
