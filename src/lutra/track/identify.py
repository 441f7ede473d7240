"""Which regions are one lesion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from lutra.core.finding import Finding, Outcome
from lutra.core.lesion import Lesion, LesionObservation, Lock, Sighting
from lutra.track import doubts
from lutra.track.by_position import Image
from lutra.track.candidates import COMMON, Candidate, ImageField, Key
from lutra.track.evidence import of_size
from lutra.track.held import Former, RegionKey, restored
from lutra.track.locks import concerned, decided, keep_to
from lutra.track.one_image import identify_in, missing
from lutra.track.settings import TrackSettings
from lutra.track.tracks import AFTER_EDIT, BY_EDIT, BY_NAME, BY_POSITION, BY_UID, Track, number

RULES = (BY_EDIT, BY_UID, BY_NAME, BY_POSITION, AFTER_EDIT)


def identify(
    candidates: tuple[Candidate, ...],
    known: tuple[Lesion, ...],
    settings: TrackSettings,
    images: tuple[ImageField, ...] = (),
    locks: tuple[Lock, ...] = (),
) -> Outcome[tuple[Lesion, ...]]:
    """Give every region of a subject its lesion.

    What people said of a region holds first, then what was identified before, then tracking UIDs, then names that one region of an
    image and one lesion have, but for case, spaces and punctuation; then place and size, where the frames of two images are
    registered or the same; and where they are not, names of any kind. Images are taken in the order of time. The result does not
    depend on the order of `candidates`, `known` and `images`.

    Parameters
    ----------
    candidates
        All lesion regions of one subject.
    known
        Lesions identified before. Regions that were compared stay with theirs. Ids are never given to another lesion; one of which
        nothing is left stays in the list.
    images
        What images cover in which lesions were looked for. In those a lesion without a region is not seen, out of the field, or
        not assessable; in others nothing is said of it.
    locks
        Edits in force, in the order they were made. They speak of the lesions that this function finds without them. A lock that
        has been taken back leaves no trace but the ids of lesions that it made.

    Returns
    -------
    Outcome
        Lesions by id, their observations in order of acquisition.
    """
    ordered = _images(candidates, images)
    known = tuple(sorted(known, key=_number))
    tracks, former = restored(known, ordered)
    findings = _through_time(tracks, ordered, former, settings)
    lesions = _lesions(tracks, ordered, settings)
    if locks:
        result = decided(locks, lesions, ordered)
        anew = concerned(result, lesions, ordered)
        once = {(o.series_uid, o.region): lesion.lesion_id for lesion in known for o in lesion.observations if o.region}
        tracks, without = restored(lesions, ordered, anew)
        by_id = {track.lesion_id: track for track in tracks}
        former = {key: (*own, *([by_id[once[key]]] if key in once else [])) for key, own in without.items()}
        keep_to(result, tracks, former)
        findings = [*result.findings, *_through_time(tracks, ordered, former, settings)]
        lesions = _marked(_lesions(tracks, ordered, settings), lesions, anew)
    return Outcome(lesions, [*doubts.matched(tracks), *findings, *doubts.of_lesions(tracks, settings)])


def _images(candidates: Iterable[Candidate], fields: Iterable[ImageField]) -> list[Image]:
    """Images in the order of time, their regions in an order of their own."""
    covers = {f.image: f for f in fields}
    regions: dict[Key, list[Candidate]] = {key: [] for key in covers}
    for c in sorted(candidates, key=lambda c: (of_size(c), c.region_name)):
        regions.setdefault(c.image, []).append(c)
    return [
        Image(key, tuple(own), _space(own, covers.get(key)), own[0].role if own else None, covers.get(key))
        for key, own in sorted(regions.items())
    ]


def _space(own: Sequence[Candidate], covers: ImageField | None) -> str:
    """Name the frame in which an image is compared with lesions: the common one if all its regions are in it."""
    if own:
        frames = {c.frame_of_reference for c in own}
        registered = all(c.position_mm is not None for c in own)
        return COMMON if registered else frames.pop() if len(frames) == 1 else ""
    return covers.space if covers else ""


def _through_time(
    tracks: list[Track], images: Sequence[Image], former: Former, settings: TrackSettings
) -> list[Finding]:
    """Take the images one after the other, then issue identities."""
    findings: list[Finding] = []
    for image in images:
        compared = identify_in(tracks, image, former, settings)
        findings += doubts.same_name_twice(image)
        findings += [doubts.registration_off(image)] if compared.error_doubled else []
    last = max((number(track)[1] for track in tracks), default=0)
    for n, track in enumerate(sorted((t for t in tracks if t.lesion_id is None), key=lambda t: t.born), start=1):
        track.lesion_id = f"L{last + n:02d}"
    tracks.sort(key=number)
    for image in images:
        findings += doubts.of_image(tracks, image, settings)
    return findings


def _lesions(tracks: Sequence[Track], images: Sequence[Image], settings: TrackSettings) -> tuple[Lesion, ...]:
    """Lesions as values."""
    return tuple(
        Lesion(
            _id(track),
            track.name,
            "; ".join(rule for rule in RULES if any(f.matched_by == rule for f in track.found.values())),
            tuple(o for image in images if (o := _observation(track, image, settings))),
            tuple(_id(parent) for parent in track.parents),
        )
        for track in tracks
    )


def _observation(track: Track, image: Image, settings: TrackSettings) -> LesionObservation | None:
    uid = image.series_uid
    if found := track.found.get(uid):
        c = found.candidate
        return LesionObservation(uid, Sighting.SEEN, c.region_digest, c.region_name, found.confidence, found.matched_by)
    if there := track.elsewhere.get(uid):
        into = None if there.into is None else _id(there.into)
        return LesionObservation(uid, there.sighting, None, None, there.confidence, there.matched_by, into)
    sighting = missing(track, image, settings)
    return LesionObservation(uid, sighting, None, None) if sighting else None


def _marked(
    lesions: tuple[Lesion, ...], without_locks: tuple[Lesion, ...], anew: frozenset[RegionKey]
) -> tuple[Lesion, ...]:
    """Mark what is or could be otherwise because of locks, and how it is without them, for when they are taken back."""
    before = {_what(lesion, o) for lesion in without_locks for o in lesion.observations}
    owner = {(o.series_uid, o.region): le.lesion_id for le in without_locks for o in le.observations if o.region}

    def marked(lesion: Lesion, o: LesionObservation) -> LesionObservation:
        follows = _what(lesion, o) not in before or (o.series_uid, o.region) in anew
        stated = o.sighting in {Sighting.SEEN, Sighting.MERGED, Sighting.SPLIT}
        if not (stated and (follows or o.matched_by == BY_EDIT)):
            return o
        rule = BY_EDIT if o.matched_by == BY_EDIT else AFTER_EDIT
        return evolve(o, matched_by=rule, without_edits=owner.get((o.series_uid, o.region or "")))

    return tuple(evolve(le, observations=tuple(marked(le, o) for o in le.observations)) for le in lesions)


def _what(lesion: Lesion, o: LesionObservation) -> tuple[object, ...]:
    return lesion.lesion_id, o.series_uid, o.sighting, o.region, o.merged_into


def _id(track: Track) -> str:
    assert track.lesion_id is not None  # noqa: S101
    return track.lesion_id


def _number(lesion: Lesion) -> int:
    return int(lesion.lesion_id.removeprefix("L"))
