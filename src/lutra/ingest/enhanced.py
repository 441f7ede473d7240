"""Enhanced multi-frame MR, CT and PET: many planes in one file, what differs between them in functional groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import evolve
from pydicom import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
)

from lutra.core.errors import InputError, Unreadable
from lutra.ingest.classic import classic_frame
from lutra.ingest.clock import parse
from lutra.ingest.elements import count, items, text
from lutra.ingest.frames import Frame

ENHANCED = {
    EnhancedCTImageStorage: "CT",
    EnhancedMRImageStorage: "MR",
    EnhancedPETImageStorage: "PT",
    LegacyConvertedEnhancedCTImageStorage: "CT",
    LegacyConvertedEnhancedMRImageStorage: "MR",
    LegacyConvertedEnhancedPETImageStorage: "PT",
}
"""SOP classes and the modality they must state."""
FUNCTIONAL_GROUPS = 0x5200
SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


def enhanced_frames(path: Path, header: Dataset, zone: str) -> tuple[Frame, ...]:
    """Read the planes of a multi-frame object.

    Raises
    ------
    InputError
        If the number of frames does not fit their functional groups, or the geometry is missing or impossible.
    """
    n, groups = count(header, "NumberOfFrames"), items(header, PER_FRAME)
    if len(groups) != n:
        raise InputError(
            f"{n} frames, and functional groups of {len(groups)}",
            where=f"{path} (5200,9230)",
            required="one item per frame",
            do="export the series again",
        )
    frames = []
    for index in range(n):
        flat = frame_header(header, index)
        at = parse(text(flat, "FrameAcquisitionDateTime"), zone, text(header, "TimezoneOffsetFromUTC"))
        frame = classic_frame(path, flat, zone)
        frames.append(evolve(frame, index=index, acquired_at=at or frame.acquired_at))
    return tuple(frames)


def frame_header(header: Dataset, index: int) -> Dataset:
    """Attributes of one frame as a classic file would have them: the shared groups, then its own, laid over the file's.

    A file without functional groups is its own header. Sequences inside a group are kept whole beside their first item's
    attributes, because for some, such as (0040,9096), the group itself is what a classic file has.
    """
    groups = items(header, PER_FRAME)
    if index >= len(groups):
        return header
    return laid_over(header, *items(header, SHARED)[:1], groups[index])


def laid_over(header: Dataset, *groups: Dataset) -> Dataset:
    """Return a new dataset: the file's elements, over them each group's, over them the first item of each of its sequences."""
    elements: dict[Any, Any] = {tag: header.get_item(tag) for tag in header.keys() if tag.group != FUNCTIONAL_GROUPS}  # noqa: SIM118
    filename = getattr(header, "filename", "")
    try:
        for group in groups:
            elements |= {tag: group.get_item(tag) for tag in group.keys()}  # noqa: SIM118
            for element in group:
                if element.VR == "SQ" and len(element.value):
                    item = element.value[0]
                    elements |= {tag: item.get_item(tag) for tag in item.keys()}  # noqa: SIM118
    except Exception as error:
        raise Unreadable(
            f"functional groups cannot be read: {error}", where=str(filename), do="export it again"
        ) from error
    flat = Dataset(elements)
    flat.filename = filename
    return flat
