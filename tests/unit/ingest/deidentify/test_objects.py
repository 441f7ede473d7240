"""Objects of our own writers, read before and after: NM with two windows, classic and enhanced diffusion."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import pytest

from lutra.core.study import SeriesHeader
from lutra.core.time import seconds_between
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest import IngestSettings, read_header, read_volumes

from ....conformance.test_nm_round_trip import SHAPE, written
from ...export.test_mr import write
from .planted import KEY, cleaned, found_in

NEW = {"series_uid", "study_uid", "subject_id", "frame_of_reference", "instances", "grid", "dates_moved"}
MOVED = {"series_started_at", "acquired_at", "slice_acquired_at", "radiopharmaceutical"}


def made(kind: str, folder: Path) -> tuple[Path, ...]:
    if kind == "nm":
        rng = np.random.default_rng(3)
        return (written(folder / "nm.dcm", [rng.uniform(0, 900, SHAPE) for _ in range(2)], Unit.STORED, against=True),)
    return write(folder, kind)


def read(paths: Sequence[Path]) -> tuple[SeriesHeader, tuple[Volume, ...]]:
    header = read_header(paths, IngestSettings()).value
    assert header is not None
    images = read_volumes(paths, header, IngestSettings()).value
    assert images is not None
    return header, images


@pytest.mark.parametrize("kind", ["nm", "classic", "enhanced"])
def test_the_same_header_and_voxels(tmp_path: Path, kind: str) -> None:
    """Windows, b-values, gradients, counts, duration and geometry: equal, not close."""
    before = made(kind, tmp_path / "before")
    after = tuple(tmp_path / f"{n}.dcm" for n in range(len(before)))
    for one, other in zip(before, after, strict=True):
        other.write_bytes(cleaned(one)[0])
        assert found_in(other.read_bytes(), ("test^one", "1.2.826.0.1.3680043.1")) == set()
    (old, images), (new, same) = read(before), read(after)
    for field in attrs.fields(SeriesHeader):
        if field.name not in NEW | MOVED:
            assert getattr(new, field.name) == getattr(old, field.name), field.name
    assert new.instances == tuple(KEY.uid(uid) for uid in old.instances)
    assert new.frame_of_reference == KEY.uid(old.frame_of_reference)
    assert (new.dates_moved, old.dates_moved) == (True, False)
    assert new.acquired_at is not None
    assert old.acquired_at is not None
    assert seconds_between(old.acquired_at, new.acquired_at) == KEY.shift_days(old.subject_id) * 86400
    if old.radiopharmaceutical is not None:
        one, other = old.radiopharmaceutical.administered_at, getattr(new.radiopharmaceutical, "administered_at", None)
        assert one is not None
        assert seconds_between(one, old.acquired_at) == seconds_between(other, new.acquired_at)
    for a, b in zip(images, same, strict=True):
        assert np.array_equal(a.values, b.values)
        assert np.array_equal(a.grid.affine_lps_mm, b.grid.affine_lps_mm)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("kind", ["nm", "classic", "enhanced"])
def test_a_validator_finds_no_new_error(tmp_path: Path, kind: str) -> None:
    (before, *_) = made(kind, tmp_path / "before")
    (tmp_path / "after.dcm").write_bytes(cleaned(before)[0])

    def errors(path: Path) -> set[str]:
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False)
        return {line for line in done.stderr.splitlines() if line.startswith("Error")}

    assert errors(tmp_path / "after.dcm") - errors(before) == set()
