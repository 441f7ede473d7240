"""Response of each visit from the readings of one reader."""

from __future__ import annotations

from collections.abc import Iterable

from lutra.core.finding import Finding, Outcome, Severity, few
from lutra.core.tumour import RecistTimepoint, TumourCourse, TumourLesion, TumourReading, TumourVisit
from lutra.response.recist.rules import (
    NORMAL_NODE_SHORT_MM,
    TOO_SMALL_MM,
    non_target_response,
    overall_response,
    target_response,
)


def assess_course(course: TumourCourse) -> Outcome[tuple[RecistTimepoint, ...]]:
    """Assess every visit after the baseline.

    The sum takes the longest diameter of a lesion and the short axis of a node; a lesion that is seen and too small to measure
    counts 5 mm, an absent one 0. A visit at which a target was not measured has no complete sum, and no nadir comes of it.

    Returns
    -------
    Outcome
        None and `response.no-baseline-sum` if targets were not all measured at the baseline.
    """
    targets = [lesion for lesion in course.lesions if lesion.kind == "target"]
    others = [lesion for lesion in course.lesions if lesion.kind == "non-target"]
    if not course.visits:
        return _none(course, "there is no visit")
    baseline, missing = _sum(targets, course.visits[0])
    if missing:
        return _none(course, f"at {course.visits[0].name} {few(missing)} were not measured")
    nadir = baseline
    before = {lesion.lesion for lesion in course.lesions if lesion.kind != "new"}
    timepoints = []
    for visit in course.visits[1:]:
        target: str | None = None
        total: float | None = None
        lacking: list[str] = []
        if targets:
            total, lacking = _sum(targets, visit)
            gone = all(_gone(lesion, reading) for lesion, reading in _each(targets, visit))
            target = target_response(total, baseline, nadir, complete=not lacking, all_gone=not lacking and gone)
        states = [
            reading.state or "not evaluated" if reading else "not evaluated" for _, reading in _each(others, visit)
        ]
        non_target = non_target_response(states)
        new = any(_is_new(reading, before) for reading in visit.readings)
        timepoints.append(
            RecistTimepoint(
                course.subject,
                course.reader,
                visit.name,
                visit.on,
                target,
                non_target,
                new,
                overall_response(target, non_target, new_lesion=new),
                total,
                nadir if targets else None,
                _words(target, non_target, new, total, baseline, nadir, lacking),
            )
        )
        if total is not None and not lacking:
            nadir = min(nadir, total)
    return Outcome(tuple(timepoints))


def size_mm(lesion: TumourLesion, reading: TumourReading | None) -> float | None:
    """Say what a target adds to the sum; None where it was not measured. [mm]"""
    if reading is None or reading.state == "not evaluated":
        return None
    if reading.state == "absent":
        return 0.0
    if reading.state == "too small":
        return TOO_SMALL_MM
    return reading.short_mm if lesion.node else reading.long_mm


def _sum(targets: Iterable[TumourLesion], visit: TumourVisit) -> tuple[float, list[str]]:
    sizes = [(lesion.lesion, size_mm(lesion, reading)) for lesion, reading in _each(targets, visit)]
    return sum(mm for _, mm in sizes if mm is not None), [name for name, mm in sizes if mm is None]


def _each(lesions: Iterable[TumourLesion], visit: TumourVisit) -> list[tuple[TumourLesion, TumourReading | None]]:
    by_name = {reading.lesion: reading for reading in visit.readings}
    return [(lesion, by_name.get(lesion.lesion)) for lesion in lesions]


def _gone(lesion: TumourLesion, reading: TumourReading | None) -> bool:
    mm = size_mm(lesion, reading)
    return mm is not None and (mm < NORMAL_NODE_SHORT_MM if lesion.node else mm == 0)


def _is_new(reading: TumourReading, before: set[str]) -> bool:
    """Tell whether a reading is of a lesion that was not there at the baseline, and is sure."""
    return reading.lesion not in before and reading.state not in {"absent", "equivocal", "not evaluated"}


def _words(
    target: str | None,
    non_target: str | None,
    new: bool,  # noqa: FBT001
    total: float | None,
    baseline: float,
    nadir: float,
    lacking: list[str],
) -> str:
    parts = []
    if new:
        parts.append("PD: a new lesion")
    if target is not None and total is not None:
        sums = f"sum {total:.1f} mm"
        if baseline > 0:
            sums += f", {total / baseline - 1:+.1%} from baseline {baseline:.1f} mm"
        if nadir > 0:
            sums += f", {total - nadir:+.1f} mm ({total / nadir - 1:+.1%}) from nadir {nadir:.1f} mm"
        parts.append(f"targets {target}: {sums}" + (f"; not measured: {few(lacking)}" if lacking else ""))
    if non_target is not None:
        parts.append(f"non-targets {non_target}")
    return "; ".join(parts) or "no lesion was followed"


def _none(course: TumourCourse, why: str) -> Outcome[tuple[RecistTimepoint, ...]]:
    text = f"{course.subject}, {course.reader}: no response can be assessed, {why}; add the readings of the baseline"
    return Outcome(None, (Finding(Severity.UNDETERMINED, "response.no-baseline-sum", text),))
