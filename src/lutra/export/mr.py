"""Diffusion series: classic MR slices with b-values, or one enhanced multi-frame object."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage

from lutra.core.errors import UsageError
from lutra.core.study import SeriesHeader, VolumeKey
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export.dicom_image import (
    PatientIdentity,
    common_modules,
    decimal_text,
    plane_geometry,
    plane_position,
    store_pixels,
)
from lutra.export.part10 import SeriesSaver, datetime_text, save
from lutra.export.uids import stable_uid

FULL_SCALE = 65535
WHOLE_BODY = ("38266002", "SCT", "Entire body")
"""PS3.16 CID 4: what a frame shows, where nothing else is known."""


def write_diffusion_series(
    folder: Path,
    header: SeriesHeader,
    volumes: tuple[Volume, ...],
    patient: PatientIdentity,
    study_started_at: datetime,
) -> tuple[Path, ...]:
    """Write the volumes of a diffusion series as one classic file per slice.

    Parameters
    ----------
    header
        Modality MR; one key with a b-value per volume, one instance UID per slice of each volume, volume after volume.
    volumes
        Signals, not negative. Whole numbers up to 65535 are stored as they are, others scaled to 16 bits with one slope for
        the series, so that the signals of all b-values stay on one scale.

    Returns
    -------
    tuple of Path
        Files, volume after volume and slice after slice.

    Raises
    ------
    UsageError
        If header and volumes do not fit each other, or a signal cannot be stored.
    """
    acquired_at, slope = _require_complete(header, volumes, len(volumes) * volumes[0].grid.shape[2]), _slope(volumes)
    slices = volumes[0].grid.shape[2]
    saver, paths = SeriesSaver(), []
    one = common_modules(header, patient, study_started_at, acquired_at)
    plane_geometry(one, volumes[0], 0)
    one.ScanningSequence, one.SequenceVariant, one.ScanOptions, one.MRAcquisitionType = "EP", "NONE", "", "2D"
    one.EchoTime, one.EchoTrainLength, one.RepetitionTime, one.PatientPosition = "", "", "", "HFS"
    if slope != 1:
        one.RescaleSlope, one.RescaleIntercept, one.RescaleType = decimal_text(slope), "0", "US"
    for n, uid in enumerate(header.instances):
        v, k = divmod(n, slices)
        one.SOPInstanceUID, one.InstanceNumber, one.AcquisitionNumber = uid, n + 1, v + 1
        plane_position(one, volumes[v], k)
        b, gradient = _weighting(header.volumes[v])
        one.DiffusionBValue = b
        if gradient is not None:
            one.DiffusionGradientOrientation = list(gradient)
        elif "DiffusionGradientOrientation" in one:
            del one.DiffusionGradientOrientation
        store_pixels(one, volumes[v].values[:, :, k].astype(float) / slope, signed=False)
        path = folder / f"{n + 1:05d}.dcm"
        saver.save(path, one)
        paths.append(path)
    return tuple(paths)


def write_enhanced_diffusion(
    path: Path,
    header: SeriesHeader,
    volumes: tuple[Volume, ...],
    patient: PatientIdentity,
    study_started_at: datetime,
) -> Path:
    """Write the volumes of a diffusion series as one enhanced MR object; see :func:`write_diffusion_series`.

    Parameters
    ----------
    header
        As there, with a single instance UID.
    """
    acquired_at, slope = _require_complete(header, volumes, 1), _slope(volumes)
    one = common_modules(header, patient, study_started_at, acquired_at)
    one.SOPClassUID, one.SOPInstanceUID, one.InstanceNumber = EnhancedMRImageStorage, header.instances[0], 1
    plane = Dataset()
    plane_geometry(plane, volumes[0], 0)
    for tag in ("Columns", "Rows", "SamplesPerPixel", "PhotometricInterpretation"):
        setattr(one, tag, getattr(plane, tag))
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit = 15
    _enhanced_modules(one, header, acquired_at)
    slices = volumes[0].grid.shape[2]
    one.NumberOfFrames = len(volumes) * slices
    one.SharedFunctionalGroupsSequence = [_shared_groups(plane, slope)]
    frames = [(v, k) for v in range(len(volumes)) for k in range(slices)]
    one.PerFrameFunctionalGroupsSequence = [_frame_groups(header, volumes[v], v, k, acquired_at) for v, k in frames]
    stored = np.stack([volumes[v].values[:, :, k].T for v, k in frames]).astype(float) / slope
    one.PixelRepresentation = 0
    one.PixelData = np.rint(stored).astype("<u2").tobytes()
    save(path, one)
    return path


def _require_complete(header: SeriesHeader, volumes: tuple[Volume, ...], instances: int) -> datetime:
    where = f"series {header.series_uid}"
    if header.modality != "MR" or header.acquired_at is None or len(header.volumes) != len(volumes):
        raise UsageError(
            f"cannot write modality {header.modality} with {len(header.volumes)} keys for {len(volumes)} volumes",
            where=where,
            required="MR with an acquisition time and one key per volume",
        )
    if len(header.instances) != instances:
        raise UsageError(f"{len(header.instances)} instance UIDs", where=where, required=f"{instances}")
    for volume in volumes:
        volume.grid.require_match(volumes[0].grid, where)
        if volume.unit is not Unit.STORED or not np.isfinite(volume.values).all() or volume.values.min() < 0:
            raise UsageError(
                f"signals in {volume.unit}, from {volume.values.min():g}",
                where=where,
                required=f"finite signals from 0 on in {Unit.STORED.value}",
            )
    return header.acquired_at


def _slope(volumes: tuple[Volume, ...]) -> float:
    top = max(float(v.values.max()) for v in volumes)
    whole = top <= FULL_SCALE and all(np.array_equal(v.values, np.rint(v.values)) for v in volumes)
    # The stored text is what a reader multiplies with, so the pixels are divided by exactly that.
    return 1.0 if whole else float(decimal_text(max(top, 1e-30) / FULL_SCALE))


def _weighting(key: VolumeKey) -> tuple[float, tuple[float, float, float] | None]:
    if key.b_value_s_per_mm2 is None:
        raise UsageError("a volume without b-value", required="a b-value in every key of a diffusion series")
    return key.b_value_s_per_mm2, key.gradient_lps


def _enhanced_modules(one: Dataset, header: SeriesHeader, acquired_at: datetime) -> None:
    del one.Laterality, one.AcquisitionDate, one.AcquisitionTime
    one.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", "NONE"]
    one.AcquisitionDateTime = datetime_text(acquired_at)
    one.PixelPresentation, one.VolumetricProperties, one.VolumeBasedCalculationTechnique = (
        "MONOCHROME",
        "VOLUME",
        "NONE",
    )
    one.ComplexImageComponent, one.AcquisitionContrast = "MAGNITUDE", "DIFFUSION"
    one.ContentQualification, one.BurnedInAnnotation, one.LossyImageCompression = "RESEARCH", "NO", "00"
    one.PresentationLUTShape, one.PositionReferenceIndicator, one.PatientPosition = "IDENTITY", "", "HFS"
    one.DeviceSerialNumber, one.SoftwareVersions = header.camera.serial_number or "none", "none"
    one.ApplicableSafetyStandardAgency = "IEC"
    one.AcquisitionContextSequence = []
    organisation = Dataset()
    organisation.DimensionOrganizationUID = stable_uid("dimensions", header.series_uid)
    one.DimensionOrganizationSequence = [organisation]
    one.DimensionIndexSequence = [
        _dimension(organisation, 0x00189087, 0x00189117),
        _dimension(organisation, 0x00209057, 0x00209111),
    ]


def _dimension(organisation: Dataset, pointer: int, group: int) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organisation.DimensionOrganizationUID
    item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
    return item


def _shared_groups(plane: Dataset, slope: float) -> Dataset:
    measures = _item(PixelSpacing=plane.PixelSpacing, SliceThickness=plane.SliceThickness)
    measures.SpacingBetweenSlices = plane.SliceThickness
    anatomy = _item(
        FrameLaterality="U",
        AnatomicRegionSequence=[
            _item(CodeValue=WHOLE_BODY[0], CodingSchemeDesignator=WHOLE_BODY[1], CodeMeaning=WHOLE_BODY[2])
        ],
    )
    kind = _item(
        FrameType=["DERIVED", "PRIMARY", "DIFFUSION", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent="MAGNITUDE",
        AcquisitionContrast="DIFFUSION",
    )
    return _item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=plane.ImageOrientationPatient)],
        FrameAnatomySequence=[anatomy],
        MRImageFrameTypeSequence=[kind],
        PixelValueTransformationSequence=[
            _item(RescaleIntercept="0", RescaleSlope=decimal_text(slope), RescaleType="US")
        ],
    )


def _frame_groups(header: SeriesHeader, volume: Volume, v: int, k: int, acquired_at: datetime) -> Dataset:
    b, gradient = _weighting(header.volumes[v])
    diffusion = _item(DiffusionBValue=b, DiffusionDirectionality="NONE" if b == 0 else "ISOTROPIC")
    if b > 0 and gradient is not None:
        diffusion.DiffusionDirectionality = "DIRECTIONAL"
        diffusion.DiffusionGradientDirectionSequence = [_item(DiffusionGradientOrientation=list(gradient))]
    content = _item(
        FrameAcquisitionNumber=v + 1,
        FrameReferenceDateTime=datetime_text(acquired_at),
        FrameAcquisitionDateTime=datetime_text(acquired_at),
        FrameAcquisitionDuration=0.0,
        StackID="1",
        InStackPositionNumber=k + 1,
        DimensionIndexValues=[v + 1, k + 1],
    )
    place = [decimal_text(x) for x in volume.grid.to_lps_mm((0, 0, k))]
    return _item(
        FrameContentSequence=[content],
        PlanePositionSequence=[_item(ImagePositionPatient=place)],
        MRDiffusionSequence=[diffusion],
    )


def _item(**attributes: Any) -> Dataset:
    item = Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return item
