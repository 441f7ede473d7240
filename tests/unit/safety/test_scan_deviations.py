"""Images against the schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lutra.core.study import Administration, Role, Subject, Timepoint
from lutra.core.treatment import Schedule
from lutra.safety import scan_deviations

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
SCHEDULE = Schedule(
    spect_h=((18, 30), (84, 108)), baseline_days={"fdg-pet": 42.0, "ct": 42.0}, follow_up_weeks=((10, 14), (50, 56))
)


def scan(role: Role, days: float, cycle: int | None = 0) -> Timepoint:
    at = START + timedelta(days=days)
    since = days * 86400.0 if cycle else None
    return Timepoint(f"{role} {days}", role, f"{role} {days}", cycle, at, since)


def subject(*scans: Timepoint) -> Subject:
    return Subject("S", "F", (Administration(1, "Lu-177", START, 7.4e9),), scans)


WHOLE = (
    scan(Role.FDG_PET, -20),
    scan(Role.CT, -10),
    scan(Role.THERAPY_SPECT, 1.0, 1),
    scan(Role.THERAPY_SPECT, 4.0, 1),
    scan(Role.CT, 84),
    scan(Role.CT, 370),
)


def said(*scans: Timepoint) -> list[tuple[str, str]]:
    return [(d.rule, d.saw) for d in scan_deviations(subject(*scans), SCHEDULE)]


def test_as_planned_there_is_none() -> None:
    assert said(*WHOLE) == []


def test_what_is_missing_or_late() -> None:
    assert said(*WHOLE[1:]) == [("baseline fdg-pet", "none")]
    assert said(scan(Role.FDG_PET, -50), *WHOLE[1:]) == [("baseline fdg-pet", "50 days before")]
    assert said(*WHOLE[:3], *WHOLE[4:]) == [("SPECT", "at 24 h")]
    assert said(*WHOLE[:2], *WHOLE[4:]) == [("SPECT", "none"), ("SPECT", "none")]
    assert said(*WHOLE[:4], WHOLE[5]) == [("follow-up CT", "none")]


def test_a_window_that_is_not_over_is_not_missed() -> None:
    assert said(*WHOLE[:5]) == []


def test_without_a_treatment_nothing_is_late() -> None:
    assert scan_deviations(Subject("S", "F", (), ()), SCHEDULE) == ()


def test_a_schedule_of_nothing_asks_for_nothing() -> None:
    assert scan_deviations(subject(), Schedule()) == ()
