"""Recovery of a blurred sphere against geometry, and how an error of its volume travels, against derivatives."""

from __future__ import annotations

from math import exp, log, pi, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from lutra.physics.recovery import (
    FWHM_PER_SIGMA,
    concentration_volume_sensitivity,
    relative_volume_sd,
    sphere_diameter_mm,
    sphere_recovery,
)


@given(diameter_mm=st.floats(5, 100), fwhm_mm=st.floats(3, 20))
def test_recovery_is_the_chance_that_a_displaced_decay_stays_inside(diameter_mm: float, fwhm_mm: float) -> None:
    """A blur displaces each decay by t (Maxwell); two equal spheres t apart overlap by 1 - 3t/4r + t^3/16r^3."""
    r, s = diameter_mm / 2, fwhm_mm / FWHM_PER_SIGMA

    def stays(t: float) -> float:
        maxwell = sqrt(2 / pi) * t * t / s**3 * exp(-t * t / (2 * s * s))
        return maxwell * (1 - 3 * t / (4 * r) + t**3 / (16 * r**3))

    # Beyond 10 s nothing is displaced, and a range that is mostly empty would hide the peak from the quadrature.
    expected, _ = quad(stays, 0, min(2 * r, 10 * s), epsabs=1e-12)
    assert sphere_recovery(diameter_mm, fwhm_mm) == pytest.approx(expected, abs=1e-9)


@given(diameter_mm=st.floats(8, 100), fwhm_mm=st.floats(4, 20))
def test_recovery_grows_with_volume_as_the_sensitivity_says(diameter_mm: float, fwhm_mm: float) -> None:
    """d ln R / d ln V = phi/R - 1, from the definition of R as counts over volume and the profile at the border."""
    step = 1e-4
    larger, smaller = (sphere_recovery(diameter_mm * (1 + h), fwhm_mm) for h in (step, -step))
    slope = log(larger / smaller) / (3 * log((1 + step) / (1 - step)))
    assert 2 * concentration_volume_sensitivity(diameter_mm, fwhm_mm) - 1 == pytest.approx(slope, abs=1e-5)


def test_a_large_sphere_loses_half_at_its_border() -> None:
    """The profile at a flat, blurred edge is one half."""
    assert concentration_volume_sensitivity(5000, 10) == pytest.approx(0.5, abs=1e-3)
    assert sphere_recovery(5000, 10) == pytest.approx(1, abs=3e-3)


def test_a_tiny_sphere_is_a_flat_spot() -> None:
    """Far below the resolution the activity found grows as the volume of the contour."""
    assert concentration_volume_sensitivity(2, 20) == pytest.approx(1, abs=0.01)


def test_one_millilitre() -> None:
    assert sphere_diameter_mm(1.0) == pytest.approx(2 * 6.2035, abs=1e-4)


def test_volume_uncertainty_by_hand() -> None:
    """d 20 mm, voxel 4 mm, FWHM 10 mm: u(d)^2 = 16/6 + 100/(4 ln 2) = 38.734, 3 x 6.2237/20 = 0.93355."""
    assert relative_volume_sd(20, 4, 10) == pytest.approx(0.93355, abs=1e-5)
