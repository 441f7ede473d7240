"""Fits a model of exponential phases to the points of one curve, or says why they do not identify it."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.stats import chi2, t

from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.estimate import K_95, Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.least_squares import fit_exponentials
from lutra.kinetics.observed import Points, decay_per_s, fit_source, observed, refusal
from lutra.kinetics.phase_model import PhaseModel
from lutra.kinetics.propagation import linear_budget, shared_matrix
from lutra.kinetics.settings import numbers, word
from lutra.kinetics.washouts import fit_washouts
from lutra.ports import Settings

Array = npt.NDArray[np.float64]

LIMITS = {
    "misfit_probability": 0.01,  # usual level of a chi-square test: one good fit in a hundred is refused
    "residual_limit": 0.20,  # rms relative residual where noise was not evaluated; Lutra's own choice
    "tia_relative_sd_limit": 0.50,  # an integral known to 50 % is not identified; Lutra's own choice
    "condition_limit": 1e8,  # of the correlations: the square root of it is what an error of the points is amplified by
}
"""Options shared by the models of phases. [1]"""

TAILS = ("fitted", "physical")
"""After the last point: the curve as fitted, or the activity there leaving by physical decay alone, an upper limit."""

BAND_END_S = 300 * HOUR_S
REWEIGHTINGS = 4
AT_BOUND = 1e-6
NEXT = "or let the next model answer"


@frozen(eq=False)
class Solved:
    """Least-squares solution.

    Parameters
    ----------
    theta
        Free amplitudes [Bq] and ln k [ln /s]. (p,)
    covariance
        (p, p)
    response
        How the parameters follow the activities. [parameter/Bq] (p, n)
    condition
        Of the scaled normal equations. [1]
    at_bound
        By parameter. (p,)
    misfit
        Why the curve does not describe the points; empty if it does.
    """

    theta: Array
    covariance: Array
    response: Array
    condition: float
    at_bound: npt.NDArray[np.bool_]
    misfit: str


def fit_phases(curve: TimeActivityCurve, model: PhaseModel, settings: Settings, minimum_points: int) -> Outcome[TacFit]:
    """Fit by weighted least squares.

    Counting noise ("noise: ...") weights the fit. Where it was not evaluated the points weigh equally in relative terms and the
    residuals tell the uncertainty, widened so that 1.96 sd is Student's 95 % interval. Sources common to the scans neither
    weight the fit nor average out: the integral is of first degree in the activities, so that a common relative error is its
    relative error.

    Parameters
    ----------
    curve
        Activities, not decay corrected. [Bq]
    settings
        See :data:`LIMITS`, `minimum_points` and `tail` (:data:`TAILS`).
    minimum_points
        Default of that setting; never fewer than one more than there are parameters.

    Returns
    -------
    Outcome
        The fit; or none and `kinetics.not-identifiable`.

    References
    ----------
    [gear2018] Gear et al., EANM practical guidance on uncertainty analysis, Eur J Nucl Med Mol Imaging 45:2456.
    """
    options = numbers(settings, {**LIMITS, "minimum_points": float(minimum_points)}, model.name, words=("tail",))
    tail = word(settings, "tail", TAILS, model.name)

    def refused(found: str, do: str) -> Outcome[TacFit]:
        return Outcome(None, (refusal(curve, model.title, found, do),))

    n, required = len(curve.times_s), max(int(options["minimum_points"]), model.parameters + 1)
    if n < required:
        return refused(f"{n} of at least {required} points", "add a scan, or let the next model answer")
    if np.any(curve.activities_bq <= 0):
        return refused("an activity is not positive", "check that region and scan belong together")
    decay = decay_per_s(curve)
    solved = solve(observed(curve), model, decay, options)
    if solved.misfit:
        return refused(solved.misfit, f"check the points, {NEXT}")
    if found := _unidentified(curve, model, solved, options):
        return refused(found, f"add a scan where it is missing, {NEXT}")
    fit = _describe(curve, model, solved, (float(curve.times_s[-1]), decay) if tail == "physical" else None)
    relative_sd = (fit.time_integrated_activity.budget[fit_source(curve)] or 0.0) / fit.time_integrated_activity.value
    if relative_sd > options["tia_relative_sd_limit"]:
        return refused(f"the points leave {relative_sd:.0%} uncertainty of the integral", f"add a later scan, {NEXT}")
    return Outcome(fit, _doubts(curve, model, solved, decay, tail))


def solve(points: Points, model: PhaseModel, decay: float, options: dict[str, float]) -> Solved:
    """Solve, with noise that is a share of the activity following the curve."""
    y = points.activities_bq
    theta = _minimise(points.times_s, y, points.sd_at(y), model, decay)
    if points.proportional:
        for _ in range(REWEIGHTINGS):
            theta = _minimise(points.times_s, y, points.sd_at(model.activity(points.times_s, theta)), model, decay)
    sigma = points.sd_at(model.activity(points.times_s, theta))
    rows = model.jacobian(points.times_s, theta) / sigma[:, None]
    lengths = np.linalg.norm(rows, axis=0)
    lengths[lengths == 0] = 1.0
    scaled = rows / lengths
    condition = float(np.linalg.cond(scaled.T @ scaled))
    covariance = np.linalg.pinv(scaled.T @ scaled, rcond=1e-14, hermitian=True) / np.outer(lengths, lengths)
    at_bound = _bounds_met(model, theta, decay)
    # A parameter at its bound stays where it is whatever the activities do; its covariance stays, since it can only be larger.
    free = ~at_bound
    response = np.zeros((len(theta), len(y)))
    response[free] = np.linalg.lstsq(scaled[:, free], np.diag(1 / sigma), rcond=None)[0] / lengths[free, None]
    chi_square = float((((y - model.activity(points.times_s, theta)) / sigma) ** 2).sum())
    widened, misfit = _judge(chi_square, len(y), len(theta), points, options)
    return Solved(theta, covariance * widened, response, condition, at_bound, misfit)


def _minimise(times: Array, y: Array, sd: Array, model: PhaseModel, decay: float) -> Array:
    if len(model.rates) == 1:
        one = fit_washouts(times, y[:, None], sd[:, None], decay)
        return np.array([one.amplitudes[0], log(one.rates[0])])
    scale = float(np.abs(y).max())  # amplitudes of order one
    bounds = model.log_rates(decay)
    found = fit_exponentials(times, y[:, None] / scale, sd[:, None] / scale, model.binding, bounds, 0.0).parameters[0]
    m = len(model.amplitudes)
    theta: Array = np.r_[found[:m] * scale, found[m:]]
    return theta


def _bounds_met(model: PhaseModel, theta: Array, decay: float) -> npt.NDArray[np.bool_]:
    m = len(model.amplitudes)
    low, high = model.log_rates(decay)
    rates = (theta[m:] < low + AT_BOUND) | (theta[m:] > high - AT_BOUND)
    met: npt.NDArray[np.bool_] = np.r_[theta[:m] <= AT_BOUND * np.abs(theta[:m]).max(), rates]
    return met


def _judge(chi_square: float, n: int, p: int, points: Points, options: dict[str, float]) -> tuple[float, str]:
    """How much the covariance is widened, and why the fit is bad if it is."""
    dof = max(n - p, 1)
    if points.sd_bq is not None:
        text = f"chi-square {chi_square:.3g} with {dof} degrees of freedom: the residuals exceed the counting noise"
        return max(1.0, chi_square / dof), text if chi2.sf(chi_square, dof) < options["misfit_probability"] else ""
    rms = (chi_square / n) ** 0.5
    text = f"rms relative residual {rms:.0%}, more than {options['residual_limit']:.0%}"
    widened = chi_square / dof * (float(t.ppf(0.975, dof)) / K_95) ** 2
    return widened, text if rms > options["residual_limit"] else ""


def _unidentified(curve: TimeActivityCurve, model: PhaseModel, solved: Solved, options: dict[str, float]) -> str:
    """Say which parameter the points do not determine; the washout at physical decay is a Finding of its own."""
    names = (*model.amplitudes, *model.rates)
    bound = [name for name, met in zip(names, solved.at_bound, strict=True) if met and name != "washout_rate"]
    if bound:
        return f"{', '.join(bound)} at the end of what is possible"
    if solved.condition > options["condition_limit"]:
        return f"parameters that cannot be told apart (condition {solved.condition:.1e})"
    if model.starts_at_zero:
        peak_h = model.peak_s(solved.theta) / HOUR_S
        before = curve.times_s / HOUR_S < peak_h
        if before.all() or not before.any():
            return f"all points lie {'before' if before.all() else 'after'} the peak at {peak_h:.1f} h"
    return ""


def _describe(
    curve: TimeActivityCurve, model: PhaseModel, solved: Solved, physical_from: tuple[float, float] | None
) -> TacFit:
    m = len(model.amplitudes)

    def estimate(value: float, gradient: Array, unit: Unit, *, of_shape: bool = False) -> Estimate:
        budget = linear_budget(gradient @ solved.response, curve.activities, noise=False)
        if of_shape:  # one factor on every scan, known or not, leaves the shape of the curve as it is
            everywhere = set.intersection(*(set(a.budget) for a in curve.activities))
            budget = {name: sd for name, sd in budget.items() if sd is not None or name not in everywhere}
        budget[fit_source(curve)] = float(np.sqrt(gradient @ solved.covariance @ gradient))
        return Estimate(value, unit, FrozenMap(budget))

    along = np.eye(len(solved.theta))
    rates = np.exp(solved.theta[m:])
    parameters = {name: estimate(solved.theta[i], along[i], Unit.BQ) for i, name in enumerate(model.amplitudes)}
    parameters |= {
        name: estimate(rates[j], rates[j] * along[m + j], Unit.PER_S, of_shape=True)
        for j, name in enumerate(model.rates)
    }
    tia, by_parameter = model.integral(solved.theta, physical_from)
    half_life = log(2) / rates[0]
    return TacFit(
        curve=curve,
        model=model.name,
        parameters=FrozenMap(parameters),
        time_integrated_activity=estimate(tia, by_parameter, Unit.BQ_S),
        effective_half_life=estimate(half_life, -half_life * along[m], Unit.S, of_shape=True),
        extrapolated_fraction=1 - model.between(solved.theta, curve.times_s[0], curve.times_s[-1]) / tia,
        identifiable=not solved.at_bound.any(),
        band=_band(curve, model, solved),
        phases=model.phases(solved.theta),
    )


def _band(curve: TimeActivityCurve, model: PhaseModel, solved: Solved) -> CurveBand:
    """Curve with the 95 % interval of fit and evaluated shared sources."""
    times = np.linspace(0, max(BAND_END_S, 1.2 * curve.times_s[-1]), 301)
    best, gradient = model.activity(times, solved.theta), model.jacobian(times, solved.theta)
    shared = gradient @ solved.response @ shared_matrix(curve.activities).T
    variance = np.einsum("ti,ij,tj->t", gradient, solved.covariance, gradient) + (shared**2).sum(axis=1)
    half = K_95 * np.sqrt(np.maximum(variance, 0))
    return CurveBand(times, best, np.maximum(best - half, 0), best + half)


def _doubts(
    curve: TimeActivityCurve, model: PhaseModel, solved: Solved, decay: float, tail: str
) -> tuple[Finding, ...]:
    findings = []
    if not model.starts_at_zero:
        first = float(curve.times_s[0])
        early = model.between(solved.theta, 0.0, first) / model.integral(solved.theta)[0]
        text = (
            f"{curve.region}: the curve is extrapolated back from the first scan at {first / HOUR_S:.1f} h to the start of the "
            f"administration; {early:.0%} of the integral lies there, and uptake would make it smaller"
        )
        findings.append(Finding(Severity.INFO, "kinetics.uptake-not-modelled", text))
    if solved.at_bound.any():
        text = (
            f"{curve.region}: the points fall no faster than physical decay ({log(2) / decay / HOUR_S:.1f} h), where the "
            "rate is bounded; the true washout can only be faster and the integral smaller; check the last scan"
        )
        findings.append(Finding(Severity.WARNING, "kinetics.washout-at-physical-decay", text))
    if tail == "physical":
        text = (
            f"{curve.region}: after the last scan only physical decay is counted; the integral is an upper limit there"
        )
        findings.append(Finding(Severity.WARNING, "kinetics.physical-tail", text))
    return tuple(findings)
