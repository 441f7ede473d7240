"""Stage 5 for one subject: regions to lesions with identities, and the table of lesions and images."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from attrs import evolve, frozen

from lutra.core.digest import digest
from lutra.core.finding import Outcome
from lutra.core.lesion import Correspondence, Lesion, Lock
from lutra.core.region import RegionKind, RegionOrigin
from lutra.core.transform import Transform
from lutra.pipeline.alignment import Alignment
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.regions import Seen
from lutra.store.ledger import LesionList
from lutra.track import Candidate, ImageField, candidate, correspondences, identify


@frozen
class Lesions:
    """The lesions of a subject, and the step that made the table of lesions and images."""

    lesions: tuple[Lesion, ...]
    correspondences: Made | None


def find_lesions(
    conductor: Conductor,
    protocol: Protocol,
    subject_id: str,
    seen: Sequence[Seen],
    order: Mapping[str, int],
    alignment: Alignment,
    locks: tuple[Lock, ...],
) -> Lesions:
    """Give each lesion its identity. An id once issued stays: the list issued before is an input."""
    drawn = [s for s in seen if s.region.kind is RegionKind.LESION]
    maps = _maps(conductor, protocol, drawn, alignment)
    candidates = tuple(_candidate(s, order, maps) for s in drawn)
    fields = tuple(_fields(drawn, order, maps))
    before = conductor.ledger.lesion_list(subject_id)
    if not candidates and before is None:
        return Lesions((), None)
    inputs = {"candidates": candidates, "images": fields, "locks": locks}
    same = before is not None and before.candidates == digest(inputs)
    known: tuple[Lesion, ...] = () if before is None else conductor.store.get(before.known if same else before.issued)
    made = conductor.step("track.identify", identify, inputs | {"known": known}, settings=protocol.track)
    if not made or made.output is None:
        return Lesions((), None)
    conductor.ledger.set_lesion_list(subject_id, LesionList(digest(inputs), conductor.store.put(known), made.output))
    table = conductor.step("track.correspondences", _table, {"lesions": made, "candidates": candidates})
    return Lesions(conductor.value(made), table)


def names_decide(seen: Sequence[Seen]) -> bool:
    """Tell whether the authors' names say which lesion is which: none twice in an image, some shared by any two frames."""
    names: dict[str, Counter[str]] = defaultdict(Counter)
    frames: dict[str, set[str]] = defaultdict(set)
    for s in seen:
        name = " ".join(s.region.name.casefold().split())
        names[s.image.header.series_uid][name] += 1
        frames[s.image.header.frame_of_reference].add(name)
    alone = all(count == 1 for of_image in names.values() for count in of_image.values())
    return alone and all(one & other for one, other in combinations(frames.values(), 2))


def _maps(
    conductor: Conductor, protocol: Protocol, drawn: Sequence[Seen], alignment: Alignment
) -> dict[str, Transform]:
    """Map of each frame to the reference, where positions are to be compared; affine, as lesions are points here."""
    frames = {s.image.header.frame_of_reference for s in drawn}
    if len(frames) < 2 or (protocol.align.when == "needed" and names_decide(drawn)):
        return {}
    maps = {}
    for frame in sorted(frames):
        made = alignment.to_reference(frame)
        if made:
            found: Transform = conductor.value(made)
            maps[frame] = evolve(found, displacement=None).inverse()
    return maps


def _candidate(seen: Seen, order: Mapping[str, int], maps: Mapping[str, Transform]) -> Candidate:
    uid, frame = seen.image.header.series_uid, seen.image.header.frame_of_reference
    return candidate(seen.region, seen.step.reference, uid, order[uid], seen.image.role, maps.get(frame))


def _fields(drawn: Sequence[Seen], order: Mapping[str, int], maps: Mapping[str, Transform]) -> list[ImageField]:
    """Images in which somebody drew lesions; where an outline was brought from another day, nobody has looked."""
    looked_at = {s.image.header.series_uid: s for s in drawn if s.region.origin is not RegionOrigin.PROPAGATED}
    fields = []
    for uid, s in sorted(looked_at.items()):
        to_common = maps.get(s.image.header.frame_of_reference)
        matrix = None if to_common is None else np.array(to_common.fixed_from_moving)
        error_mm = None if to_common is None else to_common.error_mm
        fields.append(ImageField(uid, order[uid], s.region.grid, matrix, error_mm))
    return fields


def _table(lesions: tuple[Lesion, ...], candidates: tuple[Candidate, ...]) -> Outcome[tuple[Correspondence, ...]]:
    return Outcome(correspondences(lesions, candidates))
