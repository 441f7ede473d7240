"""Applies the matching by place and size to the lesions of a list and one image."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, permutations
from math import dist, inf

import numpy as np
from attrs import define, field, frozen

from lutra.core.lesion import Sighting
from lutra.core.study import Role
from lutra.track.candidates import COMMON, Candidate, ImageField, Key, Point
from lutra.track.matching import Edge, EdgeKind, Given, Matching, match
from lutra.track.settings import TrackSettings
from lutra.track.spots import Spots
from lutra.track.tracks import BY_POSITION, Elsewhere, Found, Track, error_of, place, spots


@frozen(eq=False)
class Image:
    """One image and its lesion regions.

    Parameters
    ----------
    candidates
        In an order that does not depend on the input.
    space
        Frame in which its regions are compared with lesions; empty if there is none.
    covers
        What it covers, if that is known.
    """

    key: Key
    candidates: tuple[Candidate, ...]
    space: str
    role: Role | None
    covers: ImageField | None

    @property
    def series_uid(self) -> str:
        """Its series."""
        return self.key[1]


@define(eq=False)
class Compared:
    """What geometry could be asked about, and the regions it says are new.

    Parameters
    ----------
    tracks
        Lesions that were expected somewhere in the image.
    new
        Confidence that a region is no lesion of the list, and the lesion that speaks against it, by region.
    parts
        Regions that a lesion fell into.
    corrected
        Positions without the local error of the registration, and what is left of it along each axis, by region. [mm]
    error_doubled
        Whether the registration is worse than it states.
    """

    tracks: list[Track] = field(factory=list)
    new: dict[tuple[str, str], tuple[float, Track | None]] = field(factory=dict)
    parts: dict[tuple[str, str], tuple[Track, Edge]] = field(factory=dict)
    corrected: dict[tuple[str, str], tuple[Point, float]] = field(factory=dict)
    error_doubled: bool = False


def by_position(tracks: Sequence[Track], image: Image, closed: set[int], settings: TrackSettings) -> Compared:
    """Match what is open, and learn the local error of the registration from all that matches.

    Parameters
    ----------
    closed
        `id` of the lesions whose region in this image is not to be discussed.
    """
    if not image.space:
        return Compared()
    owner = {t.found[image.series_uid].candidate.key: t for t in tracks if image.series_uid in t.found}
    nodes, lesions = _expected(tracks, image, settings)
    there = {id(t) for t in nodes}
    candidates = [c for c in image.candidates if c.key not in owner or id(owner[c.key]) in there]
    if not nodes or not candidates:
        return Compared()
    regions = spots(
        candidates, [c.position_in(image.space) or c.centroid_lps_mm for c in candidates],
        [error_of(c, settings) for c in candidates],
    )  # fmt: skip
    row = {id(t): n for n, t in enumerate(nodes)}
    decided = [(row[id(owner[c.key])], n) for n, c in enumerate(candidates) if c.key in owner]
    given = Given(
        [pair for pair in decided if id(nodes[pair[0]]) in closed],
        [pair for pair in decided if id(nodes[pair[0]]) not in closed],
        np.array([[c.key in t.barred for c in candidates] for t in nodes], bool).reshape(len(nodes), len(candidates)),
    )
    found = match(lesions, regions, given)
    compared = Compared(nodes, error_doubled=found.error_doubled)
    for lesion_edges in _together(found.edges):
        _apply(lesion_edges, nodes, candidates, tracks, image, compared)
    compared.corrected = _corrected(found, nodes, candidates, image)
    for n, c in enumerate(candidates):
        if not any(image.series_uid in t.found and t.found[image.series_uid].candidate is c for t in nodes):
            best = int(found.probability[:, n].argmax())
            confidence = float(np.clip(found.region_alone[n] - found.probability[best, n], 0, 1))
            compared.new[c.key] = confidence, nodes[best] if found.probability[best, n] > 0 else None
    return compared


def _expected(tracks: Sequence[Track], image: Image, settings: TrackSettings) -> tuple[list[Track], Spots]:
    """Lesions that geometry expects in the image, and where."""
    nodes, places = [], []
    for track in tracks:
        open_to_match = image.series_uid in track.found or (
            image.series_uid not in track.elsewhere and isinstance(track.state(image.key), Found)
        )
        expected = place(track, image.space, image.key, image.role, settings) if open_to_match else None
        if expected:
            nodes.append(track)
            places.append(expected)
    return nodes, spots(
        [p.like for p in places], [p.position_mm for p in places], [p.error_mm for p in places], image.role,
        [t.lost(image.key) for t in nodes],
    )  # fmt: skip


def _together(edges: Sequence[Edge]) -> list[list[Edge]]:
    """Edges of one hypothesis: the parts of a lesion, or the lesions of a mass."""
    splits = [e for e in edges if e.kind is EdgeKind.SPLIT]
    others = sorted((e for e in edges if e.kind is not EdgeKind.SPLIT), key=lambda e: (e.region, e.lesion))
    return [list(g) for _, g in groupby(splits, key=lambda e: e.lesion)] + [
        list(g) for _, g in groupby(others, key=lambda e: e.region)
    ]


def _apply(
    edges: Sequence[Edge],
    nodes: Sequence[Track],
    candidates: Sequence[Candidate],
    tracks: Sequence[Track],
    image: Image,
    compared: Compared,
) -> None:
    """Write one hypothesis into the lesions it is about."""
    if edges[0].kind is EdgeKind.SPLIT:
        _come_apart(edges, nodes[edges[0].lesion], candidates, tracks, image, compared)
        return
    together = {id(nodes[e.lesion]): e for e in edges}
    into = _owner([nodes[e.lesion] for e in edges], tracks, image)
    edge = together.get(id(into), edges[0])
    if image.series_uid not in into.found:
        into.elsewhere.pop(image.series_uid, None)
        into.found[image.series_uid] = Found(
            candidates[edge.region], BY_POSITION, edge.confidence, rival=_rival(edge, nodes, candidates)
        )
    into.found[image.series_uid].mass = len(edges) > 1 or _is_mass(into, image)
    for e in edges:
        if nodes[e.lesion] is not into:
            nodes[e.lesion].elsewhere[image.series_uid] = Elsewhere(Sighting.MERGED, image.key, into, e.confidence)


def _owner(group: Sequence[Track], tracks: Sequence[Track], image: Image) -> Track:
    """Say whose observation a mass is.

    It is that of the lesion its author named, or of the one that had fallen into just these, or of the largest.
    """
    named = [t for t in group if image.series_uid in t.found]
    if named or len(group) == 1:
        return (named or group)[0]
    for parent in group[0].parents:
        if {id(t) for t in tracks if parent in t.parents} == {id(t) for t in group}:
            return parent
    return max(group, key=lambda t: max(f.candidate.volume_ml for f in t.places(image.space, image.key)))


def _is_mass(track: Track, image: Image) -> bool:
    """Whether it was a mass before, and stays one."""
    state = track.state(image.key)
    return isinstance(state, Found) and state.mass


def _come_apart(
    edges: Sequence[Edge],
    whole: Track,
    candidates: Sequence[Candidate],
    tracks: Sequence[Track],
    image: Image,
    compared: Compared,
) -> None:
    """Give the parts to the lesions that had grown together, or else note them as new lesions of this parent."""
    members = [whole, *(t for t in tracks if _merged_into(t, whole, image))]
    best, taken = inf, None
    for chosen in permutations(members, len(edges)) if len(members) > 1 else ():
        far = sum(_distance(t, candidates[e.region], image) for t, e in zip(chosen, edges, strict=True))
        if far < best and not any(candidates[e.region].key in t.barred for t, e in zip(chosen, edges, strict=True)):
            best, taken = far, chosen
    if taken is None:
        for e in edges:
            compared.parts[candidates[e.region].key] = whole, e
        whole.elsewhere[image.series_uid] = Elsewhere(Sighting.SPLIT, image.key, None, edges[0].confidence)
        return
    for track, e in zip(taken, edges, strict=True):
        track.found[image.series_uid] = Found(candidates[e.region], BY_POSITION, e.confidence)
    for track in members:
        if track not in taken:
            track.elsewhere[image.series_uid] = Elsewhere(Sighting.MERGED, image.key, taken[0])


def _merged_into(track: Track, whole: Track, image: Image) -> bool:
    state = track.state(image.key)
    return (
        isinstance(state, Elsewhere)
        and state.sighting is Sighting.MERGED
        and state.into is whole
        and not track.seen_in(image.series_uid)
    )


def _distance(track: Track, candidate: Candidate, image: Image) -> float:
    """Squared distance from where a lesion was before it grew together with others; infinite if that is not known. [mm2]"""
    here = candidate.position_in(image.space)
    own = [
        (f.candidate.image, p)
        for f in track.found.values()
        if not f.mass and f.candidate.image < image.key and (p := f.candidate.position_in(image.space)) is not None
    ]
    return dist(max(own)[1], here) ** 2 if own and here is not None else inf


def _corrected(
    found: Matching, nodes: Sequence[Track], candidates: Sequence[Candidate], image: Image
) -> dict[tuple[str, str], tuple[Point, float]]:
    """Take the local error of the registration off positions in the common frame, as the other lesions tell it.

    Positions, and what is left of the error along each axis, by region. [mm]
    """
    if image.space != COMMON:
        return {}
    mean, variance = np.array(found.regions_shift.mean_mm), np.array(found.regions_shift.variance_mm2)
    row = {c.key: n for n, c in enumerate(candidates)}
    for n, track in enumerate(nodes):
        own = track.found.get(image.series_uid)
        if own and own.candidate.key in row:
            mean[row[own.candidate.key]] = found.shift.mean_mm[n]
            variance[row[own.candidate.key]] = found.shift.variance_mm2[n]
    corrected = {}
    for c in candidates:
        x, y, z = (float(mm) for mm in np.asarray(c.position_mm) - mean[row[c.key]])
        corrected[c.key] = (x, y, z), float(variance[row[c.key]] ** 0.5)
    return corrected


def _rival(edge: Edge, nodes: Sequence[Track], candidates: Sequence[Candidate]) -> Track | Candidate | None:
    if edge.rival_lesion is not None:
        return nodes[edge.rival_lesion]
    return candidates[edge.rival_region] if edge.rival_region is not None else None
