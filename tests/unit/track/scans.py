"""Lesion regions made by hand, in images of one patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lutra.core.grid import Grid
from lutra.core.lesion import Lesion, Lock, Sighting
from lutra.core.study import Role
from lutra.track import Candidate, ImageField, TrackSettings, identify

SETTINGS = TrackSettings()
Point = tuple[float, float, float]


def region(
    order: int,
    place: Sequence[float] | None,
    volume_ml: float = 4.0,
    name: str = "",
    digest: str = "",
    error_mm: float = 2.0,
    uid: str = "",
    frame: str = "",
    role: Role | None = None,
) -> Candidate:
    """A ball at a place of the common frame, in the image of that order; None is an image that is not registered."""
    where = (0.0, 0.0, 0.0) if place is None else tuple(float(mm) for mm in place)
    return Candidate(
        f"series {order}",
        order,
        digest or f"{order} {where} {volume_ml} {name}",
        name or "ROI",
        volume_ml,
        where,  # type: ignore[arg-type]
        frame or f"frame {order}",
        None if place is None else where,  # type: ignore[arg-type]
        None if place is None else error_mm,
        None,
        uid,
        role,
    )


def covers(order: int, z_mm: tuple[float, float] = (-400, 400), registered: bool = True) -> ImageField:
    """An image of 800 mm across, from one height to another."""
    shape = (200, 200, int((z_mm[1] - z_mm[0]) / 4))
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = -398, -398, z_mm[0] + 2
    return ImageField(
        f"series {order}", order, Grid(shape, affine, f"frame {order}"), np.eye(4) if registered else None, 2.0
    )


def found(
    *candidates: Candidate,
    known: tuple[Lesion, ...] = (),
    images: tuple[ImageField, ...] = (),
    locks: tuple[Lock, ...] = (),
) -> tuple[Lesion, ...]:
    """The lesions."""
    lesions = identify(candidates, known, SETTINGS, images, locks).value
    assert lesions is not None
    return lesions


def codes(*candidates: Candidate, **more: object) -> list[str]:
    """Codes of the Findings."""
    known: tuple[Lesion, ...] = more.pop("known", ())  # type: ignore[assignment]
    return [f.code for f in identify(candidates, known, SETTINGS, **more).findings]  # type: ignore[arg-type]


def table(lesions: Sequence[Lesion]) -> dict[str, dict[int, str]]:
    """What is said of every lesion, by the order of the image: a region, or a sighting."""
    return {
        lesion.lesion_id: {
            int(o.series_uid.split()[1]): o.region if o.sighting is Sighting.SEEN and o.region else o.sighting.value
            for o in lesion.observations
        }
        for lesion in lesions
    }


def owners(lesions: Sequence[Lesion]) -> dict[tuple[str, str], str]:
    """Lesion of every region."""
    return {(o.series_uid, o.region): le.lesion_id for le in lesions for o in le.observations if o.region}
