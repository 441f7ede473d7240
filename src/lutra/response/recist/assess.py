"""Response of each visit from the readings of one reader."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from attrs import evolve

from lutra.core.finding import Finding, Outcome, Severity, few
from lutra.core.tumour import RecistTimepoint, TumourCourse, TumourLesion, TumourReading, TumourVisit
from lutra.response.recist.baseline import check_baseline
from lutra.response.recist.rules import (
    NORMAL_NODE_SHORT_MM,
    TOO_SMALL_MM,
    non_target_response,
    overall_response,
    target_response,
)

MERGED = "merged"
"""State of a lesion that is part of a mass which stands with another."""
PART = re.compile(r"(?:[.-]\w+|[a-z])$")
"""What a part has behind the name of the lesion that split: `T01.1`, `T01-2`, `T01a`."""


def assess_course(course: TumourCourse, *, back_date: bool = True) -> Outcome[tuple[RecistTimepoint, ...]]:
    """Assess every visit after the baseline.

    The sum takes the longest diameter of a lesion and the short axis of a node; a lesion that is seen and too small to measure
    counts 5 mm, an absent one 0. The parts of a lesion that has split are added; of lesions that have merged the mass counts
    once. A visit at which a target was not measured has no complete sum, and no nadir comes of it.

    Parameters
    ----------
    back_date
        A new lesion that was equivocal and is sure later is progression from when it was first seen.

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
    timepoints: list[RecistTimepoint] = []
    equivocal: dict[str, int] = {}
    for visit in course.visits[1:]:
        target: str | None = None
        total: float | None = None
        lacking: list[str] = []
        if targets:
            total, lacking = _sum(targets, visit)
            gone = all(_gone(lesion, reading) for lesion, reading in each_lesion(targets, visit))
            target = target_response(total, baseline, nadir, complete=not lacking, all_gone=not lacking and gone)
        states = [_state(lesion, reading) for lesion, reading in each_lesion(others, visit)]
        non_target = non_target_response(states)
        sure, doubtful = _new_lesions(course, visit)
        timepoints.append(
            RecistTimepoint(
                course.subject,
                course.reader,
                visit.name,
                visit.on,
                target,
                non_target,
                bool(sure),
                overall_response(target, non_target, new_lesion=bool(sure)),
                total,
                nadir if targets else None,
                _words(target, non_target, sure, doubtful, total, baseline, nadir, lacking),
                visit.accepted,
                not lacking,
            )
        )
        for name in doubtful:
            equivocal.setdefault(name, len(timepoints) - 1)
        for name in sure if back_date else ():
            _back_date(timepoints, name, equivocal.pop(name, None), visit.name)
        if total is not None and not lacking:
            nadir = min(nadir, total)
    return Outcome(tuple(timepoints), check_baseline(course))


def _new_lesions(course: TumourCourse, visit: TumourVisit) -> tuple[list[str], list[str]]:
    """Name the lesions that were not there at the baseline: those that are sure, and those that are equivocal."""
    before = {lesion.lesion for lesion in course.lesions if lesion.kind != "new"}
    nodes = {lesion.lesion for lesion in course.lesions if lesion.node}
    sure: list[str] = []
    doubtful: list[str] = []
    for reading in visit.readings:
        normal_node = (
            reading.lesion in nodes and reading.short_mm is not None and reading.short_mm < NORMAL_NODE_SHORT_MM
        )
        if baseline_names(reading.lesion, before) or reading.state in {"absent", "not evaluated"} or normal_node:
            continue
        (doubtful if reading.state == "equivocal" else sure).append(reading.lesion)
    return sure, doubtful


def _back_date(timepoints: list[RecistTimepoint], lesion: str, first: int | None, confirmed_at: str) -> None:
    """Make the visits from the first sight of a lesion on progression."""
    if first is None:
        return
    for n in range(first, len(timepoints) - 1):
        words = f"PD, back-dated: {lesion} was equivocal here and is sure at {confirmed_at}; {timepoints[n].rule}"
        timepoints[n] = evolve(timepoints[n], new_lesion=True, overall="PD", rule=words)


