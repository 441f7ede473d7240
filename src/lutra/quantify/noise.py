r"""How uncertain the mean over a region is by noise whose neighbours are alike, and by what its border mixes in.

Noise of a CT, and the texture of tissue, is correlated over some millimetres, so that the mean of n voxels is worth fewer than n
independent ones. How far it reaches is read off the region itself. With the weights w and the deviations r from the mean,

.. math:: c(d) = \frac{\sum w_i w_j r_i r_j}{\sum w_i w_j} \quad\text{over pairs at distance d along an axis}

is explained, by least squares, as a part without correlation and a smooth one,
:math:`c(d) = b\,\delta_{d0} + a\,e^{-d^2/4\sigma^2} - u^2`. The last term is there because deviations from the region's own mean
are smaller than those from the true one, by the variance of that mean, :math:`u^2 = a/n_\sigma + b/n_0`, with the numbers of
independent samples of :func:`lutra.quantify.weighted.independent_samples`. This u is what is wanted.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy.ndimage import binary_erosion
from scipy.optimize import nnls

from lutra.core.frozen import FloatArray
from lutra.physics.recovery import sphere_diameter_mm
from lutra.quantify.weighted import Floats, independent_samples, weighted_sd

FWHM_MM = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0)
"""Widths of the smooth part that are tried. [mm]"""
REACH_MM = 20.0
"""Pairs further apart are not looked at. [mm]"""
WHOLLY = 0.999
"""Share from which a voxel is inside as a whole. [1]"""
MOST_VOXELS = 40
"""Along each axis, from the middle of a larger region: enough to see how far noise reaches."""


def sd_of_mean(values: Floats, weights: Floats, spacing_mm: tuple[float, float, float]) -> float | None:
    """Find the standard uncertainty of the weighted mean by correlated noise. [unit of values]

    Valid where the deviations are noise or texture whose grains are at most a third of the region wide: 95 % intervals of spheres
    then hold the true mean in 88 to 99 % of draws. A region of one or two grains does not show that it is one. A gradient across
    the region counts as noise.

    Parameters
    ----------
    values, weights
        Of the voxels around a region, and their share inside. (i, j, k)

    Returns
    -------
    float or None
        None if no two voxels lie beside each other.
    """
    first = (max(0, (n - MOST_VOXELS) // 2) for n in weights.shape)
    middle = tuple(slice(n, n + MOST_VOXELS) for n in first)
    part, seen = weights[middle], values[middle]
    if not part.sum() > 0:  # a ring around its middle
        part, seen = weights, values
    distance_mm, pairs, product = _along_axes((seen - np.average(seen, weights=part)) * part, part, spacing_mm)
    if len(pairs) < 2:
        return None
    zero, root = distance_mm == 0, np.sqrt(pairs)
    of_white = 1 / independent_samples(part, spacing_mm)
    widest_mm = sphere_diameter_mm(float(weights.sum() * np.prod(spacing_mm)) / 1000) / 2
    best = (np.inf, 0.0, 0.0, FWHM_MM[0])
    for fwhm_mm in (f for f in FWHM_MM if f <= max(widest_mm, FWHM_MM[0])):
        alike = np.exp(-2 * np.log(2) * (distance_mm / fwhm_mm) ** 2)
        of_smooth = 1 / independent_samples(part, spacing_mm, fwhm_mm)
        columns = np.column_stack((alike - of_smooth, zero - of_white)) * root[:, None]
        (smooth, white), left = nnls(columns, product / pairs * root)
        best = min(best, (float(left), float(smooth), float(white), fwhm_mm))
    _, smooth, white, fwhm_mm = best
    variance = smooth / independent_samples(weights, spacing_mm, fwhm_mm)
    return sqrt(variance + white / independent_samples(weights, spacing_mm))


def border_effect(values: Floats, weights: Floats) -> float:
    """How far the voxels at the border move the mean: that of the whole region less that of its inner voxels. [unit of values]

    A scanner's blur, and voxels that reach beyond the border, mix in what lies around. How much of the difference that is and how
    much is the tissue's own, the image does not say. Of a region in which no voxel has all six neighbours inside, the spread of
    its voxels stands for it: no smaller a number could be defended.
    """
    inner = binary_erosion(np.pad(weights >= WHOLLY, 1))[1:-1, 1:-1, 1:-1]
    if not inner.any():
        return weighted_sd(values, weights)
    return float(np.average(values, weights=weights) - values[inner].mean())


def _along_axes(
    weighted: Floats, weights: Floats, spacing_mm: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distances of pairs along the axes [mm], their summed weights, and the summed products of their deviations."""
    found = [(0.0, float((weights**2).sum()), float((weighted**2).sum()))]
    for axis, step_mm in enumerate(spacing_mm):
        w, r = np.moveaxis(weights, axis, 0), np.moveaxis(weighted, axis, 0)
        for lag in range(1, min(len(w) - 1, int(REACH_MM / step_mm)) + 1):
            pairs = float((w[lag:] * w[:-lag]).sum())
            if pairs > 0:
                found.append((lag * step_mm, pairs, float((r[lag:] * r[:-lag]).sum())))
    distance_mm, pairs_of, product = np.array(found).T
    return distance_mm, pairs_of, product
