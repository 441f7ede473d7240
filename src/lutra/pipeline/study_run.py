"""Takes one subject from source files to doses, diameters and responses. Reads top to bottom as the data flow of the design."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

from lutra.core.calibration import CalibrationFile
from lutra.core.edit import EditKind
from lutra.core.frozen import FrozenMap
from lutra.core.lesion import Lesion, Lock
from lutra.core.region import RegionKind, RegionOrigin
from lutra.core.source import SourceFile
from lutra.core.study import Role, Subject, Timepoint
from lutra.pipeline import plugins, wiring
from lutra.pipeline.alignment import REGISTRATION, Alignment, maps_by_hand
from lutra.pipeline.changes import changes_from_baseline
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.derived import derived_regions, found_organs, kidney_spheres, tumour_burdens
from lutra.pipeline.edits import active
from lutra.pipeline.images import Image, make_image, with_label
from lutra.pipeline.lesions import find_lesions
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import CycleRecord, DoseRecord, LesionRecord, ObservationRecord, SeriesRecord, SubjectRecord
from lutra.pipeline.regions import MODALITIES, Seen, make_regions, propagate_regions
from lutra.pipeline.seeds import seed_of
from lutra.pipeline.timeline import subject_timeline
from lutra.quantify import measure_features
from lutra.quantify.comparable import PET
from lutra.response import measure_diameters

ANATOMICAL = frozenset({Role.CT, Role.ADC, Role.DWI, Role.OTHER_MR})
"""Images that lesions are measured on. RECIST 1.1 takes no diameter from SPECT or PET: there a border is a matter of uptake and
blur, and the voxels are as large as the lesions."""


def run_subject(
    conductor: Conductor,
    protocol: Protocol,
    subject_id: str,
    sources: Sequence[SourceFile],
    calibrations: tuple[CalibrationFile, ...] = (),
) -> SubjectRecord:
    """Run every stage for one subject.

    A series that is refused leaves its Findings and the others go on.
    """
    first_receipt = len(conductor.receipts)
    edits = active(conductor.ledger, conductor.store, subject_id)
    by_series = {uid: tuple(files) for uid, files in groupby(sources, key=lambda s: s.series_uid)}
    drawings = {uid: files for uid, files in by_series.items() if files[0].modality in MODALITIES}
    registrations = [file for files in by_series.values() for file in files if file.modality == REGISTRATION]
    records: dict[str, SeriesRecord] = {}
    images = []
    for uid, files in by_series.items():
        if uid not in drawings and files[0].modality != REGISTRATION:
            image, records[uid] = make_image(conductor, protocol, uid, files, calibrations)
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

    seen = make_regions(conductor, protocol, images, drawings)
    seen += found_organs(conductor, protocol, images, seen)
    drawn = {s.image.header.frame_of_reference for s in seen}
    by_hand = maps_by_hand(conductor, registrations, edits[EditKind.TRANSFORM])
    alignment = Alignment(conductor, protocol, subject_id, images, drawn, by_hand)
    seen += propagate_regions(conductor, protocol, images, seen, alignment)
    seen += derived_regions(conductor, protocol, seen)
    locks = tuple(edit for edit in edits[EditKind.LESION_LOCK].values() if isinstance(edit, Lock))
    found = find_lesions(conductor, protocol, subject_id, seen, order, alignment, locks)
    lesions = found.lesions
    # Scans of one session may share a grid and so the very same region: the image tells them apart.
    where = {(s.image.header.series_uid, s.step.reference): s for s in seen}
    observations = {
        lesion.lesion_id: tuple(
            _observe(
                conductor,
                protocol,
                where[o.series_uid, o.region],
                lesion.lesion_id,
                timepoints,
                edits[EditKind.DIAMETER].get(f"{o.series_uid} {lesion.lesion_id}"),
            )
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
    organs += kidney_spheres(conductor, protocol, seen, timepoints)
    organs += tumour_burdens(conductor, protocol, images, seen, timepoints)
    lesion_records = tuple(
        LesionRecord(
            lesion.lesion_id,
            lesion.name,
            observations[lesion.lesion_id],
            _cycles(conductor, protocol, lesion, observations[lesion.lesion_id], where, subject),
            _responses(conductor, protocol, lesion, observations[lesion.lesion_id], images),
            changes_from_baseline(conductor, protocol, lesion, observations[lesion.lesion_id], images),
        )
        for lesion in lesions
    )
    series = tuple(
        with_label(records[uid], timepoints.get(uid)) for uid in sorted(records, key=lambda u: order.get(u, -1))
    )
    receipts = tuple(conductor.receipts[first_receipt:])
    return SubjectRecord(
        subject, series, lesion_records, organs, receipts, tuple(alignment.records), found.correspondences
    )


def _observe(
    conductor: Conductor,
    protocol: Protocol,
    seen: Seen,
    region_id: str,
    timepoints: dict[str, Timepoint],
    line: Any = None,
) -> ObservationRecord:
    """Measure a region in an image; `line` is a diameter that somebody drew there."""
    uid = seen.image.header.series_uid
    what = {"volume": seen.image.volume, "region": seen.step, "region_id": region_id, "series_uid": uid}
    measurements = conductor.step(
        "quantify.region",
        wiring.measure_region,
        what | {"role": seen.image.role} | _known_of(seen.image),
        settings=protocol.quantify,
        code="lutra.quantify",
    )
    diameters = features = None
    if seen.region.kind is RegionKind.LESION:
        # A propagated outline is that of another day: it shows where the lesion is, not how large.
        outlined = seen.image.role in ANATOMICAL and seen.region.origin is not RegionOrigin.PROPAGATED
        if outlined or line is not None:
            edited = {} if line is None else {"edited": line}
            diameters = conductor.step("response.diameters", measure_diameters, {"region": seen.step, **edited})
        features = conductor.step("quantify.features", measure_features, what)
    return ObservationRecord(
        uid, timepoints[uid].label, seen.step.reference, seen.region.name, measurements, diameters, features
    )


def _known_of(image: Image) -> dict[str, Made]:
    """Gather what else this image needs to be measured: the calibration of a SPECT, the body of a PET."""
    known = {"calibration": image.calibration} if image.calibration else {}
    return known | ({"header": image.header_step} if image.role in PET else {})


# ---- 6 kinetics, 7 dose ----
def _cycles(
    conductor: Conductor,
    protocol: Protocol,
    lesion: Lesion,
    observations: tuple[ObservationRecord, ...],
    where: dict[tuple[str, str], Seen],
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
        seed=seed_of(protocol, subject_id, lesion_id, str(timepoints[scans[0].series_uid].cycle)),
        code="lutra.kinetics",
    )


def _doses(conductor: Conductor, protocol: Protocol, fit: Made, seen: Seen, mass: Made) -> tuple[DoseRecord, ...]:
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
    images: Sequence[Image],
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
