"""Mono-exponential washout, where the points identify it."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.optimize import least_squares
from scipy.stats import chi2, t

from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.estimate import K_95, Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.propagation import linear_budget, noise_sd_bq, shared_matrix
from lutra.kinetics.settings import numbers
from lutra.ports import Settings
from lutra.reference.nuclides import nuclide

Array = npt.NDArray[np.float64]

DEFAULTS = {
    "minimum_points": 3.0,  # two points leave no degree of freedom to see a bad fit
    "misfit_probability": 0.01,  # usual level of a chi-square test: one good fit in a hundred is refused
    "residual_limit": 0.20,  # rms relative residual where noise was not evaluated; Lutra's own choice
    "tia_relative_sd_limit": 0.50,  # an integral known to 50 % is not identified; Lutra's own choice
}
"""Options of `[kinetics.options.monoexponential]`. [1]"""

BAND_END_S = 300 * HOUR_S


@frozen(eq=False)
class _Washout:
    """Least-squares solution: parameters (A0 [Bq], k [/s]), their covariance and their response to each activity."""

    theta: Array
    covariance: Array
    response: Array
    at_bound: bool
    misfit: str


class Monoexponential:
    r"""Fit :math:`A(t) = A_0 e^{-kt}` by weighted least squares; `k` is at least the physical decay constant.

    The uptake before the first point is not modelled: the curve is extrapolated back to the start of the administration.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:  # noqa: ARG002 (the socket's)
        r"""Fit the curve or say why its points do not identify a mono-exponential.

        Counting noise ("noise: ...") weights the fit. Where it was not evaluated the points weigh equally in relative terms
        and the residuals tell the uncertainty, widened so that 1.96 sd is Student's 95 % interval. Sources common to the
        scans neither weight the fit nor average out: the integral is of first degree in the activities, so a common
        relative error is its relative error.

        Parameters
        ----------
        curve
            Activities, not decay corrected. [Bq]
        settings
            See :data:`DEFAULTS`.
        seed
            Not used: nothing is drawn.

        Returns
        -------
        Outcome
            The fit with :math:`\tilde A = A_0/k`; or none and `kinetics.not-identifiable`.

        References
        ----------
        [gear2018] Gear et al., EANM practical guidance on uncertainty analysis, Eur J Nucl Med Mol Imaging 45:2456.
        """
        options = numbers(settings, DEFAULTS, "monoexponential")
        n, required = len(curve.times_s), int(options["minimum_points"])
        if n < max(required, 3):
            return _refuse(
                curve, f"{n} of at least {max(required, 3)} points", "add a scan, or let the next model answer"
            )
        if np.any(curve.activities_bq <= 0):
            return _refuse(curve, "an activity is not positive", "check that region and scan belong together")
        decay_per_s = log(2) / nuclide(curve.nuclide).half_life_s
        washout = _least_squares(curve, decay_per_s, options)
        if washout.misfit:
            return _refuse(curve, washout.misfit, "check the points, or let the next model answer")
        fit = _describe(curve, washout)
        relative_sd = (fit.time_integrated_activity.budget[_source(curve)] or 0.0) / fit.time_integrated_activity.value
        if relative_sd > options["tia_relative_sd_limit"]:
            found = f"the points leave {relative_sd:.0%} uncertainty of the integral"
            return _refuse(curve, found, "add a later scan, or let the next model answer")
        return Outcome(fit, _doubts(curve, washout, decay_per_s))


