"""How points of one image map to another, and how much that can be trusted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from lutra.core.errors import GridMismatch
from lutra.core.frozen import FrozenMap, float32, float64, frozen_map
from lutra.core.grid import Grid


@frozen(eq=False)
class DisplacementField:
    """Where the points of a grid have to go before the rigid part of a transform takes over.

    Parameters
    ----------
    grid
        Grid in the fixed frame of reference. Beyond it the displacement is that of its nearest voxel.
    lps_mm
        Displacement. [mm] (i, j, k, 3)
    """

    grid: Grid
    lps_mm: npt.NDArray[np.float32] = field(converter=float32)

    def __attrs_post_init__(self) -> None:
        if self.lps_mm.shape != (*self.grid.shape, 3):
            raise GridMismatch(f"displacements of shape {self.lps_mm.shape} do not fit a grid of {self.grid.shape}")

    def at(self, lps_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Displacement of points, linear between voxel centres. [mm] (..., 3)"""
        ijk = np.clip(self.grid.to_ijk(lps_mm), 0, np.subtract(self.grid.shape, 1))
        low = np.minimum(ijk.astype(np.intp), np.maximum(np.subtract(self.grid.shape, 2), 0))
        share = ijk - low
        step = (np.asarray(self.grid.shape) > 1).astype(np.intp)
        moved = np.zeros(ijk.shape)
        for corner in np.ndindex(2, 2, 2):
            weight = np.where(corner, share, 1 - share).prod(axis=-1)
            i, j, k = np.moveaxis(low + np.multiply(corner, step), -1, 0)
            moved += weight[..., None] * self.lps_mm[i, j, k]
        return moved


@frozen(eq=False)
class Transform:
    """Map between two frames of reference, named after what it does to a point.

    Parameters
    ----------
    fixed_from_moving
        Rigid or affine part, moving to fixed patient coordinates, LPS. [mm] (4, 4)
    error_mm
        Expected error of a point in the region that matters, one standard deviation of its length; None if not
        evaluated. [mm]
    method
        How it was found, in words a report can show.
    displacement
        The part that is not affine: a fixed point p belongs to the moving point inverse(fixed_from_moving) (p + u(p)).
        None for an affine map.
    quality
        What was checked, by name: see :data:`QUALITY`. A check that was not made is not there.
    """

    fixed_frame: str
    moving_frame: str
    fixed_from_moving: npt.NDArray[np.float64] = field(converter=float64)
    error_mm: float | None
    method: str
    displacement: DisplacementField | None = None
    quality: FrozenMap[str, float] = field(factory=FrozenMap, converter=frozen_map)

    def moving_points(self, fixed_lps_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Where points of the fixed image lie in the moving one. [mm] (..., 3)"""
        points: npt.NDArray[np.float64] = np.asarray(fixed_lps_mm, np.float64)
        if self.displacement is not None:
            points = points + self.displacement.at(points)
        return _mapped(_inverse(self.fixed_from_moving), points)

    def fixed_points(self, moving_lps_mm: npt.ArrayLike, *, iterations: int = 30) -> npt.NDArray[np.float64]:
        """Where points of the moving image lie in the fixed one. [mm] (..., 3)

        A displacement field is inverted by fixed-point iteration, which holds where it does not fold.
        """
        straight = _mapped(self.fixed_from_moving, np.asarray(moving_lps_mm, np.float64))
        points = straight
        for _ in range(iterations if self.displacement is not None else 0):
            assert self.displacement is not None  # noqa: S101
            points = straight - self.displacement.at(points)
        return points

    def after(self, earlier: Transform) -> Transform:
        """Chain two maps: `self` takes this fixed frame from a middle one, `earlier` the middle one from its moving frame.

        Errors add in quadrature; one that was not evaluated leaves the chain's not evaluated. Quality stays with the links.

        Raises
        ------
        GridMismatch
            If the frames of the two do not meet.
        """
        if self.moving_frame != earlier.fixed_frame:
            raise GridMismatch(f"a map from frame {self.moving_frame} cannot follow one to frame {earlier.fixed_frame}")
        errors = self.error_mm, earlier.error_mm
        return Transform(
            self.fixed_frame,
            earlier.moving_frame,
            self.fixed_from_moving @ earlier.fixed_from_moving,
            None if None in errors else float(np.hypot(*errors)),  # type: ignore[arg-type]
            f"{self.method}; {earlier.method}",
            self._chained_displacement(earlier),
        )

    def _chained_displacement(self, earlier: Transform) -> DisplacementField | None:
        if earlier.displacement is None:
            return self.displacement
        if self.displacement is None:  # the same field, carried to the fixed frame
            own = earlier.displacement
            affine = self.fixed_from_moving @ own.grid.affine_lps_mm
            grid = evolve(own.grid, affine_lps_mm=affine, frame_of_reference=self.fixed_frame)
            return DisplacementField(grid, own.lps_mm @ self.fixed_from_moving[:3, :3].T)
        grid = self.displacement.grid
        points = grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
        middle = self.moving_points(points)
        return DisplacementField(
            grid, _mapped(self.fixed_from_moving, middle + earlier.displacement.at(middle)) - points
        )

    def inverse(self) -> Transform:
        """Give the map the other way round.

        Raises
        ------
        GridMismatch
            If it has a displacement field: register the other way round, or map points with :meth:`fixed_points`.
        """
        if self.displacement is not None:
            raise GridMismatch(
                f"the map from {self.moving_frame} to {self.fixed_frame} is not affine",
                do="map points with fixed_points, or register the other way round",
            )
        matrix = _inverse(self.fixed_from_moving)
        return Transform(
            self.moving_frame, self.fixed_frame, matrix, self.error_mm, f"inverse of: {self.method}", None, self.quality
        )


QUALITY = {
    "multi_start_agreement_mm": "Largest distance between the points the best starts send the region to. [mm]",
    "starts_agreeing": "Share of the starts that ended at the answer. [1]",
    "overlap": "Share of the smaller image that lies in the other. [1]",
    "body_dice": "Overlap of the two bodies (Dice) where both are in the field. [1]",
    "bone_dice": "Overlap of the two skeletons (Dice) where both are in the field. [1]",
    "mutual_information": "Normalised mutual information at the answer. [1]",
    "correlation": "Correlation of the values of the two images at the answer. [1]",
    "jacobian_low": "First percentile of the local volume ratio of the displacement. [1]",
    "jacobian_high": "99th percentile of the local volume ratio. [1]",
    "folded": "Share of the region whose local volume ratio is not positive. [1]",
    "inverse_consistency_mm": "Distance by which a point that goes there and back misses itself, 95th percentile. [mm]",
    "landmark_error_mm": "Root mean square distance of paired landmarks after the fit. [mm]",
}
"""Checks of a registration: what each number is."""


def _inverse(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.linalg.inv(matrix), np.float64)


def _mapped(matrix: npt.NDArray[np.float64], points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    mapped: npt.NDArray[np.float64] = points @ matrix[:3, :3].T + matrix[:3, 3]
    return mapped
