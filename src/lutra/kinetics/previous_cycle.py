"""Later cycles with one scan: the half-life an earlier cycle showed in the same region."""

from __future__ import annotations

from math import hypot

from attrs import evolve

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.errors import OutsideValidity
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.units import HOUR_S
from lutra.kinetics.bayesian import DEFAULTS, fit_posterior, prior_of
from lutra.kinetics.observed import refusal
from lutra.kinetics.posterior import Lognormal
from lutra.kinetics.settings import numbers
from lutra.ports import Settings

MODEL = "previous-cycle"
OPTIONS = {
    **DEFAULTS,
    "cycle_relative_sd": 0.07,  # of effective half-lives between cycles of one patient, trend removed
}
"""Options of `[kinetics.options.previous-cycle]`. [1]"""


def with_earlier_cycle(curve: TimeActivityCurve, earlier: TacFit | None) -> TimeActivityCurve:
    """Tell a curve the half-life an earlier cycle showed; one that the points of that cycle determined, or none."""
    known = earlier.effective_half_life if earlier is not None and earlier.identifiable else None
    return evolve(curve, earlier_half_life=known)


class PreviousCycle:
    """Posterior of uptake and washout where the half-life was known from an earlier cycle before these points.

    Its uncertainty there and the spread between cycles make a lognormal prior; whatever points there are move it. One scan is
    enough: the published error is 2 % with a scan at 24 h and 13 % with one at 4 h.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:
        """Fit the curve, or say that no earlier cycle determined the half-life; options: :data:`OPTIONS`."""
        options = numbers(settings, OPTIONS, MODEL)
        earlier = curve.earlier_half_life
        if earlier is None:
            found = refusal(
                curve, "the washout", "no earlier cycle determined its half-life", "let the next model answer"
            )
            return Outcome(None, (found,))
        try:
            prior = prior_of(curve, _prior(earlier, options["cycle_relative_sd"]), options)
        except OutsideValidity as error:
            return Outcome(
                None, (Finding(Severity.UNDETERMINED, "kinetics.no-population", f"{curve.region}: {error}"),)
            )
        outcome = fit_posterior(curve, prior, options, MODEL, seed)
        if outcome.value is None:
            return Outcome(None, outcome.findings)
        fit, share = outcome.value
        text = (
            f"{curve.region}: {share:.0%} of what is not known of the effective half-life is left open by the points and taken "
            f"from an earlier cycle, {earlier.value / HOUR_S:.1f} h with {prior.half_life.log_sd:.0%} (its own uncertainty and "
            f"{options['cycle_relative_sd']:.0%} between cycles)"
        )
        used = Finding(Severity.WARNING, "kinetics.half-life-of-earlier-cycle", text)
        return Outcome(evolve(fit, identifiable=share <= options["population_share"]), (*outcome.findings, used))


def _prior(earlier: Estimate, between: float) -> Lognormal:
    return Lognormal(earlier.value, hypot(earlier.evaluated_sd / earlier.value, between))
