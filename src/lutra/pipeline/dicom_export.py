"""Measurements, regions, doses, maps and documents of a study as DICOM objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve, frozen

from lutra.core.dose import CycleDoses, CycleSum, DoseMap
from lutra.core.errors import MissingExtra
from lutra.core.finding import Finding, Severity
from lutra.core.response import DiameterPair
from lutra.core.study import Administration, Role
from lutra.core.volume import Volume
from lutra.dose.cycle_sum import sum_of_cycles
from lutra.export.encapsulated_pdf import write_encapsulated_pdf
from lutra.export.measurement_report import LesionMeasurements, write_measurement_report
from lutra.export.parametric_map import QUANTITY, write_parametric_map
from lutra.export.part10 import header_of
from lutra.export.quantities import QUANTITIES
from lutra.export.rtdose import write_rtdose
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.dicom_subject import DicomSubject, Segments
from lutra.pipeline.given_files import empty_folder
from lutra.pipeline.record import CycleRecord, LesionRecord, ObservationRecord
from lutra.pipeline.report import documents_of, study_view
from lutra.pipeline.results import slug
from lutra.pipeline.signed import Signatures
from lutra.pipeline.study import EXPORTED, StudyFolder
from lutra.pipeline.transform_files import write_transforms
from lutra.report.paper import require_typst, typeset


@frozen
class Exported:
    """Files that were written, and the doubts met on the way."""

    paths: tuple[Path, ...]
    findings: tuple[Finding, ...]


@frozen
class _Map:
    """Dose map of a cycle: its engine, the answer it is part of, and the image whose grid it has."""

    made: DoseMap
    engine: str
    answer: Made
    series_uid: str
    on_grid: bool


def export_dicom(study: StudyFolder, out: Path) -> Exported:
    """Write a folder of objects per subject; docs/dicom-export.md says which.

    Unique identifiers follow from the protocol, the subject and what is in the object: the same results give the same objects.

    Raises
    ------
    UsageError
        If the study has not been run, or something stands in `out`.
    """
    records = study.require_records()
    empty_folder(out)
    protocol, audit, now = study.protocol, study.ledger.audit_trail(), datetime.now(UTC)
    conductor = Conductor(study.store, study.ledger, protocol=protocol.digest)
    written: list[Path] = []
    findings: list[Finding] = []
    for record in records:
        folder = out / slug(record.subject.subject_id)
        signatures = Signatures(conductor, record, audit)
        subject = DicomSubject(study, protocol, conductor, record, signatures, folder, now)
        written += _objects(subject)
        findings += subject.findings
    series = sorted({str(header_of(path).SeriesInstanceUID) for path in written})
    study.log(EXPORTED, {"out": str(out), "objects": len(written), "series": series})
    return Exported(tuple(written), tuple(findings))


def _objects(subject: DicomSubject) -> Iterator[Path]:
    segments = {uid: made for uid in subject.labels if (made := subject.segments(uid))}
    yield from (made.path for made in segments.values())
    yield from _reports(subject, segments)
    yield from _adc_maps(subject)
    yield from _doses(subject, segments)
    yield from write_transforms(subject.study, subject.name, "dicom", subject.folder / "registration")
    yield from _documents(subject)


# ---- measurements ----
def _reports(subject: DicomSubject, segments: dict[str, Segments]) -> Iterator[Path]:
    """One report per image in which a lesion was measured."""
    for series_uid, label in subject.labels.items():
        seen = [(le, o) for le in subject.record.lesions for o in le.observations if o.series_uid == series_uid]
        lesions = [
            _measured(subject, le, values, segments.get(series_uid))
            for le, o in seen
            if (values := tuple(_values(subject.conductor, o)))
        ]
        if lesions:
            made = [m for _, o in seen for m in (o.measurements, o.diameters) if m]
            yield _report(subject, ("sr", label), series_uid, lesions, made, segments.get(series_uid))


def _measured(
    subject: DicomSubject, lesion: LesionRecord, values: tuple[tuple[str, float], ...], segments: Segments | None
) -> LesionMeasurements:
    segment = segments.numbers.get(lesion.lesion_id) if segments else None
    return LesionMeasurements(subject.lesion_name(lesion), subject.lesion_uid(lesion), values, segment)


def _values(conductor: Conductor, observation: ObservationRecord) -> Iterator[tuple[str, float]]:
    if observation.measurements:
        measured = conductor.value(observation.measurements).values
        yield from ((name, measured[name].value) for name in QUANTITIES if name in measured)
    if observation.diameters:
        pair: DiameterPair = conductor.value(observation.diameters)
        yield from (("longest_diameter", pair.long_mm), ("short_axis", pair.short_mm))


def _report(
    subject: DicomSubject,
    named: tuple[str, str],
    series_uid: str,
    lesions: list[LesionMeasurements],
    made: list[Made],
    segments: Segments | None,
) -> Path:
    path = subject.path(*named)
    verified = subject.verified(series_uid, made)
    content = repr([(le.name, le.values, le.segment) for le in lesions]) + repr(verified)
    return write_measurement_report(
        path,
        lesions,
        subject.images(series_uid),
        series_uid=subject.uid("sr series", series_uid, path.name),
        instance_uid=subject.uid("sr", series_uid, path.name, content),
        made_at=subject.made_at,
        title=f"Lesions, {named[1]}",
        segmentation=segments.path if segments else None,
        verified=verified,
    )


# ---- maps and doses ----
def _adc_maps(subject: DicomSubject) -> Iterator[Path]:
    roles = {t.series_uid: t.role for t in subject.record.subject.timepoints}
    for series in subject.record.series:
        if roles.get(series.series_uid) in (Role.DWI, Role.ADC) and series.image:
            volume: Volume = subject.conductor.value(series.image)
            if volume.unit in QUANTITY:
                yield _map(subject, ("adc", series.label), volume, series.series_uid, series.image.reference)


def _map(subject: DicomSubject, named: tuple[str, str], volume: Volume, series_uid: str, content: str) -> Path:
    path = subject.path(*named)
    return write_parametric_map(
        path,
        volume,
        subject.images(series_uid),
        subject.headers[series_uid],
        series_uid=subject.uid("map series", series_uid, path.name),
        instance_uid=subject.uid("map", series_uid, path.name, content),
        made_at=subject.made_at,
        description=f"{QUANTITY[volume.unit].meaning}, {named[1]}",
    )


def _doses(subject: DicomSubject, segments: dict[str, Segments]) -> Iterator[Path]:
    """Per cycle the map of the first engine that resolves voxels, and a report of the mean doses of lesions; then the sum."""
    maps: dict[int, _Map] = {}
    for administration in subject.record.subject.administrations:
        cycle = administration.cycle
        if cycle not in subject.spects:
            continue
        found = _dose_map(subject, cycle)
        image = found.series_uid if found else subject.spects[cycle][0]
        doses = [(le, made) for le in subject.record.lesions if (made := _first_dose(le.dosimetry.cycles, cycle))]
        lesions = [
            _measured(subject, le, (("absorbed_dose", _gray(subject, made)),), segments.get(image))
            for le, made in doses
        ]
        if lesions:
            rests_on = [made for _, made in doses]
            yield _report(subject, ("sr-dose", f"cycle {cycle}"), image, lesions, rests_on, segments.get(image))
        if found:
            maps[cycle] = found
            comment = f"Cycle {cycle}, {administration.nuclide}, {found.engine}; research use only"
            yield _rtdose(subject, f"cycle {cycle}", found.made.dose, found, comment)
            if found.on_grid:
                named = ("dose-map", f"cycle {cycle}")
                yield _map(subject, named, found.made.dose, found.series_uid, found.answer.reference)
    yield from _sum(subject, maps)


def _sum(subject: DicomSubject, maps: dict[int, _Map]) -> Iterator[Path]:
    """Add up the maps of all cycles on the body of the first, where the study knows the maps between the bodies."""
    given: tuple[Administration, ...] = subject.record.subject.administrations
    if len(given) < 2 or not maps:
        return
    engine = next(iter(maps.values())).engine
    maps = {cycle: m for cycle, m in maps.items() if m.engine == engine}
    made = subject.conductor.step(
        "dose.sum-of-cycles",
        sum_of_cycles,
        {
            "doses": tuple(m.answer for m in maps.values()),
            "cycles": tuple(maps),
            "given": tuple(a.cycle for a in given),
            "transforms": subject.transforms(),
        },
    )
    for finding in subject.conductor.findings([made.receipt]):
        subject.findings.append(evolve(finding, text=f"{subject.name}: {finding.text}"))
    if made:
        total: CycleSum = subject.conductor.value(made)
        first = maps[total.cycles[0]]
        cycles = ", ".join(map(str, total.cycles))
        comment = f"Sum of cycles {cycles} on the body of cycle {total.cycles[0]}, {first.engine}"
        yield _rtdose(subject, "sum", total.dose, evolve(first, answer=made), comment, len(total.cycles))


def _rtdose(subject: DicomSubject, label: str, dose: Volume, of: _Map, comment: str, cycles: int = 1) -> Path:
    return write_rtdose(
        subject.path("dose", label),
        dose,
        subject.images(of.series_uid)[0],
        series_uid=subject.uid("dose series", label),
        instance_uid=subject.uid("dose", label, of.answer.reference),
        made_at=subject.made_at,
        comment=comment,
        cycles=cycles,
    )


def _first_dose(cycles: tuple[CycleRecord, ...], cycle: int) -> Made | None:
    own = next((c for c in cycles if c.cycle == cycle), None)
    first = own.doses[0].dose if own and own.doses else None
    return first or None


def _gray(subject: DicomSubject, made: Made) -> float:
    return float(subject.conductor.value(made).absorbed_dose.value)


def _dose_map(subject: DicomSubject, cycle: int) -> _Map | None:
    """Map of the cycle by the first engine that has one."""
    regions = [*(le.dosimetry for le in subject.record.lesions), *subject.record.dosimetry]
    for own in (c for region in regions for c in region.cycles if c.cycle == cycle):
        for dose in own.doses:
            receipt = subject.study.ledger.receipt(dose.dose.receipt)
            for digest in receipt.made_by.inputs.get("doses", ()) if receipt else ():
                answer = subject.study.store.get(digest)
                if isinstance(answer, CycleDoses) and answer.dose is not None:
                    image, on_grid = _image_of(subject, answer.dose, subject.spects[cycle])
                    made = subject.study.ledger.receipt_of_output(digest)
                    return _Map(
                        answer.dose, dose.engine, Made(digest, made.made_by.key if made else ""), image, on_grid
                    )
    return None


def _image_of(subject: DicomSubject, made: DoseMap, series: list[str]) -> tuple[str, bool]:
    """Series of the cycle whose grid the dose has, and True; else its first."""
    for uid in series:
        grid = subject.headers[uid].grid if uid in subject.headers else None
        if grid is not None and grid.matches(made.dose.grid):
            return uid, True
    return series[0], False


# ---- documents ----
def _documents(subject: DicomSubject) -> Iterator[Path]:
    """Documents on paper, in the study of the last image; where typst is not installed, that is said."""
    try:
        require_typst()
    except MissingExtra as error:
        subject.findings.append(Finding(Severity.INFO, "export.no-document", f"no PDF is among the objects: {error}"))
        return
    last = next((files for uid in reversed(subject.labels) if (files := subject.images(uid))), None)
    if last is None:
        return
    view = study_view(subject.study, [subject.record], {})
    for number, (name, document) in enumerate(documents_of(view, view.subjects[0]).items(), start=1):
        pdf = typeset(document)
        yield write_encapsulated_pdf(
            subject.path("pdf", name),
            pdf,
            last[0],
            series_uid=subject.uid("pdf series"),
            instance_uid=subject.uid("pdf", name, hashlib.sha256(pdf).hexdigest()),
            made_at=subject.made_at,
            title=document.title,
            number=number,
        )
