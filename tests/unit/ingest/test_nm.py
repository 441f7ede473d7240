"""Reconstructed NM by the standard's own words: where the slices are, what their numbers mean, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from lutra.core.grid import Grid
from lutra.core.study import Camera, DecayCorrection, EnergyWindow, Radiopharmaceutical, RealWorldMap, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_nm_recon
from lutra.ingest import IngestSettings, read_header, read_volumes

AT = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
SHAPE = (5, 4, 6)
GRID = Grid(SHAPE, np.array([[2.0, 0, 0, -10], [0, 3, 0, 20], [0, 0, 4, -400], [0, 0, 0, 1]]), stable_uid("frame"))
PEAK, LOW = EnergyWindow("208", 187.2, 228.8), EnergyWindow("113", 101.7, 124.3)
COUNTS = np.arange(np.prod(SHAPE), dtype=float).reshape(SHAPE)
PATIENT = PatientIdentity("P", "P", "F", 70, 1.7)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(*values: Any, name: str = "a", unit: Unit = Unit.STORED, against: bool = False, **changes: Any) -> Path:
        arrays = values or (COUNTS,)
        facts: dict[str, Any] = {
            "series_uid": stable_uid("series"),
            "study_uid": stable_uid("study"),
            "subject_id": "P",
            "modality": "NM",
            "sop_class_uid": "",
            "description": "",
            "manufacturer": "m",
            "model": "n",
            "image_type": (),
            "frame_of_reference": GRID.frame_of_reference,
            "instances": (stable_uid(name),),
            "decay_correction": DecayCorrection.START,
            "acquired_at": AT,
            "frame_duration_s": 25.0,
            "acquisition_duration_s": 1500.0,
            "radiopharmaceutical": Radiopharmaceutical("Lu-177", "x", 7.4e9, AT - timedelta(days=1), None),
            "energy_windows": (PEAK, LOW)[: len(arrays)],
            "camera": Camera("m", "n", "sn", "st", "MEGP"),
        }
        header = SeriesHeader(**(facts | changes))
        volumes = [Volume(a, GRID, unit) for a in arrays]
        return write_nm_recon(tmp_path / f"{name}.dcm", header, volumes, PATIENT, AT, against_normal=against)

    return make


def edit(path: Path, change: Callable[[Dataset], None]) -> Path:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def read(*paths: Path) -> tuple[SeriesHeader, tuple[Volume, ...]]:
    header = read_header(paths, IngestSettings())
    assert header.value is not None, header.findings
    volumes = read_volumes(paths, header.value, IngestSettings())
    assert volumes.value is not None, volumes.findings
    return header.value, volumes.value


def refused(path: Path) -> str:
    outcome = read_header([path], IngestSettings())
    assert outcome.value is None
    return outcome.findings[-1].text


def test_negative_spacing_puts_the_next_slice_in_front_of_the_first(write: Write) -> None:
    """PS3.3 C.8.4.15: normal = row x column, here +z; frame 2 of a spacing of -4 mm lies 4 mm below frame 1.

    Frame 1 stays where its position says, so changing nothing but the sign mirrors the stack about it.
    """

    def flip(d: Dataset) -> None:
        d.SpacingBetweenSlices = "-4"

    header, (volume,) = read(edit(write(), flip))
    assert header.grid is not None
    z = header.grid.to_lps_mm([(0, 0, k) for k in range(6)])[:, 2]
    np.testing.assert_allclose(z, [-420, -416, -412, -408, -404, -400])
    np.testing.assert_array_equal(volume.values, COUNTS[:, :, ::-1])


def test_both_directions_of_stacking_are_the_same_image(write: Write) -> None:
    along, against = read(write()), read(write(name="b", against=True))
    assert along[0].grid is not None
    assert against[0].grid is not None
    assert along[0].grid.matches(GRID)
    assert against[0].grid.matches(GRID)
    np.testing.assert_array_equal(along[1][0].values, COUNTS)
    np.testing.assert_array_equal(against[1][0].values, COUNTS)


def test_thickness_says_nothing_about_distance(write: Write) -> None:
    def thick(d: Dataset) -> None:
        d.SliceThickness = "8"

    header, _ = read(edit(write(), thick))
    assert header.grid is not None
    assert header.grid.spacing_mm == pytest.approx((2, 3, 4))

    def nothing(d: Dataset) -> None:
        d.SpacingBetweenSlices = None

    assert "(0018,0088)" in refused(edit(write(), nothing))


def test_slices_follow_their_vector_not_their_order_in_the_file(write: Write) -> None:
    def shuffle(d: Dataset) -> None:
        order = [3, 0, 5, 1, 4, 2]
        frames = d.pixel_array[order]
        d.PixelData = frames.tobytes()
        d.SliceVector = [n + 1 for n in order]

    _, (volume,) = read(edit(write(), shuffle))
    np.testing.assert_array_equal(volume.values, COUNTS)


def test_windows_in_one_file_and_in_one_file_each(write: Write) -> None:
    header, volumes = read(write(COUNTS, COUNTS + 1000))
    assert header.energy_windows == (PEAK, LOW)
    assert [key.energy_window for key in header.volumes] == [0, 1]
    np.testing.assert_array_equal(volumes[1].values, COUNTS + 1000)
    one, other = write(name="x"), write(COUNTS + 1000, name="y", energy_windows=(LOW,))
    header, volumes = read(one, other)
    for key, volume in zip(header.volumes, volumes, strict=True):
        assert key.energy_window is not None
        window = header.energy_windows[key.energy_window]
        np.testing.assert_array_equal(volume.values, COUNTS if window == PEAK else COUNTS + 1000)


def test_detectors_are_told_apart(write: Write) -> None:
    def second_detector(d: Dataset) -> None:
        d.FrameIncrementPointer = [0x00540020, 0x00540080]
        d.DetectorVector = [1] * 6 + [2] * 6
        d.NumberOfDetectors = 2
        d.DetectorInformationSequence.append(d.DetectorInformationSequence[0])

    path = write(COUNTS, COUNTS + 1000)
    header, volumes = read(edit(path, second_detector))
    assert [key.detector for key in header.volumes] == [1, 2]
    np.testing.assert_array_equal(volumes[1].values, COUNTS + 1000)


def test_activity_of_an_nm_header_is_in_mbq(write: Write) -> None:
    """PS3.3 C.8.4.10 (0018,1074): MBq, where PET has Bq. A number no one could be given in MBq is in Bq."""
    path = write()
    assert float(pydicom.dcmread(path).RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose) == 7400
    assert read(path)[0].radiopharmaceutical.activity_bq == 7.4e9  # type: ignore[union-attr]

    def in_bq(d: Dataset) -> None:
        d.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = "7400000000"

    outcome = read_header([edit(path, in_bq)], IngestSettings())
    assert outcome.value is not None
    assert outcome.value.radiopharmaceutical.activity_bq == 7.4e9  # type: ignore[union-attr]
    assert "ingest.activity-in-bq" in [f.code for f in outcome.findings]


def test_counts_or_what_the_real_world_map_says(write: Write) -> None:
    assert read(write())[0].stored_unit == "CNTS"
    header, (volume,) = read(write(COUNTS * 7.5, unit=Unit.BQ_PER_ML, name="b"))
    assert header.stored_unit == "BQML"
    np.testing.assert_allclose(volume.values, COUNTS * 7.5, atol=0.5 * COUNTS.max() * 7.5 / 65535)
    offset = RealWorldMap(0.5, -3.0, "{counts}")
    header, (volume,) = read(write(name="c", real_world=offset))
    assert (header.stored_unit, header.real_world) == ("CNTS", offset)
    np.testing.assert_allclose(volume.values, COUNTS)


def test_a_rescale_to_nothing_named_has_no_unit(write: Write) -> None:
    def scale(d: Dataset) -> None:
        d.RescaleSlope, d.RescaleIntercept = "12.5", "0"

    header, (volume,) = read(edit(write(), scale))
    assert header.stored_unit is None
    np.testing.assert_allclose(volume.values, 12.5 * COUNTS)

    def named(d: Dataset) -> None:
        d.Units = "BQML"

    assert read(edit(write(), named))[0].stored_unit == "BQML"


def test_time_and_corrections(write: Write) -> None:
    header, _ = read(write(corrected_image=("ATTN", "SCAT")))
    assert (header.acquisition_duration_s, header.frame_duration_s) == (1500, 25)
    assert header.camera == Camera("m", "n", "sn", "st", "MEGP")

    def silent(d: Dataset) -> None:
        del d.DecayCorrection

    path = edit(write(corrected_image=("ATTN", "SCAT")), silent)
    assert read(path)[0].decay_correction is DecayCorrection.NONE  # what was corrected is listed, and decay is not
    path = edit(write(corrected_image=("ATTN", "DECY")), silent)
    assert read(path)[0].decay_correction is None  # corrected, to an instant it does not name
    path = edit(write(), silent)
    assert read(path)[0].decay_correction is None


@pytest.mark.parametrize("kind", ["TOMO", "STATIC", "WHOLE BODY", "DYNAMIC", "GATED", "RECON GATED TOMO"])
def test_other_kinds_of_nm_are_refused_by_name(write: Write, kind: str) -> None:
    def other(d: Dataset) -> None:
        d.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]

    text = refused(edit(write(), other))
    assert kind in text
    assert "RECON TOMO" in text


def _gated(d: Dataset) -> None:
    d.FrameIncrementPointer = [0x00540060, 0x00540080]
    d.RRIntervalVector = [1, 1, 1, 2, 2, 2]


def _without_slices(d: Dataset) -> None:
    d.FrameIncrementPointer = [0x00540010]
    d.EnergyWindowVector = [1] * 6


def _short_vector(d: Dataset) -> None:
    d.SliceVector = [1, 2, 3, 4, 5]


def _a_slice_missing(d: Dataset) -> None:
    d.NumberOfSlices = 7


def _a_slice_twice(d: Dataset) -> None:
    d.SliceVector = [1, 2, 3, 4, 5, 5]


def _no_position(d: Dataset) -> None:
    del d.DetectorInformationSequence[0].ImagePositionPatient


def _two_nuclides(d: Dataset) -> None:
    other = Dataset()
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-163A8", "SRT", "^99m^Technetium"
    other.RadionuclideCodeSequence = [code]
    d.RadiopharmaceuticalInformationSequence.append(other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_gated, "RRIntervalVector"),
        (_without_slices, "Slice Vector"),
        (_short_vector, "SliceVector"),
        (_a_slice_missing, "6 frames for 1 volumes of 7 slices"),
        (_a_slice_twice, "every slice of every volume once"),
        (_no_position, "(0020,0032)"),
        (_two_nuclides, "several radionuclides"),
    ],
)
def test_what_contradicts_itself_is_refused(write: Write, change: Callable[[Dataset], None], words: str) -> None:
    assert words in refused(edit(write(), change))
