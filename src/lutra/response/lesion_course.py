"""Outcome of every lesion from a reader's measurements, and how well two readers agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import combinations

import numpy as np

from lutra.core.frozen import FrozenMap
from lutra.core.response import VisitValues
from lutra.core.tumour import LesionEndpoint, ReaderAgreement, TumourCourse, TumourLesion
from lutra.response.lesion_diameter import LONGEST, LesionDiameter
from lutra.response.recist.assess import each_lesion
from lutra.response.recist.rules import TOO_SMALL_MM
from lutra.response.settings import ResponseSettings

BEST_FIRST = ("CR", "PR", "SD", "PD")


def lesion_endpoints(
    course: TumourCourse, start: date | None, settings: ResponseSettings | None = None
) -> tuple[LesionEndpoint, ...]:
    """Follow every lesion of the baseline that was measured there and at one later visit.

    The longest transversal diameter counts, of nodes too; a lesion that is too small to measure has 5 mm, an absent one 0.
    """
    known = [lesion for lesion in course.lesions if lesion.kind != "new"]
    sizes: dict[str, list[tuple[str, date | None, float]]] = {lesion.lesion: [] for lesion in known}
    for visit in course.visits:
        for lesion, reading in each_lesion(known, visit):
            size = None if reading is None else _longest(reading.long_mm, reading.state)
            if size is not None:
                sizes[lesion.lesion].append((visit.name, visit.on, size))
    options = (settings or ResponseSettings()).options()
    first = course.visits[0].name if course.visits else ""
    return tuple(
        _endpoint(lesion, seen, start, options)
        for lesion in known
        if len(seen := sizes[lesion.lesion]) > 1 and seen[0][0] == first and seen[0][2] > 0
    )


def reader_agreement(courses: Sequence[TumourCourse]) -> tuple[ReaderAgreement, ...]:
    """Compare the readers pair by pair, over all subjects; needs three readings of the same.

    References
    ----------
    [bland1986] Bland and Altman, Lancet 327:307.
    """
    read: dict[str, dict[tuple[str, float, str], float]] = {}
    for course in courses:
        own = read.setdefault(course.reader, {})
        for visit in course.visits:
            own |= {
                (course.subject, visit.number, r.lesion): r.long_mm
                for r in visit.readings
                if r.long_mm is not None and not r.state
            }
    return tuple(_pairs(read))


def _pairs(read: dict[str, dict[tuple[str, float, str], float]]) -> Iterator[ReaderAgreement]:
    for one, other in combinations(sorted(read), 2):
        common = sorted(read[one].keys() & read[other].keys())
        if len(common) > 2:
            difference = np.array([read[one][k] - read[other][k] for k in common])
            bias, sd = float(difference.mean()), float(difference.std(ddof=1))
            yield ReaderAgreement(one, other, len(common), bias, sd / 2**0.5, (bias - 1.96 * sd, bias + 1.96 * sd))


def _longest(long_mm: float | None, state: str) -> float | None:
    by_state = {"absent": 0.0, "too small": TOO_SMALL_MM}
    return by_state.get(state, long_mm if not state else None)


def _endpoint(
    lesion: TumourLesion,
    seen: Sequence[tuple[str, date | None, float]],
    start: date | None,
    options: FrozenMap[str, float | str | bool],
) -> LesionEndpoint:
    visits = tuple(VisitValues(name, {LONGEST: mm}) for name, _, mm in seen)
    assessed = LesionDiameter().assess(lesion.lesion, visits, options).value or ()
    categories = [a.category for a in assessed]
    progressed = categories.index("PD") if "PD" in categories else None
    counted = categories if progressed is None else categories[: progressed + 1]
    end = seen[-1 if progressed is None else progressed + 1][1]
    baseline = seen[0][2]
    later = [mm for _, _, mm in seen[1:]]
    return LesionEndpoint(
        lesion.lesion,
        lesion.kind,
        lesion.location,
        baseline,
        min(later),
        tuple((name, mm / baseline - 1) for name, _, mm in seen[1:]),
        min(later) / baseline - 1,
        min(counted, key=BEST_FIRST.index),
        (end - start).days + 1 if end is not None and start is not None else None,
        progressed is not None,
    )
