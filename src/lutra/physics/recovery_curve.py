r"""Recovery over volume, fitted to phantom objects of known activity.

Two forms are in use:

.. math:: R(V) = 1 - \frac{1}{1+(V/b_1)^{b_2}} \quad\text{(hill)}, \qquad R(V) = 1 - e^{-(V/b)^{g}} \quad\text{(exponential)}

Both rise from 0 to 1. The closed form of a sphere in a Gaussian blur, :func:`lutra.physics.recovery.sphere_recovery`, is neither:
how far a fit misses it is the model error of the form.
"""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.optimize import least_squares
from scipy.special import expit
from scipy.stats import t as student_t

from lutra.core.calibration import FORMS, RecoveryCurve
from lutra.core.errors import OutsideValidity, Undetermined

PARAMETERS = 2
MINIMUM_POINTS = 5
"""AICc of two parameters and a variance needs n - 4 > 0."""
LOGS_SEARCHED = 30.0
"""Scale and power are searched between exp(-30) and exp(30)."""
LOG_LIMIT = 500.0
"""Where exponentials still fit a double; curves are flat long before."""

Numbers = npt.NDArray[np.float64]


@frozen
class RecoveryFit:
    """A fitted curve and how well it fits.

    Parameters
    ----------
    aicc
        Corrected Akaike information criterion; only differences on the same points mean anything.
    largest_misfit
        Largest distance of a point from the curve. [1]
    """

    curve: RecoveryCurve
    aicc: float
    largest_misfit: float


def recovery_at(curve: RecoveryCurve, volume_ml: float) -> tuple[float, float]:
    """Recovery of one more object of this volume and its standard uncertainty: curve and scatter together. [1]"""
    value, by_scale, by_power = _value_and_gradient(curve, volume_ml)
    variance_scale, variance_power, covariance = curve.covariance
    of_curve = by_scale**2 * variance_scale + by_power**2 * variance_power + 2 * by_scale * by_power * covariance
    return value, sqrt(max(of_curve, 0.0) + curve.scatter**2)


def prediction_interval(curve: RecoveryCurve, volume_ml: float, level: float = 0.95) -> tuple[float, float]:
    """Interval that holds the recovery of one more object with this probability (Student's t). [1]"""
    value, sd = recovery_at(curve, volume_ml)
    half = sd * float(student_t.ppf((1 + level) / 2, curve.degrees_of_freedom))
    return value - half, value + half


def recovery_slope(curve: RecoveryCurve, volume_ml: float) -> float:
    r"""Sensitivity to the volume, :math:`d\ln R/d\ln V`. [1]"""
    log_x = float(np.clip(curve.power * log(volume_ml / curve.scale_ml), -LOG_LIMIT, LOG_LIMIT))
    if curve.form == "hill":
        return curve.power * float(expit(-log_x))
    x = exp(log_x)
    return curve.power * x / float(np.expm1(x)) if x < 700 else 0.0  # expm1 overflows; the curve is flat there


