r"""Recovery of a region of any shape, with what its surroundings spill into it.

Take the region with concentration C in surroundings of concentration B, seen through a Gaussian blur. Let b be the blurred region
itself. The mean of the image in the region, and its mean outside weighted with b, which is the weight by which each place outside
spills into the region, are

.. math:: m_i = R\,C + (1-R)\,B, \qquad m_o = r\,C + (1-r)\,B

with R the mean of b in the region and r its mean outside under the same weight, so that

.. math:: C = \frac{(1-r)\,m_i - (1-R)\,m_o}{R - r}

This is the geometric transfer matrix of two compartments [rousset1998], exact where both are uniform. A sphere of equal volume
has less surface than a kidney, and no surroundings: kidneys then read some percent low (bench/kidneys.py).

Of a region smaller than the resolution, what is just outside is mostly its own: R - r is small and any error of the resolution
counts many times. There B is the median further out, where less than 2 % of the region's own is seen, and C = (m_i - (1-R) B) / R.
The median does not mind a hot neighbour on one side.

References
----------
[rousset1998] Rousset, Ma, Evans, J Nucl Med 39:904 (1998).
"""

from __future__ import annotations

import numpy as np

from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.imaging.blur import blurred, reach_voxels

LEAST_CONTRAST = 0.2
"""Of R - r; below, the surroundings are looked at further out. [1]"""
LEAST_RECOVERY = 0.1
"""Of what a region holds, the share that has to be seen in it for a correction; our own choice. [1]"""
FAR = 0.02
"""Share of the largest value of the blurred region below which a voxel shows surroundings alone. [1]"""


def shape_recovery(volume: Volume, region: Region, fwhm_mm: float) -> float | None:
    """Ratio of the mean in a region to its true concentration, of blur and surroundings together. [1]

    More than 1 where hot surroundings spill in more than is lost.

    Returns
    -------
    float or None
        None if voxels in or around it have no value, if less than a tenth of what it holds is seen in it, or if the concentration
        would not be positive: nothing of what is seen is its own.
    """
    grown = reach_voxels(fwhm_mm, volume.grid.spacing_mm)
    start = [max(0, side.start - n) for side, n in zip(region.box, grown, strict=True)]
    stop = [min(size, side.stop + n) for side, n, size in zip(region.box, grown, volume.grid.shape, strict=True)]
    own = tuple(slice(side.start - a, side.stop - a) for side, a in zip(region.box, start, strict=True))
    image = volume.values[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].astype(np.float64)
    share = np.zeros(image.shape, np.float32)
    share[own] = region.fraction
    seen = blurred(share, fwhm_mm, volume.grid.spacing_mm)
    outside = seen * (1 - share)
    if not np.isfinite(image).all() or not outside.sum() > 0:
        return None
    inner, outer = (float(np.average(image, weights=weights)) for weights in (share, outside))
    kept, lent = (float(np.average(seen, weights=weights)) for weights in (share, outside))
    if kept < LEAST_RECOVERY:
        return None
    far = seen < FAR * seen.max()
    if kept - lent < LEAST_CONTRAST and far.any():
        concentration = (inner - (1 - kept) * float(np.median(image[far]))) / kept
    elif kept > lent:
        concentration = ((1 - lent) * inner - (1 - kept) * outer) / (kept - lent)
    else:
        return None
    return inner / concentration if concentration > 0 and inner > 0 else None
