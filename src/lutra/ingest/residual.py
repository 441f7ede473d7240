"""Activity left in the syringe, from GE's private elements, and whether the header has taken it off already.

Group (0009) of `GEMS_PETD_01`: tracer activity (1038) measured at (1039), residual after the injection (103C) measured at
(103D). [MBq] By GE's conformance statements (0018,1074) is computed from these and is what went into the patient; exports that
copy the activity of the syringe into it exist. Both readings are tried, and the header has to fit one.
"""

from __future__ import annotations

from datetime import datetime

from attrs import evolve
from pydicom import Dataset

from lutra.core.finding import Finding, Severity
from lutra.core.study import Radiopharmaceutical
from lutra.core.time import seconds_between
from lutra.ingest.clock import parse
from lutra.ingest.elements import private, text

CREATOR = "GEMS_PETD_01"
TRACER, TRACER_AT, RESIDUAL, RESIDUAL_AT = 0x38, 0x39, 0x3C, 0x3D
BQ_PER_MBQ = 1e6
MOST_HALF_LIVES = 10.0
"""A thousandth is left then: one of the dates is wrong."""
AGREEMENT = 0.005
"""Two statements of one activity: 30 s of 18F, and what is lost to rounding."""


def with_residual(
    agent: Radiopharmaceutical, header: Dataset, zone: str, findings: list[Finding]
) -> Radiopharmaceutical:
    """Add the residual activity to an administration from which it has not been taken off yet."""
    residual_bq, residual_at = _activity(header, RESIDUAL), _time(header, RESIDUAL_AT, zone)
    if residual_bq is None:
        return agent
    tracer_bq, tracer_at = _activity(header, TRACER), _time(header, TRACER_AT, zone)
    at, stated_bq, half_life_s = agent.administered_at, agent.activity_bq, agent.half_life_s
    said = f"residual activity {residual_bq:g} Bq (0009,103C), tracer activity {tracer_bq or 0:g} Bq (0009,1038)"
    if not (residual_at and tracer_bq and tracer_at and at and stated_bq and half_life_s):
        findings.append(_doubt(f"{said}: their times, the administration or its activity are missing, so that they"))
        return agent
    before, after = (s / half_life_s for s in (seconds_between(tracer_at, at), seconds_between(at, residual_at)))
    if not (0 <= before < MOST_HALF_LIVES and 0 <= after < MOST_HALF_LIVES):
        order = f"{tracer_at.isoformat()}, administration {at.isoformat()}, residual {residual_at.isoformat()}"
        findings.append(_doubt(f"{said}: their times do not follow each other (tracer {order}); they"))
        return agent
    gross_bq = tracer_bq * 2**-before
    net_bq = gross_bq - residual_bq * 2**after
    from_gross, from_net = abs(stated_bq / gross_bq - 1), abs(stated_bq - net_bq) / stated_bq
    if from_net <= min(AGREEMENT, from_gross):
        text_ = f"{said}: injected activity (0018,1074) {stated_bq:g} Bq is already less the residual"
        findings.append(Finding(Severity.INFO, "ingest.residual-activity", text_))
        return agent
    if from_gross <= AGREEMENT:
        text_ = (
            f"{said}: injected activity (0018,1074) {stated_bq:g} Bq is that of the syringe; the residual is taken off"
        )
        findings.append(Finding(Severity.INFO, "ingest.residual-activity", text_))
        return evolve(agent, residual_activity_bq=residual_bq, residual_measured_at=residual_at)
    both = f"neither {gross_bq:g} nor, less the residual, {net_bq:g} Bq"
    findings.append(_doubt(f"{said}: injected activity (0018,1074) {stated_bq:g} Bq is {both}; they"))
    return agent


def _doubt(said: str) -> Finding:
    text_ = f"{said} are not used and (0018,1074) stands as it is. To do: check the injected activity at its source"
    return Finding(Severity.WARNING, "ingest.residual-contradiction", text_)


def _activity(header: Dataset, element: int) -> float | None:
    try:
        value = float(private(header, 0x0009, CREATOR, element))
    except (TypeError, ValueError):
        return None
    return value * BQ_PER_MBQ if 0 < value < float("inf") else None


def _time(header: Dataset, element: int, zone: str) -> datetime | None:
    value = private(header, 0x0009, CREATOR, element)
    return None if value is None else parse(str(value), zone, text(header, "TimezoneOffsetFromUTC"))
