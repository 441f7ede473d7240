"""From the posterior of a curve to its fit: integral and half-life with their draws, shared sources, band."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import numpy.typing as npt

from lutra.core.curve import CurveBand, Phase, TacFit, TimeActivityCurve
from lutra.core.estimate import K_95, Draws, Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.observed import Points, fit_source, observed
from lutra.kinetics.posterior import Posterior, Prior, posterior
from lutra.kinetics.propagation import linear_budget, shared_matrix

Array = npt.NDArray[np.float64]

BAND_END_S = 300 * HOUR_S
FAST_PHASES_S = 24 * HOUR_S
"""Phases faster than the washout are over by then."""
BAND_DRAWS = 400
STEP = 1e-3  # relative, of the numerical derivatives by the activities


def weigh(points: Points, prior: Prior, activities_bq: Array | None = None) -> Posterior:
    """Weigh the curves; `activities_bq` replaces the measured ones, at the same relative noise. [Bq] (n,)"""
    y = points.activities_bq if activities_bq is None else activities_bq
    sd = None if points.sd_bq is None else points.sd_bq * y / points.activities_bq
    return posterior(points.times_s, y, sd, points.relative_sd, prior)


def describe(
    curve: TimeActivityCurve, found: Posterior, prior: Prior, model: str, n: int, seed: int, *, early_sd: float
) -> TacFit:
    """Describe a posterior as a fit.

    The value of the integral is the *mean* of the posterior: means, unlike medians, stay true when the doses of cycles are added,
    and the budget's standard deviation is one about the mean. The interval comes from the quantiles of `n` draws. Noise, half-life
    and uptake are one source, "fit: <region>"; sources common to the scans are propagated to first order.

    What lies before the first scan was seen by nobody: fast phases that the curve does not have may change that part, of the first
    day at most, by `early_sd` of it. [1]
    """
    size, half_life, uptake = found.draws(n, seed)
    before = size * _until(min(curve.times_s[0], FAST_PHASES_S), half_life, uptake)
    unseen = early_sd * np.random.default_rng([seed, 1]).standard_normal(n)
    integrals = np.maximum(size * (half_life - uptake) / log(2) + unseen * before, 0)
    source = fit_source(curve)
    value = found.mean_integral()
    first, last = curve.times_s[0], curve.times_s[-1]

    def drawn(
        values: Array, unit: Unit, mean: float | None = None, budget: dict[str, float | None] | None = None
    ) -> Estimate:
        spread: dict[str, float | None] = {**(budget or {}), source: float(values.std())}
        return Estimate(
            float(values.mean()) if mean is None else mean, unit, FrozenMap(spread), Draws((source,), values)
        )

    shared = _shared_gradient(curve, prior, value)
    mean_half_life, mean_uptake = found.mean_half_lives()
    amplitude = value * log(2) / (mean_half_life - mean_uptake)  # the one curve shown has the integral that is stated
    phases = (Phase(amplitude, log(2) / mean_half_life), Phase(-amplitude, log(2) / mean_uptake))
    parameters = {
        "amplitude": drawn(size, Unit.BQ),
        "washout_rate": drawn(log(2) / half_life, Unit.PER_S),
        "uptake_rate": drawn(log(2) / uptake, Unit.PER_S),
    }
    inside = size * (_until(last, half_life, uptake) - _until(first, half_life, uptake))
    return TacFit(
        curve=curve,
        model=model,
        parameters=FrozenMap(parameters),
        time_integrated_activity=drawn(
            integrals, Unit.BQ_S, value, linear_budget(shared, curve.activities, noise=False)
        ),
        effective_half_life=drawn(half_life, Unit.S, mean_half_life),
        extrapolated_fraction=float(np.clip(1 - inside.mean() / integrals.mean(), 0, 1)),
        identifiable=True,
        band=_band(curve, phases, (size, half_life, uptake), shared / value),
        phases=phases,
    )


def _until(time: float, half_life: Array, uptake: Array) -> Array:
    """Integral of curves of size one from zero to a time. [s] (n,)"""
    washout = half_life * -np.expm1(-time * log(2) / half_life)
    rise = uptake * -np.expm1(-time * log(2) / uptake)
    inside: Array = (washout - rise) / log(2)
    return inside


def _shared_gradient(curve: TimeActivityCurve, prior: Prior, value: float) -> Array:
    """Differentiate the mean integral by each activity at the same relative noise. [s] (n,)

    Numerical, and needed only where something other than noise has been stated; one error of the same share at every point is then
    that share of the integral exactly, which is put right at the end.
    """
    points = observed(curve)
    y = curve.activities_bq
    sources = {name for a in curve.activities for name in a.budget if not name.startswith("noise: ")}
    if not sources or len(y) == 1:
        return value / y / len(y)
    gradient = np.empty(len(y))
    for i in range(len(y)):
        above, below = (
            weigh(points, prior, np.where(np.arange(len(y)) == i, y * (1 + sign * STEP), y)).mean_integral()
            for sign in (1, -1)
        )
        gradient[i] = (above - below) / (2 * STEP * y[i])
    return gradient * value / float(gradient @ y)


def _band(
    curve: TimeActivityCurve, phases: tuple[Phase, ...], draws: tuple[Array, Array, Array], shares: Array
) -> CurveBand:
    """Curve with the 95 % interval of the draws and of the evaluated shared sources."""
    times = np.linspace(0, max(BAND_END_S, 1.2 * curve.times_s[-1]), 151)
    size, half_life, uptake = (d[:BAND_DRAWS, None] for d in draws)
    drawn = size * (np.exp2(-times / half_life) - np.exp2(-times / uptake))
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    best = sum((p.amplitude_bq * np.exp(-p.rate_per_s * times) for p in phases), np.zeros(len(times)))
    common = K_95 * sqrt(float(((shared_matrix(curve.activities) @ shares) ** 2).sum())) * best
    return CurveBand(
        times, best, np.maximum(best - np.hypot(best - low, common), 0), best + np.hypot(high - best, common)
    )
