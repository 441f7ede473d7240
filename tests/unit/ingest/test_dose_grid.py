"""RTDOSE files of either way to write frame offsets, and doses that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lutra.core.finding import Outcome
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest import read_dose_grid, read_stored_dvhs

STORED = np.arange(3 * 2 * 4, dtype=np.uint32).reshape(3, 2, 4)
"""Three frames of two rows and four columns."""


def write(path: Path, **changes: Any) -> Path:
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID, file.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.2", generate_uid()
    file.Modality, file.FrameOfReferenceUID = "RTDOSE", "1.2.9"
    file.NumberOfFrames, file.Rows, file.Columns = STORED.shape
    file.ImagePositionPatient, file.ImageOrientationPatient = [10, 20, -30], [1, 0, 0, 0, 1, 0]
    file.PixelSpacing, file.GridFrameOffsetVector = [2, 1.5], [0, 3, 6]
    file.BitsAllocated = file.BitsStored = 32
    file.HighBit, file.PixelRepresentation, file.SamplesPerPixel = 31, 0, 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.DoseUnits, file.DoseType, file.DoseSummationType, file.DoseGridScaling = "GY", "PHYSICAL", "PLAN", 0.25
    file.PixelData = STORED.tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(file, name)
        else:
            setattr(file, name, value)
    file.save_as(path, enforce_file_format=True)
    return path


def codes(outcome: Outcome[Any]) -> list[str]:
    return [f.code for f in outcome.findings]


@pytest.mark.parametrize(
    ("offsets", "orientation", "last_mm"),
    [
        ([0, 3, 6], [1, 0, 0, 0, 1, 0], [10, 20, -24]),
        ([-30, -27, -24], [1, 0, 0, 0, 1, 0], [10, 20, -24]),
        ([0, -3, -6], [1, 0, 0, 0, 1, 0], [10, 20, -36]),
        ([-30, -33, -36], [1, 0, 0, 0, 1, 0], [10, 20, -36]),
        ([-30, -27, -24], [1, 0, 0, 0, -1, 0], [10, 20, -24]),
        ([0, 3, 6], [1, 0, 0, 0, -1, 0], [10, 20, -36]),
        ([0, 3, 6], [1, 0, 0, 0, 0, -1], [10, 26, -30]),
    ],
)
def test_where_the_last_frame_lies(
    tmp_path: Path, offsets: list[float], orientation: list[float], last_mm: list[float]
) -> None:
    """Offsets from 0 run along the normal; those from the first z are z itself [PS3.3 C.8.8.3.2]."""
    outcome = read_dose_grid(
        write(tmp_path / "d.dcm", GridFrameOffsetVector=offsets, ImageOrientationPatient=orientation)
    )
    dose: Volume = outcome.value
    assert outcome.findings == ()
    assert (dose.unit, dose.grid.frame_of_reference) == (Unit.GY, "1.2.9")
    np.testing.assert_allclose(dose.grid.to_lps_mm((0, 0, 2)), last_mm)
    np.testing.assert_allclose(dose.grid.spacing_mm, (1.5, 2, 3))
    np.testing.assert_allclose(dose.values, STORED.transpose(2, 1, 0) * 0.25)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"DoseUnits": "RELATIVE"}, "3004,0002"),
        ({"DoseType": "EFFECTIVE"}, "3004,0004"),
        ({"DoseGridScaling": 0}, "3004,000E"),
        ({"GridFrameOffsetVector": [0, 3, 7]}, "3004,000C"),
        ({"GridFrameOffsetVector": [0, 3]}, "3004,000C"),
        ({"GridFrameOffsetVector": [5, 8, 11]}, "begin with 5 mm"),
        (
            {"GridFrameOffsetVector": [-30, -27, -24], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1]},
            "begin with -30 mm",
        ),
        ({"GridFrameOffsetVector": None}, "GridFrameOffsetVector"),
        ({"PixelData": STORED.tobytes()[:-8]}, "7FE0,0010"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "0008,0016"),
    ],
)
def test_what_is_no_absorbed_dose_on_a_grid_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    outcome = read_dose_grid(write(tmp_path / "d.dcm", **changes))
    assert outcome.value is None
    assert codes(outcome) == ["ingest.dose-refused"]
    assert says in outcome.findings[0].text


def test_dose_of_a_beam_is_not_of_the_plan(tmp_path: Path) -> None:
    assert codes(read_dose_grid(write(tmp_path / "d.dcm", DoseSummationType="BEAM"))) == ["ingest.dose-in-part"]


def test_stored_histograms(tmp_path: Path) -> None:
    """Bins of 2 Gy, 8 mL above 0, 8 above 2, 2 above 4: mean (8 + 8 + 2) x 2 / 8 Gy. A differential one is left out."""
    histograms = []
    for kind in ("CUMULATIVE", "DIFFERENTIAL"):
        item, roi = pydicom.Dataset(), pydicom.Dataset()
        roi.ReferencedROINumber = 4
        item.DVHType, item.DoseUnits, item.DVHVolumeUnits, item.DVHDoseScaling = kind, "GY", "CM3", 2
        item.DVHData, item.DVHReferencedROISequence = [1, 8, 1, 8, 1, 2], [roi]
        histograms.append(item)
    outcome = read_stored_dvhs(write(tmp_path / "d.dcm", DVHSequence=histograms))
    (stored,) = outcome.value
    assert codes(outcome) == ["ingest.dvh-left-out"]
    assert (stored.roi_number, stored.volume_ml, stored.mean_gy) == (4, 8, 4.5)