def size_mm(lesion: TumourLesion, reading: TumourReading | None) -> float | None:
    """Say what a target adds to the sum; None where it was not measured. [mm]"""
    if reading is None or reading.state == "not evaluated":
        return None
    if reading.state in {"absent", MERGED}:
        return 0.0
    if reading.state == "too small":
        return TOO_SMALL_MM
    return reading.short_mm if lesion.node else reading.long_mm


def _sum(targets: Iterable[TumourLesion], visit: TumourVisit) -> tuple[float, list[str]]:
    sizes = [(lesion.lesion, size_mm(lesion, reading)) for lesion, reading in each_lesion(targets, visit)]
    return sum(mm for _, mm in sizes if mm is not None), [name for name, mm in sizes if mm is None]


def each_lesion(lesions: Iterable[TumourLesion], visit: TumourVisit) -> list[tuple[TumourLesion, TumourReading | None]]:
    """Give each lesion with its reading: parts of one that has split together, a merged mass with the first of its lesions."""
    lesions, taken, found = tuple(lesions), set[str](), []
    known = {lesion.lesion for lesion in lesions}
    for lesion in lesions:
        own = [r for r in visit.readings if lesion.lesion in baseline_names(r.lesion, known)]
        merged = next((r for r in own if len(baseline_names(r.lesion, known)) > 1), None)
        if merged is not None:
            reading: TumourReading | None = evolve(merged, lesion=lesion.lesion)
            if merged.lesion in taken:
                reading = TumourReading(lesion.lesion, state=MERGED)
            taken.add(merged.lesion)
        else:
            reading = _together(lesion.lesion, own)
        found.append((lesion, reading))
    return found


def baseline_names(name: str, known: Collection[str]) -> tuple[str, ...]:
    """Name the lesions of the baseline that a reading is of: itself, the one it is a part of, or those that merged into it."""
    if name in known:
        return (name,)
    found = (part if part in known else PART.sub("", part) for part in name.split("/"))
    return tuple(part for part in found if part in known)


def _together(name: str, parts: list[TumourReading]) -> TumourReading | None:
    if len(parts) <= 1:
        return parts[0] if parts else None
    seen = [part for part in parts if part.state != "absent"]
    if not seen:
        return TumourReading(name, state="absent")
    if any(part.state == "not evaluated" for part in seen):
        return TumourReading(name, state="not evaluated")
    long_mm = [TOO_SMALL_MM if part.state == "too small" else part.long_mm for part in seen]
    short_mm = [TOO_SMALL_MM if part.state == "too small" else part.short_mm for part in seen]
    return TumourReading(name, _total(long_mm), _total(short_mm))


def _total(parts: list[float | None]) -> float | None:
    known = [mm for mm in parts if mm is not None]
    return sum(known) if len(known) == len(parts) else None


def _state(lesion: TumourLesion, reading: TumourReading | None) -> str:
    """State of a non-target; a node with a normal short axis is gone."""
    if reading is None:
        return "not evaluated"
    if lesion.node and not reading.state and reading.short_mm is not None and reading.short_mm < NORMAL_NODE_SHORT_MM:
        return "absent"
    measured = reading.long_mm is not None or reading.short_mm is not None
    return reading.state or ("present" if measured else "not evaluated")


def _gone(lesion: TumourLesion, reading: TumourReading | None) -> bool:
    mm = size_mm(lesion, reading)
    if mm is None or (reading and reading.state == MERGED):
        return False
    return mm < NORMAL_NODE_SHORT_MM if lesion.node else mm == 0


def _words(
    target: str | None,
    non_target: str | None,
    sure: list[str],
    doubtful: list[str],
    total: float | None,
    baseline: float,
    nadir: float,
    lacking: list[str],
) -> str:
    parts = []
    if sure:
        parts.append(f"PD: a new lesion ({few(sure)})")
    if doubtful:
        parts.append(f"equivocal: {few(doubtful)} is followed and not counted yet")
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
