"""DICOMDIR: what it names must be there; what it does not name is read all the same."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.fileset import FileSet

from lutra.core.finding import Finding
from lutra.ingest import UnpackSettings, scan, scan_unpacked
from lutra.ingest.quiet import quietly

Make = Callable[..., bytes]


@pytest.fixture
def cd(instance: Make, tmp_path: Path) -> Path:
    """A medium of three images, written by pydicom's own FileSet."""
    medium = FileSet()
    for n in (1, 2, 3):
        medium.add(pydicom.dcmread(io.BytesIO(instance(n))))
    medium.write(tmp_path / "cd")
    medium._stage["t"].cleanup()  # pydicom leaves its temporary folder to the garbage collector, which complains
    return tmp_path / "cd"


def images(cd: Path) -> list[Path]:
    return sorted(p for p in cd.rglob("*") if p.is_file() and p.name != "DICOMDIR")


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [f.code for f in findings]


def test_a_whole_medium_has_no_finding(cd: Path) -> None:
    assert scan([cd]).findings == ()
    assert len(scan([cd]).files) == 3


def test_a_missing_file_is_named(cd: Path) -> None:
    gone = images(cd)[1]
    gone.unlink()
    intake = scan([cd])
    assert codes(intake.findings) == ["ingest.dicomdir-file-missing"]
    assert str(gone.relative_to(cd)) in intake.findings[0].text
    assert len(intake.files) == 2


def test_a_file_that_is_not_named_is_read(cd: Path, instance: Make) -> None:
    (cd / "extra").write_bytes(instance(9))
    intake = scan([cd])
    assert intake.findings == ()
    assert len(intake.files) == 4


@pytest.mark.parametrize("rename", [str.lower, lambda n: f"{n};1", lambda n: f"{n}.;1", lambda n: f"{n.lower()}.gz"])
def test_names_as_file_systems_show_them(rename: Callable[[str], str], cd: Path) -> None:
    """ISO 9660 without Joliet: lower case, version numbers, and archives that gzip each file."""
    for path in images(cd):
        path.rename(path.with_name(rename(path.name)))
    assert scan([cd]).findings == ()


@pytest.mark.parametrize("parts", [["..", "IM9"], ["..\\IM9"], ["/etc", "passwd"], ["C:", "IM9"]])
def test_a_name_outside_the_folder_is_refused(parts: list[str], cd: Path, instance: Make) -> None:
    (cd.parent / "IM9").write_bytes(instance(9))
    directory = pydicom.dcmread(cd / "DICOMDIR")
    with quietly():
        directory.DirectoryRecordSequence[-1].ReferencedFileID = parts
        directory.save_as(cd / "DICOMDIR")
    intake = scan([cd])
    assert codes(intake.findings) == ["ingest.dicomdir-outside"]
    assert len(intake.files) == 3


def test_a_deleted_record_names_nothing(cd: Path) -> None:
    images(cd)[2].unlink()
    directory = pydicom.dcmread(cd / "DICOMDIR")
    for record in directory.DirectoryRecordSequence:
        if record.get("ReferencedFileID") and not cd.joinpath(*record.ReferencedFileID).exists():
            record.RecordInUseFlag = 0
    directory.save_as(cd / "DICOMDIR")
    assert scan([cd]).findings == ()


def test_a_broken_dicomdir_costs_no_image(cd: Path) -> None:
    (cd / "DICOMDIR").write_bytes(b"not a directory")
    intake = scan([cd])
    assert codes(intake.findings) == ["ingest.dicomdir-unreadable"]
    assert len(intake.files) == 3


def test_the_dicomdir_itself_stands_for_its_medium(cd: Path, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    intake = scan_unpacked([cd / "DICOMDIR"], tmp_path / "into", UnpackSettings())
    assert (len(intake.files), intake.findings) == (3, ())


def test_a_medium_in_a_zip(cd: Path, tmp_path: Path) -> None:
    images(cd)[0].unlink()
    shutil.make_archive(str(tmp_path / "medium"), "zip", cd)
    assert zipfile.is_zipfile(tmp_path / "medium.zip")
    (tmp_path / "into").mkdir()
    intake = scan_unpacked([tmp_path / "medium.zip"], tmp_path / "into", UnpackSettings())
    assert codes(intake.findings) == ["ingest.dicomdir-file-missing"]
    assert "medium.zip/DICOMDIR names 3 files" in intake.findings[0].text
    assert len(intake.files) == 2
