"""Points and a population together: as much of a curve as the points tell, the rest from the population."""

from __future__ import annotations

from math import exp, log

import numpy as np
from attrs import evolve
from scipy.stats import chi2

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.units import HOUR_S
from lutra.kinetics.observed import Points, observed, refusal
from lutra.kinetics.population import FEW, TailPopulation, population_used, tail_population
from lutra.kinetics.posterior import Lognormal, Posterior, Prior
from lutra.kinetics.posterior_fit import describe, weigh
from lutra.kinetics.settings import positive
from lutra.ports import Settings
from lutra.reference.nuclides import nuclide
from lutra.reference.populations import uptake_population

MODEL = "bayesian"
TITLE = "a curve of uptake and washout"

NOISE = {"noise_median": 0.09, "noise_low": 0.05, "noise_high": 0.16}
"""Relative noise of a point where none is stated: median and central 95 %; Lutra's own choice. [1]"""

DEFAULTS = {
    **NOISE,
    "draws": 4000.0,
    "misfit_probability": 0.001,  # what no curve of this kind describes goes on to the next model
    "early_relative_sd": 0.10,  # of the first day before the first scan: fast phases nobody saw, as in simulated patients
    "population_share": 0.25,  # of the variance of ln T: more left by the points, and the population decides noticeably
    "residual_limit": 0.20,  # rms relative residual where noise was not evaluated; Lutra's own choice
}
"""Options of `[kinetics.options.bayesian]` besides those of the population. [1]"""


class Bayesian:
    r"""Posterior of :math:`a\,(2^{-t/T} - 2^{-t/T_u})`: one point or many, each parameter as far as the points determine it.

    With a single point the half-life is the population's; with three or more into the washout it is the patient's own, whatever the
    population. What of it still rests on the population is said in Findings. The uptake of a curve without an early scan is the
    population's too, which takes a few per cent off the integral of a curve drawn back to the start.

    References
    ----------
    [hardiansyah2020] single-time-point dosimetry by non-linear mixed effects, for the idea; the population and numbers are those of
    :mod:`lutra.reference.populations`.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:
        """Fit the curve.

        Parameters
        ----------
        curve
            Activities, not decay corrected. [Bq]
        settings
            :data:`DEFAULTS`; `population` (a tissue), or `half_life_median_h`, `half_life_low_h` and `half_life_high_h`. [h]
        seed
            Of the draws; the values do not depend on it.

        Raises
        ------
        ProtocolError
            If a setting is unknown or impossible.
        """
        try:
            population, options = tail_population(curve, settings, MODEL, DEFAULTS)
            prior = prior_of(curve, population.lognormal, options)
        except OutsideValidity as error:
            return Outcome(
                None, (Finding(Severity.UNDETERMINED, "kinetics.no-population", f"{curve.region}: {error}"),)
            )
        outcome = fit_posterior(curve, prior, options, MODEL, seed)
        if outcome.value is None:
            return Outcome(None, outcome.findings)
        fit, share = outcome.value
        findings = outcome.findings
        if share > options["population_share"]:
            what = f"{share:.0%} of what is not known of the effective half-life is left open by the points and taken"
            findings = (*findings, population_used(curve, population, MODEL, what))
        findings = (*_too_few(fit), *findings, *_outside(fit, population))
        identifiable = share <= options["population_share"] and len(curve.times_s) not in FEW
        return Outcome(evolve(fit, identifiable=identifiable), findings)


def prior_of(curve: TimeActivityCurve, half_life: Lognormal, options: dict[str, float]) -> Prior:
    """Put together what is known before the points.

    Raises
    ------
    OutsideValidity
        If nothing is known of the uptake of this nuclide.
    """
    up = uptake_population(curve.nuclide)
    uptake = Lognormal.of_range(up.median_h * HOUR_S, up.low_h * HOUR_S, up.high_h * HOUR_S)
    noise = Lognormal.of_range(*(options[name] for name in NOISE))
    return Prior(half_life, uptake, noise, nuclide(curve.nuclide).half_life_s)


def fit_posterior(
    curve: TimeActivityCurve, prior: Prior, options: dict[str, float], model: str, seed: int
) -> Outcome[tuple[TacFit, float]]:
    """Fit, with the share of the prior's variance of ln T that the points leave. [1]"""
    positive(options, model, *NOISE, at_least={"draws": 2000})
    points = observed(curve)
    if np.any(curve.activities_bq <= 0):
        found = ", ".join(f"{a:.3g} Bq" for a in curve.activities_bq)
        text = f"{curve.region}: activities {found} are not all positive; check that region and scan belong together"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "kinetics.activity-not-positive", text),))
    found_posterior = weigh(points, prior)
    if misfit := _misfit(points, found_posterior, options):
        return Outcome(None, (refusal(curve, TITLE, misfit, "check the points, or let the next model answer"),))
    fit = describe(
        curve, found_posterior, prior, model, int(options["draws"]), seed, early_sd=options["early_relative_sd"]
    )
    half_life_sd = found_posterior.log_half_life()[1]
    mean_uptake, uptake_sd = found_posterior.log_uptake()
    findings = []
    if points.sd_bq is None:
        findings.append(_noise_assumed(curve, found_posterior, options))
    if uptake_sd > 0.5 * prior.uptake.log_sd:
        text = (
            f"{curve.region}: the points do not show the uptake; its half-time is the population's, "
            f"{exp(mean_uptake) / HOUR_S:.1f} h, which makes the integral "
            f"{exp(mean_uptake) / fit.effective_half_life.value:.1%} smaller than a washout from the start"
        )
        findings.append(Finding(Severity.INFO, "kinetics.population-uptake", text))
    return Outcome((fit, min((half_life_sd / prior.half_life.log_sd) ** 2, 1.0)), tuple(findings))


