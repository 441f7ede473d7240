"""Standardised uptake value by body weight. Its rules are the table in `suv_cases`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from attrs import frozen

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.core.time import seconds_between
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.decay import decay_factor
from lutra.quantify.body import G_PER_KG, implausible_weight
from lutra.quantify.decay_reference import SliceReferences, slice_references
from lutra.quantify.instants import CLOCK_ROUNDING_S
from lutra.quantify.stored_values import MOST_HALF_LIVES
from lutra.quantify.suv_case import Refusal, first_of
from lutra.quantify.suv_cases import ACTIVITIES, UNITS

REFUSED = "refused"
FACTOR_TOLERANCE = 0.01
"""Philips writes its factors with three digits and up; the real header sets agree to 0.1 %."""


@frozen
class SuvFactor:
    """What a rescaled stored value is multiplied by to give SUVbw.

    Parameters
    ----------
    value
        The factor; None if it cannot be determined, or differs from slice to slice. [g/mL per stored unit]
    case
        Names of the rules that applied, as in :data:`~lutra.quantify.suv_cases.CASES`.
    reason
        The rules in words, or the missing tag.
    slice_values
        The factor of each slice, in slice order, where they differ; otherwise empty. [g/mL per stored unit]
    """

    value: float | None
    case: str
    reason: str
    findings: tuple[Finding, ...] = ()
    slice_values: tuple[float, ...] = ()


def suv_bw_factor(header: SeriesHeader) -> SuvFactor:
    r"""Find the factor from stored value to SUVbw.

    .. math:: \mathrm{SUV} = C\,\frac{m}{A_0\,2^{-t/T}}

    with the body weight m and the administered activity A0 decayed over the time t from administration to the instant the image
    is stated for.

    Parameters
    ----------
    header
        Header of a PET-type series. Units (0054,1001) BQML; GML, which is SUV already; or CNTS with a private factor.
    """
    if header.modality not in {"PT", "NM"}:
        return SuvFactor(None, "not nuclear", f"modality {header.modality} has no SUV")
    unit, scale = first_of(UNITS, header)
    if isinstance(scale, Refusal):
        return SuvFactor(None, unit.name, scale.why)
    if scale.gives_suv:
        factor = SuvFactor(scale.factor, unit.name, unit.used, _other_factor(header, scale.factor))
    else:
        factor = _from_activity(header, scale.factor, unit.name, unit.used)
    determined = factor.value is not None or factor.slice_values
    if determined and header.corrected_image and "ATTN" not in header.corrected_image:
        why = f"not corrected for attenuation: Corrected Image (0028,0051) is {', '.join(header.corrected_image)}"
        return SuvFactor(None, REFUSED, why, factor.findings)
    return factor


def to_suv(header: SeriesHeader, image: Volume) -> Outcome[Volume]:
    """Convert stored values to SUVbw, stated for the image's decay reference."""
    factor = suv_bw_factor(header)
    if factor.value is None and len(factor.slice_values) != image.grid.shape[2]:
        return Outcome(None, (*factor.findings, _no_suv(header, factor.reason)))
    with np.errstate(over="ignore", invalid="ignore"):
        factors = np.array(factor.slice_values or (factor.value,)).astype(np.float32)
        values = image.values * factors
    if not factors.min() > 0 or not np.isfinite(values).all():
        why = f"the factor by rule {factor.case!r}, {factor.value or max(factor.slice_values):g}, takes its values out of range"
        return Outcome(None, (*factor.findings, _no_suv(header, why)))
    instants = slice_references(header).value
    reference = instants.at[0] if instants and len(instants.at) == 1 else None
    volume = Volume(values, image.grid, Unit.SUV_BW, header.acquired_at, reference)
    size = f"{factors.min():.8g} to {factors.max():.8g}" if factor.value is None else f"{factor.value:.8g}"
    text = f"series {header.series_uid}: SUVbw factor {size} by rule {factor.case!r}: {factor.reason}"
    return Outcome(volume, (*factor.findings, Finding(Severity.INFO, "quantify.suv-rule", text)))


def _no_suv(header: SeriesHeader, why: str) -> Finding:
    return Finding(Severity.UNDETERMINED, "quantify.no-suv", f"series {header.series_uid} has no SUV: {why}")


