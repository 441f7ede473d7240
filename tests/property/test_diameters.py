"""Diameters of ellipsoids, wherever they lie between the voxels and however they are turned."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.contours import rasterise
from lutra.imaging.diameters import longest_axial_diameter

PIXEL_MM = 2.0
GRID = Grid((40, 40, 15), np.diag([PIXEL_MM, PIXEL_MM, 3.0, 1.0]), "frame")


def ellipsoid(
    semi_mm: tuple[float, float, float], angle: float, shift_mm: tuple[float, float]
) -> list[npt.NDArray[np.float64]]:
    """Contours on the slices; the central slice cuts the middle, so the true diameters are twice the semi-axes."""
    turn = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    a, b, c = semi_mm
    contours = []
    for k in range(GRID.shape[2]):
        height = (k - 7) * 3.0
        if abs(height) < c:
            scale = np.sqrt(1 - (height / c) ** 2)
            x, y = a * scale * np.cos(turn), b * scale * np.sin(turn)
            contour = np.column_stack(
                [
                    40 + shift_mm[0] + x * np.cos(angle) - y * np.sin(angle),
                    40 + shift_mm[1] + x * np.sin(angle) + y * np.cos(angle),
                    np.full_like(x, 3.0 * k),
                ]
            )
            contours.append(contour)
    return contours


def measured_mm(contours: list[npt.NDArray[np.float64]]) -> tuple[float, float]:
    start, fraction = rasterise(contours, GRID)
    region = Region("ellipsoid", RegionKind.LESION, GRID, start, fraction, None, RegionOrigin.DRAWN, "test")
    pair = longest_axial_diameter(region)
    return pair.long_mm, pair.short_mm


@settings(max_examples=60, deadline=None)
@given(b=st.floats(5, 15), ratio=st.floats(0.5, 1), angle=st.floats(0, np.pi), dx=st.floats(-1, 1), dy=st.floats(-1, 1))
def test_any_rotated_ellipsoid_within_half_a_pixel(b: float, ratio: float, angle: float, dx: float, dy: float) -> None:
    long_mm, short_mm = measured_mm(ellipsoid((b / ratio, b, 12), angle, (dx, dy)))
    assert long_mm == pytest.approx(2 * b / ratio, abs=0.5 * PIXEL_MM)
    assert short_mm == pytest.approx(2 * b, abs=0.5 * PIXEL_MM)


def test_bias_over_many_ellipsoids_below_0_15_pixel() -> None:
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(60):
        b, ratio = rng.uniform(5, 15), rng.uniform(0.5, 1)
        a = b / ratio
        long_mm, short_mm = measured_mm(ellipsoid((a, b, 12), rng.uniform(0, np.pi), tuple(rng.uniform(-1, 1, 2))))
        errors.append([long_mm - 2 * a, short_mm - 2 * b])
    bias_pixels = np.mean(errors, axis=0) / PIXEL_MM
    assert np.abs(bias_pixels).max() < 0.15


@settings(max_examples=25, deadline=None)
@given(angle=st.floats(0, np.pi), i=st.integers(-5, 5), j=st.integers(-5, 5))
def test_whole_pixel_shifts_change_nothing(angle: float, i: int, j: int) -> None:
    here = measured_mm(ellipsoid((14, 9, 12), angle, (0, 0)))
    there = measured_mm(ellipsoid((14, 9, 12), angle, (i * PIXEL_MM, j * PIXEL_MM)))
    assert there == pytest.approx(here, abs=1e-3)
