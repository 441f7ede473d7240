"""SEG files that highdicom wrote, or somebody then broke, against the arrays they were written from."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lutra.core.finding import Outcome, Severity
from lutra.core.region import Region, RegionKind
from lutra.ingest import read_segmentation

ROWS, COLUMNS, SLICES = 5, 7, 6
"""35 pixels a frame: packed bits of a frame end within a byte."""


def slices() -> list[pydicom.Dataset]:
    """A CT whose slices run downwards."""
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    images = []
    for k in range(SLICES):
        one = pydicom.Dataset()
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, series, frame
        one.PatientID, one.PatientName, one.PatientBirthDate, one.PatientSex = "P", "P^P", "", ""
        one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber, one.Modality = "20260101", "10", "1", "1", "CT"
        one.Rows, one.Columns, one.PixelSpacing, one.SliceThickness = ROWS, COLUMNS, [2, 1.5], 3
        one.ImageOrientationPatient, one.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [10, 20, 30 - 3 * k]
        images.append(one)
    return images


def described(number: int, label: str, **more: Any) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        number, label, codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Neoplasm, "MANUAL", **more
    )


def write(
    path: Path,
    pixels: npt.NDArray[Any],
    kind: str,
    *segments: hd.seg.SegmentDescription,
    change: Callable[[Any], None] | None = None,
    **more: Any,
) -> Outcome[tuple[Region, ...]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = hd.seg.Segmentation(
            slices(), pixels, kind, segments, generate_uid(), 1, generate_uid(), 1, "m", "m", "1", "1", **more
        )
    if change:
        change(file)
    file.save_as(path)
    return read_segmentation(path)


def masks(n: int) -> npt.NDArray[np.uint8]:
    return (np.random.default_rng(4).random((SLICES, ROWS, COLUMNS, n)) > 0.6).astype(np.uint8)


def whole(region: Region) -> npt.NDArray[np.float32]:
    array = np.zeros(region.grid.shape, np.float32)
    array[region.box] = region.fraction
    return array


def as_written(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Columns, rows, slices upwards."""
    return pixels.transpose(2, 1, 0)[:, :, ::-1]


def problems(outcome: Outcome[tuple[Region, ...]]) -> list[str]:
    return [f.code for f in outcome.findings]


def test_overlapping_binary_segments(tmp_path: Path) -> None:
    pixels = masks(2)
    outcome = write(
        tmp_path / "s.dcm", pixels, "BINARY", described(1, "a"), described(2, "b", tracking_id="T", tracking_uid="1.2")
    )
    assert outcome.findings == ()
    for n, region in enumerate(outcome.value):
        np.testing.assert_array_equal(whole(region), as_written(pixels[..., n]))
        assert region.grid.spacing_mm == (1.5, 2, 3)
        np.testing.assert_array_equal(region.grid.affine_lps_mm[:3, 3], [10, 20, 15])
        assert (region.code.value, region.kind) == ("108369006", RegionKind.OTHER)
        assert region.referenced_series_uid
    assert [(r.name, r.tracking_id, r.tracking_uid) for r in outcome.value] == [("a", "", ""), ("b", "T", "1.2")]


@pytest.mark.parametrize(("fractional", "doubts"), [("OCCUPANCY", []), ("PROBABILITY", ["ingest.segment-probability"])])
def test_fractional_segments(tmp_path: Path, fractional: str, doubts: list[str]) -> None:
    pixels = np.random.default_rng(1).random((SLICES, ROWS, COLUMNS, 1)).astype(np.float32)
    outcome = write(
        tmp_path / "s.dcm",
        pixels,
        "FRACTIONAL",
        described(1, "a"),
        fractional_type=fractional,
        max_fractional_value=200,
    )
    assert problems(outcome) == doubts
    np.testing.assert_allclose(whole(outcome.value[0]), as_written(pixels[..., 0]), atol=0.5 / 200 + 1e-6)


def test_label_maps(tmp_path: Path) -> None:
    """The background and the padding value are no regions."""
    pixels = np.random.default_rng(1).integers(0, 3, (SLICES, ROWS, COLUMNS)).astype(np.uint8)
    outcome = write(tmp_path / "s.dcm", pixels, "LABELMAP", described(1, "a"), described(2, "b"))
    assert [r.name for r in outcome.value] == ["a", "b"]
    for n, region in enumerate(outcome.value, start=1):
        np.testing.assert_array_equal(whole(region), as_written(pixels == n))


def test_frames_in_any_order_and_left_out(tmp_path: Path) -> None:
    """Slices 0 and 3 of six, shuffled: distances of the frames left do not change the spacing."""
    pixels = np.zeros((SLICES, ROWS, COLUMNS, 2), np.uint8)
    pixels[[0, 3]] = masks(2)[[0, 3]]

    def shuffle(file: Any) -> None:
        order = [2, 0, 3, 1]
        frames = file.pixel_array[order]
        file.PerFrameFunctionalGroupsSequence = [file.PerFrameFunctionalGroupsSequence[n] for n in order]
        file.PixelData = pydicom.pixels.pack_bits(frames)

    outcome = write(tmp_path / "s.dcm", pixels, "BINARY", described(1, "a"), described(2, "b"), change=shuffle)
    assert outcome.findings == ()
    for n, region in enumerate(outcome.value):
        assert region.grid.shape == (COLUMNS, ROWS, 4)
        np.testing.assert_array_equal(whole(region), as_written(pixels[:4, ..., n]))


