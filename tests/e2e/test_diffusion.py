"""A diffusion series from DICOM to the numbers of a study, against the coefficient it was made with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader, VolumeKey
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.export import PatientIdentity, stable_uid, write_diffusion_series
from lutra.pipeline.study import StudyFolder

from .conftest import lutra

B = (0.0, 100.0, 400.0, 800.0)
TRUE_MM2_PER_S, PERFUSION = 1.1e-3, 0.15


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dwi")
    grid = Grid((16, 16, 3), np.diag([2.0, 2, 5, 1]), "1.2.826.0.1.3680043.2")
    at = datetime(2026, 3, 3, 10, tzinfo=UTC)
    header = SeriesHeader(
        series_uid=stable_uid("dwi"),
        study_uid=stable_uid("study"),
        subject_id="P1",
        modality="MR",
        sop_class_uid="",
        description="DWI",
        manufacturer="Lutra simulate",
        model="",
        image_type=("DERIVED", "PRIMARY", "OTHER"),
        frame_of_reference=grid.frame_of_reference,
        instances=tuple(stable_uid("dwi", str(n)) for n in range(3 * len(B))),
        grid=grid,
        acquired_at=at,
        volumes=tuple(VolumeKey(b) for b in B),
    )
    signals = [3e4 * ((1 - PERFUSION) * np.exp(-b * TRUE_MM2_PER_S) + PERFUSION * (b == 0)) for b in B]
    volumes = tuple(Volume(np.full(grid.shape, s), grid, Unit.STORED) for s in signals)
    write_diffusion_series(folder, header, volumes, PatientIdentity("P1", "Test", "F", 66, 1.68), at)
    return folder


def test_inspect_lists_the_b_values(dicom: Path) -> None:
    ran = lutra("inspect", dicom, "--json")
    (one,) = json.loads(ran.out)["series"]
    assert one["b_values_s_per_mm2"] == list(B)
    assert one["unit"] == "mm2/s"


def test_a_study_keeps_both_adcs(dicom: Path, tmp_path: Path) -> None:
    root = tmp_path / "study"
    assert lutra("study", "init", root).code == 0
    assert lutra("study", "add", root, dicom).code == 0
    assert lutra("run", root).code == 0
    assert lutra("report", root).code == 0
    rows = {row.path: float(row.shown.split()[0]) for row in StudyFolder(root).ledger.results()}
    base = "P1/image/DWI-3-Mar-2026"
    assert rows[f"{base}/adc-median"] == pytest.approx(TRUE_MM2_PER_S, rel=1e-3)
    assert rows[f"{base}/adc-all-b-median"] > 1.05 * TRUE_MM2_PER_S
