"""The table of lesions and images, as reports and exports show it."""

from __future__ import annotations

from collections.abc import Iterable
from math import dist

from lutra.core.lesion import Correspondence, Lesion, LesionObservation
from lutra.track.candidates import COMMON, Candidate


def correspondences(lesions: tuple[Lesion, ...], candidates: tuple[Candidate, ...]) -> tuple[Correspondence, ...]:
    """Make the table: one row for each lesion and image in which something is said of it.

    Parameters
    ----------
    lesions, candidates
        What :func:`~lutra.track.identify` gave, and what it was given.

    Returns
    -------
    tuple
        Rows in the order of lesions and of time.
    """
    regions = {c.key: c for c in candidates}
    return tuple(
        _row(lesion, o, regions.get((o.series_uid, o.region or "")), _first(lesion, regions))
        for lesion in lesions
        for o in lesion.observations
    )


def _first(lesion: Lesion, regions: dict[tuple[str, str], Candidate]) -> Candidate | None:
    keys: Iterable[tuple[str, str]] = ((o.series_uid, o.region or "") for o in lesion.observations)
    return next((regions[key] for key in keys if key in regions), None)


def _row(lesion: Lesion, o: LesionObservation, own: Candidate | None, first: Candidate | None) -> Correspondence:
    distance = ratio = None
    if own is not None and first is not None:
        ratio = own.volume_ml / first.volume_ml if first.volume_ml > 0 else None
        distance = _distance_mm(first, own)
    return Correspondence(
        lesion.lesion_id, o.series_uid, o.sighting, o.region, o.region_name, o.confidence, o.matched_by, distance, ratio,
        o.merged_into,
    )  # fmt: skip


def _distance_mm(one: Candidate, other: Candidate) -> float | None:
    for space in (COMMON, one.frame_of_reference):
        here, there = one.position_in(space) if space else None, other.position_in(space) if space else None
        if here is not None and there is not None:
            return dist(here, there)
    return None
