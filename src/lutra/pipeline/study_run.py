"""Takes one subject from source files to doses, diameters and responses. Reads top to bottom as the data flow of the design."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby

from lutra.core.edit import EditKind
from lutra.core.lesion import Lesion, Lock
from lutra.core.region import Region, RegionKind
from lutra.core.source import SourceFile
from lutra.core.study import Role, Subject
from lutra.pipeline import plugins, wiring
from lutra.pipeline.alignment import REGISTRATION, Alignment, maps_by_hand
from lutra.pipeline.changes import changes_from_baseline
from lutra.pipeline.conduct import Conduct
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.derived import derived_regions, found_organs, kidney_spheres, tumour_burdens
from lutra.pipeline.dosimetry import Dosimetry
from lutra.pipeline.edits import active
from lutra.pipeline.images import Image, make_image, with_label
from lutra.pipeline.lesions import find_lesions
from lutra.pipeline.marrow_doses import MarrowDoses
from lutra.pipeline.observe import observe
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import (
    CourseRecord,
    LesionRecord,
    ObservationRecord,
    RegionDosimetry,
    SeriesRecord,
    SubjectRecord,
)
from lutra.pipeline.regions import MODALITIES, frames_drawn_in, make_regions, propagate_regions
from lutra.pipeline.run_inputs import RunInputs
from lutra.pipeline.timeline import subject_timeline


def run_subject(
    conductor: Conductor,
    inputs: RunInputs,
    subject_id: str,
    sources: Sequence[SourceFile],
) -> SubjectRecord:
    """Run every stage for one subject.

    A series that is refused leaves its Findings and the others go on.
    """
    first_receipt = len(conductor.receipts)
    protocol = inputs.protocol
    edits = active(conductor.ledger, conductor.store, subject_id)
    by_series = {uid: tuple(files) for uid, files in groupby(sources, key=lambda s: s.series_uid)}
    drawings = {uid: files for uid, files in by_series.items() if files[0].modality in MODALITIES}
    registrations = [file for files in by_series.values() for file in files if file.modality == REGISTRATION]
    records: dict[str, SeriesRecord] = {}
    images = []
    for uid, files in by_series.items():
        if uid not in drawings and files[0].modality != REGISTRATION:
            image, records[uid] = make_image(conductor, protocol, uid, files, inputs.calibrations)
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

    set_by_hand = [region for region in edits[EditKind.REGION].values() if isinstance(region, Region)]
    seen = make_regions(conductor, protocol, images, drawings, set_by_hand)
    seen += found_organs(conductor, protocol, images, seen)
    drawn = frames_drawn_in(seen)
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
            observe(
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
        observe(conductor, protocol, s, s.region.name, timepoints)
        for s in seen
        if s.region.kind is not RegionKind.LESION
    )
    organs += kidney_spheres(conductor, protocol, seen, timepoints)
    organs += tumour_burdens(conductor, protocol, images, seen, timepoints)
    doses = Dosimetry(conductor, protocol, subject, images, seen, lesions).regions()
    clinical = inputs.clinical.get(subject_id)
    marrow = MarrowDoses(conductor, protocol, subject, clinical, dict(doses)).cycles()
    conduct = Conduct(conductor, protocol, inputs.table, subject, clinical, dict(doses), marrow)
    course = CourseRecord(
        conduct.clinical, conduct.projections(), conduct.decisions(), conduct.deviations(), conduct.responses(), marrow
    )
    lesion_records = tuple(
        LesionRecord(
            lesion.lesion_id,
            lesion.name,
            observations[lesion.lesion_id],
            doses.pop(lesion.lesion_id, RegionDosimetry(lesion.lesion_id)),
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
        subject,
        series,
        lesion_records,
        organs,
        receipts,
        tuple(alignment.records),
        found.correspondences,
        tuple(doses.values()),
        course,
    )


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
