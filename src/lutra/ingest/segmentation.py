"""Segments of a DICOM segmentation as regions on the segmentation's own grid."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen
from pydicom import Dataset

from lutra.core.errors import InconsistentSeries, InputError, OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import Grid, Shape
from lutra.core.region import ConceptCode, Region, RegionKind, RegionOrigin
from lutra.imaging.labels import regions_of_labels, trimmed
from lutra.ingest.codes import ANATOMICAL_STRUCTURE, coded
from lutra.ingest.elements import count, items, number, positive, text
from lutra.ingest.files import parsed
from lutra.ingest.pixels import planes_of
from lutra.ingest.quiet import quietly
from lutra.ingest.segment_frames import SegmentFrames, segment_frames
from lutra.reference.region_names import of_side

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
"""SOP classes (0008,0016): binary and fractional segmentations, and label maps [PS3.4 B.5]."""
BACKGROUND = "125040"
"""DCM code of what is no segment [PS3.16 CID 7159]."""

Box = tuple[Shape, npt.NDArray[np.float32]]


@frozen
class _Described:
    """A segment as the file describes it, and the name its region gets."""

    number: int
    item: Dataset
    name: str


@quietly()
def read_segmentation(path: Path) -> Outcome[tuple[Region, ...]]:
    """Read every segment of a SEG file: binary, fractional or label map, frames in any order and with any left out.

    Returns
    -------
    Outcome
        A region for each segment that has voxels, on a grid that holds all frames of the file; names, codes and tracking
        identifiers as the file gives them (codes of the old SRT scheme as SNOMED CT, kidney and lung with the side it
        states). A segment that cannot be used leaves a Finding and the others go on. None with an ERROR Finding if the
        file as a whole cannot be read.
    """
    findings: list[Finding] = []
    try:
        file = _file(path)
        shape = count(file, "Rows"), count(file, "Columns")
        label_map = text(file, "SOPClassUID") == LABEL_MAP or text(file, "SegmentationType") == "LABELMAP"
        frames = segment_frames(file, path, with_segments=not label_map, findings=findings)
        described = _described(file, path, findings)
        _, planes = planes_of(path, shape)
        if len(planes) != len(frames.slice_k):
            raise InconsistentSeries(
                f"pixels of {len(planes)} frames and a description of {len(frames.slice_k)}",
                where=f"{path} (5200,9230)",
                required="one item for each frame",
                do="export the file again",
            )
        boxes = _labels(file, path, planes, frames) if label_map else _masks(file, path, planes, frames, findings)
    except (InputError, OutsideValidity) as error:
        return Outcome(None, (*findings, Finding(Severity.ERROR, "ingest.segmentation-refused", str(error))))
    regions = [
        _region(file, segment, boxes[segment.number], frames.grid) for segment in described if segment.number in boxes
    ]
    _say_what_is_missing(path, described, boxes, findings)
    if not regions:
        findings.append(Finding(Severity.WARNING, "ingest.no-segments", f"{path} holds no usable segment"))
        return Outcome(None, findings)
    return Outcome(tuple(regions), findings)


def _file(path: Path) -> Dataset:
    file = parsed(path).header
    if text(file, "SOPClassUID") not in {SEGMENTATION, LABEL_MAP}:
        raise InputError(
            f"an object of class {text(file, 'SOPClassUID') or 'unknown'}, modality {text(file, 'Modality') or 'unknown'}",
            where=f"{path} (0008,0016)",
            required="Segmentation Storage or Label Map Segmentation Storage",
            do="export the regions as one of these, or as RTSTRUCT",
        )
    return file


def _described(file: Dataset, path: Path, findings: list[Finding]) -> list[_Described]:
    """Segments in the order of the file, with names that tell them apart."""
    segments = [
        (n, item) for item in items(file, "SegmentSequence") if (n := number(item, "SegmentNumber")) is not None
    ]
    numbers = Counter(int(n) for n, _ in segments)
    labels = Counter(_label(item) for _, item in segments)
    found = []
    for n, item in segments:
        if numbers[int(n)] > 1:
            text_ = f"{path} (0062,0004): number {n:g} stands for several segments; none of them is used"
            findings.append(Finding(Severity.WARNING, "ingest.segment-left-out", text_))
            continue
        code = coded(item, "SegmentedPropertyTypeCodeSequence")
        if code and code.value == BACKGROUND:
            continue
        label = _label(item)
        tracking_id = text(item, "TrackingID")
        own = label if labels[label] == 1 else tracking_id or f"{label} {n:g}"
        found.append(_Described(int(n), item, own or f"segment {n:g}"))
    repeated = [label for label, n in labels.items() if n > 1]
    if repeated:
        text_ = f"{path} (0062,0005): several segments are called {', '.join(repeated)}; tracking ID or number tells them apart"
        findings.append(Finding(Severity.INFO, "ingest.segment-names-repeat", text_))
    return found


def _label(item: Dataset) -> str:
    return text(item, "SegmentLabel") or text(item, "SegmentDescription")


def _masks(
    file: Dataset, path: Path, planes: npt.NDArray[Any], frames: SegmentFrames, findings: list[Finding]
) -> dict[int, Box]:
    """Boxes of binary and fractional segments: each frame is a slice of one of them, so they may overlap."""
    kind = text(file, "SegmentationType")
    largest = 1.0
    if kind == "FRACTIONAL":
        largest = positive(file, "MaximumFractionalValue") or 0.0
        if text(file, "SegmentationFractionalType") != "OCCUPANCY":
            text_ = (
                f"{path} (0062,0010): the values are probabilities, not shares of a voxel. They are taken as shares, so that a "
                "volume is the expected one"
            )
            findings.append(Finding(Severity.WARNING, "ingest.segment-probability", text_))
    if kind not in {"BINARY", "FRACTIONAL"} or not largest or planes.dtype.kind not in "ui":
        raise InputError(
            f"segmentation type {kind or 'missing'}, maximum fractional value {text(file, 'MaximumFractionalValue') or 'missing'}",
            where=f"{path} (0062,0001), (0062,000E)",
            required="BINARY, FRACTIONAL with a maximum, or LABELMAP",
            do="export the file again",
        )
    if planes.size and planes.max() > largest:
        raise InputError(f"a value of {planes.max()}", where=f"{path} (7FE0,0010)", required=f"at most {largest:g}")
    by_segment: defaultdict[int, list[int]] = defaultdict(list)
    for frame, segment in enumerate(frames.segment):
        by_segment[segment].append(frame)
    boxes = {}
    for segment, members in by_segment.items():
        slices = frames.slice_k[members]
        if len(set(slices.tolist())) < len(slices):
            text_ = f"{path} (5200,9230): segment {segment} has two frames in one place; it is left out"
            findings.append(Finding(Severity.WARNING, "ingest.segment-left-out", text_))
            continue
        # Whole slices of a small lesion in a large image would fill the memory: its columns and rows are cut out first.
        columns, rows = (np.flatnonzero(planes[members].any(axis=axes)) for axes in ((0, 1), (0, 2)))
        if not len(columns):
            continue
        i, j, k = int(columns[0]), int(rows[0]), int(slices.min())
        part = planes[members, j : rows[-1] + 1, i : columns[-1] + 1].transpose(2, 1, 0)
        fraction = np.zeros((*part.shape[:2], int(slices.max()) - k + 1), np.float32)
        fraction[:, :, slices - k] = part / np.float32(largest)
        box = trimmed((i, j, k), fraction)
        if box:
            boxes[segment] = box
    return boxes


def _labels(file: Dataset, path: Path, planes: npt.NDArray[Any], frames: SegmentFrames) -> dict[int, Box]:
    slices = frames.slice_k.tolist()
    if len(set(slices)) < len(slices) or planes.dtype.kind not in "ui":
        raise InconsistentSeries(
            "two frames of a label map in one place",
            where=f"{path} (0020,0032)",
            required="one frame of whole numbers for each slice",
            do="export the file again",
        )
    labels = np.zeros(frames.grid.shape, planes.dtype)
    labels[:, :, slices] = planes.transpose(2, 1, 0)
    boxes = regions_of_labels(labels)
    padding = number(file, "PixelPaddingValue")
    boxes.pop(-1 if padding is None else int(padding), None)  # voxels that nobody looked at
    return boxes


def _region(file: Dataset, segment: _Described, box: Box, grid: Grid) -> Region:
    item = segment.item
    category = coded(item, "SegmentedPropertyCategoryCodeSequence")
    series = {text(one, "SeriesInstanceUID") for one in items(file, "ReferencedSeriesSequence")} - {""}
    how = " ".join(part for part in (text(item, "SegmentAlgorithmType"), text(item, "SegmentAlgorithmName")) if part)
    return Region(
        name=segment.name,
        kind=RegionKind.ORGAN if category and category.value in ANATOMICAL_STRUCTURE else RegionKind.OTHER,
        grid=grid,
        start_ijk=box[0],
        fraction=box[1],
        code=_code(item),
        origin=RegionOrigin.IMPORTED,
        source=f"segment {segment.number} of {text(file, 'SOPInstanceUID')}{f', {how}' if how else ''}",
        referenced_series_uid=series.pop() if len(series) == 1 else None,
        tracking_id=text(item, "TrackingID"),
        tracking_uid=text(item, "TrackingUID"),
    )


def _code(item: Dataset) -> ConceptCode | None:
    """Read what a segment is; organ and side, which are two codes in DICOM, as the one code of the left or right organ."""
    code = coded(item, "SegmentedPropertyTypeCodeSequence")
    types = items(item, "SegmentedPropertyTypeCodeSequence")
    side = coded(types[0], "SegmentedPropertyTypeModifierCodeSequence") if types else None
    return of_side(code, side.value) if code and side else code


def _say_what_is_missing(
    path: Path, described: list[_Described], boxes: dict[int, Box], findings: list[Finding]
) -> None:
    empty = [segment.name for segment in described if segment.number not in boxes]
    if empty:
        text_ = f"{path}: segments without a voxel, left out: {', '.join(empty)}"
        findings.append(Finding(Severity.INFO, "ingest.segment-empty", text_))
    nameless = sorted(set(boxes) - {segment.number for segment in described})
    if nameless:
        text_ = f"{path} (0062,0002): voxels of segments {nameless} that the file does not describe; they are left out"
        findings.append(Finding(Severity.WARNING, "ingest.segment-left-out", text_))
