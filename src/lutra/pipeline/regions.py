"""Stages 3 and 4 for one subject: contours and segmentations to regions on the images of their frame of reference."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lutra.core.region import ContourSet, Region
from lutra.core.source import SourceFile
from lutra.ingest import read_contours, read_segmentation
from lutra.pipeline.conductor import Conductor, Made, OneFile
from lutra.pipeline.images import Image
from lutra.pipeline.protocol import Protocol
from lutra.segment import regions_from_contours, regions_on_grid

MODALITIES = {"RTSTRUCT", "SEG"}
"""(0008,0060) of files that hold regions and no image."""


@frozen
class Seen:
    """A region on an image."""

    image: Image
    step: Made
    region: Region


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
    conductor: Conductor, protocol: Protocol, images: Sequence[Image], drawings: dict[str, tuple[SourceFile, ...]]
) -> tuple[Seen, ...]:
    """Put every drawn region on every image of its frame of reference.

    Regions drawn on an image are used there; an image without regions of its own takes those of its frame.
    """
    drawn = [_read(conductor, source) for files in drawings.values() for source in files]
    usable = [drawing for drawing in drawn if drawing is not None]
    seen = []
    for image in images:
        grid, uid = image.header.grid, image.header.series_uid
        own = [d for d in usable if any(one.referenced_series_uid == uid for one in d.drawn)]
        shared = [d for d in usable if grid is not None and d.in_frame(grid.frame_of_reference)]
        for drawing in own or shared:
            made = _place(conductor, protocol, drawing, image)
            if made:
                regions: tuple[Region, ...] = conductor.value(made)
                seen += [Seen(image, made.item(n), region) for n, region in enumerate(regions)]
    return tuple(seen)


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
