"""Registrations with damaged bytes: refused, told, or the map that the file then honestly holds."""

from __future__ import annotations

import logging
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from scipy.spatial.transform import Rotation

from lutra.core.finding import Severity
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.transform import DisplacementField, Transform
from lutra.export import write_spatial_registration
from lutra.ingest import read_spatial_registration

from .mutation import NO_NUMBER, SPECIAL
from .raw import parse, walk
from .run import time_limit

FILES = 150
POINTS = np.random.default_rng(2).uniform(5, 25, (8, 3))
POINTS_1 = np.pad(POINTS, ((0, 0), (0, 1)), constant_values=1)


@pytest.fixture(scope="module", params=[False, True], ids=["linear", "deformable"])
def content(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("registration")
    fixed, moving = (
        SeriesHeader(f"{frame}.1", "1.2.3", "P1", "CT", "1.2.840.10008.5.1.4.1.1.2", "", "", "", (), frame, (f"{frame}.1.1",))
        for frame in ("1.2.4", "1.2.5")
    )  # fmt: skip
    like = Dataset()
    like.PatientID, like.StudyInstanceUID = "P1", "1.2.3"
    like.file_meta = pydicom.dataset.FileMetaDataset()
    like.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    like.SOPClassUID, like.SOPInstanceUID = fixed.sop_class_uid, fixed.instances[0]
    like.save_as(folder / "like.dcm", enforce_file_format=True)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_euler("xyz", [0.1, 0.2, -0.3]).as_matrix(), [10, -20, 30]
    grid = Grid((4, 5, 6), np.diag([10.0, 8, 6, 1]), "1.2.4")
    field = DisplacementField(grid, np.random.default_rng(1).normal(0, 3, (4, 5, 6, 3))) if request.param else None
    transform = Transform("1.2.4", "1.2.5", matrix, None, "known", field)
    path = write_spatial_registration(
        folder / "r.dcm", transform, [fixed], [moving], folder / "like.dcm",
        series_uid="1.2.6", instance_uid="1.2.6.1", made_at=datetime(2026, 1, 12, tzinfo=UTC),
    )  # fmt: skip
    return path.read_bytes()


def mutated(content: bytes, rng: Random) -> bytes:
    data = bytearray(content)
    match rng.randrange(5):
        case 0:
            return bytes(data[: rng.randrange(len(data))])
        case 1:
            for _ in range(rng.choice([1, 3, 20])):
                data[rng.randrange(132, len(data))] = rng.randrange(256)
            return bytes(data)
        case kind:
            file = parse("r.dcm", content)
            found = [pair for pair in walk(file.elements) if pair[1].tag >> 16 in {0x0020, 0x0064, 0x0070, 0x3006}]
            holder, element = rng.choice(found)
            if kind == 2:
                holder.remove(element)
            elif kind == 3 or element.items is not None:
                element.value, element.items = b"", None if element.items is None else []
            else:
                parts = element.value.split(b"\\")
                parts[rng.randrange(len(parts))] = rng.choice(SPECIAL + NO_NUMBER).encode()
                element.value = b"\\".join(parts)
                element.value += b" " * (len(element.value) % 2)
            return file.written()


def honest(path: Path) -> list[tuple[str, str, np.ndarray]]:
    """Frames of every item that can be read, and where it sends points of the registered frame, by the standard's equations."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pydicom.dcmread(path)
        frame = str(file.FrameOfReferenceUID)
        for item in file.get("RegistrationSequence", []):
            with suppress(Exception):  # whatever is wrong, nothing is said
                (matrix,) = item.MatrixRegistrationSequence[0].MatrixSequence
                found.append((frame, str(item.FrameOfReferenceUID), POINTS_1 @ np.linalg.inv(square(matrix)).T))
        for item in file.get("DeformableRegistrationSequence", []):
            with suppress(Exception):
                listed = item.get("PostDeformationMatrixRegistrationSequence")
                post = square(listed[0]) if listed else np.eye(4)
                moved = POINTS_1 + np.pad(offsets(item), ((0, 0), (0, 1)))
                found.append((frame, str(item.SourceFrameOfReferenceUID), moved @ post.T))
    return found


def square(item: Dataset) -> np.ndarray:
    return np.reshape([float(x) for x in item.FrameOfReferenceTransformationMatrix], (4, 4))


def offsets(item: Dataset) -> np.ndarray:
    """Trilinear, by eight corners each; zero without a grid."""
    listed = item.get("DeformableRegistrationGridSequence")
    if not listed:
        return np.zeros((len(POINTS), 3))
    grid = listed[0]
    row, column = np.reshape([float(x) for x in grid.ImageOrientationPatient], (2, 3))
    axes = np.array([row, column, np.cross(row, column)])
    n_i, n_j, n_k = grid.GridDimensions
    vectors = np.frombuffer(grid.VectorGridData, "<f4").reshape(n_k, n_j, n_i, 3)
    found = np.zeros((len(POINTS), 3))
    for n, point in enumerate(POINTS):
        at = axes @ (point - [float(x) for x in grid.ImagePositionPatient]) / [float(x) for x in grid.GridResolution]
        at = np.clip(at, 0, [n_i - 1, n_j - 1, n_k - 1])
        for corner in np.ndindex(2, 2, 2):
            i, j, k = np.minimum(np.floor(at).astype(int) + corner, [n_i - 1, n_j - 1, n_k - 1])
            found[n] += np.prod(np.where(corner, at % 1, 1 - at % 1)) * vectors[k, j, i]
    return found


def test_damaged_registrations(content: bytes, tmp_path: Path) -> None:
    refused = read = 0
    for seed in range(FILES):
        path = tmp_path / f"{seed}.dcm"
        path.write_bytes(mutated(content, Random(seed)))  # noqa: S311
        with time_limit(), warnings.catch_warnings():
            warnings.simplefilter("error")
            outcome = read_spatial_registration(path)
        if outcome.value is None:
            refused += 1
            assert any(
                f.severity in {Severity.ERROR, Severity.WARNING} and path.name in f.text for f in outcome.findings
            )
            continue
        read += 1
        logging.getLogger("pydicom").disabled = True
        expected = honest(path)
        for transform in outcome.value:
            found = transform.moving_points(POINTS)
            assert any(
                (transform.fixed_frame, transform.moving_frame) == (fixed, moving) and np.allclose(found, points[:, :3], atol=1e-3)
                for fixed, moving, points in expected
            ), seed  # fmt: skip
    assert refused > 30
    assert read > 30
