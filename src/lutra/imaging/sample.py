"""Values of an image between its voxels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lutra.core.volume import Volume


def sampled(image: Volume, points_lps_mm: npt.NDArray[np.float64], blur_mm: float = 0.0) -> npt.NDArray[np.float32]:
    """Values at points of the image's frame, linear between voxel centres and those of the nearest voxel beyond. [unit] (...)

    Parameters
    ----------
    blur_mm
        Standard deviation of a Gaussian blur before, against aliasing where the points lie wider apart than the voxels. [mm]
    """
    values = (
        ndimage.gaussian_filter(image.values, np.divide(blur_mm, image.grid.spacing_mm)) if blur_mm else image.values
    )
    ijk = np.moveaxis(image.grid.to_ijk(points_lps_mm), -1, 0)
    return np.asarray(ndimage.map_coordinates(values, ijk, order=1, mode="nearest"))
