"""Which regions are one lesion."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import dist
from typing import Any

from attrs import field, frozen

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.lesion import Lesion, LesionObservation, Sighting
from lutra.track.settings import TrackSettings

MATCHED_BY = "author's name"


@frozen
class Candidate:
    """A region that is a lesion, in one image.

    Parameters
    ----------
    acquired_order
        Place of the image in the subject's time order.
    region_digest
        Identity of the region.
    volume_ml
        Volume. [mL]
    centroid_lps_mm
        Centre of gravity. [mm]
    """

    series_uid: str
    acquired_order: int
    region_digest: str
    region_name: str
    volume_ml: float
    centroid_lps_mm: tuple[float, float, float]
    frame_of_reference: str


@frozen(eq=False)
class _Slot:
    """One lesion while it is put together."""

    name: str
    lesion_id: str | None
    members: list[Candidate] = field(factory=list, init=False)


def normalised(name: str) -> str:
    """Reduce a name to its words: no case, no punctuation, one space."""
    return " ".join(re.sub(r"[\W_]+", " ", name.casefold()).split())


def identify(
    candidates: tuple[Candidate, ...], known: tuple[Lesion, ...], settings: TrackSettings
) -> Outcome[tuple[Lesion, ...]]:
    """Give every region of a subject its lesion.

    Regions are one lesion if their author gave them the same name, but for case, spaces and punctuation. Position and
    volume do not decide; they raise doubts. The result does not depend on the order of `candidates`.

    Parameters
    ----------
    candidates
        All lesion regions of one subject.
    known
        Lesions identified before. Their ids stay with their names and are never given to another lesion; one of which
        nothing is left stays in the list without observations.

    Returns
    -------
    Outcome
        Lesions by id, their observations in order of acquisition.
    """
    slots: dict[str, list[_Slot]] = defaultdict(list)
    for lesion in sorted(known, key=lambda lesion: _number(lesion.lesion_id)):
        slots[normalised(lesion.name)].append(_Slot(lesion.name, lesion.lesion_id))
    findings: list[Finding] = []
    for same_name in _groups(candidates, lambda c: (normalised(c.region_name),)):
        for in_series in _groups(same_name, lambda c: (c.acquired_order, c.series_uid)):
            own = slots[normalised(in_series[0].region_name)]
            own += [_Slot(c.region_name, None) for c in in_series[len(own) :]]
            for slot, candidate in zip(own, _in_slot_order(in_series, own, known), strict=True):
                slot.members.extend([candidate] if candidate else [])
            findings += [_twice(in_series)] if len(in_series) > 1 else []
    lesions = _issue([slot for own in slots.values() for slot in own], known)
    for lesion_id, slot in lesions:
        findings += _doubts(lesion_id, slot.members, settings)
    matched = [(lesion_id, slot) for lesion_id, slot in lesions if len(slot.members) > 1]
    if matched:
        findings.insert(0, _matched(matched))
    parents = {lesion.lesion_id: lesion.parents for lesion in known}
    return Outcome(
        tuple(
            Lesion(lesion_id, slot.name, MATCHED_BY, tuple(map(_seen, slot.members)), parents.get(lesion_id, ()))
            for lesion_id, slot in lesions
        ),
        findings,
    )


def _groups(candidates: Iterable[Candidate], key: Callable[[Candidate], tuple[Any, ...]]) -> list[list[Candidate]]:
    """Candidates that share a key, keys in order; within one, the largest first."""
    together: dict[tuple[Any, ...], list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda c: (-c.volume_ml, c.centroid_lps_mm, c.region_digest)):
        together[key(candidate)].append(candidate)
    return [together[k] for k in sorted(together)]


def _in_slot_order(
    in_series: Sequence[Candidate], own: Sequence[_Slot], known: tuple[Lesion, ...]
) -> list[Candidate | None]:
    """Put the candidates of one name and series beside the slots: where they were before, the rest in order of size."""
    before = {(o.series_uid, o.region): lesion.lesion_id for lesion in known for o in lesion.observations}
    held = {before.get((c.series_uid, c.region_digest)): c for c in in_series}
    held.pop(None, None)
    places: list[Candidate | None] = [held.get(slot.lesion_id) if slot.lesion_id else None for slot in own]
    rest = [c for c in in_series if not any(c is placed for placed in places)]
    for n, place in enumerate(places):
        if place is None and rest:
            places[n] = rest.pop(0)
    return places


def _issue(slots: Sequence[_Slot], known: tuple[Lesion, ...]) -> list[tuple[str, _Slot]]:
    """Ids, kept or new in order of first appearance, then name."""
    new = sorted(
        (slot for slot in slots if slot.lesion_id is None),
        key=lambda s: (s.members[0].acquired_order, s.members[0].series_uid, normalised(s.name)),
    )
    last = max((_number(lesion.lesion_id) for lesion in known), default=0)
    issued = [(slot.lesion_id, slot) for slot in slots if slot.lesion_id]
    issued += [(f"L{last + n:02d}", slot) for n, slot in enumerate(new, start=1)]
    return sorted(issued, key=lambda pair: _number(pair[0]))


def _number(lesion_id: str) -> int:
    return int(lesion_id.removeprefix("L"))


def _seen(candidate: Candidate) -> LesionObservation:
    return LesionObservation(candidate.series_uid, Sighting.SEEN, candidate.region_digest, candidate.region_name)


def _doubts(lesion_id: str, members: Sequence[Candidate], settings: TrackSettings) -> list[Finding]:
    """Tell what speaks against successive regions being one lesion."""
    doubts = []
    for earlier, later in pairwise(members):
        evidence = {"lesion": lesion_id, "earlier": earlier.series_uid, "later": later.series_uid}
        name = f"Lesion {lesion_id} “{later.region_name}”"
        sizes = sorted((earlier.volume_ml, later.volume_ml))
        if sizes[1] > settings.volume_ratio * sizes[0]:
            text = (
                f"{name} goes from {earlier.volume_ml:.3g} mL to {later.volume_ml:.3g} mL, "
                f"more than {settings.volume_ratio:g}-fold. Check that both contours are the same lesion; "
                "if not, rename one of them."
            )
            doubts.append(Finding(Severity.WARNING, "track.volume-jump", text, evidence))
        shift_mm = dist(earlier.centroid_lps_mm, later.centroid_lps_mm)
        if _one_frame(earlier, later) and shift_mm > settings.centroid_shift_mm:
            text = (
                f"{name} moves by {shift_mm:.1f} mm between two images of one frame of "
                f"reference, more than {settings.centroid_shift_mm:g} mm. Check that both contours are the same lesion; "
                "if not, rename one of them."
            )
            doubts.append(Finding(Severity.WARNING, "track.centroid-jump", text, evidence))
    return doubts


def _one_frame(one: Candidate, other: Candidate) -> bool:
    return bool(one.frame_of_reference) and one.frame_of_reference == other.frame_of_reference


def _matched(matched: Sequence[tuple[str, _Slot]]) -> Finding:
    lesions = ", ".join(f"{lesion_id} “{slot.name}” in {len(slot.members)} images" for lesion_id, slot in matched)
    unchecked = any(not _one_frame(*pair) for _, slot in matched for pair in pairwise(slot.members))
    position = (
        "Their positions could not be compared, because the images have different frames of reference."
        if unchecked
        else "Their positions were compared in the shared frame of reference."
    )
    return Finding(
        Severity.INFO,
        "track.matched-by-name",
        f"Regions were taken as one lesion because their author gave them one name: {lesions}. {position}",
        {lesion_id: slot.name for lesion_id, slot in matched},
    )


def _twice(in_series: Sequence[Candidate]) -> Finding:
    name, uid = in_series[0].region_name, in_series[0].series_uid
    return Finding(
        Severity.WARNING,
        "track.same-name-twice",
        f"“{name}” names {len(in_series)} regions of one image, so the name does not identify them. They are kept "
        "as separate lesions, the largest first, and matched over time in that order. Give each lesion a name of its own.",
        {"name": name, "series": uid, "volumes": ", ".join(f"{c.volume_ml:.3g} mL" for c in in_series)},
    )
