"""Square sections of the body in the radiological convention, and what lies where in them.

Axial sections are seen from the feet and coronal ones from the front, so that the patient's right is on the left. Sagittal ones
are seen from the patient's left, the front on the left. The head, or in axial sections the front, is on top.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy.ndimage import map_coordinates

from lutra.core.frozen import float64
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.imaging.isolines import outlines

View = Literal["axial", "coronal", "sagittal"]
Lines = tuple[npt.NDArray[np.float64], ...]

RIGHTWARDS_AND_DOWNWARDS: dict[View, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}
"""Directions of the picture's axes in the body, LPS."""


@frozen(eq=False)
class Section:
    """A square cut through the body.

    Parameters
    ----------
    centre_lps_mm
        Its middle. [mm] (3,)
    field_mm
        Its edge. [mm]
    view
        Which way it lies.
    pixels
        Pixels along each edge.
    """

    centre_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    field_mm: float
    view: View = "axial"
    pixels: int = 220

    @property
    def points_lps_mm(self) -> npt.NDArray[np.float64]:
        """Centres of the pixels. [mm] (row, column, 3)"""
        right, down = (np.array(way, float) for way in RIGHTWARDS_AND_DOWNWARDS[self.view])
        offset = ((np.arange(self.pixels) + 0.5) / self.pixels - 0.5) * self.field_mm
        points: npt.NDArray[np.float64] = self.centre_lps_mm + offset[:, None, None] * down + offset[:, None] * right
        return points

    def shares(self, points_lps_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Where points lie in the picture, projected onto it: shares of its edge, rightwards and downwards. [1] (..., 2)"""
        axes = np.array(RIGHTWARDS_AND_DOWNWARDS[self.view], float)
        shares: npt.NDArray[np.float64] = (
            np.asarray(points_lps_mm, np.float64) - self.centre_lps_mm
        ) @ axes.T / self.field_mm + 0.5
        return shares

    def sampled(
        self, volume: Volume, transform: Transform | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Values of an image at the pixels, and which pixels lie on it. (row, column) each

        Parameters
        ----------
        transform
            Takes the section's frame, the fixed one, to that of the image; None if it is the same. The image is sampled once.
        """
        points = self.points_lps_mm
        ijk = volume.grid.to_ijk(points if transform is None else transform.moving_points(points))
        values = map_coordinates(volume.values, np.moveaxis(ijk, -1, 0), order=1, mode="nearest")
        return values, _on_grid(ijk, volume.grid)

    def outlines(self, region: Region) -> Lines:
        """Outlines of a region, as shares of the picture's edge, rightwards and downwards. Each (n, 2)

        Empty if the region does not reach this plane.
        """
        ijk = region.grid.to_ijk(self.points_lps_mm) - region.start_ijk
        # The region is zero beyond its box: interpolate down to that, do not repeat the border.
        fraction = map_coordinates(region.fraction, np.moveaxis(ijk, -1, 0), order=1, mode="grid-constant", cval=0.0)
        return tuple((line[:, ::-1] + 0.5) / self.pixels for line in outlines(fraction))


def _on_grid(ijk: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.bool_]:
    on_grid: npt.NDArray[np.bool_] = np.all((ijk >= -0.5) & (ijk <= np.subtract(grid.shape, 0.5)), axis=-1)
    return on_grid
