"""Activity concentration at the start of the acquisition."""

from __future__ import annotations

import numpy as np

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import SeriesHeader
from lutra.core.time import seconds_between
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.decay import decay_factor
from lutra.quantify.decay_reference import decay_reference


def to_activity(header: SeriesHeader, image: Volume) -> Outcome[Volume]:
    """State stored Bq/mL for the start of the acquisition, undoing the scanner's decay correction.

    The half-life of the header is used, because the scanner used it.

    Returns
    -------
    Outcome
        Volume in Bq/mL; none if the unit is not Bq/mL or the decay reference cannot be determined.
    """
    if header.stored_unit != "BQML":
        return _none(header, f"Units (0054,1001) are {header.stored_unit or 'missing'}; required: BQML")
    outcome = decay_reference(header)
    if outcome.value is None:
        return Outcome(None, outcome.findings)
    agent = header.radiopharmaceutical
    if header.acquired_at is None or agent is None or not agent.half_life_s:
        return _none(header, "acquisition time (0008,0032) or half-life (0018,1075) is missing", outcome.findings)
    elapsed_s = seconds_between(outcome.value.at, header.acquired_at)
    factor = decay_factor(elapsed_s, agent.half_life_s)
    rule = Finding(
        Severity.INFO,
        "quantify.decay-rule",
        f"series {header.series_uid}: {outcome.value.reason}; values × {factor:.6f} for the acquisition "
        f"{elapsed_s / 3600:.4f} h later",
    )
    values = image.values * np.float32(factor)
    volume = Volume(values, image.grid, Unit.BQ_PER_ML, header.acquired_at, header.acquired_at)
    return Outcome(volume, (*outcome.findings, rule))


def _none(header: SeriesHeader, why: str, findings: tuple[Finding, ...] = ()) -> Outcome[Volume]:
    text = f"series {header.series_uid} has no activity concentration: {why}"
    return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "quantify.no-activity", text)))
