"""Dates and times of DICOM headers as aware datetimes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from pydicom import Dataset

from lutra.core.time import assume_zone
from lutra.ingest.elements import text

YEARS = (1000, 9000)
"""Beyond, at the ends of the calendar, a time cannot be put on another clock; nothing was scanned then."""


def moment(header: Dataset, date_tag: str, time_tag: str, zone: str) -> datetime | None:
    """Combine a date and a time element; None if either is missing or malformed."""
    return parse(text(header, date_tag) + text(header, time_tag), zone, text(header, "TimezoneOffsetFromUTC"))


@lru_cache(maxsize=4096)
def parse(stamp: str, zone: str, offset: str = "") -> datetime | None:
    """Read `YYYYMMDDHHMMSS[.f][+ZZZZ]`; None unless it names at least a minute.

    Parameters
    ----------
    zone
        IANA zone used if neither the stamp nor `offset` says otherwise.
    offset
        (0008,0201) of the same file, `+0100`.
    """
    stamp = stamp.replace(":", "")
    for sign in "+-":
        digits, found, shift = stamp.partition(sign)
        if found:
            stamp, offset = digits, sign + shift
    whole, _, fraction = stamp.strip().partition(".")
    if len(whole) not in (12, 14) or not whole.isdigit():
        return None
    try:
        read = datetime.strptime(whole.ljust(14, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007  (its zone follows)
        if not YEARS[0] <= read.year <= YEARS[1]:
            return None
        read += timedelta(microseconds=int(fraction[:6].ljust(6, "0")) if fraction else 0)
        if offset and not re.fullmatch(r"[+-]\d{4}", offset):
            return None
        if offset:
            hours, minutes = int(offset[1:3]), int(offset[3:5])
            shift_by = timedelta(hours=hours, minutes=minutes) * (-1 if offset[0] == "-" else 1)
            return read.replace(tzinfo=timezone(shift_by))
    except ValueError:
        return None
    return assume_zone(read, zone)
