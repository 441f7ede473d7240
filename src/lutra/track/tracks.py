"""Lesions while the list is put together: where each was seen, and what that says of it in another image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from attrs import define, field, frozen

from lutra.core.lesion import Sighting
from lutra.core.study import Role
from lutra.track.candidates import COMMON, Candidate, Key, Point, axis_error_mm, spread_matrix
from lutra.track.evidence import normalised
from lutra.track.settings import TrackSettings
from lutra.track.spots import Spots, ball_spread_mm2

BY_NAME = "author's name"
BY_UID = "tracking UID"
BY_POSITION = "position and size"
BY_EDIT = "edit by a person"
AFTER_EDIT = "position and size, after an edit"

LEAST_ERROR_MM, LEAST_VOLUME_ML = 0.3, 1e-3
SIZE_LOG_SD, OTHER_ROLE = 0.6, 1.5
"""Spread of the logarithm of the volume from one image to the next: 0.2 of the diameter; factor between images of two kinds.
Engineering choices."""


@define(eq=False)
class Found:
    """A region that is a lesion.

    Parameters
    ----------
    corrected_mm, corrected_error_mm
        Position in the common frame without the local error of the registration, and what is left of it along each axis.
    mass
        Whether other lesions have grown into it.
    rival
        Next best explanation: another lesion for the region, another region for the lesion, or None: that it is new.
    """

    candidate: Candidate
    matched_by: str
    confidence: float | None
    corrected_mm: Point | None = None
    corrected_error_mm: float | None = None
    mass: bool = False
    rival: Track | Candidate | None = None


@define(eq=False)
class Elsewhere:
    """A lesion that is there under other names: part of a mass, or fallen apart."""

    sighting: Sighting
    image: Key
    into: Track | None = None
    confidence: float | None = None
    matched_by: str = BY_POSITION


@define(eq=False)
class Track:
    """One lesion. Observations are by series."""

    lesion_id: str | None
    name: str
    parents: tuple[Track, ...] = ()
    born: tuple[Key, str, int] = ((0, ""), "", 0)
    found: dict[str, Found] = field(factory=dict)
    elsewhere: dict[str, Elsewhere] = field(factory=dict)
    missed: dict[str, Key] = field(factory=dict)
    barred: set[tuple[str, str]] = field(factory=set)

    def names(self) -> set[str]:
        """Return what it has been called."""
        return {normalised(self.name)} | {normalised(f.candidate.region_name) for f in self.found.values()}

    def seen_in(self, series_uid: str) -> bool:
        """Whether it is accounted for in an image."""
        return series_uid in self.found or series_uid in self.elsewhere

    def state(self, image: Key) -> Found | Elsewhere | None:
        """Say what it was last before an image, or else will be first after it; None if it is not born yet or has nothing."""
        events: list[tuple[Key, Found | Elsewhere]] = [(f.candidate.image, f) for f in self.found.values()]
        events += [(e.image, e) for e in self.elsewhere.values()]
        before = [event for event in events if event[0] < image]
        if before:
            return max(before, key=lambda event: event[0])[1]
        after = [event for event in events if event[0] > image]
        return min(after, key=lambda event: event[0])[1] if after and not self.parents else None

    def places(self, space: str, image: Key) -> list[Found]:
        """Regions that say where it is in an image, in order of time: those before it since it last changed its kind."""
        known = sorted(
            (f for f in self.found.values() if f.candidate.position_in(space) is not None),
            key=lambda f: f.candidate.image,
        )
        before = [f for f in known if f.candidate.image < image]
        if before:
            return [f for f in before if f.mass == before[-1].mass]
        return [f for f in known if f.candidate.image > image][:1]

    def lost(self, image: Key) -> bool:
        """Whether the last image before this one that could have shown it did not."""
        seen = [f.candidate.image for f in self.found.values() if f.candidate.image < image]
        missed = [key for key in self.missed.values() if key < image]
        return bool(missed) and (not seen or max(missed) > max(seen))


@frozen(eq=False)
class Place:
    """Where a lesion is expected. [mm]"""

    position_mm: Point
    error_mm: float
    like: Candidate


def place(
    track: Track, space: str, image: Key, role: Role | None, settings: TrackSettings, *, corrected: bool = True
) -> Place | None:
    """Say where a lesion is expected in an image; None if it has not been seen in a frame that reaches it.

    Earlier positions are weighted by what is left of their registration error, `corrected` by what other lesions told.
    """
    seen = track.places(space, image)
    if not seen:
        return None
    points, errors = zip(*(_position(f, space, settings, corrected=corrected) for f in seen), strict=True)
    weights = np.asarray(errors) ** -2.0
    position = np.average(points, axis=0, weights=weights)
    alike = [f for f in seen if role is not None and f.candidate.role is role] or seen
    x, y, z = (float(mm) for mm in position)
    return Place((x, y, z), float(weights.sum() ** -0.5), alike[-1].candidate)


def _position(found: Found, space: str, settings: TrackSettings, *, corrected: bool) -> tuple[Point, float]:
    if corrected and space == COMMON and found.corrected_mm is not None and found.corrected_error_mm is not None:
        return found.corrected_mm, max(found.corrected_error_mm, LEAST_ERROR_MM)
    position = found.candidate.position_in(space)
    assert position is not None  # noqa: S101
    return position, error_of(found.candidate, settings)


def error_of(candidate: Candidate, settings: TrackSettings) -> float:
    """Registration error of a region along each axis. [mm]"""
    return max(axis_error_mm(candidate.position_error_mm, settings.unevaluated_error_mm), LEAST_ERROR_MM)


def spots(
    candidates: Sequence[Candidate],
    positions_mm: Iterable[Point],
    errors_mm: Iterable[float],
    role: Role | None = None,
    lost: Iterable[bool] | None = None,
) -> Spots:
    """Put lesions or regions into arrays. The change in size is expected of lesions, whose image may be of another kind."""
    n = len(candidates)
    volumes = np.array([max(c.volume_ml, LEAST_VOLUME_ML) for c in candidates])
    spreads = [
        spread_matrix(c.spread_mm2) if c.spread_mm2 else ball_spread_mm2(v)
        for c, v in zip(candidates, volumes, strict=True)
    ]
    other_kind = np.array([None not in (role, c.role) and c.role is not role for c in candidates], bool)
    return Spots(
        np.array(list(positions_mm), float).reshape(n, 3),
        np.array(list(errors_mm), float),
        volumes,
        np.array(spreads, float).reshape(n, 3, 3),
        np.where(other_kind, SIZE_LOG_SD * OTHER_ROLE, SIZE_LOG_SD),
        np.zeros(n, bool) if lost is None else np.array(list(lost), bool),
    )


def number(track: Track) -> tuple[bool, int]:
    """Sort by identity, those without one last."""
    return track.lesion_id is None, int((track.lesion_id or "L0").removeprefix("L"))
