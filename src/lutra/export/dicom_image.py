"""Volumes as classic single-frame CT, PT and MR slices."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from lutra.core.clinical_trial import ClinicalTrial
from lutra.core.errors import UsageError
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export.part10 import SeriesSaver, date_text, datetime_text, offset_text, on_clock_of, time_text
from lutra.export.pet_private import CNTS, private_elements, stored_scale, told_without_date

STORAGE = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}

NUCLIDE_CODES = {
    "F-18": ("C-111A1", "SRT", "^18^Fluorine"),
    "Ga-68": ("C-131A3", "SRT", "^68^Gallium"),
    "Lu-177": ("C-101ED", "SRT", "177 Lutetium"),
}
"""Code, scheme and meaning per nuclide: DICOM PS3.16 CID 4020, and CID 18 for 177Lu, with the meaning cameras write."""

RECUMBENT, SUPINE, HEAD_FIRST = (
    ("102538003", "SCT", "recumbent"),
    ("40199007", "SCT", "supine"),
    ("102540008", "SCT", "headfirst"),
)
"""PS3.16 CID 19, 20 and 21; what Patient Position HFS says, which PT images must not carry beside these."""

CT_INTERCEPT_HU = -1024
ADC_SLOPE_MM2_PER_S = 1e-6


@frozen
class PatientIdentity:
    """Who the images are of.

    Parameters
    ----------
    sex
        `M`, `F` or `O`.
    trial
        Trial the images belong to; None: nothing is said of one.
    """

    patient_id: str
    name: str
    sex: str
    weight_kg: float
    height_m: float
    trial: ClinicalTrial | None = None


def write_image_series(
    folder: Path, header: SeriesHeader, volume: Volume, patient: PatientIdentity, study_started_at: datetime
) -> tuple[Path, ...]:
    """Write a volume as one file per slice.

    Parameters
    ----------
    header
        Modality CT, PT or MR; UIDs, times with zone, and for PT the radiopharmaceutical and the decay correction. PT of other
        makers' ways: with `stored_unit` CNTS and `vendor_factors` in counts, as Philips; with `scan_reference_at` in GE's private
        element, and then the administration without its date. Where `slice_acquired_at`, `slice_frame_reference_s` and
        `slice_frame_duration_s` are given, each slice has its own times and decay factor.
    volume
        HU for CT, Bq/mL for PT, mm2/s for MR (an ADC map, 1e-6 mm2/s per step). PT is scaled to 16 bits slice by slice; CT
        below -1024 HU and negative ADC cannot be stored and are cut off, as on a scanner.

    Returns
    -------
    tuple of Path
        Files in slice order.

    Raises
    ------
    UsageError
        If the header lacks what the modality needs, does not belong to the volume, or a voxel is not a finite number.
    """
    acquired_at = _require_complete(header, volume)
    saver, paths = SeriesSaver(), []
    slice_, same_time = Dataset(), None
    for k, uid in enumerate(header.instances):
        slice_at = _slice_time(header, acquired_at, k)
        if slice_at != same_time:
            slice_ = common_modules(header, patient, study_started_at, slice_at)
            plane_geometry(slice_, volume, k)
            _modality_module(slice_, header, volume, slice_at)
            same_time = slice_at
        slice_.SOPInstanceUID = uid
        slice_.InstanceNumber = k + 1
        plane_position(slice_, volume, k)
        match header.modality:
            case "CT":
                store_pixels(slice_, volume.values[:, :, k].astype(float) - CT_INTERCEPT_HU, signed=False)
            case "PT":
                _pt_slice(slice_, header, volume, k)
            case _:
                store_pixels(slice_, volume.values[:, :, k].astype(float) / ADC_SLOPE_MM2_PER_S, signed=False)
        path = folder / f"{k + 1:04d}.dcm"
        saver.save(path, slice_)
        paths.append(path)
    return tuple(paths)


def patient_module(dataset: Dataset, patient: PatientIdentity) -> None:
    """Write the patient module, the body measures, and the trial where there is one."""
    dataset.PatientID = patient.patient_id
    dataset.PatientName = patient.name
    dataset.PatientBirthDate = ""
    dataset.PatientSex = patient.sex
    dataset.PatientWeight = f"{patient.weight_kg:.1f}"
    dataset.PatientSize = f"{patient.height_m:.2f}"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Simulated: no person"
    write_trial(dataset, patient.trial)


def write_trial(dataset: Dataset, trial: ClinicalTrial | None) -> None:
    """Write the clinical trial modules; the patient's identifier is that of the subject. None leaves what is there."""
    for keyword, value in trial.elements(str(dataset.PatientID)).items() if trial else ():
        setattr(dataset, keyword, value)


