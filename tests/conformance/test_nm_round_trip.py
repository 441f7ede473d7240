"""NM images of our writer as others read them: SimpleITK, pydicom with the standard's equations, and dciodvfy."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK

from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, EnergyWindow, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_nm_recon

AT = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
SHAPE = (5, 4, 6)
WINDOWS = (EnergyWindow("208", 187.2, 228.8), EnergyWindow("113", 101.7, 124.3))
KNOWN_ERROR = "FrameIncrementPointer"
"""Two energy windows in a RECON TOMO object: see the writer."""


def oblique_grid() -> Grid:
    """Spacing 2, 3 and 4 mm, turned about two axes: nothing agrees by accident."""
    a, b = 0.3, 0.5
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([2.0, 3.0, 4.0])
    affine[:3, 3] = (-17.25, 31.5, -402.125)
    return Grid(SHAPE, affine, stable_uid("frame"))


def written(path: Path, volumes: list[np.ndarray[Any, Any]], unit: Unit, *, against: bool) -> Path:
    header = SeriesHeader(
        series_uid=stable_uid("series"),
        study_uid=stable_uid("study"),
        subject_id="P",
        modality="NM",
        sop_class_uid="",
        description="177Lu SPECT",
        manufacturer="Lutra simulate",
        model="glasshouse",
        image_type=(),
        frame_of_reference=stable_uid("frame"),
        instances=(stable_uid("instance"),),
        acquired_at=AT,
        decay_correction=DecayCorrection.NONE,
        corrected_image=("ATTN", "SCAT"),
        frame_duration_s=25.0,
        acquisition_duration_s=1500.0,
        radiopharmaceutical=Radiopharmaceutical("Lu-177", "177Lu-octreotate", 7.4e9, AT - timedelta(days=1), None),
        energy_windows=WINDOWS[: len(volumes)],
    )
    grid, patient = oblique_grid(), PatientIdentity("P", "P", "F", 66, 1.68)
    images = [Volume(v, grid, unit) for v in volumes]
    return write_nm_recon(path, header, images, patient, AT, against_normal=against)


VALUES = np.arange(np.prod(SHAPE), dtype=float).reshape(SHAPE)


@pytest.mark.parametrize("against", [False, True])
def test_simpleitk_puts_every_voxel_where_we_do(tmp_path: Path, *, against: bool) -> None:
    image = SimpleITK.ReadImage(str(written(tmp_path / "nm.dcm", [VALUES], Unit.STORED, against=against)))
    array = SimpleITK.GetArrayFromImage(image)
    for i, j, k in np.ndindex(SHAPE):
        index = image.TransformPhysicalPointToIndex(oblique_grid().to_lps_mm((i, j, k)).tolist())
        centre = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(centre, oblique_grid().to_lps_mm((i, j, k)), atol=1e-4)
        assert array[index[2], index[1], index[0]] == VALUES[i, j, k]


@pytest.mark.parametrize("against", [False, True])
def test_pydicom_and_the_equations_of_the_standard_give_the_same_image(tmp_path: Path, *, against: bool) -> None:
    """C.7.6.2.1-1 for the plane, C.8.4.15 for the step, the real world map for the value; two windows."""
    both = [VALUES * 11.0, VALUES[::-1] * 13.0]
    d = pydicom.dcmread(written(tmp_path / "nm.dcm", both, Unit.BQ_PER_ML, against=against))
    mapping = d.RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "Bq/ml"
    values = d.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    detector = d.DetectorInformationSequence[0]
    row, column = np.array(detector.ImageOrientationPatient, float).reshape(2, 3)
    corner, between = np.array(detector.ImagePositionPatient, float), np.array(d.PixelSpacing, float)
    for n, (window, slice_) in enumerate(zip(d.EnergyWindowVector, d.SliceVector, strict=True)):
        start = corner + (slice_ - 1) * float(d.SpacingBetweenSlices) * np.cross(row, column)
        for i, j in np.ndindex(SHAPE[:2]):
            ijk = oblique_grid().to_ijk(start + row * between[1] * i + column * between[0] * j)
            whole = tuple(int(x) for x in np.rint(ijk))
            np.testing.assert_allclose(ijk, whole, atol=1e-6)
            assert values[n, j, i] == pytest.approx(both[window - 1][whole], abs=mapping.RealWorldValueSlope * 0.501)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian dicom3tools) is not installed")
@pytest.mark.parametrize("against", [False, True])
@pytest.mark.parametrize("unit", [Unit.STORED, Unit.BQ_PER_ML])
@pytest.mark.parametrize("windows", [1, 2])
def test_a_validator_finds_no_error_but_the_one_we_state(
    tmp_path: Path, windows: int, unit: Unit, *, against: bool
) -> None:
    path = written(tmp_path / "nm.dcm", [VALUES, VALUES][:windows], unit, against=against)
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert any("NMImage" in line for line in lines)
    errors = [line for line in lines if line.startswith("Error") and not (windows == 2 and KNOWN_ERROR in line)]
    assert errors == []
