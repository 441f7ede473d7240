"""CT slices to a Volume, against the time pydicom needs to read their pixel data. Target: at most 1.5 times.

500 slices of noise, and a real CT of 134 slices where ../shared/data is beside the repository. Both sides read the same files in
turn; what Lutra remembers of parsed files is forgotten before each round.
"""

from __future__ import annotations

import tarfile
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import pydicom

from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, write_image_series
from lutra.ingest import IngestSettings, files, read_header, read_image

SLICES, ROUNDS, TARGET = 500, 5, 1.5
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def write(folder: Path) -> tuple[Path, ...]:
    """Write noise of 512 x 512 pixels."""
    rng = np.random.default_rng(1)
    affine = np.diag([0.98, 0.98, 1.5, 1.0])
    grid = Grid((512, 512, SLICES), affine, "1.2.3")
    values = rng.integers(-1000, 1000, grid.shape, np.int16).astype(np.float32)
    at = datetime(2026, 1, 12, 9, tzinfo=UTC)
    header = SeriesHeader(
        series_uid="1.2.4",
        study_uid="1.2.5",
        subject_id="BENCH",
        modality="CT",
        sop_class_uid="",
        description="",
        manufacturer="",
        model="",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        frame_of_reference="1.2.3",
        instances=tuple(f"1.2.6.{k + 1}" for k in range(SLICES)),
        grid=grid,
        acquired_at=at,
    )
    return write_image_series(
        folder, header, Volume(values, grid, Unit.HU), PatientIdentity("BENCH", "BENCH", "O", 70, 1.7), at
    )


def timed(work: Callable[[], object]) -> float:
    """Wall time of one call. [s]"""
    start = time.perf_counter()
    _ = work()
    return time.perf_counter() - start


def ours(paths: tuple[Path, ...]) -> Volume:
    """Read header and image as the pipeline does."""
    files.forget()
    header = read_header(paths, IngestSettings()).value
    volume = read_image(paths, header, IngestSettings()).value if header else None
    if volume is None:
        raise SystemExit("the series was refused")
    return volume


def compare(what: str, paths: tuple[Path, ...]) -> None:
    """Print both times and their ratio, round by round."""
    ratios = []
    for n in range(ROUNDS):
        theirs = timed(lambda: [pydicom.dcmread(path).pixel_array for path in paths])
        here = timed(lambda: ours(paths))
        ratios.append(here / theirs)
        print(f"round {n + 1}: pydicom {theirs:.2f} s, Lutra {here:.2f} s, ratio {ratios[-1]:.2f}")
    print(f"{what} of {len(paths)} slices: median ratio {median(ratios):.2f} (target {TARGET})")


def main() -> None:
    """Measure the noise, and the real CT if it is there."""
    with tempfile.TemporaryDirectory() as folder:
        compare("CT", write(Path(folder) / "noise"))
        packed = DATA / "dicom" / "ct_lung1_001_rtstruct.tar.xz"
        if packed.exists():
            with tarfile.open(packed) as tar:
                tar.extractall(Path(folder) / "real", filter="data")
            images = sorted(path for path in (Path(folder) / "real").rglob("*.dcm") if path.parent.name == "image")
            compare("real CT", tuple(images))


if __name__ == "__main__":
    main()
