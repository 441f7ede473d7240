"""Dose maps written and read again, by Lutra, pydicom and SimpleITK."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export.rtdose import write_rtdose
from lutra.ingest.dose_grid import read_dose_grid

AFFINE = np.array([[4.0, 0, 0, -40], [0, 3.0, 0, -30], [0, 0, 5.0, 12.5], [0, 0, 0, 1]])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A slice of the study that the dose is of."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.20"
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = "1.2.3.9"
    file.PatientID, file.PatientName, file.PatientSex, file.PatientBirthDate = "P-1", "One^Patient", "F", ""
    file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = "1.2.3", "1.2.4", "1.2.5"
    file.StudyDate, file.StudyTime, file.StudyID = "20260105", "090000", "1"
    file.AccessionNumber = file.ReferringPhysicianName = ""
    file.ClinicalTrialSponsorName, file.ClinicalTrialProtocolID = "Sponsor", "TRIAL-1"
    file.ClinicalTrialProtocolName = file.ClinicalTrialSiteID = file.ClinicalTrialSiteName = ""
    file.ClinicalTrialSubjectID = "P-1"
    file.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    return tmp_path / "image.dcm"


def _dose(seed: int = 1) -> Volume:
    values = np.random.default_rng(seed).gamma(0.5, 20.0, (7, 6, 4))
    return Volume(values, Grid((7, 6, 4), AFFINE, "1.2.5"), Unit.GY)


def _write(path: Path, image: Path, dose: Volume, cycles: int = 1) -> Path:
    at = datetime(2026, 2, 1, 10, tzinfo=UTC)
    return write_rtdose(
        path, dose, image, series_uid="1.2.7", instance_uid="1.2.8", made_at=at, comment="cycle 1", cycles=cycles
    )


def test_the_numbers_come_back(tmp_path: Path, image: Path) -> None:
    dose = _dose()
    back = read_dose_grid(_write(tmp_path / "dose.dcm", image, dose))
    assert back.value is not None
    assert back.findings == ()
    assert back.value.grid.matches(dose.grid)
    assert np.abs(back.value.values - dose.values).max() < 1e-9 * dose.values.max()


def test_another_program_finds_the_same_dose_in_the_same_place(tmp_path: Path, image: Path) -> None:
    dose = _dose()
    read = SimpleITK.ReadImage(str(_write(tmp_path / "dose.dcm", image, dose)))
    scaling = float(pydicom.dcmread(tmp_path / "dose.dcm").DoseGridScaling)
    voxels = SimpleITK.GetArrayFromImage(read).transpose(2, 1, 0)
    factor = scaling if np.issubdtype(voxels.dtype, np.integer) else 1.0
    assert np.allclose(voxels * factor, dose.values, atol=1e-6 * dose.values.max())
    assert read.GetOrigin() == pytest.approx((-40, -30, 12.5))
    assert read.GetSpacing() == pytest.approx((4, 3, 5))


def test_it_is_of_the_patient_study_frame_and_trial_of_the_image(tmp_path: Path, image: Path) -> None:
    file = pydicom.dcmread(_write(tmp_path / "dose.dcm", image, _dose(), cycles=2))
    assert (file.PatientID, file.StudyInstanceUID, file.FrameOfReferenceUID) == ("P-1", "1.2.3", "1.2.5")
    assert file.ClinicalTrialProtocolID == "TRIAL-1"
    assert (file.DoseUnits, file.DoseType, file.DoseSummationType) == ("GY", "PHYSICAL", "MULTI_PLAN")


def test_what_is_no_dose_is_refused(tmp_path: Path, image: Path) -> None:
    grid = Grid((2, 2, 2), AFFINE)
    with pytest.raises(UsageError, match="is no dose"):
        _write(tmp_path / "a.dcm", image, Volume(np.ones((2, 2, 2)), grid, Unit.HU))
    with pytest.raises(UsageError, match="negative"):
        _write(tmp_path / "a.dcm", image, Volume(-np.ones((2, 2, 2)), grid, Unit.GY))
    with pytest.raises(UsageError, match="right-handed"):
        _write(
            tmp_path / "a.dcm",
            image,
            Volume(np.ones((2, 2, 2)), Grid((2, 2, 2), AFFINE @ np.diag([1, 1, -1, 1])), Unit.GY),
        )


def test_nothing_but_zero_is_a_dose_too(tmp_path: Path, image: Path) -> None:
    back = read_dose_grid(
        _write(tmp_path / "dose.dcm", image, Volume(np.zeros((2, 2, 2)), Grid((2, 2, 2), AFFINE), Unit.GY))
    )
    assert back.value is not None
    assert not back.value.values.any()


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_misses_the_plan_alone(tmp_path: Path, image: Path) -> None:
    """The tool stops at 32 bit pixels, so that 16 are shown to it; there is no plan in radionuclide therapy to refer to."""
    file = pydicom.dcmread(_write(tmp_path / "dose.dcm", image, _dose()))
    stored = file.pixel_array
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit = 15
    file.PixelData = (stored >> 16).astype("<u2").tobytes()
    file.save_as(tmp_path / "short.dcm")
    said = subprocess.run(["dciodvfy", str(tmp_path / "short.dcm")], capture_output=True, text=True, check=False).stderr
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    assert errors == [
        "Error - Missing attribute Type 1C Conditional Element=<ReferencedRTPlanSequence> Module=<RTDose>"
    ]
