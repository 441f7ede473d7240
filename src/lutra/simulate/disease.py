"""The disease of a patient over time: lesions that appear, disappear, fall apart and grow together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import float64
from lutra.simulate.combine import Scaled, Union
from lutra.simulate.course import LesionCourse, courses
from lutra.simulate.lesion_places import touching
from lutra.simulate.lesion_population import GRADES, NEW_PER_YEAR_AFTER_PROGRESSION
from lutra.simulate.lesion_size import Size, size_of
from lutra.simulate.lesions import DigitalLesion
from lutra.simulate.response import Array, TruthScenario
from lutra.simulate.shapes import Blob, Shape, volume_ml

VISIBLE_MM = 4.0
"""What is smaller is not seen, and counts as gone. [mm]"""
ROUNDING_MM = 3.0
"""Of the edge where two lesions meet. [mm]"""
PROGRESSION, PROGRESSION_MM = 1.2, 5.0
"""Growth of the sum of all diameters over its smallest value, relative and in mm, from which new lesions come more often."""
DAYS_PER_YEAR = 365.25


class EventKind(StrEnum):
    """What happened to lesions."""

    NEW = "new"
    GONE = "gone"
    BACK = "back"
    SPLIT = "split"
    MERGED = "merged"


@frozen
class Event:
    """A change in which lesions there are.

    Parameters
    ----------
    day
        First day on which it shows. [d]
    before, after
        Identities of the lesions concerned.
    """

    kind: EventKind
    day: float
    before: tuple[str, ...]
    after: tuple[str, ...]


@frozen(eq=False)
class SeenLesion:
    """A lesion as there is one on a day; two that have grown together are one.

    Parameters
    ----------
    lesion_id, name, site
        As of :class:`~lutra.simulate.lesions.DigitalLesion`; `lesion 2+5` is what lesions 2 and 5 have become.
    shape, cores
        Outer surface, and necrotic cores in it.
    size
        Diameters and volume; the volume is that of its parts together.
    parts
        Identities of the digital lesions it is made of: regions of kinetics, whose activities add up.
    parents
        Lesions it came from by splitting or merging; empty if it has always been itself.
    """

    lesion_id: str
    name: str
    site: str
    shape: Shape
    cores: tuple[Blob, ...]
    size: Size
    parts: tuple[str, ...]
    parents: tuple[str, ...]

    @property
    def core(self) -> Shape | None:
        """All of its cores as one shape; None if it has none."""
        if len(self.cores) < 2:
            return self.cores[0] if self.cores else None
        return Union(f"{self.lesion_id} core", self.cores)


@frozen(eq=False)
class DiseaseCourse:
    """All lesions of a patient over the days of a study.

    Parameters
    ----------
    courses
        Of every digital lesion that has come, in the order of their numbers.
    progressed_day
        First day of progression in truth: the sum of diameters, or a new lesion; None if there is none.
    """

    courses: tuple[LesionCourse, ...]
    days: Array = field(converter=float64)
    progressed_day: float | None

    @property
    def lesions(self) -> tuple[DigitalLesion, ...]:
        """Every digital lesion that has come."""
        return tuple(c.lesion for c in self.courses)

    def course(self, lesion_id: str) -> LesionCourse:
        """One lesion by its identity.

        Raises
        ------
        UsageError
            If there is none of that name.
        """
        for one in self.courses:
            if one.lesion.lesion_id == lesion_id:
                return one
        raise UsageError(f"no {lesion_id!r}", required=", ".join(c.lesion.lesion_id for c in self.courses))

    def shape_at(self, lesion_id: str, day: float) -> Shape | None:
        """Surface of a digital lesion, or of what it is part of, on a day; None where it is not seen."""
        seen = self.seen(day)
        return next((s.shape for s in seen if lesion_id == s.lesion_id or lesion_id in s.parts), None)

    def seen(self, day: float) -> tuple[SeenLesion, ...]:
        """Lesions that are there on a day, in the order of their numbers."""
        group = self._groups[self._index(day)]
        return tuple(self._seen_as_one([self.courses[n] for n in members], day) for members in group)

    def uptake_volumes_ml(self, day: float) -> dict[str, float]:
        """Volume with full uptake of every digital lesion, 0 for those not there: what the kinetics ask. [mL]"""
        return {c.lesion.lesion_id: c.uptake_volume_ml(day) for c in self.courses}

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened, in order."""
        found: list[Event] = []
        for k in range(1, len(self.days)):
            before, after = self._groups[k - 1], self._groups[k]
            if before != after:
                changes = _events(self._names(before), self._names(after), float(self.days[k]))
                gone = {name for e in found if e.kind is EventKind.GONE for name in e.before}
                found += [
                    evolve(e, kind=EventKind.BACK) if e.kind is EventKind.NEW and gone & set(e.after) else e
                    for e in changes
                ]
        return tuple(found)

    @cached_property
    def _groups(self) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Which digital lesions are there and make one, for every day."""
        there = np.array([c.diameter_mm >= VISIBLE_MM for c in self.courses])
        meeting = [(a, b, _meeting(self.courses[a], self.courses[b])) for a, b in _pairs(self.courses)]
        groups: list[tuple[tuple[int, ...], ...]] = []
        state: tuple[object, ...] = ()
        for k in range(len(self.days)):
            joined = [(a, b) for a, b, when in meeting if when[k] and there[a, k] and there[b, k]]
            present = tuple(int(n) for n in np.flatnonzero(there[:, k]))
            if groups and (present, *joined) == state:
                groups.append(groups[-1])
                continue
            state = (present, *joined)
            groups.append(_components(present, joined))
        return tuple(groups)

    def _index(self, day: float) -> int:
        if not self.days[0] <= day <= self.days[-1]:
            raise UsageError(f"day {day:g}", required=f"a day from {self.days[0]:g} to {self.days[-1]:g}")
        return int(np.searchsorted(self.days, day, side="right")) - 1

    def _names(self, groups: Sequence[tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        return {_identity([self.lesions[n].lesion_id for n in members]): members for members in groups}

    def _seen_as_one(self, members: Sequence[LesionCourse], day: float) -> SeenLesion:
        parts = tuple(c.lesion.lesion_id for c in members)
        identity, leader = _identity(parts), members[0]
        cores = tuple(core for c in members if (core := c.core_at(day)) is not None)
        blobs = [blob for c in members if (blob := c.shape_at(day)) is not None]
        parents = next((e.before for e in reversed(self.events) if e.day <= day and identity in e.after), ())
        if len(members) == 1:
            lesion, scale = leader.lesion, leader.at(leader.scale, day)
            shape: Shape = evolve(blobs[0], name=identity)
            size = Size(lesion.longest_axial_diameter_mm, lesion.short_axis_mm, lesion.volume_ml).scaled(scale)
        else:
            shape = _united(identity, blobs, sum(c.at(c.volume_ml, day) for c in members))
            size = size_of(shape)
        place = leader.lesion.name.removeprefix(leader.lesion.lesion_id)
        return SeenLesion(identity, identity + place, leader.lesion.site, shape, cores, size, parts, parents)


def disease_course(
    lesions: Sequence[DigitalLesion],
    possible: Sequence[DigitalLesion],
    dose_gy: Mapping[str, npt.ArrayLike],
    cycle_days: Sequence[float],
    days: npt.ArrayLike,
    scenario: TruthScenario = TruthScenario.STRONG,
    half_life_h: Mapping[str, float] | None = None,
) -> DiseaseCourse:
    """Follow all lesions of a patient, and decide which of the possible new ones come.

    The rate of new lesions is that of the grade until the disease progresses, and higher afterwards.

    Parameters
    ----------
    possible
        From :func:`~lutra.simulate.lesions.sample_new_lesions`.
    dose_gy, cycle_days, days, scenario, half_life_h
        As of :func:`~lutra.simulate.course.courses`, the possible ones included.
    """
    t = np.asarray(days, float)
    every = courses([*lesions, *possible], dose_gy, cycle_days, t, scenario, half_life_h)
    came = list(every[: len(lesions)])
    progressed = _progression(came, t)
    grade = GRADES[lesions[0].grade]
    largest = max(grade.new_per_year, NEW_PER_YEAR_AFTER_PROGRESSION)
    for candidate in sorted(every[len(lesions) :], key=lambda c: c.lesion.appears_day or 0.0):
        day = candidate.lesion.appears_day or 0.0
        rate = grade.new_per_year if progressed is None or day < progressed else largest
        if candidate.lesion.chance < rate / largest and day <= t[-1]:
            came.append(candidate)
            progressed = day if progressed is None else min(progressed, day)
    return DiseaseCourse(tuple(came), t, progressed)


def _progression(there: Sequence[LesionCourse], days: Array) -> float | None:
    total = sum((c.diameter_mm for c in there), np.zeros_like(days))[days >= 0]
    least = np.minimum.accumulate(total)
    grown = (total >= PROGRESSION * least) & (total - least >= PROGRESSION_MM)
    return float(days[days >= 0][grown.argmax()]) if grown.any() else None


def _pairs(there: Sequence[LesionCourse]) -> list[tuple[int, int]]:
    return [
        (a, b)
        for a in range(len(there))
        for b in range(a + 1, len(there))
        if there[a].lesion.site == there[b].lesion.site
    ]


def _meeting(one: LesionCourse, other: LesionCourse) -> npt.NDArray[np.bool_]:
    """On which days two lesions touch. (days)"""
    return touching(one.lesion.shape, other.lesion.shape, one.scale, other.scale)


def _components(present: Sequence[int], joined: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Find the sets of lesions that hang together."""
    member = {n: n for n in present}
    for a, b in joined:
        keep, drop = sorted((member[a], member[b]))
        member = {n: keep if m == drop else m for n, m in member.items()}
    return tuple(tuple(n for n in present if member[n] == m) for m in sorted(set(member.values())))


