"""What is to be identified: lesion regions, and the images they were looked for in."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from attrs.converters import optional

from lutra.core.frozen import float64
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.study import Role
from lutra.core.transform import Transform

Point = tuple[float, float, float]
Spread = tuple[float, float, float, float, float, float]
Key = tuple[int, str]
COMMON = "common frame"


@frozen
class Candidate:
    """A region that is a lesion, in one image.

    Parameters
    ----------
    acquired_order
        Place of the image in the subject's time order.
    region_digest
        Identity of the region.
    volume_ml
        Volume. [mL]
    centroid_lps_mm
        Centre of gravity in the image's own frame. [mm]
    position_mm
        Centre of gravity in the frame that all images of the subject are registered to; None if this one is not. [mm]
    position_error_mm
        Of the registration at this place, one standard deviation of its length, as in
        :class:`~lutra.core.transform.Transform`; None if it was not evaluated. [mm]
    spread_mm2
        Covariance of its points (xx, xy, xz, yy, yz, zz), in the axes of the position; None is taken as a ball. [mm2]
    tracking_uid
        DICOM (0062,0021): the author's word that regions are the same thing. Empty if there is none.
    role
        What the image is for; sizes of one lesion differ more between images of two kinds.
    """

    series_uid: str
    acquired_order: int
    region_digest: str
    region_name: str
    volume_ml: float
    centroid_lps_mm: Point
    frame_of_reference: str
    position_mm: Point | None = None
    position_error_mm: float | None = None
    spread_mm2: Spread | None = None
    tracking_uid: str = ""
    role: Role | None = None

    @property
    def image(self) -> Key:
        """Its image, so that images sort in the order of time."""
        return self.acquired_order, self.series_uid

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by again: its image and itself."""
        return self.series_uid, self.region_digest

    def position_in(self, space: str) -> Point | None:
        """Centre of gravity in the common frame, or in a frame of reference by its UID; None if not known there. [mm]"""
        if space == COMMON:
            return self.position_mm
        return self.centroid_lps_mm if space == self.frame_of_reference else None


@frozen(eq=False)
class ImageField:
    """An image in which somebody looked for lesions: what it covers, so that a lesion can be missing there.

    Parameters
    ----------
    grid
        Its geometry, in its own frame.
    common_from_image
        Affine map to the common frame; None if the image is not registered. [mm] (4, 4)
    error_mm
        Of that map, one standard deviation of its length; None if it was not evaluated. [mm]
    """

    series_uid: str
    acquired_order: int
    grid: Grid
    common_from_image: npt.NDArray[np.float64] | None = field(default=None, converter=optional(float64))
    error_mm: float | None = None

    @property
    def image(self) -> Key:
        """Its place in the order of time."""
        return self.acquired_order, self.series_uid

    @property
    def space(self) -> str:
        """The frame in which lesions are compared with it; empty if there is none."""
        return self.grid.frame_of_reference if self.common_from_image is None else COMMON

    def depth_mm(self, position_mm: Point, space: str) -> float | None:
        """How far inside the image a point lies; negative outside, None if its frame has no map to the image. [mm]"""
        if space == COMMON and self.common_from_image is not None:
            own = np.linalg.inv(self.common_from_image) @ (*position_mm, 1.0)
        elif space == self.grid.frame_of_reference != "":
            own = np.array((*position_mm, 1.0))
        else:
            return None
        ijk = self.grid.to_ijk(own[:3])
        inside = np.minimum(ijk + 0.5, np.subtract(self.grid.shape, 0.5) - ijk) * self.grid.spacing_mm
        beyond = np.minimum(inside, 0)
        return float(-np.linalg.norm(beyond)) if beyond.any() else float(inside.min())


def candidate(
    region: Region,
    region_digest: str,
    series_uid: str,
    acquired_order: int,
    role: Role | None = None,
    to_common: Transform | None = None,
) -> Candidate:
    """Describe a region for matching.

    Parameters
    ----------
    to_common
        Map whose moving frame is the region's and whose fixed frame is the common one; None if there is none.
    """
    centre = region.centroid_lps_mm
    spread = _spread_mm2(region)
    position = None
    if to_common is not None:
        position = _point(to_common.fixed_points(centre))
        turned = to_common.fixed_from_moving[:3, :3]
        spread = turned @ spread @ turned.T
    return Candidate(
        series_uid,
        acquired_order,
        region_digest,
        region.name,
        region.volume_ml,
        _point(centre),
        region.grid.frame_of_reference,
        position,
        None if to_common is None else to_common.error_mm,
        tuple(float(spread[a]) for a in zip(*np.triu_indices(3), strict=True)),  # type: ignore[arg-type]
        region.tracking_uid,
        role,
    )


def axis_error_mm(length_error_mm: float | None, unevaluated_mm: float) -> float:
    """Turn an error stated for its length into that along one axis, one standard deviation. [mm]"""
    return (unevaluated_mm if length_error_mm is None else length_error_mm) / sqrt(3)


def spread_matrix(spread: Spread) -> npt.NDArray[np.float64]:
    """Covariance as a matrix. [mm2] (3, 3)"""
    xx, xy, xz, yy, yz, zz = spread
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _spread_mm2(region: Region) -> npt.NDArray[np.float64]:
    """Covariance of the points of a region, voxels being boxes. [mm2] (3, 3)"""
    inside = np.nonzero(region.fraction)
    weight = region.fraction[inside].astype(np.float64)
    points = region.grid.to_lps_mm(np.add(np.stack(inside, axis=-1), region.start_ijk))
    edges = region.grid.affine_lps_mm[:3, :3]
    return np.asarray(np.cov(points, rowvar=False, aweights=weight, ddof=0) + edges @ edges.T / 12)


def _point(lps_mm: npt.NDArray[np.float64]) -> Point:
    x, y, z = (float(mm) for mm in lps_mm)
    return x, y, z
