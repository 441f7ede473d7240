"""Parametric maps written and read again by pydicom, highdicom and dcmqi."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK

from lutra.core.clinical_trial import ClinicalTrial
from lutra.core.errors import GridMismatch, UsageError
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.export.dicom_image import STORAGE
from lutra.export.parametric_map import write_parametric_map
from lutra.ingest import IngestSettings, read_header

NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)
SHAPE = (9, 7, 8)
GRID = Grid(SHAPE, np.array([[2.0, 0, 0, -10], [0, 3, 0, 5], [0, 0, 4, 100], [0, 0, 0, 1]]), stable_uid("frame"))


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    header = SeriesHeader(
        stable_uid("ct"), stable_uid("study"), "P", "CT", STORAGE["CT"], "ct", "test", "", ("ORIGINAL", "PRIMARY", "AXIAL"),
        GRID.frame_of_reference, tuple(stable_uid("ct", str(k)) for k in range(SHAPE[2])), acquired_at=NOON,
        series_started_at=NOON,
    )  # fmt: skip
    patient = PatientIdentity("P", "P^P", "F", 60, 1.6, ClinicalTrial("Sponsor", "TRIAL-1"))
    return list(write_image_series(tmp_path / "ct", header, Volume(np.zeros(SHAPE), GRID, Unit.HU), patient, NOON))


def quantity(unit: Unit, scale: float) -> Volume:
    return Volume(scale * np.random.default_rng(5).random(SHAPE), GRID, unit)


CASES = {"Gy": quantity(Unit.GY, 40.0), "mm2/s": quantity(Unit.MM2_PER_S, 2.5e-3)}


def write(path: Path, volume: Volume, images: list[Path]) -> Path:
    header = read_header(images, IngestSettings()).value
    assert header is not None
    return write_parametric_map(
        path, volume, images, header, series_uid="1.2.8", instance_uid="1.2.7", made_at=NOON, description="a map"
    )


def _on_grid(read: hd.Volume) -> npt.NDArray[np.float64]:
    """Voxels of a volume that highdicom read, at the places of the grid: it numbers slices its own way."""
    whole = np.full(SHAPE, np.nan)
    for index in np.ndindex(*read.spatial_shape):
        place = read.map_indices_to_reference(np.array([index]))[0]
        whole[tuple(np.rint(GRID.to_ijk(place)).astype(int))] = read.array[index]
    return whole


@pytest.mark.parametrize("unit", CASES)
def test_highdicom_and_pydicom_read_the_same_numbers(tmp_path: Path, images: list[Path], unit: str) -> None:
    volume = CASES[unit]
    path = write(tmp_path / "map.dcm", volume, images)
    frames = pydicom.dcmread(path).pixel_array
    assert frames.dtype == np.float32
    np.testing.assert_array_equal(frames.transpose(2, 1, 0), volume.values)
    file = hd.imread(path)
    read = file.get_volume(apply_real_world_transform=True)
    np.testing.assert_allclose(_on_grid(read), volume.values, rtol=1e-6)
    mapping = file.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
    assert mapping.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert quantity.CodeValue == {"Gy": "128513", "mm2/s": "113041"}[unit]
    assert mapping.RealWorldValueSlope == 1


@pytest.mark.skipif(shutil.which("paramap2itkimage") is None, reason="dcmqi is not installed")
@pytest.mark.parametrize("unit", CASES)
def test_dcmqi_reads_the_same_numbers_in_the_same_place(tmp_path: Path, images: list[Path], unit: str) -> None:
    path = write(tmp_path / "map.dcm", CASES[unit], images)
    words = ["paramap2itkimage", "--inputDICOM", path, "--outputDirectory", tmp_path, "--prefix", "q", "-t", "nrrd"]
    subprocess.run(words, check=True, capture_output=True)
    read = SimpleITK.ReadImage(str(tmp_path / "q-pmap.nrrd"))
    np.testing.assert_allclose(SimpleITK.GetArrayFromImage(read).transpose(2, 1, 0), CASES[unit].values, rtol=1e-6)
    assert read.GetOrigin() == pytest.approx((-10, 5, 100))
    assert read.GetSpacing() == pytest.approx((2, 3, 4))


def test_a_voxel_without_a_value_is_not_a_number(tmp_path: Path, images: list[Path]) -> None:
    values = CASES["mm2/s"].values.copy()
    values[2, 3, 4] = np.nan
    frames = pydicom.dcmread(write(tmp_path / "map.dcm", Volume(values, GRID, Unit.MM2_PER_S), images)).pixel_array
    assert np.argwhere(np.isnan(frames)).tolist() == [[4, 3, 2]]


def test_what_is_no_map_is_refused(tmp_path: Path, images: list[Path]) -> None:
    with pytest.raises(UsageError, match="a volume in"):
        write(tmp_path / "a.dcm", Volume(np.ones(SHAPE), GRID, Unit.HU), images)
    with pytest.raises(UsageError, match="no voxel has a value"):
        write(tmp_path / "a.dcm", Volume(np.full(SHAPE, np.nan), GRID, Unit.GY), images)
    with pytest.raises(GridMismatch):
        write(
            tmp_path / "a.dcm",
            Volume(np.ones((2, 2, 2)), Grid((2, 2, 2), GRID.affine_lps_mm, GRID.frame_of_reference), Unit.GY),
            images,
        )


def test_it_is_of_the_trial_of_the_images(tmp_path: Path, images: list[Path]) -> None:
    file = pydicom.dcmread(write(tmp_path / "map.dcm", CASES["Gy"], images))
    assert (file.ClinicalTrialSponsorName, file.ClinicalTrialProtocolID) == ("Sponsor", "TRIAL-1")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("unit", CASES)
def test_dciodvfy_has_nothing_to_say(tmp_path: Path, images: list[Path], unit: str) -> None:
    path = write(tmp_path / "map.dcm", CASES[unit], images)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
