"""RTSTRUCT files that are complete, and every way they can be damaged: regions are left out by name, nothing escapes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lutra.core.finding import Outcome
from lutra.core.region import ContourSet
from lutra.core.study import SeriesHeader
from lutra.export import PatientIdentity, write_rtstruct
from lutra.ingest import read_contours

CT = "1.2.840.10008.5.1.4.1.1.2"
DRAWN_ON = SeriesHeader("1.2.3", "1.2.4", "P", "CT", CT, "", "", "", ("ORIGINAL",), "1.2.9", ("1.2.3.1", "1.2.3.2"))
SQUARE = np.array([[0.0, 0, 5], [10, 0, 5], [10, 10, 5], [0, 10, 5]])


def read(path: Path, change: Callable[[pydicom.Dataset], None] | None = None) -> Outcome[tuple[ContourSet, ...]]:
    """Two regions, "lesion" of two contours and "liver" of one, changed as a broken writer might have."""
    sets = [
        ContourSet(name, polygons, "1.2.9", None, "")
        for name, polygons in (("lesion", (SQUARE, np.add(SQUARE, (0, 0, 3)))), ("liver", (SQUARE,)))
    ]
    patient = PatientIdentity("P", "P^P", "F", 60, 1.6)
    write_rtstruct(
        path, sets, DRAWN_ON, patient, series_uid="1.5", instance_uid="1.6", drawn_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    if change:
        file = pydicom.dcmread(path)
        change(file)
        file.save_as(path)
    return read_contours(path)


def names(outcome: Outcome[tuple[ContourSet, ...]]) -> list[tuple[str, int]]:
    return [(s.name, len(s.contours_lps_mm)) for s in outcome.value or ()]


def codes(outcome: Outcome[tuple[ContourSet, ...]]) -> list[str]:
    return [f.code for f in outcome.findings]


def test_complete_file(tmp_path: Path) -> None:
    outcome = read(tmp_path / "r.dcm")
    assert names(outcome) == [("lesion", 2), ("liver", 1)]
    assert {s.referenced_series_uid for s in outcome.value} == {"1.2.3"}
    assert {s.frame_of_reference for s in outcome.value} == {"1.2.9"}


def first_contour(file: pydicom.Dataset) -> pydicom.Dataset:
    return file.ROIContourSequence[0].ContourSequence[0]


def _words(file: pydicom.Dataset) -> None:
    del first_contour(file).ContourData
    first_contour(file).add(pydicom.dataelem.RawDataElement(
        pydicom.tag.Tag(0x3006, 0x0050), "DS", 12, b"1\\2\\x\\4\\5\\6 ", 0, False, True))  # fmt: skip


def _two_points(file: pydicom.Dataset) -> None:
    """Closed, of three points, two of them distinct."""
    first_contour(file).ContourData, first_contour(file).NumberOfContourPoints = [0, 0, 5, 10, 0, 5, 0, 0, 5], 3


def _cut_short(file: pydicom.Dataset) -> None:
    first_contour(file).ContourData = list(first_contour(file).ContourData)[:9]


def _nowhere(file: pydicom.Dataset) -> None:
    first_contour(file).ContourData[0] = 1e30


def _point(file: pydicom.Dataset) -> None:
    first_contour(file).ContourGeometricType = "POINT"


def _no_data(file: pydicom.Dataset) -> None:
    del first_contour(file).ContourData


@pytest.mark.parametrize("change", [_words, _two_points, _cut_short, _nowhere, _point, _no_data])
def test_a_damaged_contour_is_left_out(tmp_path: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    outcome = read(tmp_path / "r.dcm", change)
    assert names(outcome) == [("lesion", 1), ("liver", 1)]
    assert codes(outcome) == ["ingest.contour-left-out"]
    assert "'lesion'" in outcome.findings[0].text


def _no_roi_number(file: pydicom.Dataset) -> None:
    del file.StructureSetROISequence[0].ROINumber


def _no_reference(file: pydicom.Dataset) -> None:
    del file.ROIContourSequence[0].ReferencedROINumber


@pytest.mark.parametrize("change", [_no_roi_number, _no_reference])
def test_a_region_nothing_names_is_left_out(tmp_path: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    outcome = read(tmp_path / "r.dcm", change)
    assert names(outcome) == [("liver", 1)]
    assert codes(outcome) == ["ingest.region-without-name"]


def test_a_number_of_two_regions_names_none(tmp_path: Path) -> None:
    def change(file: pydicom.Dataset) -> None:
        file.StructureSetROISequence[1].ROINumber = 1

    outcome = read(tmp_path / "r.dcm", change)
    assert outcome.value is None
    assert codes(outcome) == ["ingest.region-without-name", "ingest.region-without-name", "ingest.no-contours"]
    assert "“lesion”, “liver”" in outcome.findings[0].text


def test_a_region_nobody_drew(tmp_path: Path) -> None:
    def change(file: pydicom.Dataset) -> None:
        del file.ROIContourSequence[0].ContourSequence

    outcome = read(tmp_path / "r.dcm", change)
    assert names(outcome) == [("liver", 1)]
    assert codes(outcome) == ["ingest.region-without-contours"]


def test_no_regions_at_all(tmp_path: Path) -> None:
    def change(file: pydicom.Dataset) -> None:
        del file.ROIContourSequence

    assert codes(read(tmp_path / "r.dcm", change)) == ["ingest.no-contours"]


def _second_series(file: pydicom.Dataset, *, images: bool) -> None:
    """The file lists a second series of two images; with `images` each contour says which image it lies on."""
    study = file.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    series = pydicom.Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = "1.2.33", []
    study.RTReferencedSeriesSequence.append(series)
    for uid in ("1.2.33.1", "1.2.33.2"):
        image = pydicom.Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CT, uid
        series.ContourImageSequence.append(image)
    if images:
        contours = [c for roi in file.ROIContourSequence for c in roi.ContourSequence]
        for contour, uid in zip(contours, ("1.2.3.1", "1.2.33.2", "1.2.33.1"), strict=True):
            image = pydicom.Dataset()
            image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CT, uid
            contour.ContourImageSequence = [image]


def test_contours_over_two_series_go_to_the_series_of_their_image(tmp_path: Path) -> None:
    outcome = read(tmp_path / "r.dcm", lambda file: _second_series(file, images=True))
    assert [(s.name, s.referenced_series_uid) for s in outcome.value] == [
        ("lesion", "1.2.3"),
        ("lesion", "1.2.33"),
        ("liver", "1.2.33"),
    ]
    assert codes(outcome) == ["ingest.region-on-several-series"]


def test_contours_that_could_be_of_either_series_are_given_to_none(tmp_path: Path) -> None:
    outcome = read(tmp_path / "r.dcm", lambda file: _second_series(file, images=False))
    assert [(s.name, s.referenced_series_uid) for s in outcome.value] == [("lesion", None), ("liver", None)]


def test_what_is_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "r.dcm").write_bytes(b"hello")
    assert codes(read_contours(tmp_path / "r.dcm")) == ["ingest.unreadable"]