def _identity(parts: Sequence[str]) -> str:
    """`lesion 3` of its lobes, `lesion 2+5` of two lesions, else the only part's own."""
    if len(parts) == 1:
        return parts[0]
    stems = dict.fromkeys(part.rstrip("ab") for part in parts)
    first, *others = stems
    return "+".join((first, *(stem.split()[-1] for stem in others)))


def _events(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]], day: float) -> list[Event]:
    """Compare the lesions of two days."""
    found = []
    for name in [n for n in before if n not in after]:
        now = tuple(n for n in after if set(after[n]) & set(before[name]))
        if not now:
            found.append(Event(EventKind.GONE, day, (name,), ()))
        elif len(now) > 1:
            found.append(Event(EventKind.SPLIT, day, (name,), now))
    for name in [n for n in after if n not in before]:
        past = tuple(n for n in before if set(before[n]) & set(after[name]))
        if not past:
            found.append(Event(EventKind.NEW, day, (), (name,)))
        elif len(past) > 1 or set(after[name]) > set(before[past[0]]):
            found.append(Event(EventKind.MERGED, day, past, (name,)))
        elif set(after[name]) < set(before[past[0]]) and not any(name in e.after for e in found):
            found.append(Event(EventKind.SPLIT, day, past, (name,)))
    return found


def _united(name: str, shapes: Sequence[Blob], wanted_ml: float) -> Shape:
    """One surface around touching lesions, grown about its middle so that no volume is lost where they overlap."""
    union = Union(name, tuple(shapes), ROUNDING_MM)
    middle = union.bounds_lps_mm.mean(axis=0)
    return Scaled(name, union, middle, (wanted_ml / volume_ml(union, 48)) ** (1 / 3))
