"""Images that the schedule plans and that are not there, or not in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from lutra.core.study import Role, Subject, Timepoint
from lutra.core.treatment import Deviation, Schedule

DAY_S = 86400.0


def scan_deviations(subject: Subject, schedule: Schedule) -> tuple[Deviation, ...]:
    """List them in the order of the course. Images of cycles that were not given are not missed."""
    return tuple(_all(subject, schedule))


def _all(subject: Subject, schedule: Schedule) -> Iterator[Deviation]:
    who = subject.subject_id
    first = next((a.started_at.date() for a in subject.administrations if a.cycle == 1), None)
    if first is None:
        return
    for role, most in schedule.baseline_days.items():
        before = [
            (first - day).days for t in subject.timepoints if t.role == role and (day := _day(t)) and day <= first
        ]
        required = f"within {most:g} days before cycle 1"
        if not before:
            yield Deviation(who, None, f"baseline {role}", "none", required)
        elif min(before) > most:
            yield Deviation(who, None, f"baseline {role}", f"{min(before)} days before", required)
    for administration in subject.administrations:
        times = sorted(
            h
            for t in subject.timepoints
            if t.role is Role.THERAPY_SPECT and t.cycle == administration.cycle
            if (h := t.since_administration_h) is not None
        )
        for low, high in schedule.spect_h:
            if not any(low <= h <= high for h in times):
                saw = f"at {', '.join(f'{h:.0f}' for h in times)} h" if times else "none"
                yield Deviation(
                    who, administration.cycle, "SPECT", saw, f"one from {low:g} to {high:g} h after the infusion"
                )
    last_seen = max((day for t in subject.timepoints if (day := _day(t))), default=first)
    weeks = [
        (day - first).days / 7 for t in subject.timepoints if t.role is Role.CT and (day := _day(t)) and day > first
    ]
    for low, high in schedule.follow_up_weeks:
        # A window that is not over yet is not missed.
        if not any(low <= w <= high for w in weeks) and (last_seen - first).days / 7 > high:
            yield Deviation(who, None, "follow-up CT", "none", f"one from {low:g} to {high:g} weeks after cycle 1")


def _day(timepoint: Timepoint) -> date | None:
    return timepoint.acquired_at.date() if timepoint.acquired_at else None
