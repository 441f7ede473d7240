"""Registrations as DICOM: against the standard's equations read with pydicom, a validator, and our own reader."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from attrs import evolve
from pydicom import Dataset
from scipy.spatial.transform import Rotation

from lutra.core.errors import Unreadable, UsageError
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.transform import DisplacementField, Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, write_image_series, write_spatial_registration
from lutra.export.dicom_image import STORAGE
from lutra.ingest import read_spatial_registration

AT = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
FIXED, MOVING = "1.2.3.10", "1.2.3.20"
RNG = np.random.default_rng(11)


def header(series: str, frame: str, study: str) -> SeriesHeader:
    return SeriesHeader(
        series, study, "P1", "CT", str(STORAGE["CT"]), "", "test", "", ("ORIGINAL", "PRIMARY", "AXIAL"), frame,
        tuple(f"{series}.{k}" for k in range(1, 4)), acquired_at=AT,
    )  # fmt: skip


CT, CT2, SPECT = (
    header("1.2.3.11", FIXED, "1.2.3.1"),
    header("1.2.3.21", MOVING, "1.2.3.1"),
    header("1.2.3.22", MOVING, "1.2.3.2"),
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """First slice of the fixed CT."""
    grid = Grid((8, 8, 3), np.diag([2.0, 2, 3, 1]), FIXED)
    identity = PatientIdentity("P1", "Öne^Patient", "F", 70, 1.7)
    paths = write_image_series(tmp_path / "ct", CT, Volume(np.zeros(grid.shape), grid, Unit.HU), identity, AT)
    return paths[0]


def affine(scales: tuple[float, float, float] = (1, 1, 1)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [11, -23, 31], degrees=True).as_matrix() @ np.diag(scales)
    matrix[:3, 3] = [512.3, -200.1, 31.7]
    return matrix


def transform(scales: tuple[float, float, float] = (1, 1, 1)) -> Transform:
    return Transform(FIXED, MOVING, affine(scales), 1.0, "rigid fit to 6 pairs", quality={"landmark_error_mm": 1.0})


def bent(*, left_handed: bool = False) -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [5, 2, -3], degrees=True).as_matrix() @ np.diag(
        [3.0, 2, -4 if left_handed else 4]
    )
    matrix[:3, 3] = [-50, -60, 100]
    grid = Grid((7, 8, 5), matrix, FIXED)
    return evolve(transform((1.1, 0.9, 1)), displacement=DisplacementField(grid, RNG.normal(0, 4, (7, 8, 5, 3))))


BENT = bent()


def write(path: Path, image: Path, made: Transform) -> Path:
    return write_spatial_registration(
        path, made, (CT,), (CT2, SPECT), image, series_uid="1.2.3.90", instance_uid="1.2.3.91", made_at=AT, made_by="Reader"
    )  # fmt: skip


def test_the_matrix_takes_points_of_the_source_to_the_registered_frame(tmp_path: Path, image: Path) -> None:
    """C.20.2.1.1 by itself: row-major matrix times source point is the point of the registered frame, here that of the file."""
    file = pydicom.dcmread(write(tmp_path / "r.dcm", image, transform()))
    assert (file.SOPClassUID, file.Modality, file.FrameOfReferenceUID) == ("1.2.840.10008.5.1.4.1.1.66.1", "REG", FIXED)
    registered, source = file.RegistrationSequence
    assert (registered.FrameOfReferenceUID, source.FrameOfReferenceUID) == (FIXED, MOVING)
    matrices = []
    for item in (registered, source):
        (matrix,) = item.MatrixRegistrationSequence[0].MatrixSequence
        assert matrix.FrameOfReferenceTransformationMatrixType == "RIGID"
        matrices.append([float(x) for x in matrix.FrameOfReferenceTransformationMatrix])
    for x, y, z in RNG.uniform(-500, 500, (20, 3)):
        m = matrices[1]
        mapped = [m[4 * row] * x + m[4 * row + 1] * y + m[4 * row + 2] * z + m[4 * row + 3] for row in range(3)]
        np.testing.assert_allclose(mapped, transform().fixed_points((x, y, z)), atol=1e-6)
    np.testing.assert_array_equal(np.reshape(matrices[0], (4, 4)), np.eye(4))


def test_it_refers_to_the_images_and_goes_with_the_patient(tmp_path: Path, image: Path) -> None:
    file = pydicom.dcmread(write(tmp_path / "r.dcm", image, transform()))
    source = file.RegistrationSequence[1]
    assert [i.ReferencedSOPInstanceUID for i in source.ReferencedImageSequence] == [*CT2.instances, *SPECT.instances]
    assert [s.SeriesInstanceUID for s in file.ReferencedSeriesSequence] == [CT.series_uid, CT2.series_uid]
    (other,) = file.StudiesContainingOtherReferencedInstancesSequence
    assert (other.StudyInstanceUID, other.ReferencedSeriesSequence[0].SeriesInstanceUID) == (
        "1.2.3.2",
        SPECT.series_uid,
    )
    assert (file.PatientID, str(file.PatientName), file.StudyInstanceUID) == ("P1", "Öne^Patient", "1.2.3.1")
    registration = source.MatrixRegistrationSequence[0]
    assert registration.RegistrationTypeCodeSequence[0].CodeMeaning == "Fiducial Alignment"
    assert registration.FrameOfReferenceTransformationComment == "rigid fit to 6 pairs"
    assert (file.ContentDate, file.ContentCreatorName) == ("20260112", "Reader")


@pytest.mark.parametrize("left_handed", [False, True])
def test_a_deformation_leads_from_the_registered_frame_to_the_source(
    tmp_path: Path, image: Path, left_handed: bool
) -> None:
    """C.20.3.1.1 by itself, vector by vector: x_source = M_post (grid point + delta), X fastest, then Y, then Z."""
    made = bent(left_handed=left_handed)
    file = pydicom.dcmread(write(tmp_path / "r.dcm", image, made))
    assert (file.SOPClassUID, file.FrameOfReferenceUID) == ("1.2.840.10008.5.1.4.1.1.66.3", FIXED)
    (item,) = file.DeformableRegistrationSequence
    assert item.SourceFrameOfReferenceUID == MOVING
    post = np.reshape(
        [float(x) for x in item.PostDeformationMatrixRegistrationSequence[0].FrameOfReferenceTransformationMatrix],
        (4, 4),
    )
    (grid,) = item.DeformableRegistrationGridSequence
    row, column = np.reshape(np.array(grid.ImageOrientationPatient, float), (2, 3))
    start, (di, dj, dk) = np.array(grid.ImagePositionPatient, float), grid.GridResolution
    vectors = np.frombuffer(grid.VectorGridData, "<f4").reshape(-1, 3)
    n_i, n_j, n_k = grid.GridDimensions
    assert len(vectors) == n_i * n_j * n_k
    for n, vector in enumerate(vectors):
        i, j, k = n % n_i, n // n_i % n_j, n // (n_i * n_j)
        point = start + i * di * row + j * dj * column + k * dk * np.cross(row, column)
        source = post @ [*(point + vector), 1]
        np.testing.assert_allclose(source[:3], made.moving_points(point), atol=1e-5)


@pytest.mark.parametrize("made", [transform(), transform((1.1, 0.9, 1)), bent(), bent(left_handed=True)])
def test_our_reader_maps_the_same_points(tmp_path: Path, image: Path, made: Transform) -> None:
    outcome = read_spatial_registration(write(tmp_path / "r.dcm", image, made))
    assert outcome.findings == ()
    (back,) = outcome.value
    grid = (made.displacement or BENT.displacement).grid
    points = grid.to_lps_mm(RNG.uniform(0, np.subtract(grid.shape, 1), (100, 3)))
    np.testing.assert_allclose(back.moving_points(points), made.moving_points(points), atol=1e-5)
    assert (back.fixed_frame, back.moving_frame, back.error_mm) == (FIXED, MOVING, None)
    assert back.method == "imported from DICOM registration 1.2.3.91: rigid fit to 6 pairs"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")
@pytest.mark.parametrize("made", [transform(), transform((1.1, 0.9, 1)), bent()])
def test_validator_finds_no_error(tmp_path: Path, image: Path, made: Transform) -> None:
    path = write(tmp_path / "r.dcm", image, made)
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert any("SpatialRegistration" in line for line in lines)
    assert [line for line in lines if line.startswith("Error")] == []


def test_the_same_values_give_the_same_bytes(tmp_path: Path, image: Path) -> None:
    one, other = (write(tmp_path / name, image, bent_once) for name, bent_once in (("a", BENT), ("b", BENT)))
    assert one.read_bytes() == other.read_bytes()


def test_what_cannot_be_written_is_refused(tmp_path: Path, image: Path) -> None:
    with pytest.raises(UsageError, match="moving series of another frame"):
        write(tmp_path / "r.dcm", image, evolve(transform(), moving_frame="1.2.3.30"))
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    field = DisplacementField(Grid((2, 2, 2), sheared, FIXED), np.zeros((2, 2, 2, 3)))
    with pytest.raises(UsageError, match="sheared"):
        write(tmp_path / "r.dcm", image, evolve(transform(), displacement=field))
    with pytest.raises(Unreadable):
        write(tmp_path / "r.dcm", tmp_path / "none.dcm", transform())
    assert [p.name for p in tmp_path.iterdir()] == ["ct"]


# ---- files of others ----
def changed(path: Path, change: object) -> Path:
    file = pydicom.dcmread(path)
    change(file)  # type: ignore[operator]
    file.save_as(path)
    return path


def matrix_item(values: np.ndarray, kind: str = "RIGID") -> Dataset:
    item = Dataset()
    item.FrameOfReferenceTransformationMatrix = [f"{x:.10g}" for x in values.ravel()]
    item.FrameOfReferenceTransformationMatrixType = kind
    return item


def test_several_matrices_are_multiplied_in_their_order_and_said(tmp_path: Path, image: Path) -> None:
    """C.20.2.1.1: the order of the items is that of the multiplication, so the last one meets the point first."""
    turn, shift = affine(), np.eye(4)
    turn[:3, 3] = 0
    shift[:3, 3] = [10, 20, 30]

    def change(file: Dataset) -> None:
        file.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence = [
            matrix_item(turn),
            matrix_item(shift),
        ]

    outcome = read_spatial_registration(changed(write(tmp_path / "r.dcm", image, transform()), change))
    (found,) = outcome.value
    np.testing.assert_allclose(found.fixed_points((1.0, 2, 3)), turn[:3, :3] @ [11, 22, 33], atol=1e-6)
    assert [f.code for f in outcome.findings] == ["ingest.registration-of-several-matrices"]


def test_a_matrix_before_the_deformation(tmp_path: Path, image: Path) -> None:
    """x_source = M_post (M_pre x + delta(x)) at a grid point x."""
    pre = affine((1.2, 1, 0.8))

    def change(file: Dataset) -> None:
        file.DeformableRegistrationSequence[0].PreDeformationMatrixRegistrationSequence = [matrix_item(pre, "AFFINE")]

    (found,) = read_spatial_registration(changed(write(tmp_path / "r.dcm", image, BENT), change)).value
    field = BENT.displacement
    point, delta = field.grid.to_lps_mm((2, 3, 1)), field.lps_mm[2, 3, 1]
    source = np.linalg.inv(BENT.fixed_from_moving) @ [*(pre[:3, :3] @ point + pre[:3, 3] + delta), 1]
    np.testing.assert_allclose(found.moving_points(point), source[:3], atol=1e-4)


@pytest.mark.parametrize(
    "damage", ["mirror called rigid", "no frame", "last row", "too few numbers", "two registrations"]
)
def test_a_registration_that_cannot_be_used_is_left_out(tmp_path: Path, image: Path, damage: str) -> None:
    def change(file: Dataset) -> None:
        item = file.RegistrationSequence[1]
        registration = item.MatrixRegistrationSequence[0]
        matrix = affine()
        match damage:
            case "mirror called rigid":
                registration.MatrixSequence = [matrix_item(matrix @ np.diag([-1, 1, 1, 1]))]
            case "no frame":
                del item.FrameOfReferenceUID
            case "last row":
                matrix[3, 0] = 0.5
                registration.MatrixSequence = [matrix_item(matrix)]
            case "too few numbers":
                registration.MatrixSequence[0].FrameOfReferenceTransformationMatrix = ["1", "0", "0"]
            case _:
                item.MatrixRegistrationSequence = [registration, registration]

    outcome = read_spatial_registration(changed(write(tmp_path / "r.dcm", image, transform()), change))
    assert outcome.value is None
    assert [f.code for f in outcome.findings] == ["ingest.registration-left-out", "ingest.no-registration"]


@pytest.mark.parametrize("damage", ["short", "nan", "spacing"])
def test_a_grid_that_cannot_be_used_is_left_out(tmp_path: Path, image: Path, damage: str) -> None:
    def change(file: Dataset) -> None:
        grid = file.DeformableRegistrationSequence[0].DeformableRegistrationGridSequence[0]
        match damage:
            case "short":
                grid.VectorGridData = grid.VectorGridData[:-12]
            case "nan":
                grid.VectorGridData = np.full(len(grid.VectorGridData) // 4, np.nan, "<f4").tobytes()
            case _:
                grid.GridResolution = [1.0, 0.0, 1.0]

    outcome = read_spatial_registration(changed(write(tmp_path / "r.dcm", image, BENT), change))
    assert [f.code for f in outcome.findings] == ["ingest.registration-left-out", "ingest.no-registration"]


def test_a_file_that_is_none(tmp_path: Path, image: Path) -> None:
    (tmp_path / "r.dcm").write_bytes(b"nothing")
    assert [f.code for f in read_spatial_registration(tmp_path / "r.dcm").findings] == ["ingest.unreadable"]

    def change(file: Dataset) -> None:
        del file.FrameOfReferenceUID

    path = changed(write(tmp_path / "s.dcm", image, transform()), change)
    assert [f.code for f in read_spatial_registration(path).findings] == ["ingest.unreadable"]
