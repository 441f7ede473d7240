"""Numbers that follow from what a run stored."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lutra.core.dose import DoseResult
from lutra.core.estimate import Estimate, Unit
from lutra.imaging.dvh import histogram
from lutra.pipeline.results import _volume_results


def _doses(voxels_gy: np.ndarray) -> dict[str, Estimate]:
    mean = Estimate(float(voxels_gy.mean()), Unit.GY, {"calibration": 0.05 * float(voxels_gy.mean())})
    result = DoseResult(
        "L01", "hybrid", mean, Estimate(10.0, Unit.G, {}), histogram(voxels_gy, np.ones(voxels_gy.size)), {}
    )
    made = SimpleNamespace(engine="hybrid", dose="made")
    return {r.quantity: r.estimate for r in _volume_results("S", "S/L01/cycle-1", result, made)}  # type: ignore[arg-type]


def test_doses_by_share_of_the_volume_are_those_of_the_voxels() -> None:
    voxels = np.linspace(0, 100, 10_001)
    found = _doses(voxels)
    assert {name: round(e.value, 1) for name, e in found.items()} == {
        "d98.hybrid": 2.0,
        "d90.hybrid": 10.0,
        "d50.hybrid": 50.0,
        "d2.hybrid": 98.0,
    }
    assert found["d90.hybrid"].budget["calibration"] == pytest.approx(0.05 * found["d90.hybrid"].value)
    assert found["d90.hybrid"].sd is None  # how the camera blurs them was not evaluated


def test_an_even_dose_has_one_dose() -> None:
    assert [e.value for e in _doses(np.full(50, 20.0)).values()] == pytest.approx([20.0] * 4, rel=2e-3)
