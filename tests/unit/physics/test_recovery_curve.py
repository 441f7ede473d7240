"""Recovery curves: parameters they were made from, derivatives, prediction intervals against repeated phantoms."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import OutsideValidity, Undetermined
from lutra.physics.recovery import sphere_recovery
from lutra.physics.recovery_curve import (
    fit_best_recovery,
    fit_recovery,
    prediction_interval,
    recovery_at,
    recovery_slope,
)

VOLUMES = np.array([0.52, 1.15, 2.57, 5.58, 11.5, 26.5])


def hill(v: np.ndarray, scale: float, power: float) -> np.ndarray:
    return 1 - 1 / (1 + (v / scale) ** power)


def exponential(v: np.ndarray, scale: float, power: float) -> np.ndarray:
    return 1 - np.exp(-((v / scale) ** power))


@pytest.mark.parametrize(("form", "equation"), [("hill", hill), ("exponential", exponential)])
def test_exact_points_give_the_parameters_back_and_their_form_wins(form: str, equation: object) -> None:
    recoveries = equation(VOLUMES, 4.0, 0.6)  # type: ignore[operator]
    fit = fit_recovery(VOLUMES, recoveries, form, "sphere")
    assert (fit.curve.scale_ml, fit.curve.power) == pytest.approx((4.0, 0.6), rel=1e-6)
    assert fit.largest_misfit < 1e-7
    noisy = recoveries + 0.003 * np.array([1, -1, 1, 1, -1, 1])
    assert fit_best_recovery(VOLUMES, noisy, "sphere")[0].curve.form == form


@pytest.mark.parametrize("form", ["hill", "exponential"])
def test_uncertainty_and_slope_follow_from_the_derivatives(form: str) -> None:
    """Central differences of the curve by ln V, scale and power."""
    curve = fit_recovery(VOLUMES, hill(VOLUMES, 4, 0.6) + 0.01 * np.array([1, -1, 0, 1, 0, -1]), form, "sphere").curve
    v, h = 3.0, 1e-5
    up, down = (recovery_at(curve, v * f)[0] for f in (1 + h, 1 - h))
    assert recovery_slope(curve, v) == pytest.approx(log(up / down) / log((1 + h) / (1 - h)), rel=1e-6)
    by_scale, by_power = (
        np.diff([recovery_at(evolve(curve, **{name: getattr(curve, name) * f}), v)[0] for f in (1 - h, 1 + h)])[0]
        / (2 * h * getattr(curve, name))
        for name in ("scale_ml", "power")
    )
    a, b, c = curve.covariance
    expected = (by_scale**2 * a + by_power**2 * b + 2 * by_scale * by_power * c + curve.scatter**2) ** 0.5
    assert recovery_at(curve, v)[1] == pytest.approx(expected, rel=1e-5)


def test_prediction_interval_holds_a_new_sphere_as_often_as_it_says() -> None:
    """3000 phantoms with a scatter of 0.02: a new 4 mL sphere lies in the 90 % interval in 90 +/- 2 % of them."""
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(3000):
        curve = fit_recovery(VOLUMES, hill(VOLUMES, 4, 0.6) + rng.normal(0, 0.02, 6), "hill", "sphere").curve
        low, high = prediction_interval(curve, 4.0, 0.90)
        inside += low < hill(np.array(4.0), 4, 0.6) + rng.normal(0, 0.02) < high
    assert inside / 3000 == pytest.approx(0.90, abs=0.02)


def test_points_with_smaller_uncertainty_weigh_more() -> None:
    recoveries = hill(VOLUMES, 4, 0.6)
    recoveries[0] += 0.1
    trusted, not_trusted = (
        fit_recovery(VOLUMES, recoveries, "hill", "sphere", [sd, 0.02, 0.02, 0.02, 0.02, 0.02]).curve
        for sd in (0.002, 1.0)
    )
    assert recovery_at(trusted, 0.52)[0] == pytest.approx(recoveries[0], abs=0.01)
    assert recovery_at(not_trusted, 0.52)[0] == pytest.approx(recoveries[0] - 0.1, abs=0.01)


def test_largest_misfits_of_the_closed_form_are_those_the_documentation_states() -> None:
    """Spheres of 10 to 60 mm in blurs of 6 to 15 mm: docs/calibration.md says 0.033 and 0.059."""
    diameters = np.array([10.0, 13, 17, 22, 28, 37, 60])
    fits = [
        fit_recovery(np.pi / 6 * diameters**3 / 1000, [sphere_recovery(d, fwhm) for d in diameters], form, "sphere")
        for form in ("hill", "exponential")
        for fwhm in np.arange(6, 15.1, 0.5)
    ]
    worst = {form: max(f.largest_misfit for f in fits if f.curve.form == form) for form in ("hill", "exponential")}
    assert worst == pytest.approx({"hill": 0.033, "exponential": 0.059}, abs=5e-4)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(Undetermined, match="at least 5"):
        fit_recovery(VOLUMES[:4], hill(VOLUMES[:4], 4, 0.6), "hill", "sphere")
    with pytest.raises(OutsideValidity, match="hill, exponential"):
        fit_recovery(VOLUMES, hill(VOLUMES, 4, 0.6), "linear", "sphere")
    with pytest.raises(OutsideValidity, match="positive"):
        fit_recovery(VOLUMES, -hill(VOLUMES, 4, 0.6), "hill", "sphere")
    with pytest.raises(Undetermined, match="rise with volume"):
        fit_recovery(VOLUMES, np.full(6, 1.5), "hill", "sphere")
