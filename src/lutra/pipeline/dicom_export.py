"""Measurements and doses of a study as DICOM objects: structured reports per image, dose maps per cycle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from lutra.core.dose import CycleDoses, DoseMap
from lutra.core.errors import UsageError
from lutra.core.response import DiameterPair
from lutra.core.study import Role, SeriesHeader
from lutra.export.measurement_report import QUANTITIES, LesionMeasurements, write_measurement_report
from lutra.export.rtdose import write_rtdose
from lutra.export.uids import stable_uid
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.given_files import empty_folder
from lutra.pipeline.record import CycleRecord, ObservationRecord, SubjectRecord
from lutra.pipeline.results import slug
from lutra.pipeline.study import StudyFolder


@frozen
class _Subject:
    """A subject with what is needed to refer to its images."""

    study: StudyFolder
    conductor: Conductor
    record: SubjectRecord
    made_at: datetime

    @property
    def name(self) -> str:
        return self.record.subject.subject_id

    def images(self, series_uid: str) -> tuple[Path, ...]:
        """Files of a series."""
        return tuple(Path(f.path) for f in self.study.ledger.sources(self.name) if f.series_uid == series_uid)

    def uid(self, *parts: str) -> str:
        return stable_uid(self.study.protocol.digest, self.name, *parts)


def export_dicom(study: StudyFolder, out: Path) -> tuple[Path, ...]:
    """Write a folder per subject: `sr-*.dcm` per image with measured lesions and per cycle, `dose-cycle-N.dcm` per cycle.

    Unique identifiers follow from the protocol, the subject and what is in the object: the same results give the same objects.

    Raises
    ------
    UsageError
        If the study has not been run, or something stands in `out`.
    """
    records = study.records()
    if not records:
        raise UsageError("this study has no results yet", where=str(study.root), do=f"lutra run {study.root}")
    empty_folder(out)
    conductor, now = Conductor(study.store, study.ledger), datetime.now(UTC)
    written: list[Path] = []
    for record in records:
        subject = _Subject(study, conductor, record, now)
        folder = out / slug(subject.name)
        written += [*_reports(subject, folder), *_doses(subject, folder)]
    study.log("export dicom", {"out": str(out), "objects": len(written)})
    return tuple(written)


def _reports(subject: _Subject, folder: Path) -> Iterator[Path]:
    """One report per image in which a lesion was measured."""
    labels = {t.series_uid: t.label for t in subject.record.subject.timepoints}
    for series_uid, label in labels.items():
        seen = [(le, o) for le in subject.record.lesions for o in le.observations if o.series_uid == series_uid]
        lesions = [
            LesionMeasurements(f"{le.lesion_id} {le.name}"[:64], subject.uid("lesion", le.lesion_id), values)
            for le, o in seen
            if (values := tuple(_values(subject.conductor, o)))
        ]
        if lesions:
            yield _report(subject, folder / f"sr-{slug(label)}.dcm", series_uid, label, lesions)


def _values(conductor: Conductor, observation: ObservationRecord) -> Iterator[tuple[str, float]]:
    if observation.measurements:
        measured = conductor.value(observation.measurements).values
        yield from ((name, measured[name].value) for name in QUANTITIES if name in measured)
    if observation.diameters:
        pair: DiameterPair = conductor.value(observation.diameters)
        yield from (("longest_diameter", pair.long_mm), ("short_axis", pair.short_mm))


def _report(subject: _Subject, path: Path, series_uid: str, label: str, lesions: list[LesionMeasurements]) -> Path:
    content = repr([(le.name, le.values) for le in lesions])
    return write_measurement_report(
        path,
        lesions,
        subject.images(series_uid),
        series_uid=subject.uid("sr series", series_uid, path.name),
        instance_uid=subject.uid("sr", series_uid, path.name, content),
        made_at=subject.made_at,
        title=f"Lesions, {label}",
    )


def _doses(subject: _Subject, folder: Path) -> Iterator[Path]:
    """Per cycle the map of the first engine that resolves voxels, and a report of the mean doses of lesions."""
    for administration in subject.record.subject.administrations:
        cycle = administration.cycle
        spect = [t for t in subject.record.subject.timepoints if t.role is Role.THERAPY_SPECT and t.cycle == cycle]
        if not spect:
            continue
        lesions = [
            LesionMeasurements(
                f"{le.lesion_id} {le.name}"[:64], subject.uid("lesion", le.lesion_id), (("absorbed_dose", gy),)
            )
            for le in subject.record.lesions
            if (gy := _mean_dose(subject.conductor, le.dosimetry.cycles, cycle)) is not None
        ]
        if lesions:
            yield _report(
                subject, folder / f"sr-dose-cycle-{cycle}.dcm", spect[0].series_uid, f"dose of cycle {cycle}", lesions
            )
        found = _dose_map(subject, cycle)
        if found:
            made, engine, digest = found
            image = _series_on_grid(subject, made, [t.series_uid for t in spect])
            comment = (
                f"Absorbed dose of cycle {cycle}, {administration.nuclide}, voxel engine {engine}; research use only"
            )
            yield write_rtdose(
                folder / f"dose-cycle-{cycle}.dcm",
                made.dose,
                subject.images(image)[0],
                series_uid=subject.uid("dose series", str(cycle)),
                instance_uid=subject.uid("dose", str(cycle), digest),
                made_at=subject.made_at,
                comment=comment,
            )


def _mean_dose(conductor: Conductor, cycles: tuple[CycleRecord, ...], cycle: int) -> float | None:
    own = next((c for c in cycles if c.cycle == cycle), None)
    first = own.doses[0].dose if own and own.doses else None
    return float(conductor.value(first).absorbed_dose.value) if first else None


def _dose_map(subject: _Subject, cycle: int) -> tuple[DoseMap, str, str] | None:
    """Map of the cycle by the first engine that has one, with the engine's name and the digest of what it is part of."""
    regions = [*(le.dosimetry for le in subject.record.lesions), *subject.record.dosimetry]
    for own in (c for region in regions for c in region.cycles if c.cycle == cycle):
        for dose in own.doses:
            receipt = subject.study.ledger.receipt(dose.dose.receipt)
            for digest in receipt.made_by.inputs.get("doses", ()) if receipt else ():
                answer = subject.study.store.get(digest)
                if isinstance(answer, CycleDoses) and answer.dose is not None:
                    return answer.dose, dose.engine, digest
    return None


def _series_on_grid(subject: _Subject, made: DoseMap, series: list[str]) -> str:
    """Series of the cycle whose grid the dose has; else its first."""
    headers: list[SeriesHeader] = [subject.conductor.value(s.header) for s in subject.record.series if s.header]
    for header in headers:
        if header.series_uid in series and header.grid is not None and header.grid.matches(made.dose.grid):
            return header.series_uid
    return series[0]
