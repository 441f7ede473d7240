"""What is written, read again with pydicom and the equations of the standard."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pydicom
import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series

SHAPE = (5, 4, 3)
SUMMER = datetime(2026, 4, 8, 9, 20, tzinfo=ZoneInfo("Europe/Brussels"))
PATIENT = PatientIdentity("P-1", "One^Patient", "F", 66.0, 1.68)
AGENT = Radiopharmaceutical("Lu-177", "177Lu-octreotate", 7.4e9, SUMMER, 574300.0)
PT_NEEDS = ("decay_correction", "decay_factor", "frame_reference_time_s", "frame_duration_s", "radiopharmaceutical")


def oblique_grid() -> Grid:
    """Spacing 2, 3 and 4 mm, turned about two axes: nothing agrees with anything by accident."""
    a, b = 0.3, 0.5
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([2.0, 3.0, 4.0])
    affine[:3, 3] = (-17.25, 31.5, -402.125)
    return Grid(SHAPE, affine, stable_uid("frame"))


def header(modality: str, **changes: Any) -> SeriesHeader:
    plain = SeriesHeader(
        series_uid=stable_uid(modality),
        study_uid=stable_uid("study"),
        subject_id="P-1",
        modality=modality,
        sop_class_uid="",
        description="test",
        manufacturer="Lutra simulate",
        model="glasshouse",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        frame_of_reference=stable_uid("frame"),
        instances=tuple(stable_uid(modality, str(k)) for k in range(SHAPE[2])),
        acquired_at=SUMMER + timedelta(hours=4, microseconds=250000),
        decay_correction=DecayCorrection.ADMIN,
        decay_factor=1.0175,
        corrected_image=("DECY", "ATTN"),
        frame_reference_time_s=750.0,
        frame_duration_s=1500.0,
        radiopharmaceutical=AGENT,
    )
    return evolve(plain, **changes)


def write(folder: Path, modality: str, values: np.ndarray[Any, Any], unit: Unit) -> list[pydicom.Dataset]:
    paths = write_image_series(folder, header(modality), Volume(values, oblique_grid(), unit), PATIENT, SUMMER)
    assert sorted(folder.iterdir()) == sorted(paths)  # nothing half-written stays
    return [pydicom.dcmread(path) for path in paths]


def stored(slices: list[pydicom.Dataset]) -> np.ndarray[Any, Any]:
    """Rescaled values as (i, j, k): a pixel array is [row, column], so i is its second index."""
    return np.stack([(d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept)).T for d in slices], axis=2)


def test_every_voxel_is_where_the_standard_puts_it(tmp_path: Path) -> None:
    """PS3.3 equation C.7.6.2.1-1: the first spacing is between rows, the first cosines run along a row."""
    hu = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(float)
    for k, d in enumerate(write(tmp_path, "CT", hu, Unit.HU)):
        corner = np.array(d.ImagePositionPatient, float)
        along_row, along_column = np.array(d.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = map(float, d.PixelSpacing)
        assert (d.Columns, d.Rows) == SHAPE[:2]
        for i, j in np.ndindex(SHAPE[:2]):
            point = corner + along_row * between_columns * i + along_column * between_rows * j
            np.testing.assert_allclose(point, oblique_grid().to_lps_mm((i, j, k)), atol=1e-9)
            assert d.pixel_array[j, i] - 1024 == hu[i, j, k]


def test_ct_keeps_whole_hounsfield_units_and_cuts_below_its_range(tmp_path: Path) -> None:
    hu = np.linspace(-1000, 3000, np.prod(SHAPE)).round().reshape(SHAPE)
    hu[0, 0, 0] = -1100
    found = stored(write(tmp_path, "CT", hu, Unit.HU))
    assert found[0, 0, 0] == -1024
    np.testing.assert_array_equal(found.ravel()[1:], hu.ravel()[1:])


def test_pt_is_scaled_slice_by_slice(tmp_path: Path) -> None:
    """A faint slice beside a bright one keeps its own 15 bits: every error is within half of the slice's own step."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.5, 0.3, SHAPE) * np.array([1e2, 1e4, 1e6])  # some are negative, as after a reconstruction
    values[0, 0, 1] = -3e4  # the largest of its slice in size: must not be cut off
    slices = write(tmp_path, "PT", values, Unit.BQ_PER_ML)
    steps = np.array([float(d.RescaleSlope) for d in slices])
    np.testing.assert_allclose(steps, np.abs(values).max(axis=(0, 1)) / 32767, rtol=1e-6)
    assert (np.abs(stored(slices) - values) <= steps * 0.5001).all()


