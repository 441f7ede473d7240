"""Regions as DICOM segmentations, with highdicom."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import frozen
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation as HighdicomSegmentation
from highdicom.seg import SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.uid import ExplicitVRLittleEndian

from lutra import __version__
from lutra.core.clinical_trial import ClinicalTrial
from lutra.core.errors import UsageError
from lutra.core.region import ConceptCode, Region, RegionKind, RegionOrigin
from lutra.core.study import SeriesHeader
from lutra.export.dicom_image import write_trial
from lutra.export.part10 import long_string, save, stamp
from lutra.export.source_images import source_images

MAXIMUM = 255
"""Fractions are written in steps of 1/255: (0062,000E) Maximum Fractional Value."""
WHOLE = 0.5 / MAXIMUM
"""Fractions this close to 0 and 1 are so in a file of either kind."""
LONGEST_LABEL = 64

CATEGORY = {
    RegionKind.LESION: ConceptCode("49755003", "SCT", "Morphologically Abnormal Structure"),
    RegionKind.ORGAN: ConceptCode("91723000", "SCT", "Anatomical Structure"),
    RegionKind.OTHER: ConceptCode("85756007", "SCT", "Tissue"),
}
"""Segmented property category by kind [PS3.16 CID 7150]."""
TYPE = {
    RegionKind.LESION: ConceptCode("52988006", "SCT", "Lesion"),
    RegionKind.ORGAN: ConceptCode("91772007", "SCT", "Organ"),
    RegionKind.OTHER: ConceptCode("85756007", "SCT", "Tissue"),
}
"""Segmented property type of a region without a code [PS3.16 CID 7151]."""

MANUAL_PROCESSING = ConceptCode("123109", "DCM", "Manual Processing")

AlgorithmType = Literal["MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"]
Kind = Literal["BINARY", "FRACTIONAL"]


@frozen
class Algorithm:
    """What made the regions: (0062,0007) Segmentation Algorithm Identification.

    Parameters
    ----------
    family
        Code of PS3.16 CID 7162.
    """

    name: str
    version: str
    kind: AlgorithmType
    family: ConceptCode = MANUAL_PROCESSING


def write_segmentation(
    path: Path,
    regions: Sequence[Region],
    images: Sequence[Path],
    drawn_on: SeriesHeader,
    *,
    series_uid: str,
    instance_uid: str,
    drawn_at: datetime,
    kind: Kind | None = None,
    algorithm: Algorithm | None = None,
    description: str = "",
    trial: ClinicalTrial | None = None,
) -> Path:
    """Write regions of one image series as the segments of a SEG file.

    Segments may overlap; slices on which a segment is empty are left out. Names, codes and tracking identifiers are those of
    the regions.

    Parameters
    ----------
    images
        The files of the series; who the patient is and what is referred to is read from them.
    drawn_on
        Header of the series.
    kind
        `BINARY` writes the voxels that are at least half inside; `FRACTIONAL` shares of the voxel (occupancy) in steps of
        1/255. None: fractional if any voxel is partial.
    algorithm
        None for regions drawn by hand; required for others.
    trial
        In place of the trial and time point that the images say.

    Raises
    ------
    UsageError
        If there is no region, one is not on the grid of the series or empty, a name is longer than 64 characters, or nothing says
        how the regions came about.
    Unreadable
        If an image cannot be read.
    """
    _require_usable(regions, drawn_on, algorithm)
    partial = any(np.any((r.fraction > WHOLE) & (r.fraction < 1 - WHOLE)) for r in regions)
    kind = kind or ("FRACTIONAL" if partial else "BINARY")
    first = min(region.start_ijk[2] for region in regions)
    stop = max(region.start_ijk[2] + region.fraction.shape[2] for region in regions)
    sources, slices = source_images(images, drawn_on, first, stop)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom has an opinion on patient names; they are the source's
        file = HighdicomSegmentation(
            source_images=sources,
            pixel_array=_pixels(regions, slices, drawn_on, kind),
            segmentation_type=SegmentationTypeValues(kind),
            fractional_type="OCCUPANCY",
            max_fractional_value=MAXIMUM,
            segment_descriptions=[_described(n, region, algorithm) for n, region in enumerate(regions, start=1)],
            series_instance_uid=series_uid,
            series_number=100,
            sop_instance_uid=instance_uid,
            instance_number=1,
            manufacturer="Lutra",
            manufacturer_model_name="Lutra",
            software_versions=__version__,
            device_serial_number="1",
            content_label="REGIONS",
            content_description=long_string(description) or None,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
    stamp(file, drawn_at, instance_uid)
    write_trial(file, trial)
    save(path, file)
    return path


def _require_usable(regions: Sequence[Region], drawn_on: SeriesHeader, algorithm: Algorithm | None) -> None:
    if not regions or drawn_on.grid is None:
        raise UsageError("there is nothing to write", required="at least one region on the slices of a series")
    for region in regions:
        region.grid.require_match(drawn_on.grid, f"segment {region.name}")
        if not region.fraction.max(initial=0) > WHOLE:
            raise UsageError(f"region {region.name} is empty", required="a voxel inside it")
        if not 0 < len(region.name) <= LONGEST_LABEL:
            raise UsageError(f"a name of {len(region.name)} characters", required=f"1 to {LONGEST_LABEL} (0062,0005)")
        if algorithm is None and region.origin is not RegionOrigin.DRAWN:
            raise UsageError(
                f"region {region.name} was not drawn by hand ({region.origin.value}), and nothing says how it was made",
                required="the algorithm",
            )


def _pixels(regions: Sequence[Region], slices: Sequence[int], drawn_on: SeriesHeader, kind: Kind) -> npt.NDArray[Any]:
    """Frames as highdicom takes them. (frames, rows, columns, segments), or numbers of segments where none overlap"""
    assert drawn_on.grid is not None  # noqa: S101  (checked before)
    columns, rows, n_slices = drawn_on.grid.shape
    if kind == "BINARY":
        labels = np.zeros((columns, rows, n_slices), np.uint16)
        overlap = False
        for number, region in enumerate(regions, start=1):
            part, inside = labels[region.box], region.fraction >= 0.5
            overlap = overlap or bool(np.any(part[inside]))
            part[inside] = number
        if not overlap:
            return np.ascontiguousarray(labels[:, :, slices].transpose(2, 1, 0))
    pixels = np.zeros((len(slices), rows, columns, len(regions)), np.uint8 if kind == "BINARY" else np.float32)
    for number, region in enumerate(regions):
        whole = np.zeros((columns, rows, n_slices), pixels.dtype)
        whole[region.box] = region.fraction >= 0.5 if kind == "BINARY" else region.fraction
        pixels[..., number] = whole[:, :, slices].transpose(2, 1, 0)
    return pixels


def _described(number: int, region: Region, algorithm: Algorithm | None) -> SegmentDescription:
    tracked = bool(region.tracking_id and region.tracking_uid)
    return SegmentDescription(
        segment_number=number,
        segment_label=region.name,
        segmented_property_category=_coded(CATEGORY[region.kind]),
        segmented_property_type=_coded(region.code or TYPE[region.kind]),
        algorithm_type="MANUAL" if algorithm is None else algorithm.kind,
        algorithm_identification=None
        if algorithm is None
        else AlgorithmIdentificationSequence(algorithm.name, _coded(algorithm.family), algorithm.version),
        tracking_id=region.tracking_id if tracked else None,
        tracking_uid=region.tracking_uid if tracked else None,
    )


def _coded(code: ConceptCode) -> CodedConcept:
    return CodedConcept(code.value, code.scheme, long_string(code.meaning) or code.value)
