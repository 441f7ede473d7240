"""Transforms as DICOM Spatial Registration, and those with a displacement field as Deformable Spatial Registration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom import Dataset
from pydicom.uid import DeformableSpatialRegistrationStorage, SpatialRegistrationStorage
from pydicom.valuerep import format_number_as_ds

from lutra import __version__
from lutra.core.clinical_trial import ClinicalTrial
from lutra.core.errors import Unreadable, UsageError
from lutra.core.frozen import float64
from lutra.core.region import ConceptCode
from lutra.core.study import SeriesHeader
from lutra.core.transform import DisplacementField, Transform
from lutra.export.dicom_image import write_trial
from lutra.export.part10 import date_text, long_string, offset_text, save, time_text

ORTHONORMAL = 1e-6
"""Largest deviation of a rotation matrix from one. [1]"""
METHOD = {
    "landmark_error_mm": ConceptCode("125022", "DCM", "Fiducial Alignment"),
    "mutual_information": ConceptCode("125024", "DCM", "Image Content-based Alignment"),
}
"""How a registration was made, by the check that only this way leaves in a transform's quality [PS3.16 CID 7100]."""
IDENTITY = ConceptCode("125021", "DCM", "Frame of Reference Identity")
COPIED = ("PatientIdentityRemoved", "LongitudinalTemporalInformationModified")
TRIAL = tuple(ClinicalTrial("", "").elements(""))
"""Of the subject's trial; the time point of one image is not that of a registration of two."""
REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip


def write_spatial_registration(
    path: Path,
    transform: Transform,
    fixed: Sequence[SeriesHeader],
    moving: Sequence[SeriesHeader],
    like: Path,
    *,
    series_uid: str,
    instance_uid: str,
    made_at: datetime,
    made_by: str = "",
    trial: ClinicalTrial | None = None,
) -> Path:
    """Write a transform; the fixed frame of reference is the registered one, the moving frame the source.

    A Spatial Registration holds `fixed_from_moving`, which takes points of the source to the registered frame [PS3.3 C.20.2.1.1].
    A Deformable Spatial Registration goes the other way, as :meth:`~lutra.core.transform.Transform.moving_points` does: the
    offsets of a grid in the registered frame, then a matrix to the source [PS3.3 C.20.3.1.1]. Outside that grid the standard
    says nothing of the displacement.

    Parameters
    ----------
    fixed, moving
        Image series in the two frames, which the file refers to.
    like
        A file of the first fixed series: whose patient, trial and study the registration goes with.
    trial
        In place of the trial that `like` says.

    Raises
    ------
    UsageError
        If a series is in another frame than its side of the transform, or the field's grid is sheared.
    Unreadable
        If `like` cannot be read.
    """
    _require_frames(transform, fixed, moving)
    field = transform.displacement
    file = _common(like, made_at)
    write_trial(file, trial)
    file.SOPClassUID = SpatialRegistrationStorage if field is None else DeformableSpatialRegistrationStorage
    file.SOPInstanceUID, file.SeriesInstanceUID = instance_uid, series_uid
    file.Modality, file.SeriesNumber, file.InstanceNumber = "REG", 900, 1
    file.Laterality = ""
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = transform.fixed_frame, ""
    file.ContentLabel, file.ContentDescription = "REGISTRATION", long_string(transform.method)
    file.ContentCreatorName = made_by
    if field is None:
        file.RegistrationSequence = [
            _item(transform.fixed_frame, fixed, np.eye(4), "registered frame of reference", IDENTITY),
            _item(transform.moving_frame, moving, transform.fixed_from_moving, transform.method, _method(transform)),
        ]
    else:
        file.DeformableRegistrationSequence = [_deformable(transform, field, moving)]
    _references(file, (*fixed, *moving) if field is None else moving)
    save(path, file)
    return path


def _require_frames(transform: Transform, fixed: Sequence[SeriesHeader], moving: Sequence[SeriesHeader]) -> None:
    for side, frame, headers in (("fixed", transform.fixed_frame, fixed), ("moving", transform.moving_frame, moving)):
        if not headers or any(header.frame_of_reference != frame for header in headers):
            raise UsageError(f"{side} series of another frame of reference, or none", required=f"series in {frame}")


def _common(like: Path, made_at: datetime) -> Dataset:
    """Patient and study of another file, equipment and time of this one."""
    try:
        source = pydicom.dcmread(like, stop_before_pixels=True)
        known = {tag: str(source.get(tag) or "") for tag in REQUIRED}
        known |= {tag: str(source.get(tag)) for tag in COPIED if source.get(tag)}
        known |= {tag: str(source.get(tag) or "") for tag in TRIAL if tag in source}
        removed_by = [str(text) for text in _values(source.get("DeidentificationMethod"))]
    except Exception as error:
        raise Unreadable(f"broken DICOM: {error}", where=str(like), do="export it again") from error
    file = Dataset()
    file.SpecificCharacterSet = "ISO_IR 192"
    for tag, value in known.items():
        setattr(file, tag, value)
    if removed_by:
        file.DeidentificationMethod = removed_by
    file.Manufacturer, file.ManufacturerModelName = "Lutra", "Lutra"
    file.DeviceSerialNumber, file.SoftwareVersions = "1", __version__
    file.TimezoneOffsetFromUTC = offset_text(made_at)
    file.SeriesDate = file.ContentDate = date_text(made_at)
    file.SeriesTime = file.ContentTime = time_text(made_at)
    return file


