"""Laws of reading: what the files are called, in which order they come and how the values are stored changes nothing."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_image_series
from lutra.ingest import IngestSettings, read_header, read_image, scan

SCAN = datetime(2026, 1, 12, 13, 0, tzinfo=UTC)
N = 5
SHAPE = (7, 6, N)


def pet(folder: Path, seed: int) -> list[Path]:
    """An oblique PET with a rescale of its own in every slice."""
    turn = 0.3
    cosine, sine = np.cos(turn), np.sin(turn)
    affine = np.array([[2 * cosine, -3 * sine, 0, -10], [2 * sine, 3 * cosine, 0, 5], [0, 0, 4.0, 100], [0, 0, 0, 1]])
    grid = Grid(SHAPE, affine, stable_uid("frame"))
    header = SeriesHeader(
        series_uid=stable_uid("series"),
        study_uid=stable_uid("study"),
        subject_id="P1",
        modality="PT",
        sop_class_uid="",
        description="",
        manufacturer="",
        model="",
        image_type=("ORIGINAL", "PRIMARY"),
        frame_of_reference=grid.frame_of_reference,
        instances=tuple(stable_uid(str(k)) for k in range(N)),
        acquired_at=SCAN,
        series_started_at=SCAN,
        stored_unit="BQML",
        decay_correction=DecayCorrection.START,
        corrected_image=("DECY", "ATTN"),
        decay_factor=1.0,
        frame_reference_time_s=60.0,
        frame_duration_s=120.0,
        radiopharmaceutical=Radiopharmaceutical("F-18", "FDG", 3e8, SCAN - timedelta(hours=1), 6586.2),
    )
    values = np.random.default_rng(seed).gamma(2, 1000, SHAPE) * np.linspace(0.1, 3, N)
    identity = PatientIdentity("P1", "P1", "F", 70, 1.7)
    return list(write_image_series(folder, header, Volume(values, grid, Unit.BQ_PER_ML), identity, SCAN))


def read(paths: list[Path]) -> tuple[SeriesHeader, np.ndarray]:  # type: ignore[type-arg]
    header = read_header(paths, IngestSettings()).value
    assert header is not None
    image = read_image(paths, header, IngestSettings()).value
    assert image is not None
    return header, image.values


def facts(header: SeriesHeader) -> tuple[object, ...]:
    """Everything of a header but its arrays."""
    assert header.grid is not None
    plain = {name: getattr(header, name) for name in header.__slots__ if name not in {"grid", "__weakref__"}}
    return header.grid.shape, header.grid.affine_lps_mm.tolist(), plain


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(N)), names=st.permutations(range(N)), seed=st.integers(0, 9))
def test_names_and_order_of_the_files_change_nothing(order: list[int], names: list[int], seed: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        paths = pet(Path(temporary) / "a", seed)
        header, values = read(paths)
        renamed = [path.rename(path.parent / f"{chr(97 + name)}.img") for path, name in zip(paths, names, strict=True)]
        other, again = read([renamed[n] for n in order])
        assert facts(other) == facts(header)
        assert np.array_equal(again, values)
        found = scan([renamed[n] for n in order]).files
        assert [f.sop_instance_uid for f in found] == [header.instances[names.index(n)] for n in range(N)]


@settings(max_examples=15, deadline=None)
@given(powers=st.lists(st.integers(-3, 3), min_size=N, max_size=N), seed=st.integers(0, 9))
def test_stored_values_and_slope_changed_together_change_nothing(powers: list[int], seed: int) -> None:
    """Slopes by powers of two, each slice by its own, stored values the other way round: the image is the same to the bit.

    Values are kept below 2^12 first, so that all of them stay whole numbers of 16 bits.
    """
    with tempfile.TemporaryDirectory() as temporary:
        paths = pet(Path(temporary) / "a", seed)
        for path in paths:
            file = pydicom.dcmread(path)
            file.PixelData = (file.pixel_array // 64 * 8).astype("<i2").tobytes()
            file.RescaleSlope = "0.4375"
            file.save_as(path)
        _, values = read(paths)
        copies = Path(temporary) / "b"
        copies.mkdir()
        for path, power in zip(paths, powers, strict=True):
            file = pydicom.dcmread(path)
            file.PixelData = (file.pixel_array * 2.0**power).astype("<i2").tobytes()
            file.RescaleSlope = repr(0.4375 * 2.0**-power)
            file.save_as(copies / path.name)
        _, again = read(sorted(copies.iterdir()))
        assert np.array_equal(again, values)


@settings(max_examples=10, deadline=None)
@given(slope=st.floats(1e-3, 1e3), intercept=st.integers(-1000, 1000), seed=st.integers(0, 9))
def test_image_is_linear_in_the_rescale(slope: float, intercept: int, seed: int) -> None:
    """Stored x slope + intercept, worked out in double precision: equal within the rounding of float32."""
    with tempfile.TemporaryDirectory() as temporary:
        paths = pet(Path(temporary) / "a", seed)
        stored = np.stack([pydicom.dcmread(path).pixel_array.T for path in paths], axis=-1).astype(float)
        written = f"{slope:.9g}"
        for path in paths:
            file = pydicom.dcmread(path)
            file.RescaleSlope, file.RescaleIntercept = written, str(intercept)
            file.save_as(path)
        _, values = read(paths)
        assert values == pytest.approx(stored * float(written) + intercept, rel=2**-23, abs=2**-23 * 1000)
