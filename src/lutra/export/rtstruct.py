"""Contours as RTSTRUCT."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import RTStructureSetStorage

from lutra.core.errors import UsageError
from lutra.core.region import ContourSet
from lutra.core.study import SeriesHeader
from lutra.export.dicom_image import PatientIdentity, patient_module
from lutra.export.part10 import date_text, offset_text, save, time_text


def write_rtstruct(
    path: Path,
    contours: Sequence[ContourSet],
    drawn_on: SeriesHeader,
    patient: PatientIdentity,
    *,
    series_uid: str,
    instance_uid: str,
    drawn_at: datetime,
) -> Path:
    """Write contours drawn on one image series.

    Raises
    ------
    UsageError
        If a contour is in another frame of reference than the image.
    """
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
    file.StructureSetROISequence = [_roi(n, region) for n, region in enumerate(contours, start=1)]
    file.ROIContourSequence = [_polygons(n, region) for n, region in enumerate(contours, start=1)]
    file.RTROIObservationsSequence = [_observation(n) for n in range(1, len(contours) + 1)]
    file.ApprovalStatus = "UNAPPROVED"
    save(path, file)
    return path


def _reference(drawn_on: SeriesHeader) -> Dataset:
    images = []
    for uid in drawn_on.instances:
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


def _roi(number: int, region: ContourSet) -> Dataset:
    roi = Dataset()
    roi.ROINumber, roi.ROIName = number, region.name
    roi.ReferencedFrameOfReferenceUID = region.frame_of_reference
    roi.ROIGenerationAlgorithm = "MANUAL"
    return roi


def _polygons(number: int, region: ContourSet) -> Dataset:
    polygons = []
    for points in region.contours_lps_mm:
        polygon = Dataset()
        polygon.ContourGeometricType = "CLOSED_PLANAR"
        polygon.NumberOfContourPoints = len(points)
        polygon.ContourData = [f"{x:.4f}" for x in points.ravel()]
        polygons.append(polygon)
    item = Dataset()
    item.ReferencedROINumber, item.ContourSequence = number, polygons
    return item


def _observation(number: int) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = observation.ReferencedROINumber = number
    observation.RTROIInterpretedType = observation.ROIInterpreter = ""
    return observation
