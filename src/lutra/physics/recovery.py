r"""What blur does to small objects: recovery of a sphere, and how an error of its volume reaches the activity.

A uniform sphere seen through a Gaussian point-spread function; closed forms, no fit.
"""

from __future__ import annotations

from math import erf, exp, hypot, log, pi, sqrt

FWHM_PER_SIGMA = 2 * sqrt(2 * log(2))


def sphere_diameter_mm(volume_ml: float) -> float:
    """Diameter of the sphere of this volume. [mm]"""
    return float((6 * volume_ml * 1000 / pi) ** (1 / 3))


def sphere_recovery(diameter_mm: float, fwhm_mm: float) -> float:
    r"""Share of a sphere's activity found inside its true border.

    .. math::
       RC = \operatorname{erf} a - \frac{2a}{\sqrt\pi} e^{-a^2}
            - \frac{3s}{2r}\sqrt{\tfrac2\pi}\,[1-(1+a^2)e^{-a^2}]
            + \frac{s^3}{2r^3}\sqrt{\tfrac2\pi}\,[1-(1+a^2+a^4/2)e^{-a^2}],
       \quad a=\sqrt2\,r/s

    Parameters
    ----------
    diameter_mm
        True diameter. [mm]
    fwhm_mm
        Full width at half maximum of the Gaussian point-spread function. [mm]
    """
    r, s = diameter_mm / 2, fwhm_mm / FWHM_PER_SIGMA
    a = sqrt(2) * r / s
    fall = exp(-a * a)
    return (
        erf(a)
        - 2 * a / sqrt(pi) * fall
        - 3 * s / (2 * r) * sqrt(2 / pi) * (1 - (1 + a * a) * fall)
        + s**3 / (2 * r**3) * sqrt(2 / pi) * (1 - (1 + a * a + a**4 / 2) * fall)
    )


def relative_volume_sd(diameter_mm: float, voxel_mm: float, fwhm_mm: float) -> float:
    """Relative standard uncertainty of a delineated volume, u(v)/v = 3 u(d)/d. [1]

    Parameters
    ----------
    voxel_mm
        Voxel edge of the image the volume was drawn on. [mm]
    fwhm_mm
        Resolution of that image. [mm]

    References
    ----------
    Gear et al., Eur J Nucl Med Mol Imaging 45:2456 (2018), PMC6208822.
    """
    u_diameter = hypot(voxel_mm / sqrt(6), fwhm_mm / (2 * sqrt(log(2))))
    return 3 * u_diameter / diameter_mm


def concentration_volume_sensitivity(diameter_mm: float, fwhm_mm: float) -> float:
    r"""Share :math:`p = \varphi / 2R` that governs how an error of the volume reaches what is read off in it. [1]

    The blurred profile at the border is :math:`\varphi/2`, so :math:`d\ln N / d\ln V = p` for the activity N found inside the
    contour. The recovery of a sphere follows :math:`d\ln R / d\ln V = 2p - 1`. Hence, with the contour drawn at the true border:

    ================  ==============  ===================
    d ln / d ln V     not corrected   divided by R(V)
    ================  ==============  ===================
    activity          p               1 - p
    concentration     p - 1           -p
    ================  ==============  ===================

    References
    ----------
    Gear et al. 2018, as above.
    """
    r, s = diameter_mm / 2, fwhm_mm / FWHM_PER_SIGMA
    phi = erf(2 * r / (s * sqrt(2))) - 2 * s / (r * sqrt(2 * pi)) * (1 - exp(-2 * r * r / (s * s)))
    return phi / (2 * sphere_recovery(diameter_mm, fwhm_mm))