def _values(value: object) -> Iterable[object]:
    return () if value is None else [value] if isinstance(value, str) else value  # type: ignore[return-value]


def _item(
    frame: str,
    headers: Sequence[SeriesHeader],
    matrix: npt.NDArray[np.float64],
    comment: str,
    method: ConceptCode | None,
) -> Dataset:
    registration = Dataset()
    registration.FrameOfReferenceTransformationComment = long_string(comment)
    registration.RegistrationTypeCodeSequence = _coded(method)
    registration.MatrixSequence = [_matrix(matrix)]
    item = Dataset()
    item.FrameOfReferenceUID, item.ReferencedImageSequence = frame, _images(headers)
    item.MatrixRegistrationSequence = [registration]
    return item


def _deformable(transform: Transform, field: DisplacementField, moving: Sequence[SeriesHeader]) -> Dataset:
    item = Dataset()
    item.SourceFrameOfReferenceUID = transform.moving_frame
    item.ReferencedImageSequence = _images(moving)
    item.FrameOfReferenceTransformationComment = long_string(transform.method)
    item.RegistrationTypeCodeSequence = _coded(_method(transform))
    item.PostDeformationMatrixRegistrationSequence = [_matrix(float64(np.linalg.inv(transform.fixed_from_moving)))]
    item.DeformableRegistrationGridSequence = [_grid(field)]
    return item


def _grid(field: DisplacementField) -> Dataset:
    """Offsets by row, column and slice; slices run along the cross product of row and column."""
    affine, vectors = field.grid.affine_lps_mm, field.lps_mm
    spacing = np.array(field.grid.spacing_mm)
    axes = affine[:3, :3] / spacing
    if np.abs(axes.T @ axes - np.eye(3)).max() > ORTHONORMAL:
        raise UsageError("the grid of the displacement field is sheared", required="perpendicular axes (0064,0005)")
    origin = affine[:3, 3]
    if np.linalg.det(axes) < 0:
        origin, vectors = field.grid.to_lps_mm((0, 0, field.grid.shape[2] - 1)), vectors[:, :, ::-1]
    grid = Dataset()
    grid.ImageOrientationPatient = [format_number_as_ds(float(x)) for x in (*axes[:, 0], *axes[:, 1])]
    grid.ImagePositionPatient = [format_number_as_ds(float(x)) for x in origin]
    grid.GridDimensions, grid.GridResolution = list(field.grid.shape), [float(mm) for mm in spacing]
    grid.VectorGridData = np.ascontiguousarray(vectors.transpose(2, 1, 0, 3), "<f4").tobytes()
    return grid


def _matrix(matrix: npt.NDArray[np.float64]) -> Dataset:
    linear = matrix[:3, :3]
    rigid = np.abs(linear.T @ linear - np.eye(3)).max() <= ORTHONORMAL and np.linalg.det(linear) > 0
    item = Dataset()
    item.FrameOfReferenceTransformationMatrix = [format_number_as_ds(float(x)) for x in matrix.ravel()]
    item.FrameOfReferenceTransformationMatrixType = "RIGID" if rigid else "AFFINE"
    return item


def _method(transform: Transform) -> ConceptCode | None:
    return next((code for check, code in METHOD.items() if check in transform.quality), None)


def _coded(code: ConceptCode | None) -> list[Dataset]:
    if code is None:
        return []
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return [item]


def _images(headers: Iterable[SeriesHeader]) -> list[Dataset]:
    images = []
    for header in headers:
        for uid in dict.fromkeys(header.instances):
            image = Dataset()
            image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = header.sop_class_uid, uid
            images.append(image)
    return images


def _references(file: Dataset, headers: Sequence[SeriesHeader]) -> None:
    """Write the Common Instance Reference module: every image by series, those of other studies by study [PS3.3 C.12.2]."""
    by_study: dict[str, list[Dataset]] = {}
    for header in headers:
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedInstanceSequence = header.series_uid, _images([header])
        by_study.setdefault(header.study_uid, []).append(series)
    here = by_study.pop(file.StudyInstanceUID, None)
    if here:
        file.ReferencedSeriesSequence = here
    if by_study:
        others = []
        for uid, listed in by_study.items():
            study = Dataset()
            study.StudyInstanceUID, study.ReferencedSeriesSequence = uid, listed
            others.append(study)
        file.StudiesContainingOtherReferencedInstancesSequence = others