def _require_complete(header: SeriesHeader, volume: Volume) -> datetime:
    """Return the acquisition time of a header from which every required attribute can be written."""
    where = f"series {header.series_uid}"
    if header.modality not in STORAGE or header.acquired_at is None or len(header.instances) != volume.grid.shape[2]:
        raise UsageError(
            f"cannot write modality {header.modality} with {len(header.instances)} instances",
            where=where,
            required="CT, PT or MR with an acquisition time and one instance UID per slice",
        )
    if header.frame_of_reference != volume.grid.frame_of_reference:
        raise UsageError("header and volume are in two frames of reference", where=where)
    per_slice = (header.slice_acquired_at, header.slice_frame_reference_s, header.slice_frame_duration_s)
    if any(len(one) not in {0, volume.grid.shape[2]} for one in per_slice):
        raise UsageError("times of another number of slices", where=where, required="one for every slice, or none")
    if not np.isfinite(volume.values).all():
        raise UsageError("a voxel is not a finite number", where=where, required="numbers that 16 bits can stand for")
    if header.modality == "PT":
        corrected = header.decay_correction not in {None, DecayCorrection.NONE}
        needed = {
            "decay_correction": header.decay_correction,
            "frame_reference_time_s": header.frame_reference_time_s,
            "frame_duration_s": header.frame_duration_s,
            "radiopharmaceutical": header.radiopharmaceutical,
            "decay_factor": header.decay_factor if corrected else 1.0,
        }
        missing = [name for name, value in needed.items() if value is None]
        if missing:
            raise UsageError(f"the header has no {', '.join(missing)}", where=where, required="all of them for PT")
    return header.acquired_at


