"""Stages 3 and 4 for one subject: contours and segmentations to regions on the images of their frame of reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import frozen

from lutra.core.region import ContourSet, Region, RegionKind
from lutra.core.source import SourceFile
from lutra.core.study import Role, SeriesHeader
from lutra.ingest import read_contours, read_segmentation
from lutra.pipeline.alignment import Alignment
from lutra.pipeline.conductor import Conductor, Made, OneFile
from lutra.pipeline.images import Image
from lutra.pipeline.protocol import Protocol
from lutra.segment import propagate_region, regions_from_contours, regions_on_grid

MODALITIES = {"RTSTRUCT", "SEG"}
"""(0008,0060) of files that hold regions and no image."""
FUNCTIONAL = {Role.THERAPY_SPECT, Role.FDG_PET, Role.SSTR_PET, Role.OTHER_PET, Role.ADC, Role.DWI}
"""Images in which a lesion is measured by what it does, not by its size."""


@frozen
class Seen:
    """A region on an image."""

    image: Image
    step: Made
    region: Region
    by_hand: bool = False
    """Somebody set it in the study itself. It says nothing of what else its author looked for."""


@frozen
class _Drawing:
    """A file of regions that has been read."""

    modality: str
    step: Made
    drawn: tuple[ContourSet, ...] | tuple[Region, ...]

    def in_frame(self, frame: str) -> bool:
        """Tell whether any of it lies in a frame of reference."""
        return bool(frame) and any(
            frame == (one.grid.frame_of_reference if isinstance(one, Region) else one.frame_of_reference)
            for one in self.drawn
        )


def make_regions(
    conductor: Conductor,
    protocol: Protocol,
    images: Sequence[Image],
    drawings: dict[str, tuple[SourceFile, ...]],
    by_hand: Iterable[Region] = (),
) -> tuple[Seen, ...]:
    """Put every drawn region on every image of its frame of reference.

    Regions drawn on an image are used there; an image without regions of its own takes those of its frame.

    Parameters
    ----------
    by_hand
        Regions that people set, each in place of the one of its name, on the same images.
    """
    drawn = [_read(conductor, source) for files in drawings.values() for source in files]
    usable = [drawing for drawing in drawn if drawing is not None]
    set_by_hand = tuple(by_hand)
    seen: list[Seen] = []
    for image in images:
        grid, uid = image.header.grid, image.header.series_uid
        own = [d for d in usable if any(one.referenced_series_uid == uid for one in d.drawn)]
        shared = [d for d in usable if grid is not None and d.in_frame(grid.frame_of_reference)]
        found = []
        for drawing in own or shared:
            made = _place(conductor, protocol, drawing, image)
            if made:
                regions: tuple[Region, ...] = conductor.value(made)
                found += [Seen(image, made.item(n), region) for n, region in enumerate(regions)]
        ours = _by_hand(conductor, protocol, image, set_by_hand, own_drawings=bool(own))
        names = {s.region.name for s in ours}
        seen += [s for s in found if s.region.name not in names] + ours
    return tuple(seen)


def place_drawn(conductor: Conductor, protocol: Protocol, region: Region, header: SeriesHeader) -> Made:
    """Put a region that somebody set on an image of its frame."""
    return conductor.step(
        "segment.on-grid",
        regions_on_grid,
        {"regions": (region,), "grid": header.grid, "series_uid": header.series_uid},
        settings=protocol.segment,
    )


def frames_drawn_in(seen: Iterable[Seen]) -> set[str]:
    """Frames of reference with regions of their own: those that came with the images, or what people set if nothing came."""
    all_of = list(seen)
    came = {s.image.header.frame_of_reference for s in all_of if not s.by_hand}
    return came or {s.image.header.frame_of_reference for s in all_of}


def _by_hand(
    conductor: Conductor, protocol: Protocol, image: Image, regions: tuple[Region, ...], *, own_drawings: bool
) -> list[Seen]:
    """Regions that people set on an image, and on others of its frame where it takes what it has from there."""
    header = image.header
    on_it = {r.name: r for r in regions if r.referenced_series_uid == header.series_uid}
    frame = header.frame_of_reference
    if frame and not own_drawings:
        on_it = {r.name: r for r in regions if r.grid.frame_of_reference == frame} | on_it
    placed = [made for region in on_it.values() if (made := place_drawn(conductor, protocol, region, header))]
    return [
        Seen(image, made.item(n), region, by_hand=True)
        for made in placed
        for n, region in enumerate(conductor.value(made))
    ]


def propagate_regions(
    conductor: Conductor,
    protocol: Protocol,
    images: Sequence[Image],
    seen: Sequence[Seen],
    alignment: Alignment,
) -> tuple[Seen, ...]:
    """Bring regions to the images of frames that have none, from the nearest frame that has, by the map between the two.

    Where every frame is registered anyway, organs also come to frames in which only lesions were drawn, and the other way
    round. Organs go to every image. Lesions go where something is measured in them, beside a functional image: on a CT alone the
    outline of another day would pass for a measurement of size.
    """
    lesions = frames_drawn_in(s for s in seen if s.region.kind is RegionKind.LESION)
    organs = frames_drawn_in(s for s in seen if s.region.kind is not RegionKind.LESION)
    set_here = {(s.image.header.series_uid, s.region.name) for s in seen if s.by_hand}
    functional = {i.header.frame_of_reference for i in images if i.role in FUNCTIONAL}
    everywhere = protocol.align.when == "always"
    propagated = []
    for image in images:
        frame = image.header.frame_of_reference
        for of_kind, goes in ((lesions, frame in functional), (organs, True)):
            has_some = frame in of_kind if everywhere else frame in lesions | organs
            if not goes or has_some:
                continue
            source = alignment.source_of(frame, of_kind)
            transform = alignment.between(frame, source) if source else None
            there = (s for s in seen if s.image.header.frame_of_reference == source)
            for one in _finest(s for s in there if (s.region.kind is RegionKind.LESION) == (of_kind is lesions)):
                if not transform:
                    break
                if (image.header.series_uid, one.region.name) in set_here:
                    continue
                made = conductor.step(
                    "segment.propagate",
                    propagate_region,
                    {"region": one.step, "transform": transform, "grid": image.header.grid},
                    settings=protocol.segment,
                )
                propagated += [Seen(image, made, conductor.value(made))] if made else []
    return tuple(propagated)


def _finest(seen: Iterable[Seen]) -> tuple[Seen, ...]:
    """Of a region that lies on several images of a frame, the one on the smallest voxels."""
    best: dict[tuple[str, str, int], Seen] = {}
    met: Counter[tuple[str, str, str]] = Counter()
    for one in seen:
        on_image = one.region.source, one.region.name, one.image.header.series_uid
        key = one.region.source, one.region.name, met[on_image]  # an author may give one name to several regions
        met[on_image] += 1
        if key not in best or one.region.grid.voxel_volume_ml < best[key].region.grid.voxel_volume_ml:
            best[key] = one
    return tuple(best.values())


def _read(conductor: Conductor, source: SourceFile) -> _Drawing | None:
    if source.modality == "SEG":
        step = conductor.step("ingest.segmentation", read_segmentation, {"path": OneFile(source)})
    else:
        step = conductor.step("ingest.contours", read_contours, {"path": OneFile(source)})
    return _Drawing(source.modality, step, conductor.value(step)) if step else None


def _place(conductor: Conductor, protocol: Protocol, drawing: _Drawing, image: Image) -> Made:
    grid, uid = image.header.grid, image.header.series_uid
    if drawing.modality == "SEG":
        return conductor.step(
            "segment.on-grid",
            regions_on_grid,
            {"regions": drawing.step, "grid": grid, "series_uid": uid},
            settings=protocol.segment,
        )
    return conductor.step(
        "segment.from-contours",
        regions_from_contours,
        {"contours": drawing.step, "grid": grid, "series_uid": uid},
        settings=protocol.segment,
    )
