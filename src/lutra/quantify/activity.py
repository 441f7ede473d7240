r"""Activity concentration at the start of the acquisition.

Images in Bq/mL are taken at their word, but for what the site's own calibration says of them. Counts C in a voxel of volume V,
counted for a time T, become

.. math:: A = \frac{C}{T\,V}\,\frac{k}{Q\,f}\,,\qquad f = e^{-n\tau}

with the camera factor Q, the dose calibrator's factor k and the share f of counts that a busy camera does not lose. The true rate n
of the whole spectrum follows from the activity in the field of view itself.
"""

from __future__ import annotations

from math import exp, expm1

import numpy as np
from attrs import evolve

from lutra.core.calibration import Calibration
from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.core.time import seconds_between
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.dead_time import true_rate
from lutra.physics.decay import decay_constant_per_s, decay_factor
from lutra.quantify.camera import BQ_PER_MBQ, COUNT_UNITS
from lutra.quantify.decay_reference import decay_reference
from lutra.quantify.instants import half_life_s

LARGEST_BUSY = 0.9
"""Rate times dead time beyond which the observed rate, close to its maximum, no longer tells the activity: an error of 1 % in it
would be 10 % in the result."""


def to_activity(header: SeriesHeader, image: Volume, calibration: Calibration | None = None) -> Outcome[Volume]:
    """Turn stored values into Bq/mL at the start of the acquisition, undoing the scanner's decay correction.

    The half-life is that of :func:`~lutra.quantify.instants.half_life_s`.

    Parameters
    ----------
    calibration
        What the site has measured, from :func:`~lutra.quantify.camera.choose_calibration`; required for counts.

    Returns
    -------
    Outcome
        Volume in Bq/mL; none if the unit is neither Bq/mL nor counts, or a calibration, a time or the decay reference is missing.
    """
    calibration = calibration or Calibration()
    if header.stored_unit != "BQML" and not (header.modality == "NM" and header.stored_unit in COUNT_UNITS):
        return _none(
            header, f"Units (0054,1001) are {header.stored_unit or 'missing'}; required: BQML, or counts in an NM image"
        )
    if header.decay_correction is None and calibration.decay_correction is not None:
        header = evolve(header, decay_correction=calibration.decay_correction)
    outcome = decay_reference(header)
    if outcome.value is None:
        return Outcome(None, outcome.findings)
    known_s = half_life_s(header)
    if header.acquired_at is None or known_s is None:
        return _none(header, "acquisition time (0008,0032) or half-life (0018,1075) is missing", outcome.findings)
    elapsed_s = seconds_between(outcome.value.at, header.acquired_at)
    factor = decay_factor(elapsed_s, known_s)
    rule = Finding(
        Severity.INFO,
        "quantify.decay-rule",
        f"series {header.series_uid}: {outcome.value.reason}; values × {factor:.6f} for the acquisition "
        f"{elapsed_s / 3600:.4f} h later",
    )
    findings = [*outcome.findings, rule]
    if header.stored_unit in COUNT_UNITS:
        scale = _from_counts(header, image, calibration, known_s)
        if isinstance(scale, str):
            return _none(header, scale, tuple(findings))
        factor *= scale
    elif calibration.camera_factor is not None:
        factor /= calibration.camera_factor.value
    if calibration.dose_calibrator is not None:
        factor *= calibration.dose_calibrator.factor
    if calibration.dead_time is not None:
        factor *= _undone_losses(header, factor * image.integral(), calibration, findings)
    if not np.isfinite(factor):
        return Outcome(None, findings)
    volume = Volume(
        image.values * np.float32(factor), image.grid, Unit.BQ_PER_ML, header.acquired_at, header.acquired_at
    )
    return Outcome(volume, findings)


def _from_counts(
    header: SeriesHeader, image: Volume, calibration: Calibration, known_half_life_s: float
) -> float | str:
    """Bq/mL per stored value, or what is missing."""
    factor = calibration.camera_factor
    if factor is None or factor.unit != "cps/MBq":
        return "the image is in counts and no camera factor applies; required: a calibration file (docs/calibration.md)"
    duration_s = header.acquisition_duration_s
    if header.stored_unit == "CPS":
        per_s = 1.0
    elif duration_s is None:
        return (
            "the image is in counts and does not say how long was counted; required: Actual Frame Duration (0018,1242) and Number "
            "of Frames in Rotation (0054,0053) in the Rotation Information Sequence (0054,0052)"
        )
    else:
        per_s = 1 / duration_s
    if header.decay_correction is DecayCorrection.NONE and duration_s is not None:
        # The mean rate of the acquisition, not that of its start: 0.09 % for 25 min of 177Lu.
        decays = decay_constant_per_s(known_half_life_s) * duration_s
        per_s *= decays / -expm1(-decays)
    return per_s / factor.value * BQ_PER_MBQ / image.grid.voxel_volume_ml


def _undone_losses(header: SeriesHeader, total_bq: float, calibration: Calibration, findings: list[Finding]) -> float:
    """Find the true over the observed rate; not a number where no rate can have given this image."""
    dead = calibration.dead_time
    assert dead is not None  # noqa: S101  (the caller's check)
    observed_per_s = max(total_bq, 0.0) / BQ_PER_MBQ * dead.wide_cps_per_mbq
    try:
        lost = float(true_rate(observed_per_s, dead.tau_s)) * dead.tau_s
    except OutsideValidity:
        lost = float("inf")
    if lost > LARGEST_BUSY:
        text = (
            f"series {header.series_uid} has no activity concentration: the activity in the image stands for {observed_per_s:.6g} "
            f"counts/s of the whole spectrum, above or close to the {exp(-1) / dead.tau_s:.6g} counts/s that a camera with "
            f"a dead time of {dead.tau_s * 1e6:.3g} µs can count. To do: check camera factor, [dead_time] and rate of the scan"
        )
        findings.append(Finding(Severity.UNDETERMINED, "quantify.dead-time-saturated", text))
        return float("nan")
    findings.append(
        Finding(
            Severity.INFO,
            "quantify.dead-time",
            f"series {header.series_uid}: dead time {dead.tau_s * 1e6:.3g} µs, {-expm1(-lost):.2%} of the counts lost at the "
            f"rate that the activity in the image stands for; activities × {exp(lost):.5f}",
        )
    )
    return exp(lost)


def _none(header: SeriesHeader, why: str, findings: tuple[Finding, ...] = ()) -> Outcome[Volume]:
    text = f"series {header.series_uid} has no activity concentration: {why}"
    return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "quantify.no-activity", text)))
