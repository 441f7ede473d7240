"""Regions that follow from others, and what is measured in them, where the protocol asks for it.

Organs found by a program, expressions over regions, marrow, small spheres in the kidneys, the tumour burden of a PET.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lutra.core.frozen import FrozenMap
from lutra.core.region import RegionKind
from lutra.core.study import Role, Timepoint
from lutra.pipeline import plugins, wiring
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.images import Image
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import ObservationRecord
from lutra.pipeline.regions import Seen
from lutra.quantify import measure_small_vois
from lutra.reference.region_names import code_of_name
from lutra.segment import evaluate_algebra, marrow_region, regions_on_grid, small_vois

BURDEN = "tumour burden"
SPHERES = "small spheres"
PET_OF_TUMOUR = (Role.FDG_PET, Role.SSTR_PET)


def found_organs(
    conductor: Conductor, protocol: Protocol, images: Sequence[Image], seen: Sequence[Seen]
) -> tuple[Seen, ...]:
    """Ask the protocol's segmenters for organs on the first CT, if nobody drew any organ in any image."""
    if not protocol.segment.segmenters or any(s.region.kind is RegionKind.ORGAN for s in seen):
        return ()
    ct = next((image for image in images if image.role is Role.CT), None)
    if ct is None:
        return ()
    found = []
    for short_name in protocol.segment.segmenters:
        name, segmenter = plugins.load("segmenter", short_name)
        made = conductor.step(
            f"segment.find {name}",
            partial(wiring.segment, segmenter),
            {"image": ct.volume},
            settings=protocol.segment.options.get(short_name, FrozenMap()),
            code=type(segmenter).__module__,
        )
        found += _each(conductor, ct, made)
    return tuple(found)


def derived_regions(conductor: Conductor, protocol: Protocol, seen: Sequence[Seen]) -> tuple[Seen, ...]:
    """Make what follows from the regions of each image: expressions of the protocol, and marrow from vertebrae on a CT."""
    by_image: dict[str, list[Seen]] = {}
    for s in seen:
        by_image.setdefault(s.image.header.series_uid, []).append(s)
    derived: list[Seen] = []
    for own in by_image.values():
        image, regions = own[0].image, tuple(s.step for s in own)
        if protocol.segment.algebra:
            made = conductor.step("segment.algebra", evaluate_algebra, {"regions": regions}, settings=protocol.segment)
            derived += _each(conductor, image, made)
        if protocol.segment.marrow and image.role is Role.CT:
            derived += _marrow(conductor, protocol, own, seen)
    return tuple(derived)


def _each(conductor: Conductor, image: Image, made: Made) -> list[Seen]:
    return [Seen(image, made.item(n), region) for n, region in enumerate(conductor.value(made))] if made else []


def _marrow(conductor: Conductor, protocol: Protocol, own: Sequence[Seen], seen: Sequence[Seen]) -> list[Seen]:
    """Marrow on a CT with vertebrae, and on the SPECTs of its frame."""
    image = own[0].image
    inputs = {"regions": tuple(s.step for s in own)}
    made = conductor.step("segment.marrow", marrow_region, inputs, settings=protocol.segment)
    if not made:
        return []
    marrow = [Seen(image, made, conductor.value(made))]
    frame = image.header.frame_of_reference
    spects = {
        s.image.header.series_uid: s.image
        for s in seen
        if s.image.role is Role.THERAPY_SPECT and s.image.header.frame_of_reference == frame
    }
    for uid, spect in spects.items():
        placed = conductor.step(
            "segment.on-grid",
            regions_on_grid,
            {"regions": (made,), "grid": spect.header.grid, "series_uid": uid},
            settings=protocol.segment,
        )
        marrow += _each(conductor, spect, placed)
    return marrow


def kidney_spheres(
    conductor: Conductor, protocol: Protocol, seen: Sequence[Seen], timepoints: dict[str, Timepoint]
) -> tuple[ObservationRecord, ...]:
    """Measure kidneys on SPECT by small spheres, beside the whole region."""
    if not protocol.segment.small_vois:
        return ()
    observed = []
    for kidney in seen:
        code = code_of_name(kidney.region.name)
        if kidney.image.role is not Role.THERAPY_SPECT or code is None or "kidney" not in code.meaning.casefold():
            continue
        uid = kidney.image.header.series_uid
        others = tuple(s.step for s in seen if s.image.header.series_uid == uid and s.step != kidney.step)
        spheres = conductor.step(
            "segment.small-vois",
            small_vois,
            {"image": kidney.image.volume, "kidney": kidney.step, "others": others},
            settings=protocol.segment,
        )
        if not spheres:
            continue
        known = {"calibration": kidney.image.calibration} if kidney.image.calibration else {}
        made = conductor.step(
            "quantify.small-vois",
            wiring.measure_spheres,
            {
                "volume": kidney.image.volume,
                "spheres": spheres,
                "kidney": kidney.step,
                "region_id": kidney.region.name,
                "series_uid": uid,
                **known,
            },
            settings=protocol.quantify,
            code=measure_small_vois.__module__,
        )
        name = f"{kidney.region.name}, {SPHERES}"
        observed.append(ObservationRecord(uid, timepoints[uid].label, kidney.step.reference, name, made, None))
    return tuple(observed)


def tumour_burdens(
    conductor: Conductor,
    protocol: Protocol,
    images: Sequence[Image],
    seen: Sequence[Seen],
    timepoints: dict[str, Timepoint],
) -> tuple[ObservationRecord, ...]:
    """Measure the tumour burden of every FDG and SSTR PET."""
    if not protocol.segment.tumour_burden:
        return ()
    observed = []
    for image in images:
        uid = image.header.series_uid
        if image.role not in PET_OF_TUMOUR:
            continue
        own = [s for s in seen if s.image.header.series_uid == uid]
        burden = conductor.step(
            "segment.burden",
            wiring.find_burden,
            {
                "volume": image.volume,
                "role": image.role,
                "organs": tuple(s.step for s in own if s.region.kind is RegionKind.ORGAN),
                "lesions": tuple(s.step for s in own if s.region.kind is RegionKind.LESION),
            },
            settings=protocol.segment.burden,
            code="lutra.segment",
        )
        if burden:
            made = conductor.step("quantify.burden", wiring.burden_numbers, {"burden": burden, "series_uid": uid})
            observed.append(ObservationRecord(uid, timepoints[uid].label, burden.reference, BURDEN, made, None))
    return tuple(observed)
