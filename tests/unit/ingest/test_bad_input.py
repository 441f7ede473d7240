"""Broken folders: each fault gets its name, says file, tag and remedy, and the other series go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lutra.core.finding import Finding, Severity
from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.export.dicom_image import STORAGE
from lutra.ingest import IngestSettings, read_header, read_image, scan

SCAN = datetime(2026, 1, 12, 13, 0, tzinfo=UTC)
SHAPE = (6, 5, 8)
AFFINE = np.array([[2.0, 0, 0, -10], [0, 3.0, 0, 5], [0, 0, 4.0, 100], [0, 0, 0, 1]])


def write_pet(
    folder: Path, name: str = "pet", patient: str = "P1", administered_at: datetime = SCAN - timedelta(hours=1)
) -> list[Path]:
    grid = Grid(SHAPE, AFFINE, stable_uid("frame", name))
    header = SeriesHeader(
        series_uid=stable_uid(name),
        study_uid=stable_uid("study"),
        subject_id=patient,
        modality="PT",
        sop_class_uid=STORAGE["PT"],
        description=name,
        manufacturer="test",
        model="",
        image_type=("ORIGINAL", "PRIMARY"),
        frame_of_reference=grid.frame_of_reference,
        instances=tuple(stable_uid(name, str(k)) for k in range(SHAPE[2])),
        acquired_at=SCAN,
        series_started_at=SCAN,
        stored_unit="BQML",
        decay_correction=DecayCorrection.START,
        corrected_image=("DECY",),
        decay_factor=1.0,
        frame_reference_time_s=60.0,
        frame_duration_s=120.0,
        radiopharmaceutical=Radiopharmaceutical("F-18", "FDG", 3e8, administered_at, 6586.2),
    )
    identity = PatientIdentity(patient, patient, "F", 70, 1.7)
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE) * 10.0
    return list(write_image_series(folder / name, header, Volume(values, grid, Unit.BQ_PER_ML), identity, SCAN))


def edit(path: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    file = pydicom.dcmread(path)
    change(file)
    file.save_as(path)


def codes(findings: tuple[Finding, ...], at_least: Severity = Severity.WARNING) -> list[str]:
    order = list(Severity)
    return [f.code for f in findings if order.index(f.severity) >= order.index(at_least)]


def series(folder: Path) -> list[Path]:
    return [Path(f.path) for f in scan([folder]).files]


def test_clean_series_round_trip(tmp_path: Path) -> None:
    """Values within half a scaling step, geometry to the digits of a decimal string, any order of the files."""
    paths = write_pet(tmp_path)
    header = read_header(paths[::-1], IngestSettings())
    assert codes(header.findings) == []
    assert header.value is not None
    assert header.value.grid is not None
    np.testing.assert_allclose(header.value.grid.affine_lps_mm, AFFINE, atol=1e-9)
    assert header.value.grid.shape == SHAPE
    image = read_image(paths, header.value, IngestSettings()).value
    assert image is not None
    truth = np.arange(np.prod(SHAPE)).reshape(SHAPE) * 10.0
    assert np.abs(image.values - truth).max() <= truth.max() / 32767 / 2 * 1.01


def test_files_that_are_not_dicom(tmp_path: Path) -> None:
    write_pet(tmp_path)
    (tmp_path / "pet" / "notes.txt").write_text("hello")
    (tmp_path / "pet" / "picture.png").write_bytes(b"\x89PNG")
    intake = scan([tmp_path])
    (finding,) = intake.findings
    assert finding.code == "ingest.not-dicom"
    assert "picture.png" in finding.text
    assert len(intake.files) == SHAPE[2]


def test_objects_of_a_makers_own_class_do_not_spoil_a_series(tmp_path: Path) -> None:
    """Philips files such notes under the series of the images."""
    paths = write_pet(tmp_path)
    note = pydicom.dcmread(paths[0])
    note.SOPClassUID, note.SOPInstanceUID = "1.3.46.670589.11.0.0.12.2", "1.2.3.4"
    note.save_as(tmp_path / "pet" / "XX_0001")
    intake = scan([tmp_path])
    assert [(f.severity, f.code) for f in intake.findings] == [(Severity.INFO, "ingest.private-object")]
    assert "XX_0001" in intake.findings[0].text
    assert read_header([Path(f.path) for f in intake.files], IngestSettings()).value is not None


def test_truncated_header_and_truncated_pixels(tmp_path: Path) -> None:
    paths = write_pet(tmp_path)
    whole = paths[3].read_bytes()
    paths[3].write_bytes(whole[:-20])
    header = read_header(paths, IngestSettings()).value
    assert header is not None
    image = read_image(paths, header, IngestSettings())
    assert image.value is None
    assert "0004.dcm" in image.findings[0].text
    assert "(7FE0,0010)" in image.findings[0].text
    paths[3].write_bytes(whole[:200])
    assert "ingest.unreadable" in codes(scan([tmp_path]).findings) or len(scan([tmp_path]).files) < SHAPE[2]


def test_a_missing_slice_is_named(tmp_path: Path) -> None:
    paths = write_pet(tmp_path)
    paths[4].unlink()
    outcome = read_header(series(tmp_path), IngestSettings())
    assert outcome.value is None
    assert "7 of 8" in outcome.findings[-1].text
    for path in paths[:4] + paths[5:]:
        edit(path, lambda f: f.__delattr__("NumberOfSlices"))
    outcome = read_header(series(tmp_path), IngestSettings())
    assert outcome.value is None
    assert "1 slices missing" in outcome.findings[-1].text
    assert "0004.dcm" in outcome.findings[-1].text


def test_conflicting_spacing(tmp_path: Path) -> None:
    paths = write_pet(tmp_path)
    edit(paths[2], lambda f: setattr(f, "PixelSpacing", [3, 2.5]))
    outcome = read_header(paths, IngestSettings())
    assert outcome.value is None
    assert "PixelSpacing" in outcome.findings[-1].text
    assert "(0028,0030)" in outcome.findings[-1].text
    assert "0003.dcm" in outcome.findings[-1].text


def test_duplicates_are_used_once_and_conflicting_ones_not_at_all(tmp_path: Path) -> None:
    paths = write_pet(tmp_path)
    (tmp_path / "copy.dcm").write_bytes(paths[0].read_bytes())
    intake = scan([tmp_path])
    assert [f.code for f in intake.findings] == ["ingest.duplicate"]
    assert len(intake.files) == SHAPE[2]
    edit(tmp_path / "copy.dcm", lambda f: setattr(f, "SeriesDescription", "other"))
    intake = scan([tmp_path])
    assert codes(intake.findings, Severity.ERROR) == ["ingest.instance-conflict"]
    assert len(intake.files) == SHAPE[2] - 1


def test_two_patients_in_one_folder_and_in_one_series(tmp_path: Path) -> None:
    write_pet(tmp_path / "a", "one", "P1")
    mixed = write_pet(tmp_path / "a", "two", "P2")
    for path in mixed:
        path.rename(tmp_path / "a" / "one" / f"x{path.name}")
    intake = scan([tmp_path])
    assert codes(intake.findings) == ["ingest.several-patients-in-folder"]
    assert {f.subject_id for f in intake.files} == {"P1", "P2"}
    edit(next((tmp_path / "a" / "one").glob("x0001.dcm")), lambda f: setattr(f, "PatientID", "P3"))
    intake = scan([tmp_path])
    assert "ingest.mixed-patients" in codes(intake.findings, Severity.ERROR)
    assert {f.subject_id for f in intake.files} == {"P1"}


def test_administration_after_the_scan_is_not_used(tmp_path: Path) -> None:
    paths = write_pet(tmp_path, administered_at=SCAN + timedelta(hours=2))
    outcome = read_header(paths, IngestSettings())
    assert "ingest.administration-after-scan" in codes(outcome.findings, Severity.ERROR)
    assert outcome.value is not None
    assert outcome.value.radiopharmaceutical is not None
    assert outcome.value.radiopharmaceutical.administered_at is None


@pytest.mark.parametrize(
    ("words", "nuclide"),
    [
        ("177 Lutetium", "Lu-177"),
        ("^68^Gallium", "Ga-68"),
        ("18F", "F-18"),
        ("F-18", "F-18"),
        ("Lutetium-177", "Lu-177"),
    ],
)
def test_nuclide_in_words(words: str, nuclide: str) -> None:
    from lutra.ingest.radiopharmaceutical import nuclide_from_words

    assert nuclide_from_words(words) == nuclide


def test_patient_numbers_are_text(tmp_path: Path) -> None:
    """Patient 0012 is not patient 12, though they are the same number."""
    paths = write_pet(tmp_path, patient="0012")
    edit(paths[2], lambda f: setattr(f, "PatientID", "12"))
    assert read_header(paths, IngestSettings()).value is None


def test_a_rescale_slope_of_zero_is_refused(tmp_path: Path) -> None:
    paths = write_pet(tmp_path)
    edit(paths[1], lambda f: setattr(f, "RescaleSlope", 0))
    header = read_header(paths, IngestSettings()).value
    assert header is not None
    image = read_image(paths, header, IngestSettings())
    assert image.value is None
    assert "(0028,1053)" in image.findings[0].text


def test_a_long_lived_nuclide_is_not_dated_by_a_time_of_day(tmp_path: Path) -> None:
    def long_lived(file: pydicom.Dataset) -> None:
        item = file.RadiopharmaceuticalInformationSequence[0]
        item.RadionuclideHalfLife = "574300"
        del item.RadiopharmaceuticalStartDateTime

    paths = write_pet(tmp_path)
    for path in paths:
        edit(path, long_lived)
    outcome = read_header(paths, IngestSettings())
    assert "ingest.administration-without-date" in codes(outcome.findings)
    assert outcome.value is not None
    assert outcome.value.radiopharmaceutical is not None
    assert outcome.value.radiopharmaceutical.administered_at is None
