"""The surface of a mask as triangles, and what follows from it: area, volume, extent."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from skimage.measure import marching_cubes

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64
from lutra.core.grid import MM3_PER_ML

LEVEL = 0.5
"""Half-way between the centres of a voxel inside and one outside, as the IBSI reference manual builds its mesh."""


@frozen(eq=False, slots=False)
class Surface:
    """A closed surface of triangles, one or several parts, cavities turned inwards.

    Parameters
    ----------
    vertices_mm
        Corners. [mm] (n, 3)
    triangles
        Indices of three corners each. (m, 3)
    """

    vertices_mm: npt.NDArray[np.float64] = field(converter=float64)
    triangles: npt.NDArray[np.int64]

    @property
    def area_mm2(self) -> float:
        """Total area. [mm2]"""
        a, b, c = self._corners
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2

    @property
    def volume_ml(self) -> float:
        """Volume enclosed: signed tetrahedra from the centre to every triangle. [mL]"""
        a, b, c = self._corners
        return abs(float(np.einsum("ij,ij->", a, np.cross(b, c)))) / 6 / MM3_PER_ML

    @cached_property
    def hull(self) -> ConvexHull:
        """Convex hull of the vertices; `volume` in mm3, `area` in mm2."""
        return ConvexHull(self.vertices_mm)

    @property
    def diameter_mm(self) -> float:
        """Largest distance of two vertices, which are then corners of the hull. [mm]"""
        return float(pdist(self.vertices_mm[self.hull.vertices]).max())

    @property
    def _corners(self) -> tuple[npt.NDArray[np.float64], ...]:
        # Far from the origin the tetrahedra would be large and their sum a small difference.
        points = self.vertices_mm - self.vertices_mm.mean(axis=0)
        a, b, c = (points[self.triangles[:, n]] for n in range(3))
        return a, b, c


def surface_of(mask: npt.NDArray[np.bool_], affine_mm: npt.NDArray[np.float64]) -> Surface:
    """Wrap a mask by marching cubes, half-way between the voxel centres inside and outside.

    The surface cuts corners and fills dents: a single voxel encloses one sixth of its volume, and a missing one takes away no more.

    Parameters
    ----------
    mask
        Voxels inside; everything beyond the array is outside. (i, j, k)
    affine_mm
        Index to coordinates. [mm] (4, 4)

    Raises
    ------
    OutsideValidity
        If no voxel is inside.
    """
    if not mask.any():
        raise OutsideValidity("the mask is empty", required="at least one voxel inside")
    corners, triangles, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), LEVEL)  # type: ignore[no-untyped-call]
    vertices = (corners.astype(np.float64) - 1) @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    return Surface(vertices, triangles.astype(np.int64))
