"""Segmentations written and read by highdicom, SimpleITK and a validator: the same numbers."""

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
from attrs import evolve

from lutra.core.errors import GridMismatch, UsageError
from lutra.core.grid import Grid
from lutra.core.region import ConceptCode, Region, RegionKind, RegionOrigin
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import Algorithm, PatientIdentity, stable_uid, write_image_series, write_segmentation
from lutra.export.dicom_image import STORAGE
from lutra.ingest import IngestSettings, read_header, read_segmentation
from lutra.segment import SegmentSettings, regions_on_grid

NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)
SHAPE = (9, 7, 8)
MADE_BY = Algorithm("threshold", "1.2", "SEMIAUTOMATIC")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    grid = Grid(SHAPE, np.array([[2.0, 0, 0, -10], [0, 3, 0, 5], [0, 0, 4, 100], [0, 0, 0, 1]]), stable_uid("frame"))
    header = SeriesHeader(
        stable_uid("ct"), stable_uid("study"), "P", "CT", STORAGE["CT"], "ct", "test", "", ("ORIGINAL", "PRIMARY", "AXIAL"),
        grid.frame_of_reference, tuple(stable_uid("ct", str(k)) for k in range(SHAPE[2])), acquired_at=NOON,
        series_started_at=NOON,
    )  # fmt: skip
    patient = PatientIdentity("P", "P^P", "F", 60, 1.6)
    return list(write_image_series(tmp_path / "ct", header, Volume(np.zeros(SHAPE), grid, Unit.HU), patient, NOON))


def read(images: list[Path]) -> SeriesHeader:
    header = read_header(images, IngestSettings()).value
    assert header is not None
    return header


def region(
    header: SeriesHeader, name: str, fraction: npt.NDArray[np.float64], start: tuple[int, int, int], **more: str
) -> Region:
    code = ConceptCode("108369006", "SCT", "Neoplasm")
    assert header.grid is not None
    return Region(name, RegionKind.LESION, header.grid, start, fraction, code, RegionOrigin.THRESHOLD, "", **more)


def overlapping(header: SeriesHeader) -> tuple[Region, Region]:
    """One on slices 2, 3 and 5, the other on 4 to 6."""
    one = np.random.default_rng(1).random((4, 3, 4)) > 0.4
    one[:, :, 2] = False
    other = np.random.default_rng(2).random((5, 4, 3)) > 0.4
    tracked = {"tracking_id": "T1", "tracking_uid": "1.2.3"}
    return (
        region(header, "a", one.astype(float), (1, 2, 2), **tracked),
        region(header, "b", other.astype(float), (2, 1, 4)),
    )


def write(path: Path, regions: tuple[Region, ...], images: list[Path], **more: object) -> Path:
    given = {"algorithm": MADE_BY, **more}
    return write_segmentation(
        path, regions, images, read(images), series_uid="1.2.8", instance_uid="1.2.7", drawn_at=NOON, **given
    )


def whole(found: Region) -> npt.NDArray[np.float32]:
    array = np.zeros(found.grid.shape, np.float32)
    array[found.box] = found.fraction
    return array


def again(path: Path, header: SeriesHeader) -> tuple[Region, ...]:
    assert header.grid is not None
    outcome = regions_on_grid(read_segmentation(path).value, header.grid, SegmentSettings(), header.series_uid)
    assert outcome.findings == ()
    return outcome.value


def test_binary_segments_come_back_exactly(tmp_path: Path, images: list[Path]) -> None:
    header = read(images)
    regions = overlapping(header)
    for before, after in zip(regions, again(write(tmp_path / "s.dcm", regions, images), header), strict=True):
        np.testing.assert_array_equal(whole(before), whole(after))
        for fact in ("name", "code", "kind", "tracking_id", "tracking_uid"):
            assert getattr(before, fact) == getattr(after, fact)
        assert after.referenced_series_uid == header.series_uid


def test_partial_voxels_come_back_within_one_step(tmp_path: Path, images: list[Path]) -> None:
    header = read(images)
    drawn = region(header, "a", np.random.default_rng(5).random((5, 4, 3)), (2, 1, 4))
    (found,) = again(write(tmp_path / "s.dcm", (drawn,), images), header)
    assert np.abs(whole(found) - whole(drawn)).max() <= 0.5 / 255 + 1e-6


def test_binary_on_request_takes_half_full_voxels(tmp_path: Path, images: list[Path]) -> None:
    header = read(images)
    drawn = region(header, "a", np.random.default_rng(5).random((5, 4, 3)), (2, 1, 4))
    (found,) = again(write(tmp_path / "s.dcm", (drawn,), images, kind="BINARY"), header)
    np.testing.assert_array_equal(whole(found), whole(drawn) >= 0.5)


