"""Morphological features of the IBSI (HCUG): how large a mask is, and of what shape."""

from __future__ import annotations

from math import pi

import numpy as np
import numpy.typing as npt

from lutra.core.grid import MM3_PER_ML, Grid, Shape
from lutra.imaging.surface import Surface, surface_of
from lutra.quantify.weighted import Floats


def morphology(
    mask: npt.NDArray[np.bool_],
    start_ijk: Shape,
    grid: Grid,
    values: Floats,
    intensity_mask: npt.NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Morphological features by tag.

    Parameters
    ----------
    mask
        Voxels of a box that belong to the shape. (i, j, k)
    start_ijk
        Index of the first voxel of the box.
    values
        Intensities of the box. [unit] (i, j, k)
    intensity_mask
        Voxels whose intensities count, where those are fewer, as after cutting to a range of HU. (i, j, k)
    """
    surface = surface_of(mask, _box_affine(grid, start_ijk))
    found = _shape(surface)
    found["morph.vol_approx"] = float(mask.sum()) * grid.voxel_volume_ml
    intensity = mask if intensity_mask is None else intensity_mask
    places = _places(mask, start_ijk, grid)
    inside = values[intensity]
    found["morph.integ_int"] = float(inside.mean()) * found["morph.volume"]
    if inside.sum() > 0:
        centre = np.average(_places(intensity, start_ijk, grid), axis=0, weights=inside)
        found["morph.com"] = float(np.linalg.norm(centre - places.mean(axis=0)))
    return found | _axes(places)


def _shape(surface: Surface) -> dict[str, float]:
    area, volume = surface.area_mm2, surface.volume_ml * MM3_PER_ML
    roundness = 36 * pi * volume**2 / area**3  # 1 for a sphere
    size = np.ptp(surface.vertices_mm, axis=0)
    return {
        "morph.volume": volume / MM3_PER_ML,
        "morph.area_mesh": area,
        "morph.av": area / volume,
        "morph.comp_1": volume / (pi**0.5 * area**1.5),
        "morph.comp_2": roundness,
        "morph.sph_dispr": roundness ** (-1 / 3),
        "morph.sphericity": roundness ** (1 / 3),
        "morph.asphericity": roundness ** (-1 / 3) - 1,
        "morph.diam": surface.diameter_mm,
        "morph.vol_dens_aabb": volume / float(size.prod()),
        "morph.area_dens_aabb": area / float(2 * (size * np.roll(size, 1)).sum()),
        "morph.vol_dens_conv_hull": volume / float(surface.hull.volume),
        "morph.area_dens_conv_hull": area / float(surface.hull.area),
    }


def _axes(places: Floats) -> dict[str, float]:
    """Axes of the ellipsoid with the same second moments as the voxel centres; a row or plane of voxels has axes of 0.

    The reference values of the standard are those of the covariance of a sample, over n - 1.
    """
    off_centre = places - places.mean(axis=0)
    moments = np.clip(np.linalg.eigvalsh(off_centre.T @ off_centre / max(len(places) - 1, 1)), 0, None)
    least, minor, major = (float(4 * m**0.5) for m in moments)
    found = {"morph.pca_maj_axis": major, "morph.pca_min_axis": minor, "morph.pca_least_axis": least}
    if major > 0:
        found |= {"morph.pca_elongation": minor / major, "morph.pca_flatness": least / major}
    return found


def _places(mask: npt.NDArray[np.bool_], start_ijk: Shape, grid: Grid) -> Floats:
    return grid.to_lps_mm(np.argwhere(mask) + np.array(start_ijk))


def _box_affine(grid: Grid, start_ijk: Shape) -> Floats:
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] = grid.to_lps_mm(start_ijk)
    return affine