def fit_recovery(
    volumes_ml: npt.ArrayLike, recoveries: npt.ArrayLike, form: str, geometry: str, sd: npt.ArrayLike | None = None
) -> RecoveryFit:
    """Fit one form by least squares.

    Parameters
    ----------
    volumes_ml
        True volumes of the objects. [mL] (n,)
    recoveries
        Measured over true activity concentration, by the camera factor of `geometry`. [1] (n,)
    sd
        Standard uncertainties of the recoveries, of which only the ratios count. [1] (n,) None: all alike.

    Raises
    ------
    Undetermined
        With fewer than five objects of different volume, or if the fit does not converge.
    OutsideValidity
        If a volume or recovery is not positive, or the form is unknown.
    """
    v, r = np.asarray(volumes_ml, float), np.asarray(recoveries, float)
    relative = np.ones_like(r) if sd is None else np.asarray(sd, float)
    _check(v, r, relative, form)
    relative = relative / sqrt(float(np.mean(relative**2)))

    def residuals(logs: Numbers) -> Numbers:
        missed: Numbers = (_form(form, v, *np.exp(np.clip(logs, -LOGS_SEARCHED, LOGS_SEARCHED))) - r) / relative
        return missed

    start = [log(float(np.interp(0.5, r[np.argsort(v)], np.sort(v)))), log(0.8)]
    found = least_squares(residuals, start, method="lm", xtol=1e-14, ftol=1e-14)
    information = found.jac.T @ found.jac
    lost = np.abs(found.x).max() >= LOGS_SEARCHED or np.linalg.matrix_rank(information) < PARAMETERS
    if not found.success or not np.isfinite(found.x).all() or lost:
        raise Undetermined(
            f"no {form} curve fits these recoveries", required="recoveries that rise with volume", do="check the points"
        )
    rss, n = float(np.sum(found.fun**2)), len(v)
    variance = rss / (n - PARAMETERS)
    scale, power = exp(found.x[0]), exp(found.x[1])
    of_logs = np.linalg.inv(information) * variance
    curve = RecoveryCurve(
        form=form,
        scale_ml=scale,
        power=power,
        covariance=(of_logs[0, 0] * scale**2, of_logs[1, 1] * power**2, of_logs[0, 1] * scale * power),
        scatter=sqrt(variance),
        degrees_of_freedom=n - PARAMETERS,
        geometry=geometry,
        smallest_ml=float(v.min()),
        largest_ml=float(v.max()),
    )
    k = PARAMETERS + 1  # and the variance
    aicc = n * log(max(rss, 1e-300) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    return RecoveryFit(curve, aicc, float(np.abs(found.fun * relative).max()))


def fit_best_recovery(
    volumes_ml: npt.ArrayLike, recoveries: npt.ArrayLike, geometry: str, sd: npt.ArrayLike | None = None
) -> tuple[RecoveryFit, ...]:
    """Fit both forms, the one with the lower AICc first; errors as :func:`fit_recovery`."""
    return tuple(sorted((fit_recovery(volumes_ml, recoveries, f, geometry, sd) for f in FORMS), key=lambda f: f.aicc))


def _form(form: str, volumes_ml: Numbers, scale_ml: float, power: float) -> Numbers:
    log_x = np.clip(power * np.log(volumes_ml / scale_ml), -LOG_LIMIT, LOG_LIMIT)
    recoveries: Numbers = expit(log_x) if form == "hill" else -np.expm1(-np.exp(log_x))
    return recoveries


def _value_and_gradient(curve: RecoveryCurve, volume_ml: float) -> tuple[float, float, float]:
    value = float(_form(curve.form, np.asarray(volume_ml, float), curve.scale_ml, curve.power))
    # The form depends on V/scale alone, so ln(scale) and ln(V) move it in opposite directions.
    by_log_volume = recovery_slope(curve, volume_ml) * value
    by_power = by_log_volume / curve.power * log(volume_ml / curve.scale_ml)
    return value, -by_log_volume / curve.scale_ml, by_power


def _check(v: Numbers, r: Numbers, relative: Numbers, form: str) -> None:
    if (
        form not in FORMS
        or v.shape != r.shape
        or relative.shape != r.shape
        or not ((v > 0) & (r > 0) & (relative > 0)).all()
    ):
        raise OutsideValidity(
            f"form {form!r}, volumes {v.tolist()} mL and recoveries {r.tolist()}",
            required=f"one of {', '.join(FORMS)}; as many recoveries as volumes, all positive",
        )
    if len(np.unique(v)) < MINIMUM_POINTS:
        raise Undetermined(
            f"{len(np.unique(v))} volumes do not determine a recovery curve and its uncertainty",
            required=f"at least {MINIMUM_POINTS} different volumes",
            do="measure the six spheres of an IEC phantom",
        )
