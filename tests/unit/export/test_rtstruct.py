"""Contours written and read again with pydicom."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.region import ContourSet, Region, RegionKind, RegionOrigin
from lutra.core.study import SeriesHeader
from lutra.export import PatientIdentity, write_rtstruct
from lutra.ingest import read_contours
from lutra.segment import SegmentSettings, contours_of_region, regions_from_contours

PATIENT = PatientIdentity("P-1", "One^Patient", "F", 66.0, 1.68)
DRAWN_AT = datetime(2026, 1, 6, 10, tzinfo=timezone(timedelta(hours=1)))
CT = "1.2.840.10008.5.1.4.1.1.2"
TRIANGLE = np.array([[-0.5, 20.25, -7.0], [10.125, 20.25, -7.0], [3.0, 31.0625, -7.0]])
DRAWN_ON = SeriesHeader(
    "1.2.3", "1.2.4", "P-1", "CT", CT, "", "Lutra simulate", "", ("ORIGINAL",), "1.2.9", ("1.2.3.1", "1.2.3.2")
)


def contour_set(
    name: str, *polygons: np.ndarray[tuple[int, ...], np.dtype[np.float64]], frame: str = "1.2.9"
) -> ContourSet:
    return ContourSet(name, polygons, frame, "1.2.3", "1.2.5")


def write(path: Path, *sets: ContourSet) -> pydicom.Dataset:
    return pydicom.dcmread(
        write_rtstruct(path, sets, DRAWN_ON, PATIENT, series_uid="1.2.6", instance_uid="1.2.5", drawn_at=DRAWN_AT)
    )


def test_points_come_back_under_their_name(tmp_path: Path) -> None:
    """Two regions of one and two polygons: numbers tie names, contours and observations together."""
    file = write(tmp_path / "r.dcm", contour_set("lesion 1", TRIANGLE), contour_set("liver", TRIANGLE * 2, TRIANGLE))
    names = {roi.ROINumber: roi.ROIName for roi in file.StructureSetROISequence}
    found = {
        names[item.ReferencedROINumber]: [
            np.reshape(c.ContourData, (-1, 3)).astype(float) for c in item.ContourSequence
        ]
        for item in file.ROIContourSequence
    }
    assert [o.ReferencedROINumber for o in file.RTROIObservationsSequence] == list(names)
    assert {name: len(polygons) for name, polygons in found.items()} == {"lesion 1": 1, "liver": 2}
    np.testing.assert_allclose(found["lesion 1"][0], TRIANGLE, atol=5e-5)  # written to 0.1 micrometre
    np.testing.assert_allclose(found["liver"][0], TRIANGLE * 2, atol=5e-5)
    contour = file.ROIContourSequence[0].ContourSequence[0]
    assert (contour.ContourGeometricType, contour.NumberOfContourPoints) == ("CLOSED_PLANAR", 3)


def test_refers_to_the_image_it_was_drawn_on(tmp_path: Path) -> None:
    file = write(tmp_path / "r.dcm", contour_set("lesion 1", TRIANGLE))
    (frame,) = file.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert {frame.FrameOfReferenceUID, file.FrameOfReferenceUID} == {"1.2.9"}
    assert file.StructureSetROISequence[0].ReferencedFrameOfReferenceUID == "1.2.9"
    assert (study.ReferencedSOPInstanceUID, series.SeriesInstanceUID) == ("1.2.4", "1.2.3")
    images = [(i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID) for i in series.ContourImageSequence]
    assert images == [(CT, "1.2.3.1"), (CT, "1.2.3.2")]
    assert (file.StructureSetDate, file.StructureSetTime) == ("20260106", "100000.000000")


def test_contours_of_another_frame_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="contours of node are in another frame"):
        write(tmp_path / "r.dcm", contour_set("node", TRIANGLE, frame="1.2.10"))
    assert not list(tmp_path.iterdir())


GRID = Grid((40, 30, 4), np.diag([2.0, 2, 3, 1]), "1.2.9")
ON_GRID = evolve(DRAWN_ON, grid=GRID, instances=("1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4"))


def noise(seed: int) -> Region:
    mask = (np.random.default_rng(seed).random((30, 20, 3)) > 0.4).astype(float)
    return Region("lesion", RegionKind.LESION, GRID, (4, 5, 1), mask, None, RegionOrigin.THRESHOLD, "", "1.2.3")


def write_region(path: Path, region: Region, **more: str) -> Path:
    contours = contours_of_region(region).value
    return write_rtstruct(
        path, (contours,), ON_GRID, PATIENT, series_uid="1.2.6", instance_uid="1.2.5", drawn_at=DRAWN_AT, **more
    )


def test_a_region_of_voxels_comes_back(tmp_path: Path) -> None:
    """Whole voxels with holes and islands: exactly, but for points written to 0.1 micrometre."""
    region = noise(3)
    sets = read_contours(write_region(tmp_path / "r.dcm", region)).value
    (back,) = regions_from_contours(sets, GRID, SegmentSettings(), "1.2.3").value
    found, drawn = np.zeros(GRID.shape), np.zeros(GRID.shape)
    found[back.box], drawn[region.box] = back.fraction, region.fraction
    np.testing.assert_allclose(found, drawn, atol=2e-4)
    assert back.volume_ml == pytest.approx(region.volume_ml, rel=1e-5)


def test_every_contour_names_its_slice(tmp_path: Path) -> None:
    file = pydicom.dcmread(write_region(tmp_path / "r.dcm", noise(3), generated="AUTOMATIC"))
    for contour in file.ROIContourSequence[0].ContourSequence:
        slice_k = round(float(contour.ContourData[2]) / 3)
        assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID == ON_GRID.instances[slice_k]
    assert file.StructureSetROISequence[0].ROIGenerationAlgorithm == "AUTOMATIC"


def test_contours_across_slices_name_none(tmp_path: Path) -> None:
    across = contour_set("lesion", TRIANGLE[:, [1, 2, 0]], np.add(TRIANGLE, (0, 0, 8.5)))
    path = write_rtstruct(
        tmp_path / "r.dcm", (across,), ON_GRID, PATIENT, series_uid="1.2.6", instance_uid="1.2.5", drawn_at=DRAWN_AT
    )
    assert all("ContourImageSequence" not in c for c in pydicom.dcmread(path).ROIContourSequence[0].ContourSequence)


def test_a_contour_longer_than_64_kilobytes(tmp_path: Path) -> None:
    """12 000 points do not fit an element of explicit length; dcmtk reads them all."""
    angle = np.linspace(0, 2 * np.pi, 12000, endpoint=False)
    circle = np.column_stack([100 * np.cos(angle), 100 * np.sin(angle), np.full(12000, -7.0)])
    file = write(tmp_path / "r.dcm", contour_set("liver", circle))
    np.testing.assert_allclose(
        np.reshape(file.ROIContourSequence[0].ContourSequence[0].ContourData, (-1, 3)).astype(float), circle, atol=1e-4
    )
    if shutil.which("dcmdump"):
        said = subprocess.run(
            ["dcmdump", "+L", "+P", "3006,0050", str(tmp_path / "r.dcm")], capture_output=True, text=True, check=True
        )
        assert said.stdout.count("\\") == 3 * 12000 - 1


def test_nothing_to_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no contour"):
        write(tmp_path / "r.dcm", contour_set("empty"))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
def test_validator_finds_no_error(tmp_path: Path) -> None:
    path = write_region(tmp_path / "r.dcm", noise(3))
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
    assert "RTStructureSet" in said