def _least_squares(curve: TimeActivityCurve, decay_per_s: float, options: dict[str, float]) -> _Washout:
    times, activities = curve.times_s, curve.activities_bq
    noise = [noise_sd_bq(a) for a in curve.activities]
    evaluated = [sd for sd in noise if sd]
    weighted = len(evaluated) == len(noise)
    sigma = np.array(evaluated) if weighted else activities
    scale = np.array([activities.max(), decay_per_s])  # so that both unknowns are of order one

    def residuals(u: Array) -> Array:
        a0, k = u * scale
        weighted_misfit: Array = (activities - a0 * np.exp(-k * times)) / sigma
        return weighted_misfit

    slope, intercept = np.polyfit(times, np.log(activities), 1)
    start = np.array([np.exp(intercept) / scale[0], max(-slope / decay_per_s, 1.0001)])
    found = least_squares(residuals, start, bounds=([0, 1], [np.inf, np.inf]), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    theta = found.x * scale
    at_bound = bool(theta[1] < decay_per_s * (1 + 1e-6))

    dof = len(times) - 2
    shape = np.exp(-theta[1] * times)
    jacobian = np.column_stack((shape, -theta[0] * times * shape)) / sigma[:, None]
    # A0 and k differ by ten orders of magnitude, too much for a plain inverse.
    lengths = np.linalg.norm(jacobian, axis=0)
    covariance = np.linalg.inv((jacobian / lengths).T @ (jacobian / lengths)) / np.outer(lengths, lengths)
    response = covariance @ jacobian.T / sigma
    if at_bound:  # k stays where it is, whatever the activities do; its covariance stays, since it can only be larger
        response = np.vstack((jacobian[:, 0] / sigma / (jacobian[:, 0] @ jacobian[:, 0]), np.zeros(len(times))))
    misfit = float(2 * found.cost)
    text = ""
    if weighted:
        covariance = covariance * max(1.0, misfit / dof)
        if chi2.sf(misfit, dof) < options["misfit_probability"]:
            text = f"chi-square {misfit:.3g} with {dof} degrees of freedom: the residuals exceed the counting noise"
    else:
        covariance = covariance * misfit / dof * (t.ppf(0.975, dof) / K_95) ** 2
        rms = (misfit / len(times)) ** 0.5
        if rms > options["residual_limit"]:
            text = f"rms relative residual {rms:.0%}, more than {options['residual_limit']:.0%}"
    return _Washout(theta, covariance, response, at_bound, text)


def _describe(curve: TimeActivityCurve, washout: _Washout) -> TacFit:
    a0, k = washout.theta

    def estimate(value: float, gradient: tuple[float, float], unit: Unit, *, of_shape: bool = False) -> Estimate:
        by_parameter = np.array(gradient)
        budget = linear_budget(by_parameter @ washout.response, curve.activities, noise=False)
        if of_shape:  # one factor on every scan, known or not, leaves the shape of the curve as it is
            everywhere = set.intersection(*(set(a.budget) for a in curve.activities))
            budget = {name: sd for name, sd in budget.items() if sd is not None or name not in everywhere}
        budget[_source(curve)] = float(np.sqrt(by_parameter @ washout.covariance @ by_parameter))
        return Estimate(value, unit, FrozenMap(budget))

    first, last = curve.times_s[0], curve.times_s[-1]
    return TacFit(
        curve=curve,
        model="monoexponential",
        parameters=FrozenMap(
            {
                "activity_at_start": estimate(a0, (1.0, 0.0), Unit.BQ),
                "washout_rate": estimate(k, (0.0, 1.0), Unit.PER_S, of_shape=True),
            }
        ),
        time_integrated_activity=estimate(a0 / k, (1 / k, -a0 / k**2), Unit.BQ_S),
        effective_half_life=estimate(log(2) / k, (0.0, -log(2) / k**2), Unit.S, of_shape=True),
        extrapolated_fraction=float(1 - np.exp(-k * first) + np.exp(-k * last)),
        identifiable=not washout.at_bound,
        band=_band(curve, washout),
    )


def _band(curve: TimeActivityCurve, washout: _Washout) -> CurveBand:
    """Curve with the 95 % interval of fit and evaluated shared sources."""
    a0, k = washout.theta
    times = np.linspace(0, max(BAND_END_S, 1.2 * curve.times_s[-1]), 301)
    shape = np.exp(-k * times)
    gradient = np.column_stack((shape, -a0 * times * shape))
    shared = gradient @ washout.response @ shared_matrix(curve.activities).T
    variance = np.einsum("ti,ij,tj->t", gradient, washout.covariance, gradient) + (shared**2).sum(axis=1)
    half = K_95 * np.sqrt(variance)
    return CurveBand(times, a0 * shape, np.maximum(a0 * shape - half, 0), a0 * shape + half)


def _doubts(curve: TimeActivityCurve, washout: _Washout, decay_per_s: float) -> tuple[Finding, ...]:
    first_h = curve.times_s[0] / HOUR_S
    early = -np.expm1(-washout.theta[1] * curve.times_s[0])
    findings = [
        Finding(
            Severity.INFO,
            "kinetics.uptake-not-modelled",
            f"{curve.region}: the curve is extrapolated back from the first scan at {first_h:.1f} h to the start of the "
            f"administration; {early:.0%} of the integral lies there, and uptake would make it smaller",
        )
    ]
    if washout.at_bound:
        text = (
            f"{curve.region}: the points fall no faster than physical decay ({log(2) / decay_per_s / HOUR_S:.1f} h), where the "
            "rate is bounded; the true washout can only be faster and the integral smaller; check the last scan"
        )
        findings.append(Finding(Severity.WARNING, "kinetics.washout-at-physical-decay", text))
    return tuple(findings)


def _source(curve: TimeActivityCurve) -> str:
    return f"fit: {curve.region}"


def _refuse(curve: TimeActivityCurve, found: str, do: str) -> Outcome[TacFit]:
    text = f"{curve.region}: a mono-exponential is not identified: {found}; {do}"
    times = ", ".join(f"{time / HOUR_S:.2f}" for time in curve.times_s)
    return Outcome(
        None,
        (Finding(Severity.UNDETERMINED, "kinetics.not-identifiable", text, FrozenMap({"times_h": times})),),
    )