def test_segments_of_one_name_are_told_apart(tmp_path: Path) -> None:
    tracked = described(3, "node", tracking_id="N7", tracking_uid="1.2.3")
    outcome = write(tmp_path / "s.dcm", masks(3), "BINARY", described(1, "node"), described(2, "node"), tracked)
    assert [r.name for r in outcome.value] == ["node 1", "node 2", "N7"]
    assert problems(outcome) == ["ingest.segment-names-repeat"]


def test_organ_and_side_become_the_sided_organ(tmp_path: Path) -> None:
    """DICOM codes a left kidney as kidney, and left as its modifier [PS3.3 C.8.20.2]; a liver has no side to add."""

    def add_side(file: Any) -> None:
        sides = (codes.SCT.Left, codes.SCT.Right, codes.SCT.Left)
        organs = (codes.SCT.Kidney, codes.SCT.Kidney, codes.SCT.Liver)
        for segment, organ, side in zip(file.SegmentSequence, organs, sides, strict=True):
            (type_,) = segment.SegmentedPropertyTypeCodeSequence
            type_.CodeValue, type_.CodeMeaning = organ.value, organ.meaning
            modifier = pydicom.Dataset()
            modifier.CodeValue, modifier.CodingSchemeDesignator, modifier.CodeMeaning = side.value, "SCT", side.meaning
            type_.SegmentedPropertyTypeModifierCodeSequence = [modifier]

    segments = [described(n, name) for n, name in enumerate(("one", "other", "third"), start=1)]
    outcome = write(tmp_path / "seg.dcm", masks(3), "BINARY", *segments, change=add_side)
    assert outcome.value is not None
    assert [region.code.value for region in outcome.value if region.code] == ["18639004", "9846003", "10200004"]


def test_a_segment_without_voxels_is_named(tmp_path: Path) -> None:
    pixels = masks(2)
    pixels[..., 1] = 0
    outcome = write(tmp_path / "s.dcm", pixels, "BINARY", described(1, "a"), described(2, "empty"))
    assert [r.name for r in outcome.value] == ["a"]
    assert problems(outcome) == ["ingest.segment-empty"]
    assert "empty" in outcome.findings[0].text


def _two_in_one_place(file: Any) -> None:
    first, second = file.PerFrameFunctionalGroupsSequence[:2]
    second.PlanePositionSequence = first.PlanePositionSequence


def _uneven(file: Any) -> None:
    file.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = [10, 20, 28.2]


def _aside(file: Any) -> None:
    file.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = [11, 20, 27]


def _no_geometry(file: Any) -> None:
    del file.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence


def _frame_missing(file: Any) -> None:
    del file.PerFrameFunctionalGroupsSequence[-1]


def _truncated(file: Any) -> None:
    file.PixelData = file.PixelData[:-6]


def _no_segment_number(file: Any) -> None:
    del file.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber


def _another_class(file: Any) -> None:
    file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.5"


def _no_type(file: Any) -> None:
    del file.SegmentationType


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_uneven, "even grid|apart"),
        (_aside, "within the plane"),
        (_no_geometry, "PixelMeasuresSequence"),
        (_frame_missing, "5200,9230"),
        (_truncated, "7FE0,0010"),
        (_no_segment_number, "0062,000B"),
        (_another_class, "0008,0016"),
        (_no_type, "0062,0001"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path: Path, change: Callable[[Any], None], says: str) -> None:
    pixels = np.ones((SLICES, ROWS, COLUMNS, 1), np.uint8)
    outcome = write(tmp_path / "s.dcm", pixels, "BINARY", described(1, "a"), change=change)
    assert outcome.value is None
    (finding,) = [f for f in outcome.findings if f.severity is Severity.ERROR]
    assert finding.code == "ingest.segmentation-refused"
    assert re.search(says, finding.text), finding.text


def test_two_frames_in_one_place_leave_the_segment_out(tmp_path: Path) -> None:
    pixels = np.ones((SLICES, ROWS, COLUMNS, 1), np.uint8)
    outcome = write(tmp_path / "s.dcm", pixels, "BINARY", described(1, "a"), change=_two_in_one_place)
    assert outcome.value is None
    assert "ingest.segment-left-out" in problems(outcome)


def test_a_spacing_that_does_not_fit_the_frames(tmp_path: Path) -> None:
    """2 mm stated, frames every 3 mm: the frames decide, and it is said."""

    def change(file: Any) -> None:
        file.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 2

    outcome = write(
        tmp_path / "s.dcm", np.ones((SLICES, ROWS, COLUMNS, 1), np.uint8), "BINARY", described(1, "a"), change=change
    )
    assert problems(outcome) == ["ingest.segment-spacing"]
    assert outcome.value[0].grid.spacing_mm[2] == 3


def test_what_is_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    assert problems(read_segmentation(tmp_path / "x")) == ["ingest.segmentation-refused"]
