"""The parallel planes a set of contours was drawn in, whichever way they run through the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64
from lutra.core.grid import Grid

PLANAR_TOLERANCE_MM = 0.1
"""Files round coordinates to 0.01 mm or worse; points of one plane scatter by less than this."""


@frozen(eq=False)
class Planes:
    """The parallel planes a set of contours lies in.

    Parameters
    ----------
    normal_lps
        Unit vector across the planes. [1] (3,)
    axis
        Axis of the image that only crosses the planes: 2 for contours drawn on its slices, 0 or 1 for those on its other
        two sections, None for oblique ones.
    position_mm
        Distance of each plane along the normal from the origin of the frame, increasing. [mm] (n,)
    plane_of_contour
        Index into `position_mm` of each contour, in the order given.
    thickness_mm
        Distance between neighbouring planes: what each of them stands for. [mm]
    """

    normal_lps: npt.NDArray[np.float64] = field(converter=float64)
    axis: int | None
    position_mm: npt.NDArray[np.float64] = field(converter=float64)
    plane_of_contour: tuple[int, ...]
    thickness_mm: float

    @property
    def gaps(self) -> int:
        """How many planes are left out between the first and the last."""
        steps = np.diff(self.position_mm) / self.thickness_mm
        return int(np.sum(np.maximum(np.rint(steps) - 1, 0)))

    def in_plane_axes(self, grid: Grid) -> npt.NDArray[np.float64]:
        """Find unit vectors in the planes, the first as near as can be to an axis of the image; the normal last. (3, 3) columns"""
        directions = grid.affine_lps_mm[:3, :3] / grid.spacing_mm
        flattest = directions[:, np.abs(self.normal_lps @ directions).argmin()]
        u = flattest - self.normal_lps * (flattest @ self.normal_lps)
        u /= np.linalg.norm(u)
        return np.column_stack([u, np.cross(self.normal_lps, u), self.normal_lps])


def planes_of(contours_lps_mm: Sequence[npt.NDArray[np.float64]], grid: Grid) -> Planes:
    """Find the planes of contours.

    A single plane stands for one step of the image's axis that crosses it.

    Parameters
    ----------
    contours_lps_mm
        Closed polygons. [mm] each (n, 3)

    Raises
    ------
    OutsideValidity
        If there is no contour, one leaves its plane by more than 0.1 mm, or the planes are not parallel to each other.
    """
    if not contours_lps_mm:
        raise OutsideValidity("there is no contour", required="at least one closed polygon")
    axis, normal = _across(contours_lps_mm, grid)
    mean = np.array([(contour @ normal).mean() for contour in contours_lps_mm])
    order = np.argsort(mean, kind="stable")
    new_plane = np.diff(mean[order], prepend=-np.inf) > PLANAR_TOLERANCE_MM
    index = np.empty(len(mean), dtype=int)
    index[order] = np.cumsum(new_plane) - 1
    position_mm = np.bincount(index, mean) / np.bincount(index)
    steps = np.diff(position_mm)
    # Steps over planes that were left out do not count.
    thickness_mm = np.median(steps[steps < 1.5 * steps.min()]) if len(steps) else _step_across(grid, normal)
    return Planes(normal, axis, position_mm, tuple(int(n) for n in index), float(thickness_mm))


def _across(contours: Sequence[npt.NDArray[np.float64]], grid: Grid) -> tuple[int | None, npt.NDArray[np.float64]]:
    """Axis of the image the planes are square to, if any, and their normal in its direction."""
    columns = grid.affine_lps_mm[:3, :3]
    for axis in (2, 0, 1):  # a slice of the image is tried first
        normal = np.cross(columns[:, (axis + 1) % 3], columns[:, (axis + 2) % 3])
        normal *= np.sign(normal @ columns[:, axis]) / np.linalg.norm(normal)
        if max(float(np.ptp(contour @ normal)) for contour in contours) <= PLANAR_TOLERANCE_MM:
            return axis, normal
    areas = np.array([_area_vector(contour) for contour in contours])
    size = np.linalg.norm(areas, axis=1)
    if not size.any():
        raise OutsideValidity("the contours enclose no area", required="at least one closed polygon")
    areas[areas @ areas[size.argmax()] < 0] *= -1
    normal = areas.sum(axis=0) / np.linalg.norm(areas.sum(axis=0))
    _require_flat(contours, areas, normal)
    along = normal @ (columns / grid.spacing_mm)
    return None, normal * np.sign(along[np.abs(along).argmax()])


def _require_flat(
    contours: Sequence[npt.NDArray[np.float64]],
    areas: npt.NDArray[np.float64],
    normal: npt.NDArray[np.float64],
) -> None:
    spread_mm = [float(np.ptp(contour @ normal)) for contour in contours]
    worst = int(np.argmax(spread_mm))
    if spread_mm[worst] <= PLANAR_TOLERANCE_MM:
        return
    size = np.linalg.norm(areas[worst])
    own = areas[worst] / size if size else normal
    out_of_plane_mm = float(np.ptp(contours[worst] @ own))
    if out_of_plane_mm > PLANAR_TOLERANCE_MM:
        raise OutsideValidity(
            f"a contour leaves its plane by {out_of_plane_mm:.3g} mm",
            required=f"planar contours, within {PLANAR_TOLERANCE_MM:g} mm",
            do="export the region again, or as a DICOM segmentation",
        )
    angle_deg = np.rad2deg(np.arccos(np.clip(abs(own @ normal), 0, 1)))
    raise OutsideValidity(
        f"a contour lies in a plane at {angle_deg:.3g} degrees to the others",
        required="contours in parallel planes",
        do="draw the region in one orientation, or export it as a DICOM segmentation",
    )


def _area_vector(contour: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Find the normal of a polygon, as long as its area (Newell). [mm2] (3,)"""
    points = contour - contour.mean(axis=0)
    return np.asarray(np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0) / 2)


def _step_across(grid: Grid, normal: npt.NDArray[np.float64]) -> float:
    """Step of the image along the axis nearest to the normal. [mm]"""
    return float(np.abs(normal @ grid.affine_lps_mm[:3, :3]).max())
