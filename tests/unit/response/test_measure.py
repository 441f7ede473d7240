"""Whether RECIST 1.1 would call it measurable."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.contours import rasterise
from lutra.response import measure_diameters


def disc(diameter_mm: float, slice_mm: float, pixel_mm: float = 0.8) -> Region:
    grid = Grid((80, 80, 3), np.diag([pixel_mm, pixel_mm, slice_mm, 1.0]), "frame")
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    x, y = diameter_mm / 2 * np.cos(angle), diameter_mm / 2 * np.sin(angle)
    start, fraction = rasterise([np.column_stack([32 + x, 32 + y, np.full(200, slice_mm)])], grid)
    return Region("lesion", RegionKind.LESION, grid, start, fraction, None, RegionOrigin.DRAWN, "test")


@pytest.mark.parametrize(
    ("diameter_mm", "slice_mm", "codes"),
    [
        (12, 5, []),
        (9, 5, ["response.below-measurable"]),
        (12, 7, ["response.slice-too-thick"]),  # two slices are 14 mm
        (15, 7, []),
        (9, 7, ["response.slice-too-thick"]),
    ],
)
def test_measurability(diameter_mm: float, slice_mm: float, codes: list[str]) -> None:
    outcome = measure_diameters(disc(diameter_mm, slice_mm))
    assert outcome.value.long_mm == pytest.approx(diameter_mm, abs=0.2)
    assert [finding.code for finding in outcome.findings] == codes


def test_too_small_for_an_outline() -> None:
    outcome = measure_diameters(disc(0.5, 3, pixel_mm=2))
    assert outcome.value is None
    (finding,) = outcome.findings
    assert finding.code == "response.no-diameter"
    assert "too small to measure" in finding.text
