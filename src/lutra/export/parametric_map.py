"""Volumes of a quantity as DICOM parametric maps, in floating point, with highdicom."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from pydicom import Dataset

from lutra import __version__
from lutra.core.errors import UsageError
from lutra.core.region import ConceptCode
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export.part10 import long_string, save, stamp
from lutra.export.source_images import source_images

QUANTITY = {
    Unit.MM2_PER_S: ConceptCode("113041", "DCM", "Apparent Diffusion Coefficient"),
    Unit.GY: ConceptCode("128513", "DCM", "Absorbed Dose"),
}
"""What a volume in this unit is here [PS3.16 CID 7180 and annex D]."""
UNIT_NAME = {Unit.MM2_PER_S: "square millimeter per second", Unit.GY: "gray"}


def write_parametric_map(
    path: Path,
    volume: Volume,
    images: Sequence[Path],
    drawn_on: SeriesHeader,
    *,
    series_uid: str,
    instance_uid: str,
    made_at: datetime,
    description: str,
) -> Path:
    """Write a quantity on the slices of an image series, 32 bit floats that are the values themselves.

    A voxel without a value is written as not-a-number.

    Parameters
    ----------
    volume
        ADC or absorbed dose. [mm2/s, Gy]
    images
        The files of the series; who the patient is and what is referred to is read from them.
    drawn_on
        Header of the series.

    Raises
    ------
    UsageError
        If the volume is of another quantity, on another grid than the series, or without any value.
    Unreadable
        If an image cannot be read.
    """
    if volume.unit not in QUANTITY:
        raise UsageError(f"a volume in {volume.unit.value}", required=" or ".join(unit.value for unit in QUANTITY))
    if drawn_on.grid is None:
        raise UsageError("a series without geometry", where=drawn_on.series_uid, required="an image")
    volume.grid.require_match(drawn_on.grid, "parametric map")
    known = volume.values[np.isfinite(volume.values)]
    if not known.size:
        raise UsageError("no voxel has a value", where=drawn_on.series_uid)
    sources, slices = source_images(images, drawn_on, 0, volume.grid.shape[2])
    low, high = float(known.min()), float(known.max())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom has an opinion on patient names; they are the source's
        file = ParametricMap(
            source_images=sources,
            pixel_array=np.ascontiguousarray(volume.values[:, :, slices].transpose(2, 1, 0), np.float32),
            series_instance_uid=series_uid,
            series_number=110,
            sop_instance_uid=instance_uid,
            instance_number=1,
            manufacturer="Lutra",
            manufacturer_model_name="Lutra",
            software_versions=__version__,
            device_serial_number="1",
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[_mapping(volume.unit, low, high)],
            voi_lut_transformations=[
                VOILUTTransformation((low + high) / 2, max(high - low, 1e-9), voi_lut_function="LINEAR_EXACT")
            ],
            content_description=long_string(description),
        )
    file.SeriesDescription, file.ContentCreatorName = long_string(description), ""
    file.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anatomy()]
    _from_first_to_last(file, volume)
    stamp(file, made_at, instance_uid)
    save(path, file)
    return path


def _mapping(unit: Unit, low: float, high: float) -> RealWorldValueMapping:
    what = QUANTITY[unit]
    return RealWorldValueMapping(
        lut_label=unit.value[:16],
        lut_explanation=f"{what.meaning} in {unit.value}",
        unit=CodedConcept(unit.value, "UCUM", UNIT_NAME[unit]),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=CodedConcept(what.value, what.scheme, what.meaning),
    )


def _from_first_to_last(file: Dataset, volume: Volume) -> None:
    """Put the frames in the order of the slices: highdicom starts with the last, and dcmqi takes them as they come."""
    frames = list(file.PerFrameFunctionalGroupsSequence)
    positions = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]
    order = np.argsort(volume.grid.to_ijk(np.array(positions, np.float64))[:, 2])
    for number, n in enumerate(order, start=1):
        frames[n].FrameContentSequence[0].DimensionIndexValues = number
    file.PerFrameFunctionalGroupsSequence = [frames[n] for n in order]
    file.FloatPixelData = np.ascontiguousarray(volume.values.transpose(2, 1, 0), "<f4").tobytes()


def _anatomy() -> Dataset:
    """Frame Anatomy (0020,9071), without which some readers stop: of whatever the image shows."""
    region, anatomy = Dataset(), Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "38266002", "SCT", "Entire Body"  # CID 4031
    anatomy.FrameLaterality, anatomy.AnatomicRegionSequence = "U", [region]
    return anatomy
