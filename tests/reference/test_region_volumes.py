"""Regions of real patients against the areas of their polygons, and against values noted for them elsewhere.

Polygon areas follow from the file by the shoelace formula, which the code under test does not use.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from lutra.core.grid import Grid
from lutra.core.region import ContourSet
from lutra.reference.region_names import table
from lutra.segment import SegmentSettings, regions_from_contours

Archive = Callable[[str], Path]


def read(folder: Path, modality: str) -> list[pydicom.Dataset]:
    found = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.rglob("*.dcm"))]
    return [ds for ds in found if ds.get("Modality") == modality]


def grid_of(slices: list[pydicom.Dataset]) -> Grid:
    slices = sorted(slices, key=lambda ds: float(ds.ImagePositionPatient[2]))
    first, last = slices[0], slices[-1]
    assert list(first.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    step = (float(last.ImagePositionPatient[2]) - float(first.ImagePositionPatient[2])) / (len(slices) - 1)
    affine = np.diag([float(first.PixelSpacing[1]), float(first.PixelSpacing[0]), step, 1.0])
    affine[:3, 3] = [float(x) for x in first.ImagePositionPatient]
    return Grid((first.Columns, first.Rows, len(slices)), affine, first.FrameOfReferenceUID)


def contour_sets(ds: pydicom.Dataset) -> tuple[ContourSet, ...]:
    rois = {roi.ROINumber: roi for roi in ds.StructureSetROISequence}
    return tuple(
        ContourSet(
            rois[item.ReferencedROINumber].ROIName,
            [np.array(c.ContourData, float).reshape(-1, 3) for c in item.ContourSequence],
            rois[item.ReferencedROINumber].ReferencedFrameOfReferenceUID,
            None,
            ds.SOPInstanceUID,
        )
        for item in ds.ROIContourSequence
    )


def volumes_ml(folder: Path, modality: str) -> tuple[dict[str, float], dict[str, float]]:
    """Volumes by the code and by polygon area times slice spacing."""
    grid = grid_of(read(folder, modality))
    (file,) = read(folder, "RTSTRUCT")
    drawn = contour_sets(file)
    regions = regions_from_contours(drawn, grid, SegmentSettings()).value
    polygons = {
        c.name: sum(
            abs(np.sum(p[:, 0] * np.roll(p[:, 1], -1) - np.roll(p[:, 0], -1) * p[:, 1])) / 2 for p in c.contours_lps_mm
        )
        * grid.spacing_mm[2]
        / 1000
        for c in drawn
    }
    return {region.name: region.volume_ml for region in regions}, polygons


@pytest.mark.parametrize(("scan", "noted"), [("SCAN_001", (106.77, 2.80)), ("SCAN_002", (107.61, 2.87))])
def test_lesions_of_the_lu177_patient(archive: Archive, scan: str, noted: tuple[float, float]) -> None:
    """0.2 % to the polygons. The noted volumes take the slices as 1.95 mm apart where the file says 1.95313 mm."""
    (folder,) = archive("spect_lu177_umich").rglob(scan)
    ours, polygons = volumes_ml(folder, "PT")
    assert ours == pytest.approx(polygons, rel=2e-3)
    as_noted = [volume * 1.95 / 1.95313 for volume in ours.values()]
    assert as_noted == pytest.approx(noted, abs=0.0051)  # noted to two decimals


def test_tumour_and_organs_of_lung1_001(archive: Archive) -> None:
    """The tumour is noted with 156.35 mL, polygon area x 3 mm. Cord and tumour have one contour per plane, so polygons just add."""
    ours, polygons = volumes_ml(archive("ct_lung1_001_rtstruct"), "CT")
    assert ours["GTV-1"] == pytest.approx(156.35, rel=2e-3)
    assert ours["Spinal-Cord"] == pytest.approx(polygons["Spinal-Cord"], rel=2e-3)
    assert set(ours) == {"GTV-1", "Spinal-Cord", "Lung-Left", "Lung-Right"}


def test_codes_are_those_of_dicom() -> None:
    """Every code stands in DICOM's dictionary with its meaning, but for sided organs, which DICOM codes as organ and side,
    and two that HL7's map from TG-263 names to SNOMED CT has."""
    dicom: dict[str, set[str]] = {}
    for code in (getattr(codes.SCT, name) for name in codes.SCT.dir()):
        dicom.setdefault(code.value, set()).add(code.meaning.casefold())
    ours = {code.value: code.meaning for row in table() for code in row.codes}
    unlisted = {meaning for value, meaning in ours.items() if value not in dicom}
    assert unlisted == {"Left kidney", "Right kidney", "Left lung", "Right lung", "Kidney cortex", "Intestine"}
    for value in ours.keys() & dicom.keys():  # "Spleen" is "Splenic structure" there, "Spine" a vertebral column
        known = dicom[value] | ({"spine"} if value == "421060004" else set())
        assert any(ours[value][:4].casefold() == meaning[:4] for meaning in known), (ours[value], known)