def _misfit(points: Points, found: Posterior, options: dict[str, float]) -> str:
    n = len(points.times_s)
    if n < 3:
        return ""
    if points.sd_bq is None:
        rms = (found.misfit / n) ** 0.5
        text = f"rms relative residual {rms:.0%}, more than {options['residual_limit']:.0%}"
        return text if rms > options["residual_limit"] else ""
    text = f"chi-square {found.misfit:.3g} with {n - 2} degrees of freedom: the residuals exceed the counting noise"
    return text if chi2.sf(found.misfit, n - 2) < options["misfit_probability"] else ""


def _noise_assumed(curve: TimeActivityCurve, found: Posterior, options: dict[str, float]) -> Finding:
    noise = exp(found.log_noise())
    text = (
        f"{curve.region}: the uncertainty of the activities is not known; it is taken between {options['noise_low']:.0%} and "
        f"{options['noise_high']:.0%} of each, and as far as the points scatter it is {noise:.0%}; state it to narrow or widen "
        "the interval rightly"
    )
    return Finding(Severity.WARNING, "kinetics.noise-assumed", text)


def _too_few(fit: TacFit) -> tuple[Finding, ...]:
    n = len(fit.curve.times_s)
    if n not in FEW:
        return ()
    subject = {1: "one point does", 2: "two points do"}[n]
    text = (
        f"{fit.curve.region}: {subject} not identify a curve; {fit.extrapolated_fraction:.0%} of the integral lies outside the "
        "measured times, and nothing shows whether the curve is the assumed one; at least three scans into the washout are required"
    )
    return (Finding(Severity.WARNING, FEW[n], text),)


def _outside(fit: TacFit, population: TailPopulation) -> tuple[Finding, ...]:
    half_life_h = fit.effective_half_life.value / HOUR_S
    distance = abs(log(half_life_h / population.median_h)) / population.lognormal.log_sd
    if distance < 2.576:  # one in a hundred
        return ()
    text = (
        f"{fit.curve.region}: the effective half-life of {half_life_h:.0f} h is unlike those of its population "
        f"({population.tissue}, 95 % between {population.low_h:g} and {population.high_h:g} h); check region, times and tissue"
    )
    return (Finding(Severity.WARNING, "kinetics.unlike-population", text),)
