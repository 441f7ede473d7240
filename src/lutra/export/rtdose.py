"""Dose maps as RTDOSE."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import RTDoseStorage

from lutra import __version__
from lutra.core.errors import UsageError
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export.part10 import date_text, header_of, long_string, offset_text, save, time_text

FULL_SCALE = 2**32 - 1
DEIDENTIFIED = (
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)
OF_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
OF_STUDY = ("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName")
"""Elements that a dose has in common with the image it lies on; empty where the image has none."""


def write_rtdose(
    path: Path,
    dose: Volume,
    image: Path,
    *,
    series_uid: str,
    instance_uid: str,
    made_at: datetime,
    comment: str,
    cycles: int = 1,
) -> Path:
    """Write absorbed dose per voxel.

    There is no plan in radionuclide therapy: nothing is referred to by ReferencedRTPlanSequence, and the whole dose of what the
    comment names stands as `PLAN` (one cycle) or `MULTI_PLAN` (several).

    Parameters
    ----------
    dose
        [Gy] Rows, columns and slices of its grid must be those of patient axes or a rotation of them.
    image
        A file of the series whose study and frame of reference the dose has; who the patient is is read
        from it.
    comment
        What was added up, and by which engine.
    cycles
        How many cycles are in it.

    Raises
    ------
    UsageError
        If the volume is not a dose, or not finite and 0 or more everywhere.
    Unreadable
        If the image cannot be read.
    """
    values = np.asarray(dose.values, dtype=np.float64)
    if dose.unit is not Unit.GY:
        raise UsageError(f"a volume in {dose.unit.value} is no dose", required="Gy")
    if not np.isfinite(values).all() or values.min(initial=0.0) < 0:
        raise UsageError("a dose that is negative or not finite", required="0 or more everywhere")
    header = header_of(image)
    file = Dataset()
    file.SpecificCharacterSet = "ISO_IR 192"
    file.SOPClassUID, file.SOPInstanceUID = RTDoseStorage, instance_uid
    file.Modality = "RTDOSE"
    for keyword in (*OF_PATIENT, *OF_STUDY):
        setattr(file, keyword, getattr(header, keyword, None))
    copy_trial(file, header)
    file.SeriesInstanceUID = series_uid
    file.SeriesNumber, file.InstanceNumber = 90, 1
    file.FrameOfReferenceUID, file.PositionReferenceIndicator = header.FrameOfReferenceUID, ""
    file.OperatorsName = ""
    file.Manufacturer, file.ManufacturerModelName, file.SoftwareVersions = "Lutra", "Lutra", __version__
    file.TimezoneOffsetFromUTC = offset_text(made_at)
    file.SeriesDate = file.InstanceCreationDate = date_text(made_at)
    file.SeriesTime = file.InstanceCreationTime = time_text(made_at)
    _pixels(file, values, dose)
    file.DoseUnits, file.DoseType = "GY", "PHYSICAL"
    file.DoseSummationType = "PLAN" if cycles == 1 else "MULTI_PLAN"
    file.TissueHeterogeneityCorrection = "IMAGE"
    file.DoseComment = long_string(comment)
    save(path, file)
    return path


def copy_trial(file: Dataset, header: Dataset) -> None:
    """Take over what an image says of its clinical trial and of its de-identification."""
    for element in header:
        if element.keyword.startswith("ClinicalTrial") or element.keyword in DEIDENTIFIED:
            file[element.tag] = element


def _pixels(file: Dataset, values: np.ndarray, dose: Volume) -> None:
    columns, rows, slices = values.shape
    scaling = float(f"{float(values.max(initial=0.0)) / FULL_SCALE or 1.0:.10g}")
    stored = np.minimum(np.rint(values / scaling), FULL_SCALE).astype("<u4")
    affine = dose.grid.affine_lps_mm
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / spacing
    if np.linalg.det(directions) < 0:
        raise UsageError("a grid whose slices run against its rows and columns", required="a right-handed grid")
    file.Rows, file.Columns, file.NumberOfFrames = rows, columns, slices
    file.PixelSpacing = [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"]
    file.SliceThickness = f"{spacing[2]:.10g}"
    file.ImageOrientationPatient = [f"{c:.10g}" for c in (*directions[:, 0], *directions[:, 1])]
    file.ImagePositionPatient = [f"{c:.10g}" for c in affine[:3, 3]]
    file.FrameIncrementPointer = 0x3004000C
    file.GridFrameOffsetVector = [f"{n * spacing[2]:.10g}" for n in range(slices)]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 32
    file.HighBit, file.PixelRepresentation = 31, 0
    file.DoseGridScaling = f"{scaling:.10g}"
    file.PixelData = np.ascontiguousarray(stored.transpose(2, 1, 0)).tobytes()
