"""The same lesion, wherever and whenever it is seen."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen


class Sighting(StrEnum):
    """What became of a lesion in one image. These are six different things."""

    SEEN = "seen"
    NOT_SEEN = "not seen"
    NOT_ASSESSABLE = "not assessable"
    OUT_OF_FIELD = "out of field"
    MERGED = "merged"
    """It is there, as part of a mass that another lesion's observation holds."""
    SPLIT = "split"
    """It is there, as the lesions that it fell into and that name it as their parent."""


@frozen
class LesionObservation:
    """One lesion in one image.

    Parameters
    ----------
    region
        Digest of the region, when seen.
    confidence
        How much better this match is than the next best, 0 (a toss-up) to 1 (no other possible); None where nothing was
        compared, as with a name given by the author. [1]
    matched_by
        The rule that gave this region to this lesion; empty where it is the lesion's own.
    merged_into
        Lesion whose observation holds the mass, when merged.
    without_edits
        Lesion that has the region if what people said is left aside; None where they said nothing that matters here.
    """

    series_uid: str
    sighting: Sighting = field(converter=Sighting)
    region: str | None
    region_name: str | None
    confidence: float | None = None
    matched_by: str = ""
    merged_into: str | None = None
    without_edits: str | None = None


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
        Lesions it split from.
    matched_by
        The rule that says these observations are one lesion.
    """

    lesion_id: str
    name: str
    matched_by: str
    observations: tuple[LesionObservation, ...]
    parents: tuple[str, ...] = ()


@frozen
class Lock:
    """What a person says of one region: this is the lesion, or this is not. Matching must keep to it.

    Parameters
    ----------
    series_uid, region_name
        The region: its image, and its name there.
    lesion_id
        The lesion; None with `same` says that the region is a new lesion.
    same
        Whether it is this lesion.
    """

    series_uid: str
    region_name: str
    lesion_id: str | None
    same: bool = True


@frozen
class Correspondence:
    """One lesion in one image: a cell of the table of lesions and images.

    Parameters
    ----------
    region, region_name
        Digest and name of the region, when seen.
    confidence, matched_by, merged_into
        As of :class:`LesionObservation`.
    distance_mm
        From where it was seen first, in the frame common to both; None where there is none. [mm]
    volume_ratio
        Of the volume when it was seen first. [1]
    """

    lesion_id: str
    series_uid: str
    sighting: Sighting = field(converter=Sighting)
    region: str | None
    region_name: str | None
    confidence: float | None
    matched_by: str
    distance_mm: float | None
    volume_ratio: float | None
    merged_into: str | None
