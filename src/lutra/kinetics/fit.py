"""Asks one model after another until the points identify one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.settings import EXTRAPOLATED_FRACTION_FLAG
from lutra.ports import KineticsModel, Settings


def fit_first(
    curve: TimeActivityCurve,
    models: Sequence[tuple[str, KineticsModel]],
    options: Mapping[str, Settings],
    seed: int,
    extrapolated_fraction_flag: float = EXTRAPOLATED_FRACTION_FLAG,
) -> Outcome[TacFit]:
    """Fit a curve with the first model that the points identify.

    The Findings of models that refused are kept. Once another model succeeds, a refusal no longer leaves anything
    undetermined: it becomes the reason, at severity INFO, why that other model was used.

    Parameters
    ----------
    models
        Qualified name and model, in the order in which they are asked.
    options
        Table of each model, by its short or qualified name.
    seed
        For models that draw.
    extrapolated_fraction_flag
        Share of the integral outside the measured times above which a Finding says so. [1]
    """
    refusals: list[Finding] = []
    for name, model in models:
        outcome = model.fit(curve, _options_of(name, options), seed)
        if outcome.value is not None:
            fit = evolve(outcome.value, model=name)
            reasons = tuple(_as_reason(finding, name) for finding in refusals)
            return Outcome(fit, (*reasons, *outcome.findings, *_extrapolation(fit, extrapolated_fraction_flag)))
        refusals += outcome.findings
    if not refusals:
        text = f"{curve.region}: no kinetics model is set; name at least one in kinetics.models"
        refusals = [Finding(Severity.UNDETERMINED, "kinetics.no-model", text)]
    return Outcome(None, tuple(refusals))


def _options_of(name: str, options: Mapping[str, Settings]) -> Settings:
    """Look up by `distribution.short@version` or by `short`."""
    short = name.partition("@")[0]
    return next(
        (table for key, table in options.items() if name == key or f".{short}".endswith(f".{key}")), FrozenMap()
    )


def _as_reason(finding: Finding, used: str) -> Finding:
    if finding.severity is not Severity.UNDETERMINED:
        return finding
    return evolve(finding, severity=Severity.INFO, text=f"{finding.text}. {used} was used instead")


def _extrapolation(fit: TacFit, flag: float) -> tuple[Finding, ...]:
    if fit.extrapolated_fraction <= flag:
        return ()
    times_h = fit.curve.times_s / HOUR_S
    text = (
        f"{fit.curve.region}: {fit.extrapolated_fraction:.0%} of the time-integrated activity lies outside the measured times "
        f"({times_h[0]:.1f} h to {times_h[-1]:.1f} h), more than {flag:.0%} (kinetics.extrapolated_fraction_flag); "
        "a later scan would reduce it"
    )
    return (Finding(Severity.WARNING, "kinetics.extrapolated", text),)
