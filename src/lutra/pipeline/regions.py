"""Stages 3 and 4 for one subject: contours to regions on the images of their frame of reference."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lutra.core.region import Region
from lutra.core.source import SourceFile
from lutra.ingest import read_contours
from lutra.pipeline.conductor import Conductor, Made, OneFile
from lutra.pipeline.images import Image
from lutra.pipeline.protocol import Protocol
from lutra.segment import regions_from_contours


@frozen
class Seen:
    """A region on an image."""

    image: Image
    step: Made
    region: Region


def make_regions(
    conductor: Conductor, protocol: Protocol, images: Sequence[Image], drawings: dict[str, tuple[SourceFile, ...]]
) -> tuple[Seen, ...]:
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
                seen += [Seen(image, made.item(n), region) for n, region in enumerate(regions)]
    return tuple(seen)
