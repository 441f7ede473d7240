"""The state of one subject after a run: which step made what. The report and the results table are read from it."""

from __future__ import annotations

from attrs import frozen

from lutra.core.clinical import ClinicalRecord
from lutra.core.region import Region
from lutra.core.study import Subject
from lutra.pipeline.conductor import Made
from lutra.store import ArtifactStore


@frozen
class SeriesRecord:
    """One image series: its header, quantitative image and whole-image numbers, where they could be made."""

    series_uid: str
    label: str
    header: Made
    image: Made | None
    summary: Made | None
    findings: int


@frozen
class ObservationRecord:
    """One region seen in one image."""

    series_uid: str
    label: str
    region: str
    region_name: str
    measurements: Made
    diameters: Made | None
    features: Made | None = None


@frozen
class DoseRecord:
    """Absorbed dose of a region in one cycle, or over all of them, by one engine; and what it is worth to the tissue."""

    engine: str
    dose: Made
    effect: Made | None = None


@frozen
class CycleRecord:
    """Kinetics and dose of a region in one cycle."""

    cycle: int
    fit: Made
    mass: Made | None
    doses: tuple[DoseRecord, ...]


@frozen
class RegionDosimetry:
    """A region through all cycles.

    Parameters
    ----------
    name
        Lesion id, organ name, `remainder` or `field of view`.
    cumulative
        Sums over cycles, by engine.
    """

    name: str
    cycles: tuple[CycleRecord, ...] = ()
    cumulative: tuple[DoseRecord, ...] = ()


@frozen
class LesionRecord:
    """A lesion and everything that was found out about it."""

    lesion_id: str
    name: str
    observations: tuple[ObservationRecord, ...]
    dosimetry: RegionDosimetry
    responses: Made | None
    changes: tuple[Made, ...] = ()


@frozen
class TransformRecord:
    """The map between two frames of reference.

    Parameters
    ----------
    fixed_series, moving_series
        The images that were registered.
    transform
        Step that made it; without a value if the registration failed.
    """

    fixed_frame: str
    moving_frame: str
    fixed_series: str
    moving_series: str
    transform: Made


@frozen
class CourseRecord:
    """The course of treatment.

    Parameters
    ----------
    clinical
        What the clinic's tables say; None where the study has none of this subject.
    projections
        Per region, of all cycles given.
    decisions
        Before each cycle, and before the next; none without clinical tables.
    marrow
        Doses of red marrow, with their cycles.
    """

    clinical: ClinicalRecord | None = None
    projections: tuple[Made, ...] = ()
    decisions: tuple[Made, ...] = ()
    deviations: Made | None = None
    responses: Made | None = None
    marrow: tuple[tuple[int, Made], ...] = ()


@frozen
class SubjectRecord:
    """A subject after a run.

    Parameters
    ----------
    transforms
        Every map that was needed.
    correspondences
        Step that made the table of lesions and images.
    dosimetry
        Of organs, of the rest of the body, and of all of it.
    receipts
        Keys of every step of the run, in order: their Findings are the subject's Findings.
    """

    subject: Subject
    series: tuple[SeriesRecord, ...]
    lesions: tuple[LesionRecord, ...]
    organs: tuple[ObservationRecord, ...]
    receipts: tuple[str, ...]
    transforms: tuple[TransformRecord, ...] = ()
    correspondences: Made | None = None
    dosimetry: tuple[RegionDosimetry, ...] = ()
    course: CourseRecord = CourseRecord()


RECORD_TYPES = (
    Made,
    SeriesRecord,
    ObservationRecord,
    DoseRecord,
    CycleRecord,
    RegionDosimetry,
    LesionRecord,
    TransformRecord,
    CourseRecord,
    SubjectRecord,
)
"""Value types the store must know beside those of core."""


def stored_region(store: ArtifactStore, reference: str) -> Region:
    """Load a region by its digest, with the index behind it where its step made several."""
    output, _, index = reference.rstrip("]").partition("[")
    stored: Region | tuple[Region, ...] = store.get(output)
    return stored if isinstance(stored, Region) else stored[int(index)]
