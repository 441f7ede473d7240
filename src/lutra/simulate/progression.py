"""Time to progression or death: the day it truly happens, the day it is seen, and when a patient is no longer followed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen

from lutra.simulate.labs import stream
from lutra.simulate.reads import TRUTH, ReadCourse, ReadLesion, read_course

DAYS_PER_MONTH = 365.25 / 12
DEATH_PER_MONTH = 0.003
"""Before progression: other causes at the age of these patients; commonly assumed."""
SURVIVAL_AFTER_PROGRESSION_MONTHS = 24.0
"""Median; commonly assumed."""
MDS_SHARE, MDS_DAYS = 0.02, (270, 1350)
"""Share of patients with myelodysplasia after PRRT and when: 9 to 45 months in the large single-centre series."""
MISSED_IN_A_ROW = 2
"""Progression after so many missed visits is censored at the last visit before (convention of the FDA)."""


@frozen
class Progression:
    """End of progression-free survival.

    Parameters
    ----------
    day
        Days since the first treatment.
    cause
        `target growth`, `non-target growth`, `new lesion`, `death`, or why it is censored.
    event
        False if censored.
    """

    day: float
    cause: str
    event: bool = True

    @property
    def months(self) -> float:
        """[month]"""
        return self.day / DAYS_PER_MONTH


def true_progression(
    lesions: Sequence[ReadLesion], until_day: int, baseline_day: int = -7, every_d: int = 7
) -> Progression | None:
    """Progression as a reader without error and a scan every week would find it; None until the last day."""
    course = read_course(lesions, [baseline_day, *range(every_d, until_day + 1, every_d)], [TRUTH], 0)
    return first_progression(course)


def first_progression(course: ReadCourse) -> Progression | None:
    """First visit with progression, and by what; None if there is none."""
    for visit in course.visits[1:]:
        if visit.overall == "PD":
            cause = (
                "new lesion" if visit.new_lesion else "target growth" if visit.target == "PD" else "non-target growth"
            )
            return Progression(visit.day, cause)
    return None


def sample_death(progressed_day: float | None, seed: int) -> float:
    """Draw the day of death: rare before progression, with a median of two years after it. [d]"""
    r = stream(seed, "death")
    early = r.exponential(DAYS_PER_MONTH / DEATH_PER_MONTH)
    after = r.exponential(SURVIVAL_AFTER_PROGRESSION_MONTHS * DAYS_PER_MONTH / np.log(2))
    return float(early if progressed_day is None or early < progressed_day else progressed_day + after)


def sample_mds(seed: int) -> float | None:
    """Draw whether and when myelodysplasia is found. [d]"""
    r = stream(seed, "myelodysplasia")
    return float(r.uniform(*MDS_DAYS)) if r.random() < MDS_SHARE else None


def progression_free(
    course: ReadCourse, planned_days: Sequence[int], death_day: float | None, until_day: float
) -> Progression:
    """Progression-free survival as the study records it.

    Parameters
    ----------
    planned_days
        Days of all visits, also of those that were missed. [d]
    death_day
        None if unknown or later.
    until_day
        Last contact. [d]
    """
    pd = first_progression(course)
    died = Progression(death_day, "death") if death_day is not None and death_day <= until_day else None
    event = min((e for e in (pd, died) if e and e.day <= until_day), key=lambda e: e.day, default=None)
    seen = [v.day for v in course.visits[1:] if v.overall != "NE" and v.day <= until_day]
    if event is None:
        return Progression(max(seen, default=0), "last evaluable scan", event=False)
    last = max((d for d in seen if d < event.day), default=0)
    missed = [d for d in planned_days[1:] if last < d < event.day]
    if len(missed) >= MISSED_IN_A_ROW:
        return Progression(last, f"{event.cause} after {len(missed)} missed visits", event=False)
    return event
