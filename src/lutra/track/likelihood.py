"""How probable it is that a region is a lesion seen before, at its place and of its size.

The rates are engineering choices, not fits: `bench/track/matching.py` shows that halving or doubling them changes little.
"""

from __future__ import annotations

from math import lgamma, log, pi

import numpy as np

from lutra.track.spots import Array, Spots

GONE, NEW, BACK = 0.12, 0.12, 0.10
"""Share of lesions that vanish from one image to the next; new ones, of those there are; share of the lost that return. [1]"""
SPLIT, MERGED, MERGED_GAP_MM = 0.02, 0.05, 3.0
"""Share that falls apart; share of touching pairs that grow together [1], falling off with the gap between them [mm]."""
EDGE_MM, OWN_SHIFT = 1.0, 0.12
"""Own error of a centre of gravity along each axis: of any contour [mm], and of the radius, as lesions do not grow evenly [1]."""
OUTLIER, OUTLIER_FACTOR = 0.03, 3.0
"""Share of positions that are off by a multiple of what their error says: errors of a registration have long tails. [1]"""
SIZE_TAIL = 4.0
"""Degrees of freedom of the change in size: some lesions shrink or grow far more than the others."""
NEW_VOLUME, NEW_LOG_SD = 0.4, 1.2
"""Typical volume of a new lesion, of the median of all, and the least spread of its logarithm. [1]"""
CROWD_MM, EMPTY_MM = 25.0, 400.0
"""New lesions come where others are, to this distance; a few come anywhere in a cube of this length."""


def own_variance_mm2(spots: Spots) -> Array:
    """Variance of each centre of gravity along each axis, registration aside. [mm2] (n,)"""
    return np.asarray(EDGE_MM**2 + (OWN_SHIFT * spots.radius_mm) ** 2)


def log_normal_3d(squared_mm2: Array, variance_mm2: Array) -> Array:
    """Logarithm of the density of a normal error of equal variance along each axis. [log 1/mm3]"""
    return np.asarray(-1.5 * np.log(2 * pi * variance_mm2) - squared_mm2 / (2 * variance_mm2))


def log_position(squared_mm2: Array, variance_mm2: Array) -> tuple[Array, Array]:
    """Logarithm of the density of a position error with long tails, and the share of it that is no outlier.

    Parameters
    ----------
    squared_mm2
        Squared distance from where it is expected. [mm2]
    variance_mm2
        Along each axis. [mm2]
    """
    usual = log(1 - OUTLIER) + log_normal_3d(squared_mm2, variance_mm2)
    both = np.logaddexp(usual, log(OUTLIER) + log_normal_3d(squared_mm2, variance_mm2 * OUTLIER_FACTOR**2))
    return both, np.exp(usual - both)


def log_size(log_ratio: Array, log_sd: Array) -> Array:
    """Logarithm of the density of a change in size: Student's t of the logarithm of the volume ratio."""
    constant = lgamma((SIZE_TAIL + 1) / 2) - lgamma(SIZE_TAIL / 2) - 0.5 * log(SIZE_TAIL * pi)
    return np.asarray(constant - np.log(log_sd) - (SIZE_TAIL + 1) / 2 * np.log1p((log_ratio / log_sd) ** 2 / SIZE_TAIL))


def log_stay(lesions: Spots) -> Array:
    """Log odds of being seen again. (n,)"""
    return np.where(lesions.lost, log(BACK / (1 - BACK)), log((1 - GONE) / GONE))


def log_new(lesions: Spots, regions: Spots) -> Array:
    """Logarithm of the density of new lesions at each region, of its size. [log 1/mm3] (regions,)"""
    squared = ((lesions.position_mm[:, None] - regions.position_mm[None]) ** 2).sum(axis=-1)
    crowd = np.exp(log_normal_3d(squared, np.full(1, CROWD_MM**2))).sum(axis=0)
    sizes = np.log(np.concatenate([lesions.volume_ml, regions.volume_ml]))
    mean, sd = np.median(sizes) + log(NEW_VOLUME), max(float(sizes.std()), NEW_LOG_SD)
    size = -(((np.log(regions.volume_ml) - mean) / sd) ** 2) / 2 - log(sd * (2 * pi) ** 0.5)
    return np.asarray(np.log(NEW * (crowd + EMPTY_MM**-3)) + size)
