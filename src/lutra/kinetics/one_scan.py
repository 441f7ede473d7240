"""Two published formulas for a single scan, each with the range it holds in: Madsen's and Haenscheid's."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.curve import CurveBand, Phase, TacFit, TimeActivityCurve
from lutra.core.errors import OutsideValidity
from lutra.core.estimate import K_95, Draws, Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.observed import refusal
from lutra.kinetics.population import TailPopulation, population_used, tail_population
from lutra.kinetics.settings import positive
from lutra.kinetics.single_time_point import (
    HAENSCHEID_VALID_T_OVER_HALF_LIFE,
    haenscheid_ratio,
    tia_haenscheid,
    tia_known_half_life,
)
from lutra.ports import Settings
from lutra.reference.nuclides import nuclide

Array = npt.NDArray[np.float64]

BAND_END_S = 300 * HOUR_S
MADSEN_VALID_SPREAD = 0.25
"""Relative spread of the integral over the population above which Madsen's formula rests on luck; Lutra's own choice."""


@frozen(eq=False)
class _Scan:
    """The only scan, and what the population makes of it."""

    activity: Estimate
    time_s: float
    population: TailPopulation
    half_lives_s: Array

    @property
    def integrals(self) -> Array:
        """Of the mono-exponential with each half-life through the point. [Bq.s] (n,)"""
        rates = log(2) / self.half_lives_s
        integrals: Array = self.activity.value * np.exp(rates * self.time_s) / rates
        return integrals


class Madsen:
    r"""One scan and the population's half-life: :math:`\tilde A = A(t)\,e^{kt}/k` with :math:`k = \ln 2 / T` of the median.

    The interval is that of the half-lives of the population. Where their spread alone makes the integral uncertain by more than
    25 %, as with a scan far from 1.44 half-lives, a Finding says so.

    References
    ----------
    [madsen2018] Madsen et al., Med Phys 45:2318.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:
        """Integrate; options: `population` or `half_life_median_h`, `_low_h`, `_high_h` [h], and `draws`."""
        outcome = _only_scan(curve, settings, "madsen", seed)
        if outcome.value is None:
            return Outcome(None, outcome.findings)
        scan = outcome.value
        source = f"population half-life: {curve.region}"
        median = Estimate(scan.population.median_h * HOUR_S, Unit.S, {})
        formula = tia_known_half_life(scan.activity, scan.time_s, median)
        spread = float(scan.integrals.std())
        tia = Estimate(
            formula.value,
            Unit.BQ_S,
            FrozenMap({**formula.budget, source: spread}),
            Draws((source,), scan.integrals),
        )
        findings = [population_used(curve, scan.population, "madsen", "the effective half-life is taken")]
        if spread > MADSEN_VALID_SPREAD * tia.value:
            text = (
                f"{curve.region}: with a scan at {scan.time_s / HOUR_S:.1f} h the half-lives of the population spread the integral "
                f"by {spread / tia.value:.0%}; the formula is meant for scans near 1.44 half-lives, here about "
                f"{1.44 * scan.population.median_h:.0f} h"
            )
            findings.append(Finding(Severity.WARNING, "kinetics.outside-validity", text))
        return Outcome(_fit(curve, scan, tia, "madsen"), tuple(findings))


