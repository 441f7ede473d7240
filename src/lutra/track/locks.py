"""What people say of regions: this is the lesion, this is not, this is a new one. Matching keeps to it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from lutra.core.finding import Finding, Severity
from lutra.core.lesion import Lesion, Lock
from lutra.track.by_position import Image
from lutra.track.candidates import Candidate
from lutra.track.evidence import normalised
from lutra.track.held import Former, RegionKey
from lutra.track.tracks import BY_EDIT, BY_POSITION, Found, Track


@define
class Decided:
    """Locks that can be kept.

    Parameters
    ----------
    lesion
        Lesion of a region; None for a new one.
    barred
        Lesions a region is not.
    """

    regions: dict[RegionKey, Candidate] = field(factory=dict)
    lesion: dict[RegionKey, str | None] = field(factory=dict)
    barred: dict[RegionKey, set[str]] = field(factory=dict)
    findings: list[Finding] = field(factory=list)


def decided(locks: Sequence[Lock], lesions: Sequence[Lesion], images: Sequence[Image]) -> Decided:
    """Put locks together, the later before the earlier where they contradict each other.

    Parameters
    ----------
    locks
        In the order they were made.
    lesions
        What matching says without them: the identities that locks speak of.
    """
    result = Decided()
    ids = {lesion.lesion_id for lesion in lesions}
    for lock in locks:
        region = _region(lock, images)
        meaningless = lock.lesion_id is None and not lock.same
        if region is None or meaningless or (lock.lesion_id is not None and lock.lesion_id not in ids):
            result.findings.append(_unusable(lock, region))
        elif lock.same:
            _is(result, lock, region)
        else:
            _is_not(result, lock, region)
    return result


def concerned(result: Decided, lesions: Sequence[Lesion], images: Sequence[Image]) -> frozenset[RegionKey]:
    """Regions that have to be decided anew because of the locks.

    These are the regions themselves, those that make room for them, and what geometry matched in later images with a lesion that
    gains or loses a region.
    """
    keys = {image.series_uid: image.key for image in images}
    released: set[RegionKey] = set(result.regions)
    for key, region in result.regions.items():
        before = next((le for le in lesions if any((o.series_uid, o.region) == key for o in le.observations)), None)
        wanted = result.lesion.get(key, before.lesion_id if before else None)
        stays = before is not None and wanted == before.lesion_id and wanted not in result.barred.get(key, ())
        own_already = key in result.lesion and wanted is None and before is not None and _is_first(before, key)
        for lesion in lesions if not (stays or own_already) else ():
            if lesion is before or lesion.lesion_id == wanted:
                for o in lesion.observations:
                    later = o.series_uid in keys and keys[o.series_uid] > region.image and o.matched_by == BY_POSITION
                    if o.region and (later or o.series_uid == region.series_uid):
                        released.add((o.series_uid, o.region))
    return frozenset(released)


def keep_to(result: Decided, tracks: list[Track], former: Former) -> None:
    """Write the locks into the list.

    Parameters
    ----------
    former
        Lesions of the regions concerned: without locks, and when they were identified last.
    """
    by_id = {track.lesion_id: track for track in tracks}
    for key, ids in result.barred.items():
        for lesion_id in ids:
            by_id[lesion_id].barred.add(key)
    for key, wanted in result.lesion.items():
        region = result.regions[key]
        if wanted is not None:
            track = by_id[wanted]
        else:
            own = [track for track in former.get(key, ()) if _began_with(track, region)]
            if not own:
                own = [Track(None, region.region_name, born=(region.image, normalised(region.region_name), -1))]
                tracks += own
            track = own[0]
        track.elsewhere.pop(region.series_uid, None)
        track.found[region.series_uid] = Found(region, BY_EDIT, None)
    for track in tracks:  # a merger into a mass that is no longer this lesion's
        for uid, e in list(track.elsewhere.items()):
            if e.into is not None and uid not in e.into.found:
                del track.elsewhere[uid]


def _region(lock: Lock, images: Sequence[Image]) -> Candidate | None:
    named = [
        c for image in images if image.series_uid == lock.series_uid
        for c in image.candidates if c.region_name == lock.region_name
    ]  # fmt: skip
    return named[0] if len(named) == 1 else None


def _is(result: Decided, lock: Lock, region: Candidate) -> None:
    key = region.key
    rivals = [
        other
        for other, lesion_id in result.lesion.items()
        if (other == key and lesion_id != lock.lesion_id)
        or (other != key and other[0] == key[0] and lesion_id == lock.lesion_id is not None)
    ]
    against = bool(rivals) or lock.lesion_id in result.barred.get(key, ())
    for other in rivals:
        del result.lesion[other]
    result.barred.get(key, set()).discard(lock.lesion_id or "")
    result.regions[key] = region
    result.lesion[key] = lock.lesion_id
    result.findings += [_contradiction(lock)] if against else []


def _is_not(result: Decided, lock: Lock, region: Candidate) -> None:
    key = region.key
    result.regions[key] = region
    if key in result.lesion and result.lesion[key] == lock.lesion_id:
        del result.lesion[key]
        result.findings.append(_contradiction(lock))
    result.barred.setdefault(key, set()).add(lock.lesion_id or "")


def _is_first(lesion: Lesion, key: RegionKey) -> bool:
    return any((o.series_uid, o.region) == key and not o.matched_by for o in lesion.observations)


def _began_with(track: Track, region: Candidate) -> bool:
    """Whether a lesion has nothing before this region."""
    return all(f.candidate.image > region.image for f in track.found.values()) and not track.elsewhere


def _said(lock: Lock) -> str:
    what = "a new lesion" if lock.lesion_id is None else f"lesion {lock.lesion_id}"
    return f"“{lock.region_name}” in series {lock.series_uid} is {'' if lock.same else 'not '}{what}"


def _unusable(lock: Lock, region: Candidate | None) -> Finding:
    why = (
        "no single region of this name is in that series"
        if region is None
        else "that does not say which lesion it is"
        if lock.lesion_id is None
        else f"there is no lesion {lock.lesion_id}"
    )
    text = f"An edit says that {_said(lock)}, but {why}. It has no effect. Take it back, or make it anew for what is there now."
    return Finding(
        Severity.WARNING, "track.lock-unusable", text, {"series": lock.series_uid, "region": lock.region_name}
    )


def _contradiction(lock: Lock) -> Finding:
    text = (
        f"An edit says that {_said(lock)}; an earlier one says otherwise. The later one holds. Take the other one back."
    )
    return Finding(
        Severity.WARNING, "track.locks-contradict", text, {"series": lock.series_uid, "region": lock.region_name}
    )
