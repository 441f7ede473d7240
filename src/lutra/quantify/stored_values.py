"""What the stored values of a nuclear image are, and how much activity they are measured against.

Each function answers for the headers it knows and gives None for the others; :data:`~lutra.quantify.suv_cases.CASES` says in which
order they are asked.
"""

from __future__ import annotations

from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.core.time import seconds_between
from lutra.physics.decay import decay_factor
from lutra.quantify.instants import CLOCK_ROUNDING_S
from lutra.quantify.suv_case import Refusal, Scale

MOST_HALF_LIVES = 10.0
"""A thousandth of the activity is left then, which nobody measures: one of the dates is wrong."""


def suv(header: SeriesHeader) -> Scale | None:
    """Take SUVbw as stored."""
    return Scale(1.0, gives_suv=True) if header.stored_unit == "GML" and header.suv_type in {None, "BW"} else None


def other_suv(header: SeriesHeader) -> Refusal | None:
    """Refuse SUV of another normalisation."""
    if header.stored_unit != "GML":
        return None
    return Refusal(f"stored values are SUV of type {header.suv_type} (0054,1006); required: BW, body weight")


def counts_to_suv(header: SeriesHeader) -> Scale | None:
    """Take counts with an SUV factor; one factor cannot hold for beds that are not decay corrected."""
    factor = header.vendor_factors.get("philips_suv", 0.0)
    one_factor = header.decay_correction is not DecayCorrection.NONE
    return Scale(factor, gives_suv=True) if header.stored_unit == "CNTS" and factor > 0 and one_factor else None


def counts_to_activity(header: SeriesHeader) -> Scale | None:
    """Take counts with an activity factor."""
    factor = header.vendor_factors.get("philips_activity", 0.0)
    return Scale(factor, gives_suv=False) if header.stored_unit == "CNTS" and factor > 0 else None


def counts(header: SeriesHeader) -> Refusal | None:
    """Refuse counts without a factor."""
    if header.stored_unit != "CNTS":
        return None
    if header.vendor_factors.get("philips_suv", 0.0) > 0:
        return Refusal(
            "Units (0054,1001) CNTS, not decay corrected (0054,1102): one private SUV factor (7053,1000) does not hold for all "
            "slices, and there is no private activity factor (7053,1009)"
        )
    return Refusal("Units (0054,1001) CNTS without a positive private factor (7053,1000) or (7053,1009)")


def activity_concentration(header: SeriesHeader) -> Scale | None:
    """Take Bq/mL as stored."""
    return Scale(1.0, gives_suv=False) if header.stored_unit == "BQML" else None


def other_unit(header: SeriesHeader) -> Refusal:
    """Refuse any other unit."""
    return Refusal(f"Units (0054,1001) are {header.stored_unit or 'missing'}; required: BQML, GML or CNTS")


def as_stated(header: SeriesHeader) -> float | None:
    """Activity of the header, if there is no residual to take off."""
    agent = header.radiopharmaceutical
    return agent.activity_bq if agent and agent.residual_activity_bq is None else None


def impossible_residual(header: SeriesHeader) -> Refusal | None:
    """Refuse a residual that contradicts the administration."""
    agent = header.radiopharmaceutical
    if agent is None or agent.residual_activity_bq is None or agent.activity_bq is None:
        return Refusal("missing: injected activity (0018,1074)")
    if not 0 <= agent.residual_activity_bq < agent.activity_bq:
        return Refusal(f"a residual of {agent.residual_activity_bq:g} Bq of {agent.activity_bq:g} Bq (0018,1074)")
    at, administered_at = agent.residual_measured_at, agent.administered_at
    if at is None or administered_at is None:
        return None
    since_s = seconds_between(administered_at, at)
    if -CLOCK_ROUNDING_S <= since_s <= MOST_HALF_LIVES * (agent.half_life_s or 0):
        return None
    return Refusal(f"a residual measured at {at.isoformat()}, for an administration at {administered_at.isoformat()}")


def net(header: SeriesHeader) -> float | None:
    """Activity less the residual, decayed back to the administration."""
    agent = header.radiopharmaceutical
    if not (agent and agent.activity_bq and agent.residual_activity_bq is not None and agent.half_life_s):
        return None
    if agent.residual_measured_at is None or agent.administered_at is None:
        return None
    since_s = seconds_between(agent.administered_at, agent.residual_measured_at)
    return agent.activity_bq - agent.residual_activity_bq / decay_factor(since_s, agent.half_life_s)


def net_undated(header: SeriesHeader) -> float:
    """Activity less a residual of unknown time."""
    agent = header.radiopharmaceutical
    assert agent and agent.activity_bq and agent.residual_activity_bq is not None  # noqa: S101, PT018  (the rows above)
    return agent.activity_bq - agent.residual_activity_bq
