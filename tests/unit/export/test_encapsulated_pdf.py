"""Documents as encapsulated PDF, taken out again by dcmtk."""

from __future__ import annotations

import io
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from lutra.core.errors import UsageError
from lutra.export.encapsulated_pdf import write_encapsulated_pdf


@pytest.fixture
def document() -> bytes:
    """A page by another program."""
    pypdf = pytest.importorskip("pypdf")
    writer, out = pypdf.PdfWriter(), io.BytesIO()
    writer.add_blank_page(100, 100)
    writer.write(out)
    return bytes(out.getvalue())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.20"
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = "1.2.3.9"
    file.PatientID, file.PatientName, file.PatientSex, file.PatientBirthDate = "P-1", "One^Patient", "F", ""
    file.StudyInstanceUID, file.SeriesInstanceUID = "1.2.3", "1.2.4"
    file.StudyDate, file.StudyTime, file.StudyID = "20260105", "090000", "1"
    file.AccessionNumber = file.ReferringPhysicianName = ""
    file.ClinicalTrialSponsorName, file.ClinicalTrialProtocolID = "Sponsor", "TRIAL-1"
    file.ClinicalTrialProtocolName = file.ClinicalTrialSiteID = file.ClinicalTrialSiteName = ""
    file.ClinicalTrialSubjectID = "P-1"
    file.PatientIdentityRemoved, file.DeidentificationMethod = "YES", "by another program"
    file.LongitudinalTemporalInformationModified = "MODIFIED"
    file.save_as(tmp_path / "image.dcm", enforce_file_format=True)
    return tmp_path / "image.dcm"


def write(path: Path, document: bytes, image: Path) -> Path:
    at = datetime(2026, 2, 1, 10, tzinfo=UTC)
    return write_encapsulated_pdf(
        path, document, image, series_uid="1.2.7", instance_uid="1.2.8", made_at=at, title="Dosimetry of P-1"
    )


@pytest.mark.skipif(shutil.which("dcm2pdf") is None, reason="dcmtk is not installed")
@pytest.mark.parametrize("odd", [False, True])
def test_dcmtk_takes_out_what_went_in(tmp_path: Path, document: bytes, image: Path, odd: bool) -> None:
    if len(document) % 2 != odd:
        document += b"\n"
    path = write(tmp_path / "pdf.dcm", document, image)
    subprocess.run(["dcm2pdf", path, tmp_path / "out.pdf"], check=True, capture_output=True)
    assert (tmp_path / "out.pdf").read_bytes().rstrip(b"\0") == document
    assert pydicom.dcmread(path).EncapsulatedDocumentLength == len(document)


def test_it_is_of_the_patient_study_and_trial_of_the_image(tmp_path: Path, document: bytes, image: Path) -> None:
    file = pydicom.dcmread(write(tmp_path / "pdf.dcm", document, image))
    assert (file.PatientID, file.StudyInstanceUID, file.DocumentTitle) == ("P-1", "1.2.3", "Dosimetry of P-1")
    assert (file.ClinicalTrialProtocolID, file.MIMETypeOfEncapsulatedDocument) == ("TRIAL-1", "application/pdf")
    assert (file.PatientIdentityRemoved, file.DeidentificationMethod) == ("YES", "by another program")
    assert file.LongitudinalTemporalInformationModified == "MODIFIED"


def test_anything_else_is_refused(tmp_path: Path, image: Path) -> None:
    with pytest.raises(UsageError, match="no PDF"):
        write(tmp_path / "pdf.dcm", b"<html>", image)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dciodvfy_has_nothing_to_say(tmp_path: Path, document: bytes, image: Path) -> None:
    path = write(tmp_path / "pdf.dcm", document, image)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