def _from_activity(header: SeriesHeader, bq_per_ml: float, unit_case: str, unit_used: str) -> SuvFactor:
    """Factor of an image whose stored values are `bq_per_ml` each."""
    instants = slice_references(header)
    findings = instants.findings
    agent = header.radiopharmaceutical
    missing = [
        tag
        for tag, there in (
            ("patient weight (0010,1030)", header.patient_weight_kg),
            ("injected activity (0018,1074)", agent and agent.activity_bq),
            ("administration time (0018,1078) or (0018,1072) before the scan", agent and agent.administered_at),
            ("half-life (0018,1075)", agent and agent.half_life_s),
        )
        if not there
    ]
    if missing:
        return SuvFactor(None, REFUSED, f"missing: {', '.join(missing)}", findings)
    if reason := implausible_weight(header):
        doubt = Finding(Severity.WARNING, "quantify.body-implausible", f"series {header.series_uid}: {reason}")
        return SuvFactor(None, REFUSED, reason, (*findings, doubt))
    if instants.value is None:
        return SuvFactor(None, REFUSED, findings[-1].text, findings)
    activity, administered = first_of(ACTIVITIES, header)
    if isinstance(administered, Refusal):
        return SuvFactor(None, activity.name, administered.why, findings)
    elapsed_s = _elapsed_s(header, instants.value)
    assert agent is not None and agent.half_life_s and header.patient_weight_kg is not None  # noqa: S101, PT018  (nothing is missing)
    if why := _impossible_uptake(elapsed_s, agent.half_life_s):
        return SuvFactor(None, REFUSED, why, findings)
    weight_g = header.patient_weight_kg * G_PER_KG
    factors = tuple(bq_per_ml * weight_g / (administered * decay_factor(t, agent.half_life_s)) for t in elapsed_s)
    case, used = f"{unit_case}, {instants.value.case}", [unit_used, instants.value.reason]
    if activity.name != ACTIVITIES[0].name:
        case, used = f"{case}, {activity.name}", [*used, activity.used]
        findings = (*findings, _residual(header, administered, activity.used))
    value, slices = (factors[0], ()) if len(factors) == 1 else (None, factors)
    return SuvFactor(value, case, "; ".join(used), findings, slices)


def _elapsed_s(header: SeriesHeader, instants: SliceReferences) -> tuple[float, ...]:
    agent = header.radiopharmaceutical
    assert agent is not None and agent.administered_at is not None  # noqa: S101, PT018  (the caller's check)
    if header.decay_correction is DecayCorrection.ADMIN:
        return (0.0,)
    return tuple(seconds_between(agent.administered_at, at) for at in instants.at)


def _impossible_uptake(elapsed_s: Iterable[float], half_life_s: float) -> str | None:
    for t in elapsed_s:
        if t < -CLOCK_ROUNDING_S:
            return f"the image is stated for an instant {-t:.0f} s before the administration (0018,1078) or (0018,1072)"
        if t > MOST_HALF_LIVES * half_life_s:
            return (
                f"{t / half_life_s:.3g} half-lives between administration (0018,1078) and the instant the image is stated for; "
                f"required: at most {MOST_HALF_LIVES:g}"
            )
    return None


def _other_factor(header: SeriesHeader, suv_factor: float) -> tuple[Finding, ...]:
    """Compare Philips' two private factors, where both are there: (7053,1009) with weight and activity must give (7053,1000)."""
    bq_per_ml = header.vendor_factors.get("philips_activity")
    if header.stored_unit != "CNTS" or not bq_per_ml:
        return ()
    other = _from_activity(header, bq_per_ml, "", "").value
    if other is None or abs(other / suv_factor - 1) <= FACTOR_TOLERANCE:
        return ()
    text = (
        f"series {header.series_uid}: the private SUV factor (7053,1000) {suv_factor:g} is used; the activity factor (7053,1009) "
        f"with the weight and activity of the header would give {other:g}. To do: check weight, activity and times at the source"
    )
    return (Finding(Severity.WARNING, "quantify.suv-factors-disagree", text),)


def _residual(header: SeriesHeader, net_bq: float, used: str) -> Finding:
    agent = header.radiopharmaceutical
    dated = agent is not None and agent.residual_measured_at is not None
    return Finding(
        Severity.INFO if dated else Severity.WARNING,
        "quantify.residual-activity",
        f"series {header.series_uid}: {used}: {net_bq:.6g} Bq net"
        + ("" if dated else ". The time of the measurement is unknown. To do: enter it at the source"),
    )
