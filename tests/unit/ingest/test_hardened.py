"""Readers on files that contradict themselves or each other: refused by tag and file, or said, and never believed."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from attrs import evolve
from pydicom import Dataset
from pydicom.tag import Tag

from lutra.core.errors import InputError, Unreadable
from lutra.core.finding import Finding, Severity
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.ingest import IngestSettings, files, intake, read_contours, read_header, read_image, scan
from lutra.ingest.elements import many, pointers, same_bytes
from lutra.ingest.frames import Frame
from lutra.ingest.geometry import stack
from lutra.ingest.quiet import quietly
from lutra.ingest.times import acquisition

SCAN = datetime(2026, 1, 12, 13, 0, tzinfo=UTC)
SHAPE = (6, 5, 4)
GRID = Grid(SHAPE, np.diag([2.0, 3.0, 4.0, 1.0]), stable_uid("frame"))


@pytest.fixture
def ct(tmp_path: Path) -> list[Path]:
    header = SeriesHeader(
        series_uid=stable_uid("series"),
        study_uid=stable_uid("study"),
        subject_id="P1",
        modality="CT",
        sop_class_uid="",
        description="",
        manufacturer="",
        model="",
        image_type=("ORIGINAL", "PRIMARY"),
        frame_of_reference=GRID.frame_of_reference,
        instances=tuple(stable_uid(str(k)) for k in range(SHAPE[2])),
        acquired_at=SCAN,
    )
    volume = Volume(np.arange(np.prod(SHAPE)).reshape(SHAPE), GRID, Unit.HU)
    identity = PatientIdentity("P1", "P1", "F", 70, 1.7)
    return list(write_image_series(tmp_path / "ct", header, volume, identity, SCAN))


def edit(path: Path, change: Callable[[Dataset], None]) -> None:
    file = pydicom.dcmread(path)
    change(file)
    file.save_as(path)


def refusal(paths: list[Path]) -> str:
    """Text of the ERROR that header or image end with; both must not go through."""
    outcome = read_header(paths, IngestSettings())
    if outcome.value is not None:
        image = read_image(paths, outcome.value, IngestSettings())
        assert image.value is None
        outcome = evolve(outcome, value=None, findings=image.findings)
    assert outcome.findings[-1].severity is Severity.ERROR
    return outcome.findings[-1].text


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [
        ("StudyInstanceUID", "1.2.3", "(0020,000D)"),
        ("SeriesInstanceUID", "1.2.3", "(0020,000E)"),
        ("RescaleType", "US", "(0028,1054)"),
        ("PixelRepresentation", 1, "(0028,0103)"),
        ("BitsStored", 12, "(0028,0101)"),
        ("RescaleSlope", None, "(0028,1053)"),
        ("RescaleIntercept", None, "(0028,1052)"),
        ("SOPInstanceUID", stable_uid("0"), "(0008,0018)"),
        ("NumberOfFrames", "2", "(0028,0008)"),
    ],
)
def test_one_slice_that_contradicts_the_others(ct: list[Path], keyword: str, value: object, code: str) -> None:
    edit(ct[2], lambda f: f.__delattr__(keyword) if value is None else setattr(f, keyword, value))
    text = refusal(ct)
    assert code in text
    assert "0003.dcm" in text


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [
        ("Rows", 4, "(7FE0,0010)"),
        ("Rows", 10, "(7FE0,0010)"),
        ("PhotometricInterpretation", "PALETTE COLOR", "(0028,0004)"),
        ("ModalityLUTSequence", [Dataset()], "(0028,3000)"),
        ("PixelSpacing", ["1e-300", "1"], "(0028,0030)"),
        ("PixelSpacing", ["1e9", "1"], "(0028,0030)"),
    ],
)
def test_all_slices_wrong_alike(ct: list[Path], keyword: str, value: object, code: str) -> None:
    """Fewer rows than the pixels have must not give the upper part of the image."""
    for path in ct:
        edit(path, lambda f: setattr(f, keyword, value))
    assert code in refusal(ct)


def test_twice_the_pixels_are_not_two_frames(ct: list[Path]) -> None:
    for path in ct:
        edit(path, lambda f: setattr(f, "PixelData", f.PixelData * 2))
    assert "(7FE0,0010)" in refusal(ct)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"])
def test_a_giant_image_in_a_small_file_takes_no_memory(ct: list[Path], syntax: str) -> None:
    def grow(file: Dataset) -> None:
        file.Rows = file.Columns = 65535
        file.file_meta.TransferSyntaxUID = syntax
        if syntax.endswith(("5", "90")):
            file.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
            file["PixelData"].VR = "OB"

    for path in ct:
        edit(path, grow)
    tracemalloc.start()
    try:
        text = refusal(ct)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "(0028,0010)" in text
    assert peak < 20e6


def test_no_files_at_all() -> None:
    (finding,) = read_header([], IngestSettings()).findings
    assert finding.severity is Severity.ERROR


# ---- times ----
def frames(*offsets_s: float | None) -> list[Frame]:
    return [
        Frame(
            path=Path(f"{k}.dcm"),
            index=0,
            uid=str(k),
            header=Dataset(),
            shape=(2, 2),
            position_lps_mm=[0, 0, k],
            along_row_lps=[1, 0, 0],
            along_column_lps=[0, 1, 0],
            spacing_mm=(1, 1),
            acquired_at=None if s is None else SCAN + timedelta(seconds=s),
        )
        for k, s in enumerate(offsets_s)
    ]


@pytest.mark.parametrize(
    ("offsets_s", "decays", "said"),
    [
        ((0, 0, 0, 0), True, ""),
        ((0, 0, 300, 300), True, ""),  # two beds
        ((300, 300, 0, 0), True, ""),  # from the feet up
        ((0, 60, 120, 180), True, ""),  # moving table
        ((0, 0, 300, 0), True, "2.dcm have another acquisition time"),
        ((0, 300, 300, 300), True, "0.dcm have another acquisition time"),
        ((0, 0, 0, 300), True, "3.dcm have another acquisition time"),
        ((0, 0, 300, 0), False, ""),  # nothing decays in a CT
        ((0, 0, -7 * 3600, 0), False, "7.0 h apart"),
        ((0, None, 0, 0), True, "1.dcm have no acquisition time"),
    ],
)
def test_slices_that_do_not_fit_in_time_are_named(offsets_s: tuple[float | None, ...], decays: bool, said: str) -> None:
    findings: list[Finding] = []
    earliest, each = acquisition(frames(*offsets_s), decays=decays, findings=findings)
    assert earliest == SCAN + timedelta(seconds=min(s for s in offsets_s if s is not None))
    assert len(each) == (0 if None in offsets_s else len(offsets_s))
    assert [f.code for f in findings] == (["ingest.acquisition-times-differ"] if said else [])
    assert said in "".join(f.text for f in findings)


def test_geometry_of_another_world_is_refused() -> None:
    far = [evolve(f, position_lps_mm=np.array([0, 0, 1e9 + 2 * k])) for k, f in enumerate(frames(0, 0, 0))]
    with pytest.raises(InputError, match=r"\(0020,0032\)"):
        stack(far, "1.2", IngestSettings(), [])


# ---- elements ----
def test_a_sequence_is_no_list_of_values() -> None:
    header = Dataset()
    header.ReferencedStudySequence = [Dataset()]
    header.FrameIncrementPointer = [0x00540080]
    with pytest.raises(Unreadable, match="sequence"):
        many(header, "ReferencedStudySequence")
    assert pointers(header, "FrameIncrementPointer") == [Tag(0x0054, 0x0080)]
    header.PatientComments = "no tag"
    with pytest.raises(Unreadable, match=r"\(0010,4000\)"):
        pointers(header, "PatientComments")


def test_the_same_bytes_of_another_type_are_not_the_same(ct: list[Path]) -> None:
    one, other = (pydicom.dcmread(path, stop_before_pixels=True) for path in ct[:2])
    tags = (Tag("Rows"), Tag("Units"))
    assert same_bytes(one, other, tags)
    other[Tag("Rows")] = other.get_item(Tag("Rows"))._replace(VR="UN")
    assert not same_bytes(one, other, tags)


# ---- files and folders ----
def test_a_length_beyond_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    """A structure set whose name swallows its contours has no contours, and must not say so as if it were true."""
    file = Dataset()
    file.SOPClassUID, file.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3"
    file.Modality, file.PatientName, file.StructureSetLabel = "RTSTRUCT", "Some^Body", "A label"
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    file.save_as(tmp_path / "s.dcm", enforce_file_format=True)
    content = (tmp_path / "s.dcm").read_bytes()
    at = content.index(b"\x10\0\x10\0") + 4
    (tmp_path / "s.dcm").write_bytes(content[:at] + b"\xff\xff\0\0" + content[at + 4 :])
    outcome = read_contours(tmp_path / "s.dcm")
    assert outcome.value is None
    assert "PatientName" in outcome.findings[0].text
    assert "s.dcm" in outcome.findings[0].text


def test_binary_files_without_the_mark_are_no_harmless_text(ct: list[Path]) -> None:
    """Images without a suffix and without their mark: a warning, as a licence beside them is none."""
    (ct[0].parent / "LICENSE").write_text("do what you like\n" * 20)
    assert [f.severity for f in scan([ct[0].parent]).findings] == [Severity.INFO]
    ct[0].rename(ct[0].with_suffix("")).write_bytes(b"\0" * 500)
    assert [f.severity for f in scan([ct[0].parent]).findings] == [Severity.WARNING]


def test_one_reading_gives_header_and_hash(ct: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    true_open = Path.open

    def counting(path: Path, *arguments: object, **more: object) -> object:
        opened.append(path)
        return true_open(path, *arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", counting)
    found = scan([ct[0].parent]).files
    assert opened == ct
    monkeypatch.undo()
    assert [f.sha256 for f in found] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in ct]
    assert [f.size for f in found] == [path.stat().st_size for path in ct]


def test_a_file_that_vanishes_or_must_not_be_read_is_said(ct: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    listed = files.files_under
    true_open = Path.open

    def guarded(path: Path, *arguments: object, **more: object) -> object:
        if path == ct[2]:
            raise PermissionError(13, "Permission denied")
        return true_open(path, *arguments, **more)  # type: ignore[call-overload]

    def then_vanishes(paths: list[Path], findings: list[Finding]) -> list[Path]:
        found = listed(paths, findings)
        ct[1].unlink()
        return found

    monkeypatch.setattr(Path, "open", guarded)
    monkeypatch.setattr(intake, "files_under", then_vanishes)
    result = scan([ct[0].parent])
    assert len(result.files) == 2
    assert [f.severity for f in result.findings] == [Severity.ERROR] * 2
    assert "0002.dcm: cannot be opened: No such file" in result.findings[0].text
    assert "0003.dcm: cannot be opened: Permission denied" in result.findings[1].text


def test_links_are_followed_once_and_those_to_nowhere_are_said(ct: list[Path], tmp_path: Path) -> None:
    folder, linked = ct[0].parent, tmp_path / "linked"
    (folder / "up").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    (folder / "self").symlink_to("self")
    linked.symlink_to(folder)
    for start in (folder, linked):
        result = scan([start])
        assert len(result.files) == SHAPE[2]
        said = [f for f in result.findings if f.severity is Severity.WARNING]
        assert {f.code for f in said} == {"ingest.not-reached"}
        assert {Path(f.evidence["file"]).name for f in said} == {"gone", "self"}


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    (finding,) = scan([tmp_path / "absent"]).findings
    assert finding.code == "ingest.not-reached"


def test_a_malformed_class_is_no_private_one(ct: list[Path]) -> None:
    """Private classes are left out with a note; what is no class at all must be refused aloud."""
    content = ct[0].read_bytes()
    for path in ct:
        file = pydicom.dcmread(path)
        file.SOPClassUID = "1.2"
        file.save_as(path)
    assert len(scan([ct[0].parent]).files) == SHAPE[2]
    (finding,) = read_header(ct, IngestSettings()).findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "ingest.modality-not-read")
    assert content != ct[0].read_bytes()


@pytest.mark.parametrize("uid", ["1.2.3." + "9" * 60, "not a uid", "../../etc"])
@pytest.mark.parametrize("tag", ["SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID"])
def test_an_identifier_that_is_none_takes_its_file_out_by_name(ct: list[Path], tag: str, uid: str) -> None:
    """Else the slice becomes a series of its own, and nothing says that the other has lost it."""
    with quietly():
        edit(ct[1], lambda f: setattr(f, tag, uid))
    taken = scan(ct)
    assert len(taken.files) == len(ct) - 1
    assert [(f.severity, f.code) for f in taken.findings] == [(Severity.ERROR, "ingest.identity-missing")]
    assert uid in taken.findings[0].text
