"""The instants a nuclear image may be stated for: one, or one per slice.

Each function answers for the headers it knows and gives None for the others; :data:`~lutra.quantify.suv_cases.CASES` says in which
order they are asked.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lutra.core.study import DecayCorrection, SeriesHeader
from lutra.core.time import in_utc, seconds_between
from lutra.physics.decay import mean_activity_time_s
from lutra.quantify.suv_case import Refusal
from lutra.reference.nuclides import nuclides

Instants = tuple[datetime, ...]

CLOCK_ROUNDING_S = 1.0
"""Headers round times to a second. A scan that would start later than this after its first frame is a contradiction."""
FRAME_S = (1e-3, 86400.0)
"""What a frame can last. [s]"""
LONGEST_SCAN_S = 30 * 86400.0
"""Bound of what is believed of a frame's offset from the start of its scan; serial scans of one study lie within. [s]"""
HALF_LIFE_S = (1.0, 1e12)
"""Nothing outside can be scanned. [s]"""


def unstated(header: SeriesHeader) -> Refusal | None:
    """Refuse an image that does not say how it was corrected."""
    if header.decay_correction is not None:
        return None
    return Refusal("no usable Decay Correction (0054,1102); required: START, ADMIN or NONE")


def administration(header: SeriesHeader) -> Instants | Refusal | None:
    """Time of the administration, for ADMIN."""
    if header.decay_correction is not DecayCorrection.ADMIN:
        return None
    agent = header.radiopharmaceutical
    if agent is None or agent.administered_at is None:
        return Refusal("Decay Correction ADMIN (0054,1102) without a usable administration time (0018,1078)")
    return (agent.administered_at,)


def undated(header: SeriesHeader) -> Refusal | None:
    """Refuse START and NONE without any acquisition time."""
    return None if header.acquired_at else Refusal("no acquisition time (0008,0032)")


def each_slice(header: SeriesHeader) -> Instants | Refusal | None:
    """Instants of the slices of an uncorrected image, where they differ in time or, as in a moving bed, in duration."""
    times, durations = header.slice_acquired_at, header.slice_frame_duration_s
    if header.decay_correction is not DecayCorrection.NONE or (len(set(times)) < 2 and len(set(durations)) < 2):
        return None
    if len(header.volumes) > 1:
        return Refusal("not decay corrected, and several volumes in time: there is no factor for the series")
    durations = durations or (() if header.frame_duration_s is None else (header.frame_duration_s,) * len(times))
    instants = [_mean_time(header, *frame) for frame in zip(times, durations, strict=False)]
    known = tuple(at for at in instants if at is not None)
    if not len(known) == len(times) == len(durations):
        return Refusal(
            "not decay corrected and several acquisition times, without a half-life (0018,1075) or a frame duration (0018,1242) "
            "of every slice"
        )
    return known


def counting(header: SeriesHeader) -> Instants | None:
    """Start of an uncorrected acquisition in counts."""
    if header.modality != "NM" or header.stored_unit == "BQML" or header.acquired_at is None:
        return None
    return (header.acquired_at,) if header.decay_correction is DecayCorrection.NONE else None


def frame_mean(header: SeriesHeader) -> Instants | None:
    """Instant of the mean activity of an uncorrected frame; in NM, of all views together."""
    if header.decay_correction is not DecayCorrection.NONE or header.acquired_at is None:
        return None
    duration_s = header.acquisition_duration_s if header.modality == "NM" else header.frame_duration_s
    at = _mean_time(header, header.acquired_at, duration_s)
    return (at,) if at else None


def frame_start(header: SeriesHeader) -> Instants | None:
    """Start of an uncorrected frame of unknown duration."""
    if header.decay_correction is not DecayCorrection.NONE or header.acquired_at is None:
        return None
    return (header.acquired_at,)


def series_time(header: SeriesHeader) -> Instants | None:
    """Series time, if it is not after the acquisition."""
    started_at, acquired_at = header.series_started_at, header.acquired_at
    if started_at is None or acquired_at is None or seconds_between(started_at, acquired_at) < 0:
        return None
    return (started_at,)


def private_time(header: SeriesHeader) -> Instants | None:
    """Scan time in an element of the maker's own."""
    return (header.scan_reference_at,) if header.scan_reference_at else None


def frame_clock(header: SeriesHeader) -> Instants | None:
    """Start of the scan, counted back from the frames."""
    started_at = scan_start(header)
    return (started_at,) if started_at else None


def acquisition_time(header: SeriesHeader) -> Instants:
    """Earliest acquisition."""
    assert header.acquired_at is not None  # noqa: S101  (a row above refuses)
    return (header.acquired_at,)


def half_life_s(header: SeriesHeader) -> float | None:
    """Half-life of the header, because the scanner used it; NM headers have none, so that of the nuclide is. [s]"""
    agent = header.radiopharmaceutical
    if agent is None or agent.half_life_s:
        return agent.half_life_s if agent else None
    known = nuclides().get(agent.nuclide or "") if header.modality == "NM" else None
    return known.half_life_s if known else None


def scan_start(header: SeriesHeader) -> datetime | None:
    """Count back from the frames to the start of the scan; None if the frames do not say, or do not agree.

    Frame Reference Time (0054,1300) is counted from that start. For most makers it is the instant at which the activity equals
    its mean over the frame; GE counts to the start of the frame.

    Some scanners write one acquisition time, that of the scan, into the slices of all beds. The frame times then lead to another
    start for every bed, and none of them is true.
    """
    times = header.slice_acquired_at
    offsets = header.slice_frame_reference_s or _of_first(header.frame_reference_time_s)
    durations = header.slice_frame_duration_s or _of_first(header.frame_duration_s)
    # 0 is written by scanners that do not fill it in, and by GE for the first bed.
    if not times or not any(offsets) or max(map(abs, offsets)) > LONGEST_SCAN_S:
        return None
    starts = []
    for at, offset_s, duration_s in zip(times, offsets, durations, strict=False):
        counted_to = at if header.manufacturer.upper().startswith("GE ") else _mean_time(header, at, duration_s)
        if counted_to is None:
            return None
        starts.append(in_utc(counted_to) - timedelta(seconds=offset_s))
    if not starts or seconds_between(min(starts), max(starts)) > CLOCK_ROUNDING_S:
        return None
    first = min(starts)
    return first if seconds_between(header.acquired_at or times[0], first) <= CLOCK_ROUNDING_S else None


def _mean_time(header: SeriesHeader, started_at: datetime, duration_s: float | None) -> datetime | None:
    """When the activity equals its mean over a frame; None if duration or half-life are missing or impossible."""
    known_s = half_life_s(header)
    if duration_s is None or not FRAME_S[0] <= duration_s <= FRAME_S[1]:
        return None
    if known_s is None or not HALF_LIFE_S[0] <= known_s <= HALF_LIFE_S[1]:
        return None
    return in_utc(started_at) + timedelta(seconds=mean_activity_time_s(duration_s, known_s))


def _of_first(value: float | None) -> tuple[float, ...]:
    return () if value is None else (value,)
