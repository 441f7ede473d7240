"""Structured reports of lesions, read again with highdicom."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from attrs import evolve
from highdicom.sr import srread
from highdicom.sr.utils import find_content_items
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from lutra.core.errors import UsageError
from lutra.export.measurement_report import LesionMeasurements, Verified, write_measurement_report
from lutra.export.quantities import QUANTITIES

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
        file.ClinicalTrialSponsorName, file.ClinicalTrialProtocolID = "Sponsor", "TRIAL-1"
        file.ClinicalTrialProtocolName = file.ClinicalTrialSiteID = file.ClinicalTrialSiteName = ""
        file.ClinicalTrialSubjectID = "P-1"
        file.save_as(tmp_path / f"{n}.dcm", enforce_file_format=True)
        paths.append(tmp_path / f"{n}.dcm")
    return paths


def _write(
    path: Path, images: list[Path], lesions: tuple[LesionMeasurements, ...] = LESIONS, **more: Path | Verified
) -> Path:
    at = datetime(2026, 2, 1, 10, tzinfo=UTC)
    return write_measurement_report(
        path, lesions, images, series_uid="1.2.7", instance_uid="1.2.8", made_at=at, title="Lesions, PET", **more
    )


SIGNED = Verified("A. Reader", datetime(2026, 1, 30, 16, 5, tzinfo=UTC), "study DEMO")


@pytest.fixture
def segmentation(tmp_path: Path) -> Path:
    """Head of a segmentation; what is in it does not matter here."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = "1.2.3.50"
    file.PatientID, file.StudyInstanceUID, file.SeriesInstanceUID = "P-1", "1.2.3", "1.2.6"
    file.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    return tmp_path / "seg.dcm"


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
    evidence = file.get("CurrentRequestedProcedureEvidenceSequence") or file.PertinentOtherEvidenceSequence
    (series,) = evidence[0].ReferencedSeriesSequence
    assert [i.ReferencedSOPInstanceUID for i in series.ReferencedSOPSequence] == ["1.2.3.1", "1.2.3.2"]
    assert (file.PatientID, file.StudyInstanceUID) == ("P-1", "1.2.3")
    assert (file.ClinicalTrialSponsorName, file.ClinicalTrialSubjectID) == ("Sponsor", "P-1")


def test_signed_it_is_final_and_names_who_and_when(tmp_path: Path, images: list[Path]) -> None:
    file = pydicom.dcmread(_write(tmp_path / "a.dcm", images, verified=SIGNED))
    assert (file.CompletionFlag, file.PreliminaryFlag, file.VerificationFlag) == ("COMPLETE", "FINAL", "VERIFIED")
    (observer,) = file.VerifyingObserverSequence
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("A. Reader", "study DEMO")
    assert observer.VerificationDateTime.startswith("20260130160500")


def test_a_lesion_refers_to_its_segment(tmp_path: Path, images: list[Path], segmentation: Path) -> None:
    lesions = (evolve(LESIONS[0], segment=3), LESIONS[1])
    file = srread(_write(tmp_path / "sr.dcm", images, lesions, segmentation=segmentation))
    (with_segment,) = file.content.get_volumetric_roi_measurement_groups()
    assert (with_segment.tracking_uid, len(with_segment.get_measurements())) == ("1.2.30.1", 3)
    (reference,) = find_content_items(with_segment[0], name=codes.DCM.ReferencedSegment, recursive=True)
    assert reference.referenced_sop_instance_uid == "1.2.3.50"
    assert list(reference.referenced_segment_numbers) == [3]
    assert [g.tracking_uid for g in file.content.get_image_measurement_groups()] == ["1.2.30.2"]
    evidence = file.get("CurrentRequestedProcedureEvidenceSequence") or file.PertinentOtherEvidenceSequence
    assert {s.SeriesInstanceUID for s in evidence[0].ReferencedSeriesSequence} == {"1.2.4", "1.2.6"}


@pytest.mark.skipif(shutil.which("tid1500reader") is None, reason="dcmqi is not installed")
def test_dcmqi_reads_the_same(tmp_path: Path, images: list[Path], segmentation: Path) -> None:
    lesions = tuple(evolve(lesion, segment=n) for n, lesion in enumerate(LESIONS, start=1))
    path = _write(tmp_path / "sr.dcm", images, lesions, segmentation=segmentation)
    out = tmp_path / "sr.json"
    subprocess.run(["tid1500reader", "--inputDICOM", path, "--outputMetadata", out], check=True, capture_output=True)
    found = json.loads(out.read_text())["Measurements"]
    numbers = [
        [(i["quantity"]["CodeValue"], float(i["value"]), i["units"]["CodeValue"]) for i in g["measurementItems"]]
        for g in found
    ]
    assert numbers[0] == [("126401", 12.345678, "{SUVbw}g/ml"), ("118565006", 4.5, "ml"), ("103339001", 23.25, "mm")]
    assert [g["TrackingUniqueIdentifier"] for g in found] == ["1.2.30.1", "1.2.30.2"]
    assert [g["ReferencedSegment"] for g in found] == [1, 2]


def test_nothing_to_say_is_refused(tmp_path: Path, images: list[Path]) -> None:
    with pytest.raises(UsageError, match="nothing to report"):
        _write(tmp_path / "sr.dcm", images, (LesionMeasurements("L01", "1.2.3", (("unknown", 1.0),)),))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_has_nothing_to_say(tmp_path: Path, images: list[Path], segmentation: Path) -> None:
    lesions = (evolve(LESIONS[0], segment=3), LESIONS[1])
    path = _write(tmp_path / "sr.dcm", images, lesions, segmentation=segmentation, verified=SIGNED)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