def test_adc_says_its_unit(tmp_path: Path) -> None:
    adc = np.linspace(0, 3e-3, np.prod(SHAPE)).reshape(SHAPE)
    slices = write(tmp_path, "MR", adc, Unit.MM2_PER_S)
    assert {(d.RescaleType, float(d.RescaleSlope)) for d in slices} == {("mm2/s", 1e-6)}
    np.testing.assert_allclose(stored(slices), adc, atol=0.501e-6)


def test_pt_carries_what_activity_and_suv_need(tmp_path: Path) -> None:
    d = write(tmp_path, "PT", np.ones(SHAPE), Unit.BQ_PER_ML)[1]
    assert (d.Units, d.DecayCorrection, float(d.DecayFactor)) == ("BQML", "ADMIN", 1.0175)
    assert (float(d.FrameReferenceTime), int(d.ActualFrameDuration)) == (750_000, 1_500_000)  # ms in DICOM
    assert (d.NumberOfSlices, d.ImageIndex, list(d.CorrectedImage)) == (3, 2, ["DECY", "ATTN"])
    assert (float(d.PatientWeight), float(d.PatientSize), d.PatientSex) == (66, 1.68, "F")
    (agent,) = d.RadiopharmaceuticalInformationSequence
    (code,) = agent.RadionuclideCodeSequence
    assert (float(agent.RadionuclideTotalDose), float(agent.RadionuclideHalfLife)) == (7.4e9, 574300)
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("C-101ED", "SRT", "177 Lutetium")


def test_summer_time_is_written_as_clock_and_offset(tmp_path: Path) -> None:
    d = write(tmp_path, "PT", np.ones(SHAPE), Unit.BQ_PER_ML)[0]
    assert (d.AcquisitionDate, d.AcquisitionTime) == ("20260408", "132000.250000")
    assert d.TimezoneOffsetFromUTC == "+0200"
    stamp = d.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
    assert stamp == "20260408092000.000000+0200"


@pytest.mark.parametrize("name", PT_NEEDS)
def test_pt_without_a_needed_value_is_refused_by_name(tmp_path: Path, name: str) -> None:
    volume = Volume(np.ones(SHAPE), oblique_grid(), Unit.BQ_PER_ML)
    with pytest.raises(UsageError, match=name):
        write_image_series(tmp_path, header("PT", **{name: None}), volume, PATIENT, SUMMER)
    assert not list(tmp_path.iterdir())


def test_an_uncorrected_image_needs_no_decay_factor(tmp_path: Path) -> None:
    volume = Volume(np.ones(SHAPE), oblique_grid(), Unit.BQ_PER_ML)
    uncorrected = header("PT", decay_correction=DecayCorrection.NONE, decay_factor=None)
    (first, *_) = write_image_series(tmp_path, uncorrected, volume, PATIENT, SUMMER)
    assert "DecayFactor" not in pydicom.dcmread(first)


@pytest.mark.parametrize(
    ("changes", "volume", "said"),
    [
        ({"modality": "NM"}, Volume(np.ones(SHAPE), oblique_grid(), Unit.HU), "modality NM"),
        ({"instances": ("1.2",)}, Volume(np.ones(SHAPE), oblique_grid(), Unit.HU), "1 instances"),
        ({"acquired_at": None}, Volume(np.ones(SHAPE), oblique_grid(), Unit.HU), "acquisition time"),
        ({"frame_of_reference": "1.2"}, Volume(np.ones(SHAPE), oblique_grid(), Unit.HU), "two frames"),
        ({}, Volume(np.ones(SHAPE), oblique_grid(), Unit.BQ_PER_ML), "Bq/mL"),
        ({}, Volume(np.full(SHAPE, np.nan), oblique_grid(), Unit.HU), "not a finite number"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], volume: Volume, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        write_image_series(tmp_path, header(**({"modality": "CT"} | changes)), volume, PATIENT, SUMMER)
