"""Reconstructed SPECT as one multi-frame NM object per series (NM Image Storage, RECON TOMO).

Where NM differs from PET and readers go wrong: the administered activity is in MBq, geometry stands in the Detector Information
Sequence, and the sign of Spacing Between Slices says on which side of the first slice the others lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import NuclearMedicineImageStorage

from lutra.core.errors import UsageError
from lutra.core.study import EnergyWindow, RealWorldMap, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export.dicom_image import (
    HEAD_FIRST,
    NUCLIDE_CODES,
    RECUMBENT,
    SUPINE,
    PatientIdentity,
    code_item,
    decimal_text,
    patient_module,
)
from lutra.export.part10 import date_text, datetime_text, offset_text, save, time_text

IMAGE_TYPE = ("ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION")
BQ_PER_MBQ = 1e6
MS_PER_S = 1000
FULL_SCALE = np.iinfo(np.uint16).max

ENERGY_WINDOW_VECTOR, SLICE_VECTOR = 0x00540010, 0x00540080
UNITS = {Unit.BQ_PER_ML: ("Bq/ml", "Becquerels/milliliter"), Unit.STORED: ("{counts}", "Counts")}
"""UCUM codes of PS3.16 CID 84 with their meaning."""


def write_nm_recon(
    path: Path,
    header: SeriesHeader,
    volumes: Sequence[Volume],
    patient: PatientIdentity,
    study_started_at: datetime,
    *,
    against_normal: bool = False,
) -> Path:
    """Write the volumes of one series, one per energy window, as a multi-frame file.

    Parameters
    ----------
    header
        Modality NM; UIDs (one instance), times with zone, energy windows, camera, radiopharmaceutical, duration of the whole
        acquisition and of one angular view. With a real world map, counts are stored by it; without, as whole numbers.
    volumes
        On one grid; in Bq/mL, or counts as :attr:`~lutra.core.units.Unit.STORED`. Values below zero are cut off, as on a camera.
        Bq/mL carries a real world value mapping. Several energy windows in one RECON TOMO object are what cameras write and the
        standard does not foresee (PS3.3 table C.8-9: Frame Increment Pointer is the Slice Vector); validators say so.
    against_normal
        Store the last slice first, with a negative Spacing Between Slices: the same image.

    Raises
    ------
    UsageError
        If the header lacks what an NM image needs, does not belong to the volumes, or a voxel is not a finite number.
    """
    acquired_at = _require_complete(header, volumes)
    image = _common(header, patient, study_started_at, acquired_at)
    _stacking(image, header, volumes, against_normal=against_normal)
    _isotope(image, header)
    _acquisition(image, header)
    _pixels(image, header, volumes, against_normal=against_normal)
    save(path, image)
    return path


def _require_complete(header: SeriesHeader, volumes: Sequence[Volume]) -> datetime:
    where = f"series {header.series_uid}"
    needed = {
        "acquired_at": header.acquired_at,
        "radiopharmaceutical": header.radiopharmaceutical,
        "acquisition_duration_s": header.acquisition_duration_s,
        "frame_duration_s": header.frame_duration_s,
        "energy_windows": header.energy_windows or None,
    }
    missing = [name for name, value in needed.items() if value is None]
    if header.modality != "NM" or missing or len(set(header.instances)) != 1:
        raise UsageError(
            f"cannot write modality {header.modality} with {len(set(header.instances))} instances; missing: "
            f"{', '.join(missing) or 'nothing'}",
            where=where,
            required="NM, one instance UID, times, energy windows and the radiopharmaceutical",
        )
    if len(volumes) != len(header.energy_windows) or len({v.unit for v in volumes} - set(UNITS)) or len(volumes) == 0:
        raise UsageError(
            f"{len(volumes)} volumes in {', '.join(v.unit for v in volumes)} for {len(header.energy_windows)} energy windows",
            where=where,
            required="one volume per energy window, in Bq/mL or stored counts",
        )
    for volume in volumes:
        volume.grid.require_match(volumes[0].grid, where)
        if not np.isfinite(volume.values).all():
            raise UsageError(
                "a voxel is not a finite number", where=where, required="numbers that 16 bits can stand for"
            )
    if header.frame_of_reference != volumes[0].grid.frame_of_reference:
        raise UsageError("header and volumes are in two frames of reference", where=where)
    assert header.acquired_at is not None  # noqa: S101  (needed)
    return header.acquired_at


def _common(
    header: SeriesHeader, patient: PatientIdentity, study_started_at: datetime, acquired_at: datetime
) -> Dataset:
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = NuclearMedicineImageStorage
    image.SOPInstanceUID = header.instances[0]
    image.Modality = "NM"
    image.StudyInstanceUID, image.SeriesInstanceUID = header.study_uid, header.series_uid
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = header.frame_of_reference, ""
    image.ImageType = list(IMAGE_TYPE)
    camera = header.camera
    image.Manufacturer = camera.manufacturer or header.manufacturer
    image.ManufacturerModelName = camera.model or header.model
    image.DeviceSerialNumber, image.StationName = camera.serial_number, camera.station
    image.SeriesDescription, image.SeriesNumber, image.InstanceNumber = header.description, 1, 1
    image.StudyID = image.AccessionNumber = image.ReferringPhysicianName = image.Laterality = ""
    patient_module(image, patient)
    image.TimezoneOffsetFromUTC = offset_text(acquired_at)
    started_at = header.series_started_at or acquired_at
    image.StudyDate, image.StudyTime = date_text(study_started_at), time_text(study_started_at)
    image.SeriesDate, image.SeriesTime = date_text(started_at), time_text(started_at)
    image.AcquisitionDate, image.AcquisitionTime = date_text(acquired_at), time_text(acquired_at)
    image.ContentDate, image.ContentTime = image.AcquisitionDate, image.AcquisitionTime
    lying = code_item(*RECUMBENT)
    lying.PatientOrientationModifierCodeSequence = [code_item(*SUPINE)]
    image.PatientOrientationCodeSequence = [lying]
    image.PatientGantryRelationshipCodeSequence = [code_item(*HEAD_FIRST)]
    return image


def _stacking(image: Dataset, header: SeriesHeader, volumes: Sequence[Volume], *, against_normal: bool) -> None:
    """Geometry of the first frame, and on which side of it the others lie (PS3.3 C.8.4.11 and C.8.4.15)."""
    grid = volumes[0].grid
    affine, spacing, n_slices = grid.affine_lps_mm, grid.spacing_mm, grid.shape[2]
    row, column = affine[:3, 0] / spacing[0], affine[:3, 1] / spacing[1]
    along = float(np.dot(affine[:3, 2], np.cross(row, column)))
    if abs(abs(along) - spacing[2]) > 1e-6 * spacing[2]:
        raise UsageError(
            "the slices do not lie behind one another along their normal", where=f"series {header.series_uid}"
        )
    detector = Dataset()
    detector.CollimatorGridName, detector.CollimatorType = header.camera.collimator, "PARA"
    detector.ImageOrientationPatient = [decimal_text(x) for x in (*row, *column)]
    first = n_slices - 1 if against_normal else 0
    detector.ImagePositionPatient = [decimal_text(x) for x in grid.to_lps_mm((0, 0, first))]
    image.DetectorInformationSequence = [detector]
    image.NumberOfDetectors = 1
    image.SpacingBetweenSlices = decimal_text(-along if against_normal else along)
    image.SliceThickness = decimal_text(spacing[2])
    image.PixelSpacing = [decimal_text(spacing[1]), decimal_text(spacing[0])]  # between rows first
    image.Columns, image.Rows = grid.shape[0], grid.shape[1]
    image.NumberOfSlices = n_slices
    image.NumberOfEnergyWindows = len(volumes)
    image.NumberOfFrames = n_slices * len(volumes)
    image.FrameIncrementPointer = [SLICE_VECTOR]
    image.SliceVector = [k + 1 for _ in volumes for k in range(n_slices)]
    if len(volumes) > 1:  # the standard knows the slice vector alone for RECON TOMO; cameras write both, and so do we
        image.FrameIncrementPointer = [ENERGY_WINDOW_VECTOR, SLICE_VECTOR]
        image.EnergyWindowVector = [w + 1 for w in range(len(volumes)) for _ in range(n_slices)]


def _isotope(image: Dataset, header: SeriesHeader) -> None:
    agent = header.radiopharmaceutical
    if agent is None or agent.nuclide not in NUCLIDE_CODES or agent.administered_at is None or not agent.activity_bq:
        raise UsageError(
            f"incomplete radiopharmaceutical {agent}", required=f"one of {', '.join(NUCLIDE_CODES)}, complete"
        )
    item = Dataset()
    item.RadionuclideCodeSequence = [code_item(*NUCLIDE_CODES[agent.nuclide])]
    item.Radiopharmaceutical = agent.name or ""
    item.RadiopharmaceuticalStartTime = time_text(agent.administered_at)
    item.RadiopharmaceuticalStartDateTime = datetime_text(agent.administered_at)
    item.RadionuclideTotalDose = decimal_text(agent.activity_bq / BQ_PER_MBQ)  # MBq in NM, Bq in PET (PS3.3 C.8.4.10)
    if agent.half_life_s:
        item.RadionuclideHalfLife = decimal_text(agent.half_life_s)
    image.RadiopharmaceuticalInformationSequence = [item]
    image.EnergyWindowInformationSequence = [_window(window) for window in header.energy_windows]
    image.CorrectedImage = list(header.corrected_image)
    if header.decay_correction is not None:
        image.DecayCorrection = header.decay_correction.value


def _window(window: EnergyWindow) -> Dataset:
    item = Dataset()
    item.EnergyWindowName = window.name
    item.EnergyWindowRangeSequence = []
    for lower, upper in ((window.lower_kev, window.upper_kev), *window.further_kev):
        limits = Dataset()
        limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = decimal_text(lower), decimal_text(upper)
        item.EnergyWindowRangeSequence.append(limits)
    return item


def _acquisition(image: Dataset, header: SeriesHeader) -> None:
    assert header.acquisition_duration_s is not None and header.frame_duration_s is not None  # noqa: S101, PT018  (needed)
    views = max(1, round(header.acquisition_duration_s / header.frame_duration_s))
    rotation = Dataset()
    rotation.StartAngle, rotation.AngularStep = "0", decimal_text(360 / views)
    rotation.RotationDirection, rotation.ScanArc = "CW", "360"
    rotation.ActualFrameDuration = round(header.frame_duration_s * MS_PER_S)
    rotation.NumberOfFramesInRotation = views
    image.RotationInformationSequence = [rotation]
    image.NumberOfRotations = 1


def _pixels(image: Dataset, header: SeriesHeader, volumes: Sequence[Volume], *, against_normal: bool) -> None:
    unit = volumes[0].unit
    highest = max(float(volume.values.max()) for volume in volumes)
    mapping = header.real_world
    if mapping is None and unit is Unit.BQ_PER_ML:
        mapping = RealWorldMap(float(decimal_text(max(highest, 1e-3) / FULL_SCALE)), 0.0, UNITS[unit][0])
    slope, intercept = (mapping.slope, mapping.intercept) if mapping else (1.0, 0.0)
    frames: list[np.ndarray[Any, Any]] = []
    for volume in volumes:
        planes = np.moveaxis(volume.values.astype(np.float64), 2, 0).swapaxes(1, 2)  # (slice, row, column)
        frames.append(planes[::-1] if against_normal else planes)
    stored = np.clip(np.rint((np.concatenate(frames) - intercept) / slope), 0, None)
    if stored.max() > FULL_SCALE:
        raise UsageError(
            f"{stored.max():.0f} does not fit 16 bits", where=f"series {header.series_uid}", required="a larger slope"
        )
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.CountsAccumulated = int(min(stored.sum(), np.iinfo(np.int32).max)) if mapping is None else ""
    if mapping:
        image.RealWorldValueMappingSequence = [_real_world(mapping, unit)]
    image.PixelData = stored.astype("<u2").tobytes()


def _real_world(mapping: RealWorldMap, unit: Unit) -> Dataset:
    item = Dataset()
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, int(FULL_SCALE)
    item.RealWorldValueSlope, item.RealWorldValueIntercept = mapping.slope, mapping.intercept
    item.LUTExplanation, item.LUTLabel = UNITS[unit][1], UNITS[unit][0]
    item.MeasurementUnitsCodeSequence = [code_item(mapping.unit, "UCUM", UNITS[unit][1])]
    return item
