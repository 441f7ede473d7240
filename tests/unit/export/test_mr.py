"""Diffusion series written and read again by pydicom, SimpleITK, highdicom's converter, dciodvfy and our own reader."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader, VolumeKey
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_diffusion_series, write_enhanced_diffusion
from lutra.ingest import IngestSettings, read_header, read_volumes

AT = datetime(2026, 3, 3, 10, tzinfo=UTC)
PATIENT = PatientIdentity("P1", "Test^One", "F", 66, 1.68)
AFFINE = np.array([[1.6, 1.2, 0, -10], [1.2, -1.6, 0, -20], [0, 0, -5, 30], [0, 0, 0, 1.0]])  # turned by 37 degrees
GRID = Grid((6, 5, 4), AFFINE, "1.2.826.0.1.3680043.1")
KEYS = (
    VolumeKey(0.0),
    VolumeKey(50.0),
    VolumeKey(800.0, (0.0, 0.6, 0.8)),
    VolumeKey(800.0, (1.0, 0.0, 0.0)),
)  # in the order of reading


def header(instances: int, **changes: Any) -> SeriesHeader:
    return SeriesHeader(
        series_uid=stable_uid("series"),
        study_uid=stable_uid("study"),
        subject_id="P1",
        modality="MR",
        sop_class_uid="",
        description="DWI",
        manufacturer="Lutra simulate",
        model="test",
        image_type=("DERIVED", "PRIMARY", "OTHER"),
        frame_of_reference=GRID.frame_of_reference,
        instances=tuple(stable_uid("instance", str(n)) for n in range(instances)),
        grid=GRID,
        acquired_at=AT,
        volumes=KEYS,
        **changes,
    )


def volumes(*, whole: bool) -> tuple[Volume, ...]:
    rng = np.random.default_rng(5)
    signals = [rng.uniform(0, 4000, GRID.shape) for _ in KEYS]
    return tuple(Volume(np.rint(s) if whole else s, GRID, Unit.STORED) for s in signals)


def write(folder: Path, kind: str, *, whole: bool = True) -> tuple[Path, ...]:
    if kind == "classic":
        return write_diffusion_series(folder, header(len(KEYS) * 4), volumes(whole=whole), PATIENT, AT)
    return (write_enhanced_diffusion(folder / "e.dcm", header(1), volumes(whole=whole), PATIENT, AT),)


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
@pytest.mark.parametrize("whole", [True, False])
def test_our_reader_gives_back_keys_geometry_and_signals(tmp_path: Path, kind: str, whole: bool) -> None:
    paths = write(tmp_path, kind, whole=whole)
    found = read_header(paths[::-1], IngestSettings()).value
    assert found is not None
    assert found.volumes == KEYS
    assert found.grid is not None
    assert found.grid.matches(GRID)
    assert found.acquired_at == AT
    read = read_volumes(paths, found, IngestSettings()).value
    assert read is not None
    for there, here in zip(read, volumes(whole=whole), strict=True):
        np.testing.assert_allclose(there.values, here.values, atol=0 if whole else 4000 / 65535)


def test_pydicom_reads_b_values_and_signals_of_the_enhanced_object(tmp_path: Path) -> None:
    (path,) = write(tmp_path, "enhanced")
    one = pydicom.dcmread(path)
    frames = one.PerFrameFunctionalGroupsSequence
    assert [f.MRDiffusionSequence[0].DiffusionBValue for f in frames] == [
        k.b_value_s_per_mm2 for k in KEYS for _ in range(4)
    ]
    for n, frame in enumerate(frames):
        v, k = divmod(n, 4)
        np.testing.assert_array_equal(one.pixel_array[n].T, volumes(whole=True)[v].values[:, :, k])
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        np.testing.assert_allclose(position, GRID.to_lps_mm((0, 0, k)), atol=1e-9)


def test_simpleitk_reads_each_b_value_as_an_image(tmp_path: Path) -> None:
    """GDCM sorts and places the slices of one volume by itself."""
    sitk = pytest.importorskip("SimpleITK")
    paths = write(tmp_path, "classic")
    for v, volume in enumerate(volumes(whole=True)):
        image = sitk.ReadImage([str(p) for p in paths[4 * v : 4 * v + 4]])
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), volume.values)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((5, 4, 3)), GRID.to_lps_mm((5, 4, 3)), atol=1e-6)


def test_highdicom_converts_the_slices_and_we_read_its_object(tmp_path: Path) -> None:
    """A legacy converted enhanced MR made by highdicom from our slices holds the same series."""
    slices = [pydicom.dcmread(p) for p in write(tmp_path / "classic", "classic")]
    converted = highdicom.legacy.LegacyConvertedEnhancedMRImage(slices, highdicom.UID(), 2, highdicom.UID(), 1)
    path = tmp_path / "legacy.dcm"
    converted.save_as(path)
    found = read_header([path], IngestSettings()).value
    assert found is not None
    assert found.volumes == KEYS
    assert found.grid is not None
    assert found.grid.matches(GRID)
    read = read_volumes([path], found, IngestSettings()).value
    assert read is not None
    for there, here in zip(read, volumes(whole=True), strict=True):
        np.testing.assert_array_equal(there.values, here.values)


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_dciodvfy_finds_no_error(tmp_path: Path, kind: str) -> None:
    checker = shutil.which("dciodvfy")
    if checker is None:
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")
    for path in write(tmp_path, kind)[:: 5 if kind == "classic" else 1]:
        said = subprocess.run([checker, "-new", str(path)], capture_output=True, text=True, check=False).stderr
        assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_missing_slices_of_one_b_value_are_refused_by_name(tmp_path: Path) -> None:
    paths = write(tmp_path, "classic")
    outcome = read_header(paths[:-1], IngestSettings())
    assert outcome.value is None
    assert (
        "b-value (s/mm2) 800.0, gradient (1.0, 0.0, 0.0) has 3 slices and the first volume 4"
        in outcome.findings[-1].text
    )


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="15 instance UIDs; required: 16"):
        write_diffusion_series(tmp_path, header(15), volumes(whole=True), PATIENT, AT)
    negative = (Volume(np.full(GRID.shape, -1.0), GRID, Unit.STORED), *volumes(whole=True)[1:])
    with pytest.raises(UsageError, match="finite signals from 0 on"):
        write_diffusion_series(tmp_path, header(16), negative, PATIENT, AT)
    unweighted = evolve(header(16), volumes=(VolumeKey(), *KEYS[1:]))
    with pytest.raises(UsageError, match="without b-value"):
        write_diffusion_series(tmp_path, unweighted, volumes(whole=True), PATIENT, AT)
