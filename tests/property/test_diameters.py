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


def measured_mm(contours: list[npt.NDArray[np.float64]], *, whole: bool = False) -> tuple[float, float]:
    start, fraction = rasterise(contours, GRID)
    fraction = (fraction >= 0.5).astype(np.float32) if whole else fraction
    region = Region("ellipsoid", RegionKind.LESION, GRID, start, fraction, None, RegionOrigin.DRAWN, "test")
    pair = longest_axial_diameter(region)
    return pair.long_mm, pair.short_mm


@settings(max_examples=60, deadline=None)
@given(b=st.floats(5, 15), ratio=st.floats(0.5, 1), angle=st.floats(0, np.pi), dx=st.floats(-1, 1), dy=st.floats(-1, 1))
def test_any_rotated_ellipsoid_within_half_a_pixel(b: float, ratio: float, angle: float, dx: float, dy: float) -> None:
    long_mm, short_mm = measured_mm(ellipsoid((b / ratio, b, 12), angle, (dx, dy)))
    assert long_mm == pytest.approx(2 * b / ratio, abs=0.5 * PIXEL_MM)
    assert short_mm == pytest.approx(2 * b, abs=0.5 * PIXEL_MM)


@pytest.mark.parametrize(
    ("whole", "smallest_mm", "largest_mm", "sd_pixels"),
    [(False, 3, 5, 0.1), (False, 5, 15, 0.1), (True, 5, 8, 0.3), (True, 8, 15, 0.3)],
)
def test_no_bias_on_partial_nor_on_whole_voxels(
    whole: bool, smallest_mm: float, largest_mm: float, sd_pixels: float
) -> None:
    """Short semi-axes from 1.5 to 7.5 pixels: within 0.15 pixel in the mean over 60, and 0.3 pixel scatter of whole voxels."""
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(60):
        b, ratio = rng.uniform(smallest_mm, largest_mm), rng.uniform(0.5, 1)
        a = b / ratio
        contours = ellipsoid((a, b, 12), rng.uniform(0, np.pi), tuple(rng.uniform(-1, 1, 2)))
        long_mm, short_mm = measured_mm(contours, whole=whole)
        errors.append([long_mm - 2 * a, short_mm - 2 * b])
    assert np.abs(np.mean(errors, axis=0)).max() / PIXEL_MM < 0.15
    assert np.std(errors, axis=0).max() / PIXEL_MM < sd_pixels


@pytest.mark.parametrize("whole", [False, True])
def test_a_dumbbell_is_as_long_as_its_discs_and_bar_and_as_wide_as_the_larger_disc(whole: bool) -> None:
    """Radii 12 and 9 mm, 33 mm apart, joined by a bar of 8 mm: exactly 54 mm and 24 mm, in 40 places and directions."""
    rng, errors = np.random.default_rng(4), []
    for _ in range(40):
        angle, (dx, dy) = rng.uniform(0, np.pi), rng.uniform(-1, 1, 2)
        one, other = np.arcsin(4 / 12), np.arcsin(4 / 9)
        turn = np.concatenate([np.linspace(one, 2 * np.pi - one, 300), np.linspace(other - np.pi, np.pi - other, 300)])
        radius, shift = np.repeat([12.0, 9.0], 300), np.repeat([-15.0, 18.0], 300)
        x, y = shift + radius * np.cos(turn), radius * np.sin(turn)
        at = np.array(
            [x * np.cos(angle) - y * np.sin(angle) + 40 + dx, x * np.sin(angle) + y * np.cos(angle) + 40 + dy]
        )
        long_mm, short_mm = measured_mm([np.column_stack([*at, np.full(600, 21.0)])], whole=whole)
        errors.append([long_mm - 54, short_mm - 24])
    assert np.abs(np.mean(errors, axis=0)).max() / PIXEL_MM < 0.15
    assert np.std(errors, axis=0).max() / PIXEL_MM < (0.3 if whole else 0.1)


@settings(max_examples=25, deadline=None)
@given(angle=st.floats(0, np.pi), i=st.integers(-5, 5), j=st.integers(-5, 5))
def test_whole_pixel_shifts_change_nothing(angle: float, i: int, j: int) -> None:
    here = measured_mm(ellipsoid((14, 9, 12), angle, (0, 0)))
    there = measured_mm(ellipsoid((14, 9, 12), angle, (i * PIXEL_MM, j * PIXEL_MM)))
    assert there == pytest.approx(here, abs=1e-3)
