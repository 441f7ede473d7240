"""Structured reports of lesions, read again with highdicom."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from highdicom.sr import srread
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from lutra.core.errors import UsageError
from lutra.export.measurement_report import QUANTITIES, LesionMeasurements, write_measurement_report

LESIONS = (
    LesionMeasurements(
        "L01 liver segment 6", "1.2.30.1", (("suv_max", 12.345678), ("volume", 4.5), ("longest_diameter", 23.25))
    ),
    LesionMeasurements("L02 node", "1.2.30.2", (("absorbed_dose", 37.5), ("adc_mean", 0.00123), ("unknown", 1.0))),
)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Two slices of a PET."""
    paths = []
    for n in (1, 2):
        file = Dataset()
        file.file_meta = FileMetaDataset()
        file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{n}"
        file.PatientID, file.PatientName, file.PatientSex, file.PatientBirthDate = "P-1", "One^Patient", "F", ""
        file.StudyInstanceUID, file.SeriesInstanceUID, file.FrameOfReferenceUID = "1.2.3", "1.2.4", "1.2.5"
        file.StudyDate, file.StudyTime, file.StudyID, file.Modality = "20260105", "090000", "1", "PT"
        file.AccessionNumber = file.ReferringPhysicianName = ""
        file.save_as(tmp_path / f"{n}.dcm", enforce_file_format=True)
        paths.append(tmp_path / f"{n}.dcm")
    return paths


def _write(
    path: Path, images: list[Path], lesions: tuple[LesionMeasurements, ...] = LESIONS, *, final: bool = False
) -> Path:
    at = datetime(2026, 2, 1, 10, tzinfo=UTC)
    return write_measurement_report(
        path, lesions, images, series_uid="1.2.7", instance_uid="1.2.8", made_at=at, title="Lesions, PET", final=final
    )


def test_numbers_units_and_identities_come_back(tmp_path: Path, images: list[Path]) -> None:
    report = srread(_write(tmp_path / "sr.dcm", images)).content
    groups = report.get_image_measurement_groups()
    assert [g.tracking_identifier for g in groups] == ["L01 liver segment 6", "L02 node"]
    assert [g.tracking_uid for g in groups] == ["1.2.30.1", "1.2.30.2"]
    found = [[(m.name.value, m.value, m.unit.value) for m in g.get_measurements()] for g in groups]
    assert found == [
        [("126401", 12.345678, "{SUVbw}g/ml"), ("118565006", 4.5, "ml"), ("103339001", 23.25, "mm")],
        [("128513", 37.5, "Gy"), ("113041", 0.00123, "mm2/s")],
    ]


def test_every_quantity_has_codes(tmp_path: Path, images: list[Path]) -> None:
    every = LesionMeasurements("L01", "1.2.30.1", tuple((name, 1.5) for name in QUANTITIES))
    groups = srread(_write(tmp_path / "sr.dcm", images, (every,))).content.get_image_measurement_groups()
    assert len(groups[0].get_measurements()) == len(QUANTITIES)


def test_it_is_preliminary_until_signed_and_refers_to_every_image(tmp_path: Path, images: list[Path]) -> None:
    file = pydicom.dcmread(_write(tmp_path / "a.dcm", images))
    assert (file.CompletionFlag, file.PreliminaryFlag, file.VerificationFlag) == (
        "PARTIAL",
        "PRELIMINARY",
        "UNVERIFIED",
    )
    assert pydicom.dcmread(_write(tmp_path / "b.dcm", images, final=True)).PreliminaryFlag == "FINAL"
    evidence = file.get("CurrentRequestedProcedureEvidenceSequence") or file.PertinentOtherEvidenceSequence
    (series,) = evidence[0].ReferencedSeriesSequence
    assert [i.ReferencedSOPInstanceUID for i in series.ReferencedSOPSequence] == ["1.2.3.1", "1.2.3.2"]
    assert (file.PatientID, file.StudyInstanceUID) == ("P-1", "1.2.3")


def test_nothing_to_say_is_refused(tmp_path: Path, images: list[Path]) -> None:
    with pytest.raises(UsageError, match="nothing to report"):
        _write(tmp_path / "sr.dcm", images, (LesionMeasurements("L01", "1.2.3", (("unknown", 1.0),)),))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_has_nothing_to_say(tmp_path: Path, images: list[Path]) -> None:
    path = _write(tmp_path / "sr.dcm", images)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
