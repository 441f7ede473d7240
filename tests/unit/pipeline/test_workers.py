"""A run by several processes is the run by one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from lutra.core.errors import SourceChanged
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, write_image_series
from lutra.pipeline.study import StudyFolder

AT = datetime(2026, 3, 9, 10, tzinfo=UTC)


def write_ct(folder: Path, n: int) -> Path:
    """A small CT of subject `P<n>`."""
    grid = Grid((6, 5, 3), np.diag([2.0, 2.0, 4.0, 1.0]), f"1.2.{n}.9")
    header = SeriesHeader(
        series_uid=f"1.2.{n}.1",
        study_uid=f"1.2.{n}.2",
        subject_id=f"P{n}",
        modality="CT",
        sop_class_uid="",
        description="CT",
        manufacturer="",
        model="",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        frame_of_reference=grid.frame_of_reference,
        instances=tuple(f"1.2.{n}.3.{k}" for k in range(3)),
        grid=grid,
        acquired_at=AT,
    )
    values = np.full(grid.shape, 40.0 + n, np.float32)
    patient = PatientIdentity(f"P{n}", f"P{n}", "F", 60, 1.7)
    write_image_series(folder / f"P{n}", header, Volume(values, grid, Unit.HU), patient, AT)
    return folder / f"P{n}"


def study(root: Path, sources: list[Path]) -> StudyFolder:
    made = StudyFolder.create(root)
    made.add(sources)
    return made


def test_two_workers_make_what_one_makes(tmp_path: Path) -> None:
    sources = [write_ct(tmp_path, n) for n in (1, 2, 3)]
    alone, shared = study(tmp_path / "one", sources), study(tmp_path / "two", sources)
    seen: list[tuple[str, int, int]] = []
    one = alone.run()
    two = shared.run(workers=2, on_subject=lambda *done: seen.append(done))
    assert shared.ledger.current_records() == alone.ledger.current_records()
    assert (two.computed, two.found, two.findings) == (one.computed, one.found, one.findings)
    assert sorted(subject for subject, _, _ in seen) == ["P1", "P2", "P3"]
    assert [n for _, n, _ in seen] == [1, 2, 3]
    assert shared.run(workers=2).computed == 0


def test_an_error_in_a_worker_is_the_error_of_the_run(tmp_path: Path) -> None:
    sources = [write_ct(tmp_path, n) for n in (1, 2)]
    made = study(tmp_path / "study", sources)
    next(sources[1].iterdir()).write_bytes(b"changed")
    with pytest.raises(SourceChanged, match="not what it was"):
        made.run(workers=2)
