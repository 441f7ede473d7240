"""Gives every region of one image its lesion: what is decided, the authors' words, place and size, and the rest is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import dist

from lutra.core.lesion import Sighting
from lutra.track.by_position import Compared, Image, by_position
from lutra.track.candidates import COMMON, Candidate
from lutra.track.evidence import by_name, named_once, normalised
from lutra.track.held import Former
from lutra.track.hypotheses import GATE_SD
from lutra.track.settings import TrackSettings
from lutra.track.spots import ball_radius_mm
from lutra.track.tracks import (
    BY_NAME,
    BY_UID,
    Elsewhere,
    Found,
    Place,
    Track,
    error_of,
    number,
    place,
)


def identify_in(tracks: list[Track], image: Image, former: Former, settings: TrackSettings) -> Compared:
    """Account for every region of an image and for the lesions that geometry can speak of. Adds new lesions to the list.

    Parameters
    ----------
    tracks
        The list so far, with what is decided of this image.
    former
        Lesions that regions had before, so that one found new again keeps its identity if nothing else has it.
    """
    closed = {id(t) for t in tracks if image.series_uid in t.found}
    _by_uid(tracks, image)
    _by_unique_name(tracks, image)
    compared = by_position(tracks, image, closed, settings)
    _by_any_name(tracks, image, compared)
    _new(tracks, image, compared, former)
    _still_elsewhere(tracks, image)
    for track in tracks:
        own = track.found.get(image.series_uid)
        if own and own.candidate.key in compared.corrected:
            own.corrected_mm, own.corrected_error_mm = compared.corrected[own.candidate.key]
        if missing(track, image, settings) is Sighting.NOT_SEEN:
            track.missed[image.series_uid] = image.key
    return compared


def missing(track: Track, image: Image, settings: TrackSettings) -> Sighting | None:
    """Say why a lesion has no region in an image; None if it is accounted for, or nobody said what the image covers.

    A lesion whose place is in doubt by twice its error at the edge of the image is not assessable.
    """
    if image.covers is None or track.seen_in(image.series_uid):
        return None
    expected: Place | None = None
    if image.space:
        expected = place(track, image.space, image.key, image.role, settings, corrected=False)
    depth = image.covers.depth_mm(expected.position_mm, image.space) if expected else None
    if expected is None or depth is None:
        return Sighting.NOT_ASSESSABLE
    error = image.covers.error_mm if image.space == COMMON else settings.unevaluated_error_mm
    doubt = 2 * (expected.error_mm**2 + (settings.unevaluated_error_mm if error is None else error) ** 2 / 3) ** 0.5
    if depth > doubt:
        return Sighting.NOT_SEEN
    return Sighting.OUT_OF_FIELD if depth < -doubt else Sighting.NOT_ASSESSABLE


def off_by(track: Track, found: Found, image: Image, settings: TrackSettings) -> float | None:
    """Distance of a region from where its lesion is expected, if that is farther than errors explain. [mm]"""
    expected = place(track, image.space, image.key, image.role, settings) if image.space else None
    here = found.candidate.position_in(image.space) if image.space else None
    if expected is None or here is None:
        return None
    far = dist(expected.position_mm, here)
    own = float(ball_radius_mm(max(found.candidate.volume_ml, expected.like.volume_ml)))
    limit = GATE_SD * (expected.error_mm**2 + error_of(found.candidate, settings) ** 2) ** 0.5 + own
    return far if far > limit else None


def _unassigned(tracks: Sequence[Track], image: Image) -> list[Candidate]:
    taken = {t.found[image.series_uid].candidate.key for t in tracks if image.series_uid in t.found}
    return [c for c in image.candidates if c.key not in taken]


def _take(track: Track, candidate: Candidate, image: Image, rule: str) -> None:
    track.found[image.series_uid] = Found(candidate, rule, None)


def _by_uid(tracks: Sequence[Track], image: Image) -> None:
    """Regions whose authors gave them the UID of a lesion."""
    open_ = [c for c in _unassigned(tracks, image) if c.tracking_uid]
    times = Counter(c.tracking_uid for c in open_)
    for c in open_:
        same = [t for t in tracks if any(f.candidate.tracking_uid == c.tracking_uid for f in t.found.values())]
        free = [t for t in same if not t.seen_in(image.series_uid) and c.key not in t.barred]
        if times[c.tracking_uid] == 1 and free:
            _take(free[0], c, image, BY_UID)


def _by_unique_name(tracks: Sequence[Track], image: Image) -> None:
    """Regions whose name belongs to one region of the image and to one lesion of the list."""
    open_ = _unassigned(tracks, image)
    names = {id(t): t.names() for t in tracks}
    once = {c.key for c in named_once(image.candidates)}
    for c in open_:
        same = [t for t in tracks if normalised(c.region_name) in names[id(t)]] if c.key in once else []
        if len(same) == 1 and not same[0].seen_in(image.series_uid) and c.key not in same[0].barred:
            _take(same[0], c, image, BY_NAME)


def _by_any_name(tracks: Sequence[Track], image: Image, compared: Compared) -> None:
    """Regions geometry cannot speak of: one name, in the order of the list and of size."""
    compared_with = {id(t) for t in compared.tracks}
    open_ = [c for c in _unassigned(tracks, image) if c.key not in compared.parts]
    for name, same in by_name(open_).items():
        own = [t for t in tracks if normalised(t.name) == name and id(t) not in compared_with]
        own = [t for t in sorted(own, key=number) if not t.seen_in(image.series_uid)]
        for c, track in zip(same, own, strict=False):
            if c.key not in track.barred:
                _take(track, c, image, BY_NAME)


def _new(tracks: list[Track], image: Image, compared: Compared, former: Former) -> None:
    """Lesions seen for the first time."""
    rest = [c for _, same in sorted(by_name(_unassigned(tracks, image)).items()) for c in same]
    for n, c in enumerate(rest):
        part = compared.parts.get(c.key)
        parents = (part[0],) if part else ()
        confidence, rival = compared.new.get(c.key, (None, None))
        own = [t for t in former.get(c.key, ()) if not t.found and not t.elsewhere and c.key not in t.barred]
        track = own[0] if own else None
        if track is None:
            track = Track(None, c.region_name, born=(image.key, normalised(c.region_name), n))
            tracks.append(track)
        track.parents = parents
        track.found[image.series_uid] = Found(c, "", part[1].confidence if part else confidence, rival=rival)


def _still_elsewhere(tracks: Sequence[Track], image: Image) -> None:
    """Keep what is part of a mass so while the mass is there, and what fell apart while a part is."""
    uid = image.series_uid
    for _ in range(2):  # a part may itself be in a mass
        for track in tracks:
            state = track.state(image.key)
            if track.seen_in(uid) or not isinstance(state, Elsewhere) or state.image > image.key:
                continue
            if state.sighting is Sighting.MERGED and state.into is not None:
                into = state.into
                while uid in into.elsewhere and into.elsewhere[uid].into is not None:
                    into = into.elsewhere[uid].into or into
                if uid in into.found:
                    track.elsewhere[uid] = Elsewhere(Sighting.MERGED, image.key, into)
            elif state.sighting is Sighting.SPLIT and any(track in t.parents and t.seen_in(uid) for t in tracks):
                track.elsewhere[uid] = Elsewhere(Sighting.SPLIT, image.key)
