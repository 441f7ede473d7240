"""Takes one subject from source files to doses, diameters and responses. Reads top to bottom as the data flow of the design."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from itertools import groupby

from attrs import frozen

from lutra.core.digest import digest
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.lesion import Lesion
from lutra.core.region import Region, RegionKind
from lutra.core.source import SourceFile
from lutra.core.study import Role, SeriesHeader, Subject, Timepoint
from lutra.ingest import read_contours, read_header, read_image
from lutra.pipeline import plugins, wiring
from lutra.pipeline.conductor import Conductor, Files, Made, OneFile
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import CycleRecord, DoseRecord, LesionRecord, ObservationRecord, SeriesRecord, SubjectRecord
from lutra.pipeline.timeline import subject_timeline
from lutra.quantify import measure, quantify, role_of, summarise
from lutra.response import measure_diameters
from lutra.segment import regions_from_contours
from lutra.store.ledger import LesionList
from lutra.track import Candidate, identify


@frozen
class _Image:
    """An image series on its way through the stages."""

    header: SeriesHeader
    header_step: Made
    role: Role
    volume: Made
    summary: Made
    receipts: tuple[str, ...]


@frozen
class _Seen:
    """A region on an image."""

    image: _Image
    step: Made
    region: Region


def run_subject(
    conductor: Conductor, protocol: Protocol, subject_id: str, sources: Sequence[SourceFile]
) -> SubjectRecord:
    """Run every stage for one subject.

    A series that is refused leaves its Findings and the others go on.
    """
    first_receipt = len(conductor.receipts)
    by_series = {uid: tuple(files) for uid, files in groupby(sources, key=lambda s: s.series_uid)}
    drawings = {uid: files for uid, files in by_series.items() if files[0].modality == "RTSTRUCT"}
    records: dict[str, SeriesRecord] = {}
    images = []
    for uid, files in by_series.items():
        if uid not in drawings:
            image, records[uid] = _image(conductor, protocol, uid, files)
            images += [image] if image else []

    subject_step = conductor.step(
        "pipeline.timeline",
        subject_timeline,
        {
            "headers": tuple(i.header_step for i in images),
            "roles": tuple(i.role for i in images),
            "subject_id": subject_id,
            "time_zone": protocol.study.time_zone,
        },
    )
    subject: Subject = conductor.value(subject_step)
    timepoints = {t.series_uid: t for t in subject.timepoints}
    order = {t.series_uid: n for n, t in enumerate(subject.timepoints)}
    images.sort(key=lambda i: order[i.header.series_uid])

    seen = _regions(conductor, protocol, images, drawings)
    lesions = _lesions(conductor, protocol, subject_id, seen, order)
    # Scans of one session may share a grid and so the very same region: the image tells them apart.
    where = {(s.image.header.series_uid, s.step.reference): s for s in seen}
    observations = {
        lesion.lesion_id: tuple(
            _observe(conductor, protocol, where[o.series_uid, o.region], lesion.lesion_id, timepoints)
            for o in lesion.observations
            if o.region
        )
        for lesion in lesions
    }
    organs = tuple(
        _observe(conductor, protocol, s, s.region.name, timepoints)
        for s in seen
        if s.region.kind is not RegionKind.LESION
    )
    lesion_records = tuple(
        LesionRecord(
            lesion.lesion_id,
            lesion.name,
            observations[lesion.lesion_id],
            _cycles(conductor, protocol, lesion, observations[lesion.lesion_id], where, subject),
            _responses(conductor, protocol, lesion, observations[lesion.lesion_id], images),
        )
        for lesion in lesions
    )
    series = tuple(
        _with_label(records[uid], timepoints.get(uid)) for uid in sorted(records, key=lambda u: order.get(u, -1))
    )
    return SubjectRecord(subject, series, lesion_records, organs, tuple(conductor.receipts[first_receipt:]))


# ---- 1 ingest, 2 quantify ----
def _image(
    conductor: Conductor, protocol: Protocol, uid: str, files: tuple[SourceFile, ...]
) -> tuple[_Image | None, SeriesRecord]:
    first_receipt = len(conductor.receipts)
    paths = Files(files)
    header_step = conductor.step("ingest.header", read_header, {"paths": paths}, settings=protocol.ingest)
    image, summary, found = None, None, None
    if header_step:
        header: SeriesHeader = conductor.value(header_step)
        role_step = conductor.step("quantify.role", role_of, {"header": header_step})
        if header.grid is not None and role_step:
            role = Role(conductor.value(role_step))
            raw = conductor.step(
                "ingest.image", read_image, {"paths": paths, "header": header_step}, settings=protocol.ingest
            )
            if raw:
                image = conductor.step(
                    "quantify.image",
                    quantify,
                    {"header": header_step, "image": raw, "role": role},
                    settings=protocol.quantify,
                )
            if image:
                summary = conductor.step(
                    "quantify.summary", summarise, {"volume": image, "series_uid": uid}, settings=protocol.quantify
                )
                found = _Image(header, header_step, role, image, summary, tuple(conductor.receipts[first_receipt:]))
    findings = conductor.findings(conductor.receipts[first_receipt:])
    doubts = sum(f.severity is not Severity.INFO for f in findings)
    return found, SeriesRecord(uid, "", header_step, image, summary, doubts)


def _with_label(record: SeriesRecord, timepoint: Timepoint | None) -> SeriesRecord:
    label = timepoint.label if timepoint else "not used"
    return SeriesRecord(record.series_uid, label, record.header, record.image, record.summary, record.findings)


# ---- 3 align, 4 segment ----
def _regions(
    conductor: Conductor, protocol: Protocol, images: Sequence[_Image], drawings: dict[str, tuple[SourceFile, ...]]
) -> tuple[_Seen, ...]:
    """Put every drawn region on every image of its frame of reference.

    Contours drawn on an image are used there; an image without contours of its own takes those of its frame.
    """
    contours = [
        conductor.step("ingest.contours", read_contours, {"path": OneFile(source)})
        for files in drawings.values()
        for source in files
    ]
    sets = [(step, conductor.value(step)) for step in contours if step]
    seen = []
    for image in images:
        grid = image.header.grid
        own = [step for step, value in sets if any(c.referenced_series_uid == image.header.series_uid for c in value)]
        shared = [
            step for step, value in sets if value and grid and value[0].frame_of_reference == grid.frame_of_reference
        ]
        for step in own or shared:
            made = conductor.step(
                "segment.from-contours",
                regions_from_contours,
                {"contours": step, "grid": grid},
                settings=protocol.segment,
            )
            if made:
                regions: tuple[Region, ...] = conductor.value(made)
                seen += [_Seen(image, made.item(n), region) for n, region in enumerate(regions)]
    return tuple(seen)


# ---- 5 track ----
def _lesions(
    conductor: Conductor, protocol: Protocol, subject_id: str, seen: Sequence[_Seen], order: dict[str, int]
) -> tuple[Lesion, ...]:
    """Give each lesion its identity. An id once issued stays: the list issued before is an input."""
    candidates = tuple(
        Candidate(
            series_uid=s.image.header.series_uid,
            acquired_order=order[s.image.header.series_uid],
            region_digest=s.step.reference,
            region_name=s.region.name,
            volume_ml=s.region.volume_ml,
            centroid_lps_mm=_point(s.region),
            frame_of_reference=s.region.grid.frame_of_reference,
        )
        for s in seen
        if s.region.kind is RegionKind.LESION
    )
    before = conductor.ledger.lesion_list(subject_id)
    if not candidates and before is None:
        return ()
    same = before is not None and before.candidates == digest(candidates)
    known: tuple[Lesion, ...] = () if before is None else conductor.store.get(before.known if same else before.issued)
    made = conductor.step(
        "track.identify", identify, {"candidates": candidates, "known": known}, settings=protocol.track
    )
    if not made or made.output is None:
        return ()
    lesions: tuple[Lesion, ...] = conductor.value(made)
    conductor.ledger.set_lesion_list(
        subject_id, LesionList(digest(candidates), conductor.store.put(known), made.output)
    )
    return lesions


def _observe(
    conductor: Conductor, protocol: Protocol, seen: _Seen, region_id: str, timepoints: dict[str, Timepoint]
) -> ObservationRecord:
    uid = seen.image.header.series_uid
    measurements = conductor.step(
        "quantify.region",
        measure,
        {"volume": seen.image.volume, "region": seen.step, "region_id": region_id, "series_uid": uid},
        settings=protocol.quantify,
    )
    diameters = None
    if seen.region.kind is RegionKind.LESION:
        diameters = conductor.step("response.diameters", measure_diameters, {"region": seen.step})
    return ObservationRecord(uid, timepoints[uid].label, seen.step.reference, seen.region.name, measurements, diameters)


# ---- 6 kinetics, 7 dose ----
def _cycles(
    conductor: Conductor,
    protocol: Protocol,
    lesion: Lesion,
    observations: tuple[ObservationRecord, ...],
    where: dict[tuple[str, str], _Seen],
    subject: Subject,
) -> tuple[CycleRecord, ...]:
    timepoints = {t.series_uid: t for t in subject.timepoints}
    cycles = []
    for administration in subject.administrations:
        scans = [
            o
            for o in observations
            if timepoints[o.series_uid].role is Role.THERAPY_SPECT
            and timepoints[o.series_uid].cycle == administration.cycle
            and o.measurements
        ]
        if not scans:
            continue
        fit = _fit(conductor, protocol, lesion.lesion_id, administration.nuclide, scans, timepoints, subject.subject_id)
        if fit is None:
            continue
        first = where[scans[0].series_uid, scans[0].region]
        frame = first.region.grid.frame_of_reference
        ct = tuple(
            o.measurements
            for o in observations
            if timepoints[o.series_uid].role is Role.CT
            and where[o.series_uid, o.region].region.grid.frame_of_reference == frame
            and o.measurements
        )
        mass = conductor.step(
            "dose.mass",
            wiring.lesion_mass,
            {"spect": scans[0].measurements, "ct": ct},
            settings=protocol.dose,
            code="lutra.dose",
        )
        doses = _doses(conductor, protocol, fit, first, mass) if fit and mass else ()
        cycles.append(CycleRecord(administration.cycle, fit, mass, doses))
    return tuple(cycles)


def _fit(
    conductor: Conductor,
    protocol: Protocol,
    lesion_id: str,
    nuclide: str,
    scans: Sequence[ObservationRecord],
    timepoints: dict[str, Timepoint],
    subject_id: str,
) -> Made | None:
    curve = conductor.step(
        "kinetics.curve",
        wiring.activity_curve,
        {
            "measurements": tuple(o.measurements for o in scans),
            "times_s": tuple(timepoints[o.series_uid].since_administration_s for o in scans),
            "region": lesion_id,
            "nuclide": nuclide,
        },
    )
    if not curve:
        return None
    models = [plugins.load("kinetics", name) for name in protocol.kinetics.models]
    return conductor.step(
        f"kinetics.fit {' | '.join(name for name, _ in models)}",
        partial(wiring.fit_curve, models=models),
        {"curve": curve},
        settings=protocol.kinetics,
        seed=_seed(protocol, subject_id, lesion_id, str(timepoints[scans[0].series_uid].cycle)),
        code="lutra.kinetics",
    )


def _doses(conductor: Conductor, protocol: Protocol, fit: Made, seen: _Seen, mass: Made) -> tuple[DoseRecord, ...]:
    doses = []
    for short_name in protocol.dose.engines:
        name, engine = plugins.load("dose", short_name)
        made = conductor.step(
            f"dose.absorbed {name}",
            partial(wiring.absorbed_dose, engine=engine, name=name),
            {"fit": fit, "region": seen.step, "image": seen.image.volume, "mass": mass},
            settings=protocol.dose.options.get(short_name, FrozenMap()),
            code=type(engine).__module__,
        )
        doses.append(DoseRecord(short_name, made))
    results = tuple(d.dose for d in doses if d.dose)
    if len(results) > 1:
        conductor.step("dose.compare", wiring.compare_doses, {"results": results}, code="lutra.dose")
    return tuple(doses)


# ---- 9 response ----
def _responses(
    conductor: Conductor,
    protocol: Protocol,
    lesion: Lesion,
    observations: tuple[ObservationRecord, ...],
    images: Sequence[_Image],
) -> Made | None:
    """Assess diameters on diagnostic CT: those that are not the CT of a therapy SPECT."""
    spect_frames = {i.header.frame_of_reference for i in images if i.role is Role.THERAPY_SPECT}
    diagnostic = {
        i.header.series_uid for i in images if i.role is Role.CT and i.header.frame_of_reference not in spect_frames
    }
    measured = [(o.series_uid, o.diameters) for o in observations if o.series_uid in diagnostic and o.diameters]
    if len(measured) < 2:
        return None
    name, criterion = plugins.load("response", "lesion-diameter")
    return conductor.step(
        f"response.assess {name}",
        partial(wiring.assess, criterion),
        {
            "lesion_id": lesion.lesion_id,
            "series": tuple(uid for uid, _ in measured),
            "pairs": tuple(pair for _, pair in measured),
        },
        settings=protocol.response.options(),
        code="lutra.response",
    )


def _seed(protocol: Protocol, *parts: str) -> int:
    """Seed of one step: follows from the study's seed and from what the step is about, not from the order of the run."""
    text = "\0".join((str(protocol.study.seed), *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _point(region: Region) -> tuple[float, float, float]:
    x, y, z = (float(mm) for mm in region.centroid_lps_mm)
    return x, y, z
