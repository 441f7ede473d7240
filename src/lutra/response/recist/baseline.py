"""Whether the lesions a reader chose may be targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lutra.core.finding import Finding, Severity, few
from lutra.core.tumour import TumourCourse, TumourLesion, TumourReading
from lutra.response.recist.rules import (
    MAX_PER_ORGAN,
    MAX_TARGETS,
    MEASURABLE_LONG_MM,
    MEASURABLE_NODE_SHORT_MM,
    NORMAL_NODE_SHORT_MM,
)

THICK_SLICE_MM = 5.0
"""On thicker slices a measurable lesion is at least two slices long."""
BONE = ("BONE", "SKELET", "VERTEBRA", "RIB", "PELVIS BONE", "SACRUM", "FEMUR")
CYST = ("CYST",)


def check_baseline(course: TumourCourse) -> tuple[Finding, ...]:
    """Say of each target whether RECIST 1.1 lets it be one. The reader's choice stands; nothing is left out.

    References
    ----------
    [eisenhauer2009] Eisenhauer et al., Eur J Cancer 45:228, sections 3.1 and 3.2.
    """
    return tuple(_doubts(course)) if course.visits else ()


def _doubts(course: TumourCourse) -> Iterator[Finding]:
    whose = f"{course.subject}, {course.reader}"
    targets = [lesion for lesion in course.lesions if lesion.kind == "target"]
    if len(targets) > MAX_TARGETS:
        text = f"{whose}: {len(targets)} targets, RECIST 1.1 takes at most {MAX_TARGETS}"
        yield Finding(Severity.WARNING, "response.too-many-targets", text)
    # All nodes count as one organ.
    organs = Counter("lymph nodes" if t.node else t.location.casefold() for t in targets if t.node or t.location)
    crowded = [f"{n} in {organ}" for organ, n in organs.items() if n > MAX_PER_ORGAN]
    if crowded:
        text = f"{whose}: {few(crowded)}; RECIST 1.1 takes at most {MAX_PER_ORGAN} targets of one organ"
        yield Finding(Severity.WARNING, "response.too-many-targets", text)
    first = course.visits[0]
    readings = {reading.lesion: reading for reading in first.readings}
    least_mm = MEASURABLE_LONG_MM
    if first.slice_mm is not None and first.slice_mm > THICK_SLICE_MM:
        least_mm = max(least_mm, 2 * first.slice_mm)
    for lesion in targets:
        yield from _of_target(whose, lesion, readings.get(lesion.lesion), least_mm)


def _of_target(whose: str, lesion: TumourLesion, reading: TumourReading | None, least_mm: float) -> Iterator[Finding]:
    size = None if reading is None else (reading.short_mm if lesion.node else reading.long_mm)
    least = MEASURABLE_NODE_SHORT_MM if lesion.node else least_mm
    if size is not None and size < least:
        what = "short axis" if lesion.node else "longest diameter"
        text = f"{whose}: target {lesion.lesion} has a {what} of {size:.1f} mm at the baseline; a target has at least {least:g} mm"
        if lesion.node:
            text += (
                "; a node is normal below 10 mm"
                if size < NORMAL_NODE_SHORT_MM
                else "; a node of 10 to 15 mm is a non-target"
            )
        yield Finding(Severity.WARNING, "response.target-not-measurable", text)
    place = lesion.location.upper()
    if any(word in place for word in BONE):
        text = f"{whose}: target {lesion.lesion} is in bone ({lesion.location}); only a soft-tissue part of 10 mm may be one"
        yield Finding(Severity.WARNING, "response.bone-target", text)
    if any(word in place for word in CYST):
        text = (
            f"{whose}: target {lesion.lesion} is cystic ({lesion.location}); others are preferred where there are any"
        )
        yield Finding(Severity.INFO, "response.cystic-target", text)
