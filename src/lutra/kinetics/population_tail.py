"""Integral of a curve whose points do not determine its tail: the half-lives of a population stand in."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.errors import OutsideValidity
from lutra.core.estimate import K_95, Draws, Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.population import FEW, population_used, tail_population
from lutra.kinetics.propagation import linear_budget
from lutra.kinetics.settings import positive
from lutra.ports import Settings
from lutra.reference.nuclides import nuclide

Array = npt.NDArray[np.float64]

MODEL = "population-tail"
MINIMUM_DRAWS = 2000
UPTAKE_SOURCE = "uptake phase"
BAND_END_S = 300 * HOUR_S
_MANY = "kinetics.points-do-not-identify-a-curve"


@frozen(eq=False)
class _Parts:
    """The integral in its parts. [Bq.s]"""

    uptake_low: float
    uptake_high: float
    measured: float
    tail: float

    @property
    def total(self) -> float:
        return (self.uptake_low + self.uptake_high) / 2 + self.measured + self.tail


class PopulationTail:
    """Integrate one or more points, with an effective half-life from the population after the last.

    Three parts, each as honest as the data allow:

    - before the first point, the middle between a linear rise from zero and a curve extrapolated back (with the rate between the
      first two points where they fall, constant where they rise, with the population's half-life for a single point); half their
      distance is the half-width of a uniform uncertainty, source "uptake phase";
    - between points, a trapezoid: exponential where the activity falls, straight where it rises;
    - after the last point, an exponential whose half-life is lognormal over the population and never longer than the
      physical one; its spread is carried as draws, source "tail half-life: <region>".

    The value is the *mean* over the draws: means, unlike medians, stay true when the doses of cycles are added, and the
    budget's standard deviation is one about the mean. The interval comes from the quantiles of the same draws.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:
        """Integrate the curve.

        Parameters
        ----------
        curve
            Activities, not decay corrected. [Bq]
        settings
            `population` (a tissue; default that of the curve), or `half_life_median_h`, `half_life_low_h`,
            `half_life_high_h`: median and central 95 % of the effective half-lives. [h] `draws`: how many, at least 2000. [1]
        seed
            Of the draws.

        Raises
        ------
        ProtocolError
            If a setting is unknown or impossible.
        """
        if np.any(curve.activities_bq <= 0):
            found = ", ".join(f"{a:.3g} Bq" for a in curve.activities_bq)
            text = (
                f"{curve.region}: activities {found} are not all positive; check that region and scan belong together"
            )
            return Outcome(None, (Finding(Severity.UNDETERMINED, "kinetics.activity-not-positive", text),))
        try:
            population, options = tail_population(curve, settings, MODEL, {"draws": 4000.0})
        except OutsideValidity as error:
            return Outcome(
                None, (Finding(Severity.UNDETERMINED, "kinetics.no-population", f"{curve.region}: {error}"),)
            )
        positive(options, MODEL, at_least={"draws": MINIMUM_DRAWS})
        physical_s = nuclide(curve.nuclide).half_life_s
        fit = _integrate(curve, population.draw(physical_s, int(options["draws"]), seed))
        used = population_used(curve, population, MODEL, "after the last scan the effective half-life is taken")
        return Outcome(fit, (_not_identified(fit, physical_s), used))


def _integrate(curve: TimeActivityCurve, half_lives_s: Array) -> TacFit:
    times, activities = curve.times_s, curve.activities_bq
    totals = np.array([_parts(times, activities, half_life).total for half_life in half_lives_s])
    tail_source = f"tail half-life: {curve.region}"
    mean_half_life = float(half_lives_s.mean())
    parts = _parts(times, activities, mean_half_life)
    value = float(totals.mean())

    budget = linear_budget(_gradient(times, activities, mean_half_life, value), curve.activities, noise=True)
    budget[UPTAKE_SOURCE] = (parts.uptake_high - parts.uptake_low) / 2 / sqrt(3)  # sd of a uniform distribution
    budget[tail_source] = float(totals.std())
    half_life = Estimate(
        mean_half_life,
        Unit.S,
        FrozenMap({tail_source: float(half_lives_s.std())}),
        Draws((tail_source,), half_lives_s),
    )
    return TacFit(
        curve=curve,
        model=MODEL,
        parameters=FrozenMap({"activity_at_last_scan": curve.activities[-1], "tail_half_life": half_life}),
        time_integrated_activity=Estimate(value, Unit.BQ_S, FrozenMap(budget), Draws((tail_source,), totals)),
        effective_half_life=half_life,
        extrapolated_fraction=1 - parts.measured / value,
        identifiable=False,
        band=_band(curve, half_lives_s),
    )


def _parts(times: Array, activities: Array, half_life_s: float) -> _Parts:
    steps, first = np.diff(times), activities[0]
    measured = sum(map(_trapezoid, activities[:-1], activities[1:], steps), 0.0)
    rate = _early_rate(times, activities, half_life_s)
    back = first * (np.expm1(rate * times[0]) / rate if rate > 0 else times[0])
    tail = activities[-1] * half_life_s / log(2)
    return _Parts(float(first * times[0] / 2), float(back), measured, float(tail))


def _early_rate(times: Array, activities: Array, half_life_s: float) -> float:
    """Rate at which the curve is extrapolated back before the first point; 0 where it rises. [/s]"""
    if len(times) == 1:
        return log(2) / half_life_s
    return max(log(activities[0] / activities[1]) / float(times[1] - times[0]), 0.0)


def _trapezoid(a: float, b: float, step_s: float) -> float:
    """Integral between two points, exponential where it falls. [Bq.s]"""
    falls = b < a * (1 - 1e-9)  # the exponential formula is 0/0 for equal activities
    mean = (a - b) / log(a / b) if falls else (a + b) / 2
    return float(mean * step_s)


def _gradient(times: Array, activities: Array, half_life_s: float, value: float) -> Array:
    """Differentiate the integral by each activity, by central differences. [s] (n,)

    With several points the mean over the draws is the integral at the mean half-life. With one it is not, because the drawn
    half-life also extrapolates back; but then the integral is proportional to that point.
    """
    if len(times) == 1:
        return value / activities
    gradient = np.empty(len(times))
    for n, activity in enumerate(activities):
        step = np.zeros(len(times))
        step[n] = 1e-5 * activity
        above, below = (_parts(times, activities + sign * step, half_life_s).total for sign in (1, -1))
        gradient[n] = (above - below) / (2 * step[n])
    return gradient


def _band(curve: TimeActivityCurve, half_lives_s: Array) -> CurveBand:
    """Mean curve with the 95 % interval of population, uptake and the evaluated uncertainty of the activities."""
    points, activities = curve.times_s, curve.activities_bq
    last, mean_half_life = points[-1], float(half_lives_s.mean())
    times = np.union1d(np.linspace(0, max(BAND_END_S, 1.2 * last), 301), points)
    best, low, high = (np.empty(len(times)) for _ in range(3))

    early = times < points[0]
    rising = activities[0] * times[early] / points[0]
    back = activities[0] * np.exp(_early_rate(points, activities, mean_half_life) * (points[0] - times[early]))
    low[early], high[early], best[early] = rising, back, (rising + back) / 2

    late = times >= last
    decay = np.exp2(-(times[late] - last)[:, None] / half_lives_s)
    best[late] = activities[-1] * decay.mean(axis=1)
    low[late], high[late] = activities[-1] * np.quantile(decay, (0.025, 0.975), axis=1)

    between = ~early & ~late
    best[between] = [_between(points, activities, time) for time in times[between]]
    low[between] = high[between] = best[between]

    relative = np.interp(times, points, [a.evaluated_sd / a.value for a in curve.activities])
    own = K_95 * relative * best
    return CurveBand(times, best, np.maximum(best - np.hypot(best - low, own), 0), best + np.hypot(high - best, own))


def _between(points: Array, activities: Array, time: float) -> float:
    n = int(np.searchsorted(points, time, side="right")) - 1
    share = (time - points[n]) / (points[n + 1] - points[n])
    a, b = activities[n], activities[n + 1]
    return float(a * (b / a) ** share if b < a else a + share * (b - a))


def _not_identified(fit: TacFit, physical_s: float) -> Finding:
    curve, tia = fit.curve, fit.time_integrated_activity
    n, times, activities = len(curve.times_s), curve.times_s, curve.activities_bq
    times_h = " h, ".join(f"{time / HOUR_S:.1f}" for time in times)
    subject = {1: f"one point ({times_h} h) does", 2: f"two points ({times_h} h) do"}.get(
        n, f"{n} points ({times_h} h) do"
    )
    half_life_s = float("inf")
    if n > 1 and activities[-2] > activities[-1]:
        half_life_s = log(2) * (times[-1] - times[-2]) / log(activities[-2] / activities[-1])
    if n == 1:
        implied = "no half-life follows from it"
    elif half_life_s > physical_s:
        fall = "rise" if np.isinf(half_life_s) else f"imply {half_life_s / HOUR_S:.0f} h, which is"
        reach = "" if np.isinf(half_life_s) else f" longer than the physical half-life of {physical_s / HOUR_S:.1f} h"
        implied = f"the last two {fall}{reach}, so no mono-exponential passes through them"
    else:
        mono = activities[-1] * np.exp2(times[-1] / half_life_s) * half_life_s / log(2)
        implied = (
            f"a mono-exponential through the last two would have a half-life of {half_life_s / HOUR_S:.1f} h and "
            f"{mono / tia.value:.2f} times the integral given here"
        )
    needed = "at least three scans into the washout are required" if n < 3 else "later scans are required"
    text = (
        f"{curve.region}: {subject} not identify a curve; {implied}; {fit.extrapolated_fraction:.0%} of the integral lies "
        f"outside the measured times and rests on the population and on an assumed uptake; {needed}"
    )
    return Finding(Severity.WARNING, FEW.get(n, _MANY), text)
