"""The same lesion, wherever and whenever it is seen."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen


class Sighting(StrEnum):
    """What became of a lesion in one image. These are four different things."""

    SEEN = "seen"
    NOT_SEEN = "not seen"
    NOT_ASSESSABLE = "not assessable"
    OUT_OF_FIELD = "out of field"


@frozen
class LesionObservation:
    """One lesion in one image.

    Parameters
    ----------
    region
        Digest of the region, when seen.
    """

    series_uid: str
    sighting: Sighting
    region: str | None
    region_name: str | None


@frozen
class Lesion:
    """A lesion with an identity issued once per subject and never reused.

    Parameters
    ----------
    lesion_id
        `L01`, `L02`, ... within the subject.
    name
        What its author called it first.
    parents
        Lesions it split from or merged from.
    matched_by
        The rule that says these observations are one lesion.
    """

    lesion_id: str
    name: str
    matched_by: str
    observations: tuple[LesionObservation, ...]
    parents: tuple[str, ...] = ()
