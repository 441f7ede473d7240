"""Clock arithmetic that survives midnight, daylight saving and missing zones.

Two aware datetimes of the *same* zone object subtract in wall-clock time in Python: across a change to summer time the
result is an hour off. Everything here goes through UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from lutra.core.errors import UsageError


def in_utc(moment: datetime) -> datetime:
    """Return the same instant in UTC.

    Raises
    ------
    UsageError
        If the datetime is naive.
    """
    if moment.tzinfo is None:
        raise UsageError(
            f"{moment.isoformat()} has no time zone",
            required="an aware datetime",
            do="read it with the study's time zone (protocol.toml, study.time_zone)",
        )
    return moment.astimezone(UTC)


def seconds_between(start: datetime, end: datetime) -> float:
    """Elapsed time from `start` to `end`, negative if `end` is earlier. [s]"""
    return (in_utc(end) - in_utc(start)).total_seconds()


def assume_zone(moment: datetime, zone: str) -> datetime:
    """Give a naive datetime the study's zone; leave an aware one as it is. The caller files the Finding."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(zone))
