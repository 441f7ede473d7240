"""Contours as RTSTRUCT."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.tag import Tag
from pydicom.uid import RTStructureSetStorage

from lutra.core.errors import UsageError
from lutra.core.region import ContourSet
from lutra.core.study import SeriesHeader
from lutra.export.dicom_image import PatientIdentity, patient_module
from lutra.export.part10 import date_text, offset_text, save, time_text

Generated = Literal["MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"]
CONTOUR_DATA = Tag(0x30060050)
LONGEST_EXPLICIT = 5000
"""Numbers of at most 12 characters that fit into an element of 64 kB."""
ON_SLICE = 0.1
"""A contour this close to a slice was drawn on it. [slices]"""


def write_rtstruct(
    path: Path,
    contours: Sequence[ContourSet],
    drawn_on: SeriesHeader,
    patient: PatientIdentity,
    *,
    series_uid: str,
    instance_uid: str,
    drawn_at: datetime,
    generated: Generated = "MANUAL",
) -> Path:
    """Write contours drawn on one image series.

    Parameters
    ----------
    contours
        As :func:`lutra.segment.contours_of_region` gives them for regions of voxels.
    generated
        (3006,0036): how they came about.

    Raises
    ------
    UsageError
        If there is no contour, or one is in another frame of reference than the image.
    """
    if not any(region.contours_lps_mm for region in contours):
        raise UsageError("there is no contour to write", required="at least one region with a closed contour")
    for region in contours:
        if region.frame_of_reference != drawn_on.frame_of_reference:
            raise UsageError(
                f"contours of {region.name} are in another frame of reference than series {drawn_on.series_uid}"
            )
    file = Dataset()
    file.SpecificCharacterSet = "ISO_IR 192"
    file.SOPClassUID = RTStructureSetStorage
    file.SOPInstanceUID = instance_uid
    file.Modality = "RTSTRUCT"
    file.StudyInstanceUID = drawn_on.study_uid
    file.SeriesInstanceUID = series_uid
    file.SeriesNumber = 2
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = drawn_on.frame_of_reference, ""
    file.StudyID = file.AccessionNumber = file.ReferringPhysicianName = file.OperatorsName = ""
    file.Manufacturer = drawn_on.manufacturer
    patient_module(file, patient)
    file.TimezoneOffsetFromUTC = offset_text(drawn_at)
    file.StudyDate = file.SeriesDate = file.StructureSetDate = date_text(drawn_at)
    file.StudyTime = file.SeriesTime = file.StructureSetTime = time_text(drawn_at)
    file.StructureSetLabel = "LESIONS"
    file.ReferencedFrameOfReferenceSequence = [_reference(drawn_on)]
    file.StructureSetROISequence = [_roi(n, region, generated) for n, region in enumerate(contours, start=1)]
    file.ROIContourSequence = [_polygons(n, region, drawn_on) for n, region in enumerate(contours, start=1)]
    file.RTROIObservationsSequence = [_observation(n) for n in range(1, len(contours) + 1)]
    file.ApprovalStatus = "UNAPPROVED"
    long = any(points.size > LONGEST_EXPLICIT for region in contours for points in region.contours_lps_mm)
    save(path, file, implicit=long)
    return path


def _reference(drawn_on: SeriesHeader) -> Dataset:
    images = []
    for uid in dict.fromkeys(drawn_on.instances):
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = drawn_on.sop_class_uid, uid
        images.append(image)
    series = Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = drawn_on.series_uid, images
    study = Dataset()
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, as PS3.3 C.8.8.5 asks
    study.ReferencedSOPInstanceUID, study.RTReferencedSeriesSequence = drawn_on.study_uid, [series]
    frame = Dataset()
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = drawn_on.frame_of_reference, [study]
    return frame


def _roi(number: int, region: ContourSet, generated: Generated) -> Dataset:
    roi = Dataset()
    roi.ROINumber, roi.ROIName = number, region.name
    roi.ReferencedFrameOfReferenceUID = region.frame_of_reference
    roi.ROIGenerationAlgorithm = generated
    return roi


def _polygons(number: int, region: ContourSet, drawn_on: SeriesHeader) -> Dataset:
    polygons = []
    for points in region.contours_lps_mm:
        polygon = Dataset()
        image = _image_under(points, drawn_on)
        if image:
            polygon.ContourImageSequence = [image]
        polygon.ContourGeometricType = "CLOSED_PLANAR"
        polygon.NumberOfContourPoints = len(points)
        polygon[CONTOUR_DATA] = _decimals(points)
        polygons.append(polygon)
    item = Dataset()
    item.ReferencedROINumber, item.ContourSequence = number, polygons
    return item


def _decimals(points: npt.NDArray[np.float64]) -> DataElement:
    """Coordinates as they stand in the file: checking each of some ten thousand numbers takes longer than everything else."""
    text = "\\".join([f"{x:.4f}" for x in points.ravel().tolist()])
    return DataElement(CONTOUR_DATA, "DS", text, already_converted=True)


def _image_under(points: npt.NDArray[np.float64], drawn_on: SeriesHeader) -> Dataset | None:
    """Slice that a contour was drawn on; None between slices, across them, or where the header names no slice of each."""
    if drawn_on.grid is None or len(drawn_on.instances) != drawn_on.grid.shape[2]:
        return None
    level = drawn_on.grid.to_ijk(points)[:, 2]
    k = int(np.rint(level[0]))
    if np.abs(level - k).max() > ON_SLICE or not 0 <= k < len(drawn_on.instances):
        return None
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = drawn_on.sop_class_uid, drawn_on.instances[k]
    if drawn_on.frame_indices:
        image.ReferencedFrameNumber = drawn_on.frame_indices[k] + 1
    return image


def _observation(number: int) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = number
    observation.RTROIInterpretedType = observation.ROIInterpreter = ""
    return observation
