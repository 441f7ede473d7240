"""Whether a change is real or within what the same measurement would show in an unchanged patient.

Exploratory: limits come from test-retest studies of a few hours or days, one scanner and one protocol.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from lutra.core.errors import UnitMismatch
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Measurements
from lutra.core.response import ChangeVerdict, RealChange
from lutra.core.study import Role, SeriesHeader
from lutra.core.units import Unit
from lutra.physics.recovery import sphere_diameter_mm
from lutra.quantify.comparable import differences
from lutra.quantify.settings import QuantifySettings
from lutra.reference.repeatability import (
    ANY_TISSUE,
    RepeatabilityLimits,
    limits_of_wcv,
    published_limits,
    tissue_in_name,
)

FOLLOWED = {
    Role.FDG_PET: ("suv_max",),
    Role.SSTR_PET: ("suv_max",),
    Role.ADC: ("adc_median", "adc_mean"),
    Role.DWI: ("adc_median", "adc_mean"),
}
"""Values whose change from baseline the study explores, by role. A scanner's ADC map and an ADC fitted here are not compared."""


def classify_change(
    before: Estimate, after: Estimate, quantity: str, tissue: str | None, site_wcv: Mapping[str, float] = FrozenMap()
) -> RealChange:
    """Tell whether a value changed by more than it varies of itself.

    Parameters
    ----------
    quantity
        Role of the image and name of the value: `fdg-pet.suv_max`, `adc.adc_median`, `ct.volume`.
    tissue
        Where the lesion lies (`liver`); None if that is not known.
    site_wcv
        Within-subject coefficients of variation measured by the site, by quantity; they go before published ones. [1]

    Raises
    ------
    UnitMismatch
        If the two values are not of one unit.
    """
    if before.unit is not after.unit:
        raise UnitMismatch(f"{quantity}: {before.unit} before, {after.unit} after", do="compare values of one unit")
    unknown = RealChange(quantity, tissue, before.unit, before.value, after.value, ChangeVerdict.NOT_KNOWN, "")
    if not (before.value > 0 and after.value >= 0):
        return evolve(unknown, reason="a relative change needs positive values")
    change = after.value / before.value - 1
    limits, why_not = _limits(quantity, tissue, before, site_wcv)
    if limits is None:
        return evolve(unknown, change=change, reason=why_not)
    verdict = ChangeVerdict.WITHIN_NOISE
    if change >= limits.upper:
        verdict = ChangeVerdict.INCREASE
    elif change <= limits.lower:
        verdict = ChangeVerdict.DECREASE
    reason = f"{change:+.0%} against limits of {limits.lower:+.0%} and {limits.upper:+.0%}: {limits.source}"
    reason += "" if limits.confirmed else "; not confirmed"
    judged = evolve(unknown, change=change, verdict=verdict, reason=reason, confirmed=limits.confirmed)
    return evolve(judged, lower=limits.lower, upper=limits.upper)


def change_from_baseline(
    before: Measurements,
    after: Measurements,
    headers: tuple[SeriesHeader, SeriesHeader],
    role: Role,
    lesion_name: str,
    settings: QuantifySettings,
) -> Outcome[tuple[RealChange, ...]]:
    """Compare the values of one lesion that are followed through the study in two images of one role.

    Images that differ in scanner or reconstruction are not judged: the verdict is not known, and a Finding says why.

    Parameters
    ----------
    headers
        Of the image before and after.
    lesion_name
        As its author called it; the tissue is taken from there.
    """
    unlike = differences(*headers, role)
    findings = []
    if unlike:
        findings.append(
            Finding(
                Severity.WARNING,
                "quantify.not-comparable",
                f"{before.region}: series {before.series_uid} and {after.series_uid} differ in {'; '.join(unlike)}. A change of "
                f"{role.value} between them is not judged. To do: compare images of one scanner and one reconstruction",
            )
        )
    tissue = tissue_in_name(lesion_name)
    changes = []
    for name in FOLLOWED.get(role, ()):
        if name not in before.values or name not in after.values:
            continue
        quantity = f"{role.value}.{name}"
        change = classify_change(before.values[name], after.values[name], quantity, tissue, settings.repeatability_wcv)
        if unlike:
            change = evolve(change, verdict=ChangeVerdict.NOT_KNOWN, reason=f"not comparable: {'; '.join(unlike)}")
        changes.append(evolve(change, series_before=before.series_uid, series_after=after.series_uid))
    return Outcome(tuple(changes), findings)


def _limits(
    quantity: str, tissue: str | None, before: Estimate, site_wcv: Mapping[str, float]
) -> tuple[RepeatabilityLimits | None, str]:
    """Limits for this lesion, or why there are none."""
    if quantity in site_wcv:
        source = "measured by the site (quantify.repeatability_wcv)"
        return RepeatabilityLimits(*limits_of_wcv(site_wcv[quantity]), ANY_TISSUE, source=source, confirmed=True), ""
    known = published_limits().get(quantity, ())
    diameter_mm = sphere_diameter_mm(before.value) if before.unit is Unit.ML else None
    fitting = [limits for limits in known if limits.holds_for(tissue, diameter_mm)]
    if fitting:
        return fitting[0], ""
    if not known:
        to_do = "measure it by scanning patients twice and set quantify.repeatability_wcv"
        return None, f"no repeatability of {quantity} is published in reference/repeatability.toml. To do: {to_do}"
    if diameter_mm is not None:
        return None, f"no repeatability of {quantity} for a lesion of {diameter_mm:.0f} mm"
    tissues = ", ".join(limits.tissue for limits in known)
    where = tissue or "a tissue its name does not say"
    return None, f"repeatability of {quantity} is known in {tissues}; this lesion lies in {where}"
