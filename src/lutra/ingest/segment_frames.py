"""Where each frame of a segmentation lies, and the grid that holds them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen
from pydicom import Dataset

from lutra.core.errors import InconsistentSeries, InputError
from lutra.core.finding import Finding, Severity
from lutra.core.grid import Grid
from lutra.ingest.elements import count, items, number, numbers, positive, text
from lutra.ingest.frames import directions, pixel_spacing
from lutra.ingest.geometry import IN_PLANE_LIMIT_MM, SAME_PLACE_MM

ON_GRID = 0.1
"""A frame lies on the grid if it is off by less than this share of a slice; joins of PET beds move slices a little. [slices]"""
LARGEST_GAP = 2_000
"""More slices than this between two frames is no image. [slices]"""
GEOMETRY_TOLERANCE = 1e-4


@frozen(eq=False)
class SegmentFrames:
    """Slice of the grid each frame is, and its segment (empty for a label map), in the order of the file."""

    grid: Grid
    slice_k: npt.NDArray[np.int64]
    segment: tuple[int, ...]


def segment_frames(file: Dataset, path: Path, *, with_segments: bool, findings: list[Finding]) -> SegmentFrames:
    """Read the functional groups of every frame.

    Raises
    ------
    InputError
        If geometry is missing, contradicts itself, or the frames do not lie on evenly spaced slices.
    """
    shared = (items(file, "SharedFunctionalGroupsSequence") or [Dataset()])[0]
    per_frame = items(file, "PerFrameFunctionalGroupsSequence")
    if not per_frame or len(per_frame) != (number(file, "NumberOfFrames") or 1):
        raise InconsistentSeries(
            f"{text(file, 'NumberOfFrames') or 'no number of'} frames and a description of {len(per_frame)}",
            where=f"{path} (5200,9230)",
            required="one item for each frame",
            do="export the file again",
        )

    def group(frame: Dataset, name: str) -> Dataset:
        found = items(frame, name) or items(shared, name)
        if not found:
            raise InputError(
                f"a frame without {name}", where=str(path), required="its geometry", do="export the file again"
            )
        return found[0]

    row, column = directions(group(per_frame[0], "PlaneOrientationSequence"))
    measures = group(per_frame[0], "PixelMeasuresSequence")
    spacing = pixel_spacing(measures)
    for frame in per_frame[1:]:
        other = np.concatenate(
            [
                *directions(group(frame, "PlaneOrientationSequence")),
                pixel_spacing(group(frame, "PixelMeasuresSequence")),
            ]
        )
        if not np.allclose(other, [*row, *column, *spacing], rtol=0, atol=GEOMETRY_TOLERANCE):
            raise InconsistentSeries(
                "frames of different orientation or pixel spacing",
                where=f"{path} (0020,9116), (0028,9110)",
                required="one for all",
                do="export each orientation as a segmentation of its own",
            )
    positions = np.array([numbers(group(f, "PlanePositionSequence"), "ImagePositionPatient", 3) for f in per_frame])
    normal = np.cross(row, column)
    slice_k, origin, step = _lattice(positions, normal, measures, path, findings)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * spacing[0], column * spacing[1], step])
    affine[:3, 3] = origin
    shape = count(file, "Columns"), count(file, "Rows"), int(slice_k.max()) + 1
    segment = (
        tuple(_segment(group(f, "SegmentIdentificationSequence"), path) for f in per_frame) if with_segments else ()
    )
    return SegmentFrames(Grid(shape, affine, text(file, "FrameOfReferenceUID")), slice_k, segment)


def _segment(identification: Dataset, path: Path) -> int:
    found = number(identification, "ReferencedSegmentNumber")
    if found is None:
        raise InputError("a frame without segment number", where=f"{path} (0062,000B)", do="export the file again")
    return int(found)


def _lattice(
    positions: npt.NDArray[np.float64],
    normal: npt.NDArray[np.float64],
    measures: Dataset,
    path: Path,
    findings: list[Finding],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[Any]]:
    """Slice of each frame, first pixel of the first slice, and the step between slices. [mm]"""
    along = positions @ normal
    order = np.argsort(along, kind="stable")
    new = np.diff(along[order], prepend=-np.inf) > SAME_PLACE_MM
    place = np.empty(len(along), int)
    place[order] = np.cumsum(new) - 1
    planes = positions[order][new]
    stated = positive(measures, "SpacingBetweenSlices")
    if len(planes) == 1:
        step_mm = stated or positive(measures, "SliceThickness")
        if step_mm is None:
            raise InputError(
                "frames of a single slice, without thickness",
                where=f"{path} (0018,0088), (0018,0050)",
                required="SpacingBetweenSlices or SliceThickness",
                do="export the file again",
            )
        return place, planes[0], normal * step_mm
    at_mm = planes @ normal
    distances = np.diff(at_mm)
    usual = float(distances.min())
    step_mm = stated if stated and _even(distances, stated) else usual
    if not _even(distances, step_mm):
        raise InconsistentSeries(
            f"frames {distances.min():.3f} to {distances.max():.3f} mm apart",
            where=f"{path} (0020,0032)",
            required="evenly spaced slices, some of which may be left out",
            do="export the segmentation on the image it was drawn on",
        )
    if stated is None or step_mm != stated:
        text_ = (
            f"{path}: SpacingBetweenSlices (0018,0088) is {f'{stated:g} mm' if stated else 'missing'} and the nearest frames lie "
            f"{usual:.4g} mm apart, which is taken. If no segment has two neighbouring slices, volumes are too large"
        )
        findings.append(Finding(Severity.WARNING, "ingest.segment-spacing", text_))
    k = np.concatenate([[0], np.cumsum(np.rint(distances / step_mm).astype(int))])
    step = (planes[-1] - planes[0]) / k[-1]
    off = planes - (planes[0] + k[:, None] * step)
    aside = np.linalg.norm(off - np.outer(off @ normal, normal), axis=1).max()
    if np.abs(off @ normal).max() > ON_GRID * step_mm or aside > IN_PLANE_LIMIT_MM:
        raise InconsistentSeries(
            f"frames that lie up to {np.abs(off).max():.3f} mm off an even grid",
            where=f"{path} (0020,0032)",
            required=f"within {ON_GRID:g} of a slice, and {IN_PLANE_LIMIT_MM:g} mm within the plane",
            do="export the segmentation on the image it was drawn on",
        )
    return k[place], planes[0], step


def _even(distances: npt.NDArray[np.float64], step_mm: float) -> bool:
    steps = distances / step_mm
    return bool(
        np.all(np.abs(steps - np.rint(steps)) <= ON_GRID) and steps.min() > 1 - ON_GRID and steps.max() < LARGEST_GAP
    )
