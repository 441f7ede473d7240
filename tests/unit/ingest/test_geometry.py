"""Frames to volumes on a grid, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from lutra.core.errors import InconsistentSeries
from lutra.core.finding import Finding
from lutra.core.study import VolumeKey
from lutra.ingest.frames import Frame
from lutra.ingest.geometry import stack
from lutra.ingest.settings import IngestSettings


def frame(k: float, *, shift: tuple[float, float] = (0, 0), key: VolumeKey | None = None, lean: float = 0) -> Frame:
    header = Dataset()
    header.SliceThickness = 3
    return Frame(
        path=Path(f"{k:g}.dcm"),
        index=0,
        uid=f"1.{k:g}",
        header=header,
        shape=(4, 5),
        position_lps_mm=[-10 + shift[0], 20 + shift[1] + lean * k * 3, 100 + 3 * k],
        along_row_lps=[1, 0, 0],
        along_column_lps=[0, 1, 0],
        spacing_mm=(2.0, 1.5),
        key=key or VolumeKey(),
    )


def made(*frames: Frame) -> tuple[object, list[Finding]]:
    findings: list[Finding] = []
    return stack(frames, "1.2", IngestSettings(), findings), findings


def test_grid_of_a_stack_in_any_order() -> None:
    stacked, findings = made(frame(2), frame(0), frame(1))
    assert [f.uid for f in stacked.frames] == ["1.0", "1.1", "1.2"]
    assert stacked.grid.shape == (4, 5, 3)
    assert stacked.grid.to_lps_mm((1, 1, 2)) == pytest.approx((-8, 21.5, 106))
    assert findings == []


def test_volumes_are_told_apart_by_their_key() -> None:
    low, high = VolumeKey(b_value_s_per_mm2=0.0), VolumeKey(b_value_s_per_mm2=800.0)
    stacked, _ = made(frame(1, key=high), frame(0, key=low), frame(0, key=high), frame(1, key=low))
    assert stacked.volumes == (low, high)
    assert [f.key for f in stacked.frames] == [low, low, high, high]


def test_a_volume_without_one_of_the_slices_is_refused() -> None:
    low, high = VolumeKey(b_value_s_per_mm2=0.0), VolumeKey(b_value_s_per_mm2=800.0)
    with pytest.raises(InconsistentSeries, match=r"b-value \(s/mm2\) 800.0 has 2 slices and the first volume 3"):
        made(*(frame(k, key=low) for k in range(3)), frame(0, key=high), frame(1, key=high))


def test_a_slice_shifted_within_its_plane_is_refused() -> None:
    with pytest.raises(InconsistentSeries, match=r"2\.dcm is shifted by 0\.500 mm within its plane"):
        made(frame(0), frame(1), frame(2, shift=(0.3, 0.4)), frame(3))


def test_a_tilted_gantry_leans_the_grid_and_is_said() -> None:
    """Ten degrees: the third axis follows the positions, the volume of a voxel stays base times height."""
    stacked, (finding,) = made(*(frame(k, lean=np.tan(np.radians(10))) for k in range(4)))
    assert finding.code == "ingest.leaning-stack"
    assert "10.00 degrees" in finding.text
    assert stacked.grid.to_lps_mm((0, 0, 3)) == pytest.approx((-10, 20 + 9 * np.tan(np.radians(10)), 109))
    assert stacked.grid.voxel_volume_ml == pytest.approx(2.0 * 1.5 * 3 / 1000)
