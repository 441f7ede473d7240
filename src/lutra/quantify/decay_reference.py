"""Which instant the activity of a PET or SPECT image is stated for.

DICOM (0054,1102) names it: ADMIN the administration, START the start of the series, NONE each frame's own time. The
trap is START of a series that was made again later: its series time is then the time of processing, and the scanner's clock
must be found elsewhere. An ADMIN image read as START is wrong by exp(lambda t), 12.8 % for 177Lu at 27.7 h.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import expm1, log

from attrs import frozen

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.time import in_utc, seconds_between
from lutra.physics.decay import decay_constant_per_s
from lutra.reference.nuclides import nuclides

HALF_LIFE_TOLERANCE = 0.005
"""Scanners carry half-lives of different editions of the tables; they agree to 0.3 %."""
CLOCK_ROUNDING_S = 1.0
"""Headers round times to a second. A scan that would start later than this after its first frame is a contradiction."""


@frozen
class DecayReference:
    """The instant, and the rule that found it.

    Parameters
    ----------
    case
        Name of the rule.
    reason
        The rule in words, with the tags it used.
    """

    at: datetime
    case: str
    reason: str


def decay_reference(header: SeriesHeader) -> Outcome[DecayReference]:
    """Find the instant an image is decay-referenced to.

    Returns
    -------
    Outcome
        The instant with its rule, or none with a Finding that names the missing tag.

    References
    ----------
    DICOM PS3.3 C.8.9.1.1.9; the START rules follow the QIBA FDG-PET profile's vendor-neutral SUV calculation.
    """
    findings = _contradictions(header)
    correction = header.decay_correction
    if correction is None:
        return _none("no usable Decay Correction (0054,1102); required: START, ADMIN or NONE", header, findings)
    if correction is DecayCorrection.ADMIN:
        administered_at = header.radiopharmaceutical.administered_at if header.radiopharmaceutical else None
        if administered_at is None:
            return _none(
                "Decay Correction ADMIN (0054,1102) without a usable administration time (0018,1078)", header, findings
            )
        reference = DecayReference(
            administered_at, "admin", "stated for the administration (0054,1102) ADMIN, (0018,1078)"
        )
        return Outcome(reference, findings)
    if header.acquired_at is None:
        return _none("no acquisition time (0008,0032)", header, findings)
    if correction is DecayCorrection.NONE:
        if len(set(header.slice_acquired_at)) > 1:
            return _none(
                "not decay corrected and several acquisition times: one instant does not exist", header, findings
            )
        return Outcome(
            DecayReference(header.acquired_at, "none", "not decay corrected: its own acquisition time"), findings
        )
    return _start(header, findings)


def _start(header: SeriesHeader, findings: list[Finding]) -> Outcome[DecayReference]:
    acquired_at, series_at = header.acquired_at, header.series_started_at
    assert acquired_at is not None  # noqa: S101  (the caller's check)
    if series_at is not None and seconds_between(series_at, acquired_at) >= 0:
        reason = "stated for the series time (0008,0031), which is not after the acquisition; (0054,1102) START"
        return Outcome(DecayReference(series_at, "start, series time", reason), findings)
    if header.scan_reference_at is not None:
        reason = (
            "stated for the scan time of the private element (0009,100D); the series time is later, from reprocessing"
        )
        return Outcome(DecayReference(header.scan_reference_at, "start, private scan time", reason), findings)
    first = _from_frame_reference(header)
    if first is not None:
        reason = (
            "stated for the start of the scan, found from acquisition time (0008,0032), frame reference time (0054,1300) and "
            "duration (0018,1242); the series time is later or missing"
        )
        return Outcome(DecayReference(first, "start, from frame reference time", reason), findings)
    reason = "stated for the earliest acquisition time (0008,0032); the series time is later or missing"
    return Outcome(DecayReference(acquired_at, "start, acquisition time", reason), findings)


def _from_frame_reference(header: SeriesHeader) -> datetime | None:
    """Start of the scan: the frame reference time is the decay-weighted middle of the frame, counted from that start."""
    agent = header.radiopharmaceutical
    offset_s, duration_s = header.frame_reference_time_s, header.frame_duration_s
    times = header.slice_acquired_at
    if (
        not times
        or not (offset_s and offset_s > 0)  # 0 is written by scanners that do not fill it in
        or duration_s is None
        or not duration_s > 0
        or agent is None
        or not agent.half_life_s
    ):
        return None
    rate = decay_constant_per_s(agent.half_life_s)
    within_s = log(rate * duration_s / -expm1(-rate * duration_s)) / rate
    first = in_utc(times[0]) - timedelta(seconds=offset_s - within_s)
    return first if seconds_between(times[0], first) <= CLOCK_ROUNDING_S else None


def _contradictions(header: SeriesHeader) -> list[Finding]:
    findings = []
    corrected = header.decay_correction in {DecayCorrection.START, DecayCorrection.ADMIN}
    if corrected and header.corrected_image and "DECY" not in header.corrected_image:
        findings.append(
            Finding(
                Severity.WARNING,
                "quantify.decay-correction-contradiction",
                f"series {header.series_uid}: Decay Correction (0054,1102) says {header.decay_correction}, but Corrected Image "
                f"(0028,0051) has no DECY: {', '.join(header.corrected_image)}. The former is used. To do: ask the site",
            )
        )
    agent = header.radiopharmaceutical
    if (
        header.decay_correction is DecayCorrection.ADMIN
        and header.decay_factor == 1
        and agent
        and agent.administered_at
    ):
        findings += _unit_factor(header, agent, agent.administered_at)
    if agent and agent.nuclide in nuclides() and agent.half_life_s:
        known_s = nuclides()[agent.nuclide].half_life_s
        if abs(agent.half_life_s / known_s - 1) > HALF_LIFE_TOLERANCE:
            findings.append(
                Finding(
                    Severity.WARNING,
                    "quantify.half-life-deviates",
                    f"series {header.series_uid}: half-life (0018,1075) {agent.half_life_s:g} s, {agent.nuclide} has "
                    f"{known_s:g} s. The header's is used, because the scanner used it. To do: check the nuclide at the scanner",
                )
            )
    return findings


def _unit_factor(header: SeriesHeader, agent: Radiopharmaceutical, administered_at: datetime) -> list[Finding]:
    if header.acquired_at is None or not agent.half_life_s:
        return []
    elapsed_s = seconds_between(administered_at, header.acquired_at)
    size = expm1(decay_constant_per_s(agent.half_life_s) * elapsed_s)
    if size < 1e-3:
        return []
    return [
        Finding(
            Severity.WARNING,
            "quantify.decay-factor-contradiction",
            f"series {header.series_uid}: Decay Correction (0054,1102) ADMIN, but Decay Factor (0054,1321) is 1 at "
            f"{elapsed_s / 3600:.2f} h after administration. ADMIN is taken as true and undone; left as stored, activities "
            f"would be {size:.1%} higher. To do: confirm with a phantom or the camera's manual",
        )
    ]


def _none(why: str, header: SeriesHeader, findings: list[Finding]) -> Outcome[DecayReference]:
    text = f"series {header.series_uid}: decay reference cannot be determined: {why}"
    return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "quantify.no-decay-reference", text)))
