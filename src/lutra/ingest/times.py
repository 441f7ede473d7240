"""When a series was acquired, and whether its slices agree on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from lutra.core.finding import Finding, Severity
from lutra.core.study import SeriesHeader
from lutra.core.time import in_utc, seconds_between
from lutra.core.units import HOUR_S
from lutra.ingest.elements import text
from lutra.ingest.frames import Frame

LONGEST_SCAN_H = 6.0
"""No patient lies in a scanner for longer; slices further apart in time are not of one acquisition."""


def acquisition(
    frames: Sequence[Frame], *, decays: bool, findings: list[Finding]
) -> tuple[datetime | None, tuple[datetime, ...]]:
    """Earliest acquisition time of the slices, and that of each slice; a slice that does not fit in is named.

    Parameters
    ----------
    frames
        In slice order.
    decays
        Whether numbers depend on the time: then a slice that differs from both its neighbours is named as well, since beds are
        many slices thick.

    Returns
    -------
    tuple
        None if no slice has a time; no times of slices unless all have one.
    """
    timed = [frame for frame in frames if frame.acquired_at is not None]
    where = frames[0].path.parent
    if not timed:
        none = f"{where}: no acquisition time (0008,0022), (0008,0032), so the image has no place in time"
        findings.append(Finding(Severity.WARNING, "ingest.no-acquisition-time", none))
        return None, ()
    times = [frame.acquired_at for frame in timed if frame.acquired_at is not None]
    earliest, latest = min(times, key=in_utc), max(times, key=in_utc)
    odd = [frame.name for frame in frames if frame.acquired_at is None]
    what = "no acquisition time" if odd else ""
    if not odd and seconds_between(earliest, latest) > LONGEST_SCAN_H * HOUR_S:
        odd = [timed[times.index(earliest)].name, timed[times.index(latest)].name]
        what = f"acquisition times {seconds_between(earliest, latest) / HOUR_S:.1f} h apart"
    if not odd and decays:
        odd = _lone(timed, times)
        what = "another acquisition time than both their neighbours"
    if odd:
        shown = ", ".join(odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
        differ = (
            f"{where} (0008,0022), (0008,0032): {shown} have {what}. The earliest time that is given, {earliest.isoformat()}, "
            "counts as the start. To do: check at the source whether the slices are of one acquisition"
        )
        findings.append(Finding(Severity.WARNING, "ingest.acquisition-times-differ", differ))
    return earliest, tuple(times) if len(times) == len(frames) else ()


def require_series_time(header: SeriesHeader, frame: Frame, findings: list[Finding]) -> None:
    """Say that a nuclear image lacks the time its decay correction is usually stated for; other times must stand for it."""
    if header.series_started_at is None:
        stated = " ".join(text(frame.header, tag) for tag in ("SeriesDate", "SeriesTime")).strip()
        what = (
            f"{frame.path.parent} (0008,0021), (0008,0031): the series date and time are {stated or 'missing'}, which the standard "
            "requires; the start of the scan is sought in other times. To do: export the series again"
        )
        findings.append(Finding(Severity.WARNING, "ingest.no-series-time", what))


def _lone(frames: Sequence[Frame], times: Sequence[datetime]) -> list[str]:
    """Slices between two of one time that have another; and an end slice that differs from many of one time."""
    instants = [in_utc(time) for time in times]
    inner = [
        frames[n].name
        for n in range(1, len(frames) - 1)
        if instants[n - 1] == instants[n + 1] and instants[n] != instants[n - 1]
    ]
    if inner or len(set(instants)) != 2:
        return inner
    joins = [n for n, (a, b) in enumerate(pairwise(instants), start=1) if a != b]
    ends = {1: 0, len(frames) - 1: -1}
    return [frames[ends[joins[0]]].name] if len(joins) == 1 and joins[0] in ends and len(frames) > 2 else []
