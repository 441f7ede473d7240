"""Vectors recomputed by hand from the equations, and the limits that must hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import dblquad

from lutra.core.errors import OutsideValidity
from lutra.physics.radiobiology import (
    LN2,
    DoseRate,
    bed_gy,
    eqd2_gy,
    generalised_eud_gy,
    protraction,
    survival_eud_gy,
)

H = 3600.0


def falling(half_life_h: float) -> DoseRate:
    return DoseRate([1.0], [LN2 / (half_life_h * H)])


@pytest.mark.parametrize(
    ("dose", "half_life_h", "repair_h", "alpha_beta", "expected"),
    [(6.0, 50.0, 2.8, 2.5, 6.763636), (5.0, 52.0, 2.8, 2.6, 5.49130)],
)
def test_mono_exponential(dose: float, half_life_h: float, repair_h: float, alpha_beta: float, expected: float) -> None:
    g = protraction(falling(half_life_h), repair_h * H)
    assert g == pytest.approx(repair_h / (repair_h + half_life_h), rel=1e-12)
    assert bed_gy(dose, g, alpha_beta) == pytest.approx(expected, abs=1e-5)


def test_uptake() -> None:
    """D 5 Gy with 1.5 h of uptake: BED 5.486492; amplitudes 0.1 and -0.1 Gy/h: D 6.92494, BED 7.92586."""
    rate = DoseRate([1.0, -1.0], [LN2 / (52 * H), LN2 / (1.5 * H)])
    assert bed_gy(5.0, protraction(rate, 2.8 * H), 2.6) == pytest.approx(5.486492, abs=1e-6)
    rate = DoseRate([0.1 / H, -0.1 / H], [LN2 / (50 * H), LN2 / (2 * H)])
    assert rate.integral == pytest.approx(6.92494, abs=1e-5)
    assert bed_gy(rate.integral, protraction(rate, 2.8 * H), 2.5) == pytest.approx(7.92586, abs=1e-5)


def test_the_double_integral_it_comes_from() -> None:
    """Lea and Catcheside's own form, integrated numerically: repair between two hits at t and s < t."""
    rate = DoseRate([1.0, -0.8, 0.4], [0.02, 0.5, 0.1])
    r = lambda t: float((rate.amplitude * np.exp(-rate.decay_per_s * t)).sum())  # noqa: E731
    repair = LN2 / 3.0
    numeric, _ = dblquad(lambda s, t: r(t) * r(s) * np.exp(-repair * (t - s)), 0, 600, 0, lambda t: t, epsrel=1e-7)
    assert protraction(rate, 3.0) == pytest.approx(2 * numeric / rate.integral**2, rel=1e-5)


@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(1.001, 20))
def test_slower_dose_or_faster_repair_spares(half_life_h: float, repair_h: float, factor: float) -> None:
    g = protraction(falling(half_life_h), repair_h * H)
    assert 0 < g < 1
    assert protraction(falling(half_life_h * factor), repair_h * H) < g
    assert protraction(falling(half_life_h), repair_h * factor * H) > g


def test_fractions_of_two_gray_are_their_own_equivalent() -> None:
    fractions, alpha_beta = 15, 3.0
    bed = fractions * bed_gy(2.0, 1.0, alpha_beta)
    assert eqd2_gy(bed, alpha_beta) == pytest.approx(2.0 * fractions)


def test_equivalent_uniform_doses() -> None:
    dose, weights = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.25, 0.25])
    assert generalised_eud_gy(dose, weights, 1) == pytest.approx(2.0)
    assert generalised_eud_gy(dose, weights, 500) == pytest.approx(4.0, rel=0.01)
    assert generalised_eud_gy(dose, weights, -500) == pytest.approx(1.0, rel=0.01)
    assert generalised_eud_gy(np.full(3, 3.0), weights, 7) == pytest.approx(3.0)
    assert survival_eud_gy(dose, weights, 1e-6) == pytest.approx(2.0, rel=1e-4)
    assert 1.0 < survival_eud_gy(dose, weights, 5.0) < 1.2
    with pytest.raises(OutsideValidity, match="order"):
        generalised_eud_gy(np.array([0.0, 1.0]), np.ones(2), -3)


def test_impossible_dose_rates() -> None:
    for amplitude, decay in (([1.0], [0.0]), ([1.0, 2.0], [1.0]), ([-1.0], [1.0])):
        with pytest.raises(OutsideValidity):
            DoseRate(amplitude, decay)
    with pytest.raises(OutsideValidity, match="half-life"):
        protraction(falling(50), 0.0)
