"""What readers make of the lesions: diameters with their error, the choice of targets, the response of each visit.

A reader errs by 1.2 mm and 4 % from reading to reading. Among different readers the error is 7 %: each has a way of drawing each
lesion, which stays with that lesion and cancels in the ratio to the baseline only if the same reader reads both. The truth is read
by a reader without error.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import float64
from lutra.response.recist import rules as recist
from lutra.simulate.labs import stream

Array = npt.NDArray[np.float64]

GONE_MM = 2.0
"""What is smaller is not seen on CT."""
NEW_LESION_SEEN_MM, NEW_LESION_LOG_SD = 8.0, 0.25
"""Median size at which a new lesion is called, and its spread over readers and lesions; the truth calls it at the median."""
NON_TARGET_RATIO, NON_TARGET_GROWTH_MM = 1.2, 10.0
"""Unequivocal: 20 % in the sum of diameters, 73 % in volume, as for targets, and beyond any reading error."""


@frozen(eq=False)
class ReadLesion:
    """A lesion as CT shows it over the study.

    Parameters
    ----------
    organ
        `liver`, `node`, `bone` or other; nodes are one organ, measured by their short axis.
    days, long_mm, short_mm
        Longest axial diameter and the short axis over days since the first treatment; 0 while it is not there. [d], [mm] (n)
    measurable
        False for bone without a soft-tissue part.
    """

    lesion_id: str
    organ: str
    days: Array = field(converter=float64)
    long_mm: Array = field(converter=float64)
    short_mm: Array = field(converter=float64)
    measurable: bool = True

    def at(self, day: float) -> tuple[float, float]:
        """Long and short axis. [mm]"""
        return float(np.interp(day, self.days, self.long_mm)), float(np.interp(day, self.days, self.short_mm))


@frozen
class Reader:
    """How a reader errs.

    Parameters
    ----------
    sd_mm, relative
        Of one reading, added in quadrature. [mm], [1]
    between
        Relative error among readers, which contains `relative`. [1]
    """

    name: str
    sd_mm: float = 1.2
    relative: float = 0.04
    between: float = 0.07


TRUTH = Reader("truth", 0, 0, 0)


@frozen
class Reading:
    """One lesion at one visit.

    Parameters
    ----------
    kind
        `target`, `non-target` or `new`.
    state
        `measured`, `too small`, `absent` or `not evaluated`.
    long_mm, short_mm
        0 if absent, 5 if too small. [mm]; None if not evaluated.
    """

    lesion_id: str
    organ: str
    kind: str
    state: str
    long_mm: float | None
    short_mm: float | None

    @property
    def in_sum_mm(self) -> float | None:
        """What enters the RECIST sum. [mm]"""
        return self.short_mm if self.organ == "node" else self.long_mm

    @property
    def gone(self) -> bool:
        """Absent, or a node of normal size."""
        normal = self.organ == "node" and (self.short_mm or 0) < recist.NORMAL_NODE_SHORT_MM
        return self.state == "absent" or (self.state != "not evaluated" and normal)


@frozen
class VisitRead:
    """One visit: its readings and what follows from them."""

    visit: int
    day: int
    reader: str
    readings: tuple[Reading, ...]
    sum_mm: float | None
    overall: str
    target: str | None = None
    non_target: str | None = None
    new_lesion: bool = False


@frozen
class ReadCourse:
    """All visits of a patient; the first is the baseline and has no response."""

    targets: tuple[str, ...]
    visits: tuple[VisitRead, ...]

    @property
    def best(self) -> str:
        """Best overall response, unconfirmed."""
        return recist.best_response([(v.day, v.overall) for v in self.visits[1:]])

    def change_at(self, visit: int) -> float | None:
        """Relative change of the sum from baseline at a visit. [1]; None if a sum is missing."""
        first, now = self.visits[0].sum_mm, next((v.sum_mm for v in self.visits if v.visit == visit), None)
        return None if not first or now is None else now / first - 1


def read_course(
    lesions: Sequence[ReadLesion],
    days: Sequence[int],
    readers: Sequence[Reader],
    seed: int,
    *,
    lost: Collection[int] = (),
    not_evaluated: Collection[tuple[int, str]] = (),
) -> ReadCourse:
    """Read all visits of a patient.

    Parameters
    ----------
    lesions
        Old and new ones.
    days
        Of the visits, ascending; the first is the baseline. [d]
    readers
        One for all visits, or one for each.
    lost
        Numbers of visits that did not take place.
    not_evaluated
        Visit and lesion that could not be judged, as for movement or another slice thickness.

    Raises
    ------
    UsageError
        If the baseline is lost, or the readers do not fit the visits.
    """
    if 0 in lost or len(readers) not in {1, len(days)}:
        raise UsageError(
            f"{len(readers)} readers for {len(days)} visits", required="a baseline, and one reader or one per visit"
        )
    who = [readers[0]] * len(days) if len(readers) == 1 else list(readers)
    looks = {(x.lesion_id, r.name): _look(x, r, days, seed) for x in lesions for r in dict.fromkeys(who)}
    old = [x for x in lesions if x.at(days[0])[0] > GONE_MM]
    targets = recist.choose_targets(
        (x.lesion_id, x.organ, looks[x.lesion_id, who[0].name].mm[0][x.organ == "node"], x.measurable) for x in old
    )
    history = _History(targets, tuple(x.lesion_id for x in old))
    visits = []
    for n, day in enumerate(days):
        if n in lost:
            continue
        unseen = {lesion for visit, lesion in not_evaluated if visit == n}
        found = (_reading(x, looks[x.lesion_id, who[n].name], n, history, unseen) for x in lesions)
        visit, history = _judge(n, day, who[n].name, tuple(r for r in found if r is not None), history)
        visits.append(visit)
    return ReadCourse(targets, tuple(visits))


@frozen
class _History:
    """What a reader remembers of the visits before."""

    targets: tuple[str, ...]
    old: tuple[str, ...]
    baseline_mm: float | None = None
    nadir_mm: float = 0.0
    non_target_nadir_mm: float | None = None
    new: frozenset[str] = frozenset()


@frozen(eq=False)
class _Look:
    """Readings of one lesion by one reader: the true long axis, both axes as read, and the size at which it is called new."""

    true_mm: Array
    mm: list[tuple[float, float]]
    called_mm: float


def _look(lesion: ReadLesion, reader: Reader, days: Sequence[int], seed: int) -> _Look:
    """Measure a lesion at all visits; what is drawn for a visit does not depend on those after it."""
    true = np.array([lesion.at(day) for day in days])
    habit, called, noise = 0.0, 0.0, np.zeros((len(days), 4))
    if reader.between > 0 or reader.sd_mm > 0:
        r = stream(seed, f"read {reader.name} {lesion.lesion_id}")
        habit = sqrt(max(reader.between**2 - reader.relative**2, 0)) * r.normal()
        called = NEW_LESION_LOG_SD * r.normal()
        noise = r.normal(size=noise.shape)
    read = true * (1 + habit + reader.relative * noise[:, :2]) + reader.sd_mm * noise[:, 2:]
    read = np.where(true > GONE_MM, np.maximum(read, 0), 0).round(1)
    axes = [(float(long_mm), float(min(short_mm, long_mm))) for long_mm, short_mm in read]
    return _Look(true[:, 0], axes, NEW_LESION_SEEN_MM * float(np.exp(called)))


def _reading(lesion: ReadLesion, look: _Look, visit: int, history: _History, unseen: Collection[str]) -> Reading | None:
    """Look at one lesion; None for one that is not there or not yet called."""
    name = lesion.lesion_id
    kind = "target" if name in history.targets else "non-target" if name in history.old else "new"
    true_mm, (long_mm, short_mm) = look.true_mm[visit], look.mm[visit]
    if kind == "new" and name not in history.new and (visit == 0 or name in unseen or true_mm < look.called_mm):
        return None
    if name in unseen:
        return Reading(name, lesion.organ, kind, "not evaluated", None, None)
    if true_mm <= GONE_MM:
        return Reading(name, lesion.organ, kind, "absent", 0.0, 0.0)
    if long_mm < recist.TOO_SMALL_MM:
        return Reading(name, lesion.organ, kind, "too small", recist.TOO_SMALL_MM, min(short_mm, recist.TOO_SMALL_MM))
    return Reading(name, lesion.organ, kind, "measured", long_mm, short_mm)


def _judge(visit: int, day: int, reader: str, readings: tuple[Reading, ...], h: _History) -> tuple[VisitRead, _History]:
    targets = [r for r in readings if r.kind == "target"]
    others = [r for r in readings if r.kind == "non-target"]
    new = h.new | {r.lesion_id for r in readings if r.kind == "new"}
    measured = [r.in_sum_mm for r in targets if r.in_sum_mm is not None]
    complete = bool(targets) and len(measured) == len(targets)
    sum_mm, rest_mm = sum(measured), sum(r.in_sum_mm or 0.0 for r in others)
    rest_complete = all(r.state != "not evaluated" for r in others)
    if visit == 0:
        state = _History(h.targets, h.old, sum_mm if targets else None, sum_mm, rest_mm, new)
        return VisitRead(0, day, reader, readings, sum_mm if complete else None, "baseline"), state
    target = None
    if h.baseline_mm is not None:
        target = recist.target_response(
            sum_mm, h.baseline_mm, h.nadir_mm, complete=complete, all_gone=all(r.gone for r in targets)
        )
    nadir = h.non_target_nadir_mm or 0.0
    worse = rest_mm >= nadir + max(NON_TARGET_GROWTH_MM, (NON_TARGET_RATIO - 1) * nadir)
    states = ["absent" if r.gone else "not evaluated" if r.state == "not evaluated" else "present" for r in others]
    non_target = recist.non_target_response([*states, "unequivocal progression"] if others and worse else states)
    overall = recist.overall_response(target, non_target, new_lesion=bool(new))
    state = _History(
        h.targets,
        h.old,
        h.baseline_mm,
        min(h.nadir_mm, sum_mm) if complete else h.nadir_mm,
        min(nadir, rest_mm) if rest_complete else nadir,
        new,
    )
    return (
        VisitRead(
            visit,
            day,
            reader,
            readings,
            sum_mm if complete else None,
            overall,
            target,
            non_target,
            new_lesion=bool(new),
        ),
        state,
    )
