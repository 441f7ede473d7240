"""By how much a registration is off, lesion by lesion, learned from the lesions around.

The error of a registration is smooth: neighbours are off by nearly the same vector. It is drawn from a Gaussian process whose
standard deviation is the error the registration states for itself; matches, each as certain as it is, are its data. Matching and
shift are found in turns, as in coherent point drift [myronenko2010].

References
----------
[myronenko2010] Myronenko, Song, IEEE Trans Pattern Anal Mach Intell 32:2262.
[rasmussen2006] Rasmussen, Williams, Gaussian Processes for Machine Learning, MIT Press.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen

from lutra.track.spots import Array

LENGTH_MM = 60.0
"""Distance over which the shift is much the same. [mm] Engineering choice: breathing moves a whole liver, a couch the body."""
SMALLEST_MM2 = 1e-3
UNKNOWN_MM2 = 1e9


@frozen(eq=False)
class Shift:
    """Shift of some points.

    Parameters
    ----------
    mean_mm
        Expected shift, from the list to the image. [mm] (n, 3)
    variance_mm2
        Of it along each axis. [mm2] (n,)
    """

    mean_mm: Array
    variance_mm2: Array


def unknown_shift(error_mm: Array) -> Shift:
    """Shift before anything is matched."""
    return Shift(np.zeros((len(error_mm), 3)), error_mm**2)


def shift_without_own(points_mm: Array, error_mm: Array, observed_mm: Array, noise_mm2: Array) -> Shift:
    """Shift of every point as the other points tell it, so that no match confirms itself.

    Parameters
    ----------
    points_mm
        Where the lesions are. [mm] (n, 3)
    error_mm
        Standard deviation of the shift along each axis. [mm] (n,)
    observed_mm
        Observed shift. [mm] (n, 3)
    noise_mm2
        Variance of each observation about the true shift; very large where there is none. [mm2] (n,)
    """
    # Leave-one-out predictions from the one inverse [rasmussen2006, 5.12].
    inverse = np.linalg.inv(_covariance(points_mm, points_mm, error_mm, error_mm) + np.diag(noise_mm2))
    own = np.diag(inverse)
    mean = observed_mm - inverse @ observed_mm / own[:, None]
    return Shift(mean, np.clip(1 / own - noise_mm2, SMALLEST_MM2, error_mm**2 + SMALLEST_MM2))


def shift_at(
    points_mm: Array, error_mm: Array, known_mm: Array, known_error_mm: Array, observed_mm: Array, noise_mm2: Array
) -> Shift:
    """Shift of other points."""
    across = _covariance(points_mm, known_mm, error_mm, known_error_mm)
    weights = np.linalg.solve(
        _covariance(known_mm, known_mm, known_error_mm, known_error_mm) + np.diag(noise_mm2), across.T
    ).T
    variance = error_mm**2 - (weights * across).sum(axis=1)
    return Shift(weights @ observed_mm, np.maximum(variance, SMALLEST_MM2))


def _covariance(a_mm: Array, b_mm: Array, a_error_mm: Array, b_error_mm: Array) -> Array:
    """Matérn covariance of order 3/2: smooth, but free to change within a length. [mm2]"""
    scaled = np.sqrt(3 * ((a_mm[:, None] - b_mm[None]) ** 2).sum(axis=-1)) / LENGTH_MM
    return np.asarray(a_error_mm[:, None] * b_error_mm[None] * (1 + scaled) * np.exp(-scaled))