def common_modules(
    header: SeriesHeader, patient: PatientIdentity, study_started_at: datetime, acquired_at: datetime
) -> Dataset:
    """Attributes that every instance of a series shares."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = STORAGE[header.modality]
    dataset.Modality = header.modality
    dataset.StudyInstanceUID = header.study_uid
    dataset.SeriesInstanceUID = header.series_uid
    dataset.FrameOfReferenceUID = header.frame_of_reference
    dataset.PositionReferenceIndicator = ""
    dataset.ImageType = list(header.image_type)
    dataset.Manufacturer = header.manufacturer
    dataset.ManufacturerModelName = header.model
    dataset.SeriesDescription = header.description
    dataset.SeriesNumber = 1
    dataset.Laterality = ""
    dataset.StudyID = ""
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    patient_module(dataset, patient)
    dataset.TimezoneOffsetFromUTC = offset_text(acquired_at)
    study_started_at = on_clock_of(acquired_at, study_started_at)
    dataset.StudyDate, dataset.StudyTime = date_text(study_started_at), time_text(study_started_at)
    started_at = on_clock_of(acquired_at, header.series_started_at or header.acquired_at or acquired_at)
    dataset.SeriesDate, dataset.SeriesTime = date_text(started_at), time_text(started_at)
    dataset.AcquisitionDate, dataset.AcquisitionTime = date_text(acquired_at), time_text(acquired_at)
    dataset.ContentDate, dataset.ContentTime = dataset.AcquisitionDate, dataset.AcquisitionTime
    return dataset


def plane_geometry(dataset: Dataset, volume: Volume, k: int) -> None:
    """Write where slice `k` is, and that its pixels have 16 bits."""
    affine, spacing = volume.grid.affine_lps_mm, volume.grid.spacing_mm
    directions = affine[:3, :2] / np.array(spacing[:2])
    dataset.ImageOrientationPatient = [decimal_text(x) for x in directions.T.ravel()]
    plane_position(dataset, volume, k)
    dataset.PixelSpacing = [decimal_text(spacing[1]), decimal_text(spacing[0])]  # between rows first
    dataset.SliceThickness = decimal_text(spacing[2])
    dataset.Columns, dataset.Rows = volume.grid.shape[0], volume.grid.shape[1]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15


def plane_position(dataset: Dataset, volume: Volume, k: int) -> None:
    """Write where slice `k` is."""
    dataset.ImagePositionPatient = [decimal_text(x) for x in volume.grid.to_lps_mm((0, 0, k))]


def store_pixels(dataset: Dataset, values: np.ndarray[Any, Any], *, signed: bool) -> None:
    """Write one slice as whole numbers, cut off at the ends of 16 bits. (i, j)"""
    limits = np.iinfo(np.int16 if signed else np.uint16)
    stored = np.clip(np.rint(values), limits.min, limits.max).astype("<i2" if signed else "<u2")
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = np.ascontiguousarray(stored.T).tobytes()  # rows are written one after another


def _modality_module(dataset: Dataset, header: SeriesHeader, volume: Volume, acquired_at: datetime) -> None:
    """Write what the slices of one modality have in common, if they were acquired at the same time."""
    match header.modality:
        case "CT":
            _ct(dataset, volume)
        case "PT":
            _pt(dataset, header, volume, acquired_at)
        case _:
            _adc(dataset, volume)


def _ct(dataset: Dataset, volume: Volume) -> None:
    _require(volume, Unit.HU)
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", str(CT_INTERCEPT_HU), "HU"
    dataset.PatientPosition = "HFS"
    dataset.KVP = "120"
    dataset.AcquisitionNumber = 1


def _adc(dataset: Dataset, volume: Volume) -> None:
    _require(volume, Unit.MM2_PER_S)
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = f"{ADC_SLOPE_MM2_PER_S:g}", "0", "mm2/s"
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "EP", "NONE", ""
    dataset.MRAcquisitionType = "2D"
    dataset.PatientPosition = "HFS"
    dataset.EchoTime, dataset.EchoTrainLength, dataset.RepetitionTime = "", "", ""


def _pt(dataset: Dataset, header: SeriesHeader, volume: Volume, acquired_at: datetime) -> None:
    _require(volume, Unit.BQ_PER_ML)
    assert header.decay_correction is not None and header.radiopharmaceutical is not None  # noqa: S101, PT018  (required)
    dataset.Units = header.stored_unit if header.stored_unit == CNTS else "BQML"
    dataset.DecayCorrection = header.decay_correction.value
    dataset.CorrectedImage = list(header.corrected_image)
    dataset.SeriesType = ["STATIC", "IMAGE"]
    dataset.CountsSource = "EMISSION"
    dataset.CollimatorType = "NONE"
    dataset.NumberOfSlices = volume.grid.shape[2]
    agent = _radiopharmaceutical(header.radiopharmaceutical, acquired_at)
    if told_without_date(header):
        del agent.RadiopharmaceuticalStartDateTime
    dataset.RadiopharmaceuticalInformationSequence = [agent]
    private_elements(dataset, header)
    lying = code_item(*RECUMBENT)
    lying.PatientOrientationModifierCodeSequence = [code_item(*SUPINE)]
    dataset.PatientOrientationCodeSequence = [lying]
    dataset.PatientGantryRelationshipCodeSequence = [code_item(*HEAD_FIRST)]


def _pt_slice(dataset: Dataset, header: SeriesHeader, volume: Volume, k: int) -> None:
    values = volume.values[:, :, k].astype(float) / stored_scale(header)
    # The stored text is what a reader multiplies with, so the pixels are divided by exactly that.
    slope = float(decimal_text(max(float(np.abs(values).max()), 1.0) / np.iinfo(np.int16).max))
    dataset.RescaleSlope, dataset.RescaleIntercept = decimal_text(slope), "0"
    reference_s, duration_s, factor = _frame(header, k)
    dataset.ImageIndex = k + 1
    dataset.FrameReferenceTime = decimal_text(reference_s * 1000)
    dataset.ActualFrameDuration = round(duration_s * 1000)
    if factor is not None:
        dataset.DecayFactor = decimal_text(factor)
    store_pixels(dataset, values / slope, signed=True)


def _slice_time(header: SeriesHeader, acquired_at: datetime, k: int) -> datetime:
    return header.slice_acquired_at[k] if header.slice_acquired_at else acquired_at


def _frame(header: SeriesHeader, k: int) -> tuple[float, float, float | None]:
    """Frame reference time and duration of a slice [s], and its decay factor. [1]"""
    reference_s, duration_s, factor = header.frame_reference_time_s, header.frame_duration_s, header.decay_factor
    assert reference_s is not None and duration_s is not None  # noqa: S101, PT018  (required)
    if not header.slice_frame_reference_s:
        return reference_s, duration_s, factor
    agent, own_s = header.radiopharmaceutical, header.slice_frame_reference_s[k]
    if factor is not None and agent is not None and agent.half_life_s:
        factor *= 2 ** ((own_s - reference_s) / agent.half_life_s)
    return own_s, header.slice_frame_duration_s[k] if header.slice_frame_duration_s else duration_s, factor


def _radiopharmaceutical(agent: Radiopharmaceutical, acquired_at: datetime) -> Dataset:
    if (
        agent.nuclide not in NUCLIDE_CODES
        or agent.administered_at is None
        or not agent.activity_bq
        or not agent.half_life_s
    ):
        raise UsageError(
            f"incomplete radiopharmaceutical {agent}", required=f"one of {', '.join(NUCLIDE_CODES)}, complete"
        )
    item = Dataset()
    item.Radiopharmaceutical = agent.name or ""
    item.RadiopharmaceuticalStartTime = time_text(on_clock_of(acquired_at, agent.administered_at))
    item.RadiopharmaceuticalStartDateTime = datetime_text(agent.administered_at)
    item.RadionuclideTotalDose = decimal_text(agent.activity_bq)
    item.RadionuclideHalfLife = decimal_text(agent.half_life_s)
    item.RadionuclideCodeSequence = [code_item(*NUCLIDE_CODES[agent.nuclide])]
    return item


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    """Make an item of a code sequence."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _require(volume: Volume, unit: Unit) -> None:
    if volume.unit is not unit:
        raise UsageError(f"volume in {volume.unit}", required=unit.value)


def decimal_text(number: float) -> str:
    """DICOM DS: at most 16 characters."""
    for digits in range(15, 0, -1):
        text = f"{number:.{digits}g}"
        if len(text) <= 16:
            return text
    raise UsageError(f"{number} does not fit a decimal string")
