"""What was identified before and holds: a region once compared stays with its lesion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lutra.core.lesion import Lesion, LesionObservation, Sighting
from lutra.track.by_position import Image
from lutra.track.candidates import Candidate
from lutra.track.evidence import normalised
from lutra.track.tracks import AFTER_EDIT, BY_POSITION, Elsewhere, Found, Track

RegionKey = tuple[str, str]
Former = Mapping[RegionKey, tuple[Track, ...]]


def restored(
    known: Sequence[Lesion], images: Sequence[Image], released: frozenset[RegionKey] = frozenset()
) -> tuple[list[Track], Former]:
    """Start the list with the lesions known before.

    Regions are put where they are without edits, which are kept to afterwards. A region that had a lesion to itself because nothing
    could be compared is open again once it can be.

    Parameters
    ----------
    released
        Regions to be decided anew.

    Returns
    -------
    tuple
        The lesions, all with their identities; and the lesions that regions had and may have again where they turn out to be new.
    """
    by_series = {image.series_uid: image for image in images}
    tracks = {lesion.lesion_id: Track(lesion.lesion_id, lesion.name) for lesion in known}
    former: dict[RegionKey, tuple[Track, ...]] = {}
    for lesion in known:
        track = tracks[lesion.lesion_id]
        track.parents = tuple(tracks[parent] for parent in lesion.parents if parent in tracks)
        for o in lesion.observations:
            image = by_series.get(o.series_uid)
            candidate = _again(o, image, known) if image else None
            if image is None or candidate is None:
                continue
            if without_edits := tracks.get(o.without_edits or ""):
                without_edits.found[o.series_uid] = Found(candidate, BY_POSITION, None)
            elif candidate.key in released or _was_blind(o, lesion, known, by_series):
                former[candidate.key] = (track,)
            else:
                track.found[o.series_uid] = Found(candidate, o.matched_by, o.confidence)
    for track in tracks.values():
        if track.found and (first := min(track.found.values(), key=lambda f: f.candidate.image)).confidence is None:
            first.matched_by = "" if first.matched_by == BY_POSITION else first.matched_by
    for lesion in known:
        for o in lesion.observations:
            if o.series_uid in by_series and o.matched_by != AFTER_EDIT:
                _restore_elsewhere(tracks, lesion, o, by_series[o.series_uid])
    return list(tracks.values()), former


def _again(observation: LesionObservation, image: Image, known: Sequence[Lesion]) -> Candidate | None:
    """Find the region of an observation: itself, or the one drawn in its place under the same name."""
    if not observation.region:
        return None
    for c in image.candidates:
        if c.region_digest == observation.region:
            return c
    name = normalised(observation.region_name or "")
    names = Counter(normalised(c.region_name) for c in image.candidates)
    before = [
        o for lesion in known for o in lesion.observations
        if o.series_uid == image.series_uid and normalised(o.region_name or "") == name
    ]  # fmt: skip
    if names[name] != 1 or len(before) != 1:
        return None
    return next(c for c in image.candidates if normalised(c.region_name) == name)


def _was_blind(
    observation: LesionObservation, lesion: Lesion, known: Sequence[Lesion], images: Mapping[str, Image]
) -> bool:
    """Whether a region was new only because a lesion seen earlier could not be looked for, and now it can be."""
    if observation.matched_by or observation.confidence is not None or lesion.parents:
        return False
    own = images[observation.series_uid]
    return bool(own.space) and any(
        _number(older) < _number(lesion)
        and not _assessed(older, observation.series_uid)
        and any(_has_place(o, images, own) for o in older.observations)
        for older in known
    )


def _assessed(lesion: Lesion, series_uid: str) -> bool:
    return any(o.series_uid == series_uid and o.sighting is not Sighting.NOT_ASSESSABLE for o in lesion.observations)


def _has_place(observation: LesionObservation, images: Mapping[str, Image], other: Image) -> bool:
    """Whether it says where a lesion is in a later image."""
    image = images.get(observation.series_uid)
    if image is None or image.key > other.key:
        return False
    return any(
        c.region_digest == observation.region and c.position_in(other.space) is not None for c in image.candidates
    )


def _restore_elsewhere(
    tracks: Mapping[str, Track], lesion: Lesion, observation: LesionObservation, image: Image
) -> None:
    """Keep a merger while the mass is there, and a split while a part is."""
    track, uid = tracks[lesion.lesion_id], observation.series_uid
    if observation.sighting is Sighting.MERGED:
        into = tracks.get(observation.merged_into or "")
        if into and uid in into.found:
            into.found[uid].mass = True
            track.elsewhere[uid] = Elsewhere(
                Sighting.MERGED, image.key, into, observation.confidence, observation.matched_by
            )
    if observation.sighting is Sighting.SPLIT and any(track in t.parents and uid in t.found for t in tracks.values()):
        track.elsewhere[uid] = Elsewhere(
            Sighting.SPLIT, image.key, None, observation.confidence, observation.matched_by
        )


def _number(lesion: Lesion) -> int:
    return int(lesion.lesion_id.removeprefix("L"))