@pytest.mark.parametrize("apart", [True, False])
def test_highdicom_reads_the_same(tmp_path: Path, images: list[Path], apart: bool) -> None:
    """Overlapping and separate segments are written on different ways."""
    header = read(images)
    one, other = overlapping(header)
    regions = (evolve(one, fraction=one.fraction[:, :, :2]) if apart else one, other)
    file = hd.seg.segread(write(tmp_path / "s.dcm", regions, images))
    for number, drawn in enumerate(regions, start=1):
        description = file.get_segment_description(number)
        assert (description.segment_label, description.segmented_property_type.value) == (drawn.name, "108369006")
        assert description.algorithm_identification.name == "threshold"
        planes = file.get_pixels_by_source_instance(
            list(header.instances),
            segment_numbers=[number],
            ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )
        np.testing.assert_array_equal(planes[..., 0].transpose(2, 1, 0), whole(drawn))


@pytest.mark.skipif(shutil.which("segimage2itkimage") is None, reason="dcmqi is not installed")
def test_dcmqi_reads_the_same_voxels_in_the_same_place(tmp_path: Path, images: list[Path]) -> None:
    sitk = pytest.importorskip("SimpleITK")
    header = read(images)
    assert header.grid is not None
    regions = overlapping(header)
    path = write(tmp_path / "s.dcm", regions, images, kind="BINARY")
    words = ["segimage2itkimage", "--inputDICOM", path, "--outputDirectory", tmp_path, "--prefix", "q", "-t", "nrrd"]
    subprocess.run(words, check=True, capture_output=True)
    for number, drawn in enumerate(regions, start=1):
        image = sitk.ReadImage(str(tmp_path / f"q-{number}.nrrd"))
        start = np.rint(header.grid.to_ijk(image.GetOrigin())).astype(int)
        found = np.zeros(SHAPE, bool)
        found[tuple(slice(a, a + n) for a, n in zip(start, image.GetSize(), strict=True))] = (
            sitk.GetArrayFromImage(image).transpose(2, 1, 0) > 0
        )
        np.testing.assert_array_equal(found, whole(drawn) > 0)


def test_simpleitk_reads_the_same_frames(tmp_path: Path, images: list[Path]) -> None:
    """It knows nothing of segments, but decodes the packed bits and the place of the first frame."""
    sitk = pytest.importorskip("SimpleITK")
    header = read(images)
    drawn = region(header, "a", np.random.default_rng(5).random((5, 4, 3)), (2, 1, 4))
    image = sitk.ReadImage(str(write(tmp_path / "s.dcm", (drawn,), images)))
    array = sitk.GetArrayFromImage(image).astype(float)
    assert array.sum() / 255 == pytest.approx(drawn.fraction.sum(), abs=0.1)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
@pytest.mark.parametrize("fractional", [False, True])
def test_validator_finds_no_error(tmp_path: Path, images: list[Path], fractional: bool) -> None:
    regions = overlapping(read(images))
    if fractional:
        regions = tuple(evolve(r, fraction=r.fraction * 0.4) for r in regions)
    path = write(tmp_path / "s.dcm", regions, images)
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
    assert "Segmentation" in said


def test_the_same_values_give_the_same_bytes(tmp_path: Path, images: list[Path]) -> None:
    regions = overlapping(read(images))
    assert (
        write(tmp_path / "a.dcm", regions, images).read_bytes()
        == write(tmp_path / "b.dcm", regions, images).read_bytes()
    )
    file = pydicom.dcmread(tmp_path / "a.dcm")
    assert (file.ContentDate, file.ContentTime) == ("20260112", "120000.000000")


def test_what_cannot_be_written_is_refused(tmp_path: Path, images: list[Path]) -> None:
    header = read(images)
    one, _ = overlapping(header)
    assert header.grid is not None
    for regions, message, more in (
        ((), "nothing to write", {}),
        ((evolve(one, fraction=one.fraction * 0),), "is empty", {}),
        ((evolve(one, name="x" * 65),), "a name of 65", {}),
        ((one,), "nothing says how it was made", {"algorithm": None}),
        ((one,), "slices have no file", {"images": images[:3]}),
    ):
        arguments = {"images": images, "algorithm": MADE_BY, **more}
        with pytest.raises(UsageError, match=message):
            write_segmentation(
                tmp_path / "s.dcm", regions, arguments["images"], header, series_uid="1.2.8", instance_uid="1.2.7",
                drawn_at=NOON, algorithm=arguments["algorithm"],
            )  # fmt: skip
    with pytest.raises(GridMismatch, match="segment a"):
        write(tmp_path / "s.dcm", (evolve(one, grid=evolve(header.grid, frame_of_reference="other")),), images)
    assert not (tmp_path / "s.dcm").exists()


def test_drawn_by_hand_needs_no_algorithm(tmp_path: Path, images: list[Path]) -> None:
    drawn = evolve(overlapping(read(images))[0], origin=RegionOrigin.DRAWN)
    file = pydicom.dcmread(write(tmp_path / "s.dcm", (drawn,), images, algorithm=None))
    assert file.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
