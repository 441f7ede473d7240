"""What every test may ask for."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# A landing must not hang on a lucky draw: CI repeats the same examples, everybody else searches on.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the reference data, which is not part of the project."""
    if not SHARED_DATA.is_dir():
        reason = "the reference data folder ../shared/data is not beside the repository"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED_DATA


@pytest.fixture(scope="session")
def archive(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpack `data/dicom/NAME.tar.*` once per test run and return its folder."""
    unpacked: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        if name not in unpacked:
            (packed,) = (shared_data / "dicom").glob(f"{name}.tar.*")
            unpacked[name] = tmp_path_factory.mktemp(name)
            with tarfile.open(packed) as tar:
                tar.extractall(unpacked[name], filter="data")
        return unpacked[name]

    return unpack


def _instance(n: int = 1, patient: str = "P1", syntax: str = ExplicitVRLittleEndian, **change: Any) -> bytes:
    """A small CT slice as a file's bytes; `n` makes it another instance, `change` sets attributes."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.10.1.{n}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.3.{patient[1:]}", f"1.2.3.{patient[1:]}.1"
    dataset.PatientID, dataset.PatientName, dataset.Modality = patient, patient, "CT"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20260112", "120000", "1", "A1"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, n
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 5 * n], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness, dataset.FrameOfReferenceUID = [2, 2], 5, "1.2.3.4"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 4, 6, 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
    dataset.PixelData = bytes(range(48))
    for name, value in change.items():
        setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True, implicit_vr=UID(syntax).is_implicit_VR, little_endian=True)
    return out.getvalue()


@pytest.fixture(scope="session")
def instance() -> Callable[..., bytes]:
    """Make the bytes of a small CT slice; see `_instance`."""
    return _instance
