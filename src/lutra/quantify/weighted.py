"""Statistics over voxels that count by the share of them that is inside."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

INSIDE = 0.5
"""Where a voxel counts as a whole (maxima, masks), it does so if at least this share of it is inside."""


def counted(fraction: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Voxels that count as a whole: at least half inside; of a region thinner than that, its fullest voxels."""
    mask: npt.NDArray[np.bool_] = (fraction >= min(INSIDE, float(fraction.max()))) & (fraction > 0)
    return mask


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """Quantile of voxels that count by their fraction inside the region."""
    # A voxel outside has no weight, but would still be a point to interpolate from below the first and above the last.
    values, weights = values[weights > 0], weights[weights > 0]
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    middle = (cumulated - weights[order] / 2) / cumulated[-1]
    return float(np.interp(share, middle, values[order]))


def weighted_sd(values: Floats, weights: Floats) -> float:
    """Spread of the voxels about their mean. [unit of values]"""
    mean = np.average(values, weights=weights)
    return float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def independent_samples(weights: Floats, spacing_mm: tuple[float, float, float], fwhm_mm: float = 0.0) -> float:
    r"""How many independent voxels the mean over a region is worth.

    Noise that a resolution of `fwhm_mm` has smoothed correlates over the distance d as :math:`\rho = \exp(-d^2/4\sigma^2)`. The
    variance of the mean of n such voxels is their variance over

    .. math:: n = \frac{(\sum_i w_i)^2}{\sum_{ij} w_i w_j \rho_{ij}}

    which tends to the volume in cells of :math:`(4\pi\sigma^2)^{3/2} = 3.41\,\mathrm{FWHM}^3` for a large region, to the number of
    voxels without correlation, and is never below 1.

    Parameters
    ----------
    weights
        Share of each voxel inside. [1] (i, j, k)
    fwhm_mm
        Resolution; 0 for voxels that are independent. [mm]
    """
    correlated = weights
    if fwhm_mm > 0:
        variance_mm2 = fwhm_mm**2 / (8 * log(2))
        for axis, step_mm in enumerate(spacing_mm):
            distance_mm = np.subtract.outer(*2 * (np.arange(weights.shape[axis]) * step_mm,))
            correlation = np.exp(-(distance_mm**2) / (4 * variance_mm2))
            correlated = np.moveaxis(np.tensordot(correlation, correlated, (1, axis)), 0, axis)
    return float(weights.sum() ** 2 / (weights * correlated).sum())
