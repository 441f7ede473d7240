"""Standardised uptake value by body weight."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.core.time import seconds_between
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.decay import decay_factor
from lutra.quantify.decay_reference import decay_reference

G_PER_KG = 1000.0


@frozen
class SuvFactor:
    """What a rescaled stored value is multiplied by to give SUVbw.

    Parameters
    ----------
    value
        The factor; None if it cannot be determined. [g/mL per stored unit]
    case
        Name of the rule that applied.
    reason
        The rule in words, or the missing tag.
    """

    value: float | None
    case: str
    reason: str
    findings: tuple[Finding, ...] = ()


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
    if header.stored_unit == "GML":
        return SuvFactor(1.0, "GML", "stored values are SUV in g/mL, (0054,1001) GML")
    if header.stored_unit == "CNTS":
        if "philips_suv" in header.vendor_factors:
            factor = header.vendor_factors["philips_suv"]
            return SuvFactor(factor, "CNTS, SUV factor", "counts with the private SUV factor (7053,1000)")
        if "philips_activity" in header.vendor_factors:
            inner = _from_activity(header, "CNTS, activity factor")
            scale = header.vendor_factors["philips_activity"]
            value = None if inner.value is None else inner.value * scale
            return SuvFactor(
                value,
                inner.case,
                f"counts with the private activity factor (7053,1009); {inner.reason}",
                inner.findings,
            )
        return SuvFactor(None, "refused", "Units (0054,1001) CNTS without a private factor (7053,1000) or (7053,1009)")
    if header.stored_unit == "BQML":
        return _from_activity(header, "BQML")
    return SuvFactor(
        None, "refused", f"Units (0054,1001) are {header.stored_unit or 'missing'}; required: BQML, GML or CNTS"
    )


def to_suv(header: SeriesHeader, image: Volume) -> Outcome[Volume]:
    """Convert stored values to SUVbw, stated for the image's decay reference."""
    factor = suv_bw_factor(header)
    if factor.value is None:
        text = f"series {header.series_uid} has no SUV: {factor.reason}"
        return Outcome(None, (*factor.findings, Finding(Severity.UNDETERMINED, "quantify.no-suv", text)))
    reference = decay_reference(header).value
    values = image.values * np.float32(factor.value)
    volume = Volume(values, image.grid, Unit.SUV_BW, header.acquired_at, reference.at if reference else None)
    text = f"series {header.series_uid}: SUVbw factor {factor.value:.8g} by rule {factor.case!r}: {factor.reason}"
    return Outcome(volume, (*factor.findings, Finding(Severity.INFO, "quantify.suv-rule", text)))


def _from_activity(header: SeriesHeader, unit_case: str) -> SuvFactor:
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
    outcome = decay_reference(header)
    if missing or outcome.value is None:
        why = [f"missing: {', '.join(missing)}"] if missing else [f.text for f in outcome.findings[-1:]]
        return SuvFactor(None, "refused", "; ".join(why), outcome.findings)
    reference = outcome.value
    assert agent is not None and header.patient_weight_kg is not None  # noqa: S101, PT018  (nothing is missing)
    assert agent.activity_bq and agent.administered_at and agent.half_life_s  # noqa: S101, PT018
    elapsed_s = (
        0.0
        if header.decay_correction is DecayCorrection.ADMIN
        else seconds_between(agent.administered_at, reference.at)
    )
    activity_bq = agent.activity_bq * decay_factor(elapsed_s, agent.half_life_s)
    factor = header.patient_weight_kg * G_PER_KG / activity_bq
    return SuvFactor(factor, f"{unit_case}, {reference.case}", reference.reason, outcome.findings)