class Haenscheid:
    r"""One scan and no half-life: :math:`\tilde A = 2\,t\,A(t)/\ln 2`.

    Errs by :math:`2x/2^x` with :math:`x = t/T`: between -11 % and +6 % for x from .75 to 2.5. Which half-lives are possible is the
    population's: they make the method's part of the uncertainty, and a Finding where many of them lie outside that range.

    References
    ----------
    [haenscheid2018] Haenscheid et al., J Nucl Med 59:75.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:
        """Integrate; options as of :class:`Madsen`."""
        outcome = _only_scan(curve, settings, "haenscheid", seed)
        if outcome.value is None:
            return Outcome(None, outcome.findings)
        scan = outcome.value
        formula = tia_haenscheid(scan.activity, scan.time_s)
        x = scan.time_s / scan.half_lives_s
        ratios = 2 * x * np.exp2(-x)
        source = f"half-life-free formula: {curve.region}"
        spread = float(np.sqrt(np.mean((1 / ratios - 1) ** 2)) * formula.value)
        tia = Estimate(
            formula.value,
            Unit.BQ_S,
            FrozenMap({**formula.budget, source: spread}),
            Draws((source,), formula.value / ratios),
        )
        low, high = HAENSCHEID_VALID_T_OVER_HALF_LIFE
        outside = float(np.mean((x < low) | (x > high)))
        findings = [population_used(curve, scan.population, "haenscheid", "the range of half-lives is taken")]
        if outside > 0.05:
            ends = (scan.time_s / HOUR_S / h for h in (scan.population.high_h, scan.population.low_h))
            text = (
                f"{curve.region}: for {outside:.0%} of the population the scan at {scan.time_s / HOUR_S:.1f} h lies outside "
                f"{low:g} to {high:g} half-lives, where 2 t A / ln 2 errs by less than -11 % to +6 %; at the ends of its 95 % it "
                f"gives {' and '.join(f'{haenscheid_ratio(end):.2f}' for end in ends)} of the integral"
            )
            findings.append(Finding(Severity.WARNING, "kinetics.outside-validity", text))
        return Outcome(_fit(curve, scan, tia, "haenscheid"), tuple(findings))


def _only_scan(curve: TimeActivityCurve, settings: Settings, model: str, seed: int) -> Outcome[_Scan]:
    try:
        population, options = tail_population(curve, settings, model, {"draws": 4000.0})
    except OutsideValidity as error:
        return Outcome(None, (Finding(Severity.UNDETERMINED, "kinetics.no-population", f"{curve.region}: {error}"),))
    positive(options, model, at_least={"draws": 2000})
    if len(curve.times_s) != 1 or curve.activities_bq[0] <= 0:
        found = f"{len(curve.times_s)} points, the first of {curve.activities_bq[0]:.3g} Bq"
        return Outcome(None, (refusal(curve, f"one positive point, which {model} needs,", found, "use another model"),))
    half_lives = population.draw(nuclide(curve.nuclide).half_life_s, int(options["draws"]), seed)
    return Outcome(_Scan(curve.activities[0], float(curve.times_s[0]), population, half_lives))


def _fit(curve: TimeActivityCurve, scan: _Scan, tia: Estimate, model: str) -> TacFit:
    source = f"population half-life: {curve.region}"
    half_life = Estimate(
        float(scan.half_lives_s.mean()),
        Unit.S,
        FrozenMap({source: float(scan.half_lives_s.std())}),
        Draws((source,), scan.half_lives_s),
    )
    # Of the mono-exponentials through the point, the one with the integral that is stated (nearest the median half-life).
    rate = log(2) / (scan.population.median_h * HOUR_S)
    phases = (Phase(tia.value * rate, rate),)
    times = np.linspace(0, max(BAND_END_S, 1.2 * scan.time_s), 301)
    curves = scan.activity.value * np.exp2((scan.time_s - times[:, None]) / scan.half_lives_s[:400])
    low, high = np.quantile(curves, (0.025, 0.975), axis=1)
    best = tia.value * rate * np.exp(-rate * times)
    own = K_95 * scan.activity.evaluated_sd / scan.activity.value * best
    band = CurveBand(times, best, np.maximum(np.minimum(low, best) - own, 0), np.maximum(high, best) + own)
    return TacFit(
        curve=curve,
        model=model,
        parameters=FrozenMap({"activity_at_scan": scan.activity, "half_life": half_life}),
        time_integrated_activity=tia,
        effective_half_life=half_life,
        extrapolated_fraction=1.0,
        identifiable=False,
        band=band,
        phases=phases,
    )
