r"""The profile of a uniform sphere behind a Gaussian blur, and where its true border lies on it.

.. math::
   f(r) = \tfrac12\left[\operatorname{erf}\tfrac{R-r}{\sqrt2 s} + \operatorname{erf}\tfrac{R+r}{\sqrt2 s}\right]
          - \frac{s}{r\sqrt{2\pi}}\left[e^{-(R-r)^2/2s^2} - e^{-(R+r)^2/2s^2}\right], \quad s = \mathrm{FWHM}/2.355

References
----------
[hofheinz2010] Hofheinz et al., Phys Med Biol 55:1099: the threshold that reproduces a sphere's volume, counted from the background
to the centre, does not depend on the background.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from lutra.core.frozen import float64
from lutra.physics.recovery import FWHM_PER_SIGMA

Floats = npt.NDArray[np.float64]
SMALLEST, LARGEST = 1.0, 40.0
"""Range of diameters in resolutions that is tabulated. Smaller spheres look like a point; larger ones like a flat edge. [1]"""


def sphere_profile(distance_mm: npt.ArrayLike, diameter_mm: float, fwhm_mm: float) -> Floats:
    """Height of a blurred sphere of height 1 at distances from its centre. [1]"""
    s = fwhm_mm / FWHM_PER_SIGMA
    r = np.maximum(np.asarray(distance_mm, float), 1e-4 * s)  # at 0 the formula is 0/0
    near, far = (diameter_mm / 2 - r) / (s * 2**0.5), (diameter_mm / 2 + r) / (s * 2**0.5)
    edge = s / (r * (2 * np.pi) ** 0.5) * (np.exp(-(near**2)) - np.exp(-(far**2)))
    return np.asarray((erf(near) + erf(far)) / 2 - edge)


def border_share(diameter_mm: float, fwhm_mm: float, core: float = 0.7) -> float:
    """Height of the image at the true border of a sphere, over the mean height of its core. [1]

    The core is what lies above `core` of the maximum; its mean hardly knows the noise that a maximum grows with.

    Parameters
    ----------
    diameter_mm
        True diameter; outside 1 to 40 resolutions that of the nearer end counts. [mm]
    """
    sizes, shares = _table(core)
    return float(np.interp(diameter_mm / fwhm_mm, sizes, shares))


@cache
def _table(core: float) -> tuple[Floats, Floats]:
    sizes = np.geomspace(SMALLEST, LARGEST, 120)
    shares = np.empty_like(sizes)
    for n, size in enumerate(sizes):
        r = np.linspace(1e-4, size / 2, 2000)
        height = sphere_profile(r, size, 1.0)
        above = height >= core * height.max()
        shares[n] = height[-1] / np.average(height[above], weights=r[above] ** 2)
    return float64(sizes), float64(shares)
