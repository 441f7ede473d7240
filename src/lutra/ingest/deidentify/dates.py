"""Dates move, times of day stay, and no interval changes.

All dates of a subject move by the same number of whole days, so that every interval between two instants stays what it was, if
both are read with the same offset from UTC as before. A file that names its offset (0008,0201) keeps it. Where it names none the
study's zone decides, and summer time would make another hour of a moved date; so the offset of the original date is written into
the file: into (0008,0201) for dates and times, and behind every DT.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from attrs import frozen

from lutra.core.time import assume_zone

DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
TIME = re.compile(r"(\d{2}):?(\d{2})(?::?(\d{2})(\.\d{1,6})?)?")
DATETIME = re.compile(r"(\d{8})(\d{0,6})(\.\d{1,6})?([+-]\d{4})?")
OFFSET = re.compile(r"[+-]\d{4}")
AGE = re.compile(r"(\d{3})([DWMY])")
OLDEST_Y = 89
"""An age above 89 years identifies; it becomes 090Y [hipaa164.514]."""


@frozen
class Calendar:
    """How the dates of one file move.

    Parameters
    ----------
    days
        Shift of every date. [d]
    zone
        IANA zone of a file that names no offset; None where it does.
    offset
        Offset the file gets; None if it names its own, or has no date with a time to go by.
    """

    days: int
    zone: str | None = None
    offset: timedelta | None = None

    def date(self, text: str) -> str | None:
        """Move a DA; None if it is no date."""
        match = DATE.fullmatch(text.strip())
        try:
            return f"{date(*map(int, match.groups())) + timedelta(days=self.days):%Y%m%d}" if match else None
        except (ValueError, OverflowError):
            return None

    def date_and_time(self, day: str, time: str) -> tuple[str | None, str]:
        """Move a DA with its TM; the time changes only where its own offset is not the file's.

        That happens when one file holds times on both sides of a change to summer time.
        """
        local = _local(day, time)
        if self.zone is None or self.offset is None or local is None:
            return self.date(day), time
        own = offset_at(local, self.zone)
        if own != self.offset:
            local += self.offset - own
            found = TIME.fullmatch(time.strip())
            seconds = "" if found is None or found[3] is None else f"{local:%S}{found[4] or ''}"
            day, time = f"{local:%Y%m%d}", f"{local:%H%M}{seconds}"
        return self.date(day), time

    def stamp(self, text: str) -> str | None:
        """Move a DT, and write its offset where the file names none; None if it names no day."""
        match = DATETIME.fullmatch(text.strip())
        moved = self.date(match[1]) if match else None
        if match is None or moved is None:
            return None
        suffix = match[4] or ""
        if self.zone is not None and not suffix:
            local = _local(match[1], match[2])
            suffix = offset_text(offset_at(local, self.zone)) if local is not None else ""
        return moved + match[2] + (match[3] or "") + suffix


def offset_at(local: datetime, zone: str) -> timedelta:
    """Offset from UTC the study's zone had at a local time."""
    return assume_zone(local, zone).utcoffset() or timedelta()


def offset_text(offset: timedelta) -> str:
    """DICOM (0008,0201), such as `+0100`."""
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def local_offset(day: str, time: str, zone: str) -> timedelta | None:
    """Offset of a DA and TM; None if they name no instant."""
    local = _local(day, time)
    return None if local is None else offset_at(local, zone)


def coarse_age(text: str) -> str | None:
    """Keep an AS up to 89 years; `090Y` above; None if it is no age."""
    match = AGE.fullmatch(text.strip())
    if match is None:
        return None
    years = int(match[1]) / {"Y": 1, "M": 12, "W": 365.25 / 7, "D": 365.25}[match[2]]
    return match[0] if years < OLDEST_Y + 1 else "090Y"


def _local(day: str, time: str) -> datetime | None:
    found_day, found_time = DATE.fullmatch(day.strip()), TIME.fullmatch(time.strip())
    if found_day is None or found_time is None:
        return None
    digits = "".join(found_day.groups()) + found_time[1] + found_time[2] + (found_time[3] or "00")
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007  (its zone follows)
    except ValueError:
        return None
