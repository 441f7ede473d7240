"""Standardised features of a region in an image, with the identifiers of the IBSI."""

from __future__ import annotations

import numpy as np

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Features
from lutra.core.region import Region
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify.first_order import intensity_histogram, intensity_statistics
from lutra.quantify.morphology import morphology
from lutra.quantify.peak import local_peaks
from lutra.quantify.weighted import counted

HISTOGRAM_BINS = {Unit.SUV_BW: (0.25, 0.0), Unit.HU: (25.0, -1000.0)}
"""Width of a bin and lower edge of the first, by unit. [unit] The edges are those of the scale, as the IBSI reference manual asks
where the mask is not cut to a range; 25 HU is its CT configuration A. It names no width for SUV: 0.25 is a choice, and in use."""


def measure_features(
    volume: Volume, region: Region, region_id: str, series_uid: str, intensity_range: tuple[float, float] | None = None
) -> Outcome[Features]:
    """Measure the first-order, local intensity and morphological features of a region.

    The mask is made of the voxels that are at least half inside the region; nothing is interpolated.

    Parameters
    ----------
    intensity_range
        Voxels outside this range keep their place in the shape and lose it in the intensities (range re-segmentation). [unit]

    Returns
    -------
    Outcome
        A feature that would divide by zero is left out; the histogram family stands for SUV and HU only.

    Raises
    ------
    GridMismatch
        If image and region are on different grids.
    """
    region.grid.require_match(volume.grid, f"region {region.name} and image {series_uid}")
    mask = counted(region.fraction)
    voxels = volume.values[region.box].astype(np.float64)
    known = mask & np.isfinite(voxels)
    if intensity_range is not None:
        known &= (voxels >= intensity_range[0]) & (voxels <= intensity_range[1])
    if not known.any():
        text = f"region {region.name} holds no voxel with a value in series {series_uid}: no features"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.empty-region", text),))
    inside = voxels[known]
    found = morphology(mask, region.start_ijk, region.grid, voxels, known)
    found["loc.peak_loc"], found["loc.peak_glob"] = local_peaks(volume, region, known)
    found |= intensity_statistics(inside)
    bin_width = None
    if volume.unit in HISTOGRAM_BINS:
        bin_width, lowest = HISTOGRAM_BINS[volume.unit]
        found |= intensity_histogram(inside, bin_width, lowest if intensity_range is None else intensity_range[0])
    return Outcome(Features(series_uid, region_id, volume.unit, FrozenMap(found), region.delineation, bin_width))
