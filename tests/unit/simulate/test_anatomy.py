"""Ellipsoids on grids against geometry."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lutra.core.grid import Grid
from lutra.simulate.anatomy import SUPERSAMPLING, Ellipsoid, paint


def grid(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int] = (16, 17, 18)) -> Grid:
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = [-s * (n - 1) / 2 for s, n in zip(spacing_mm, shape, strict=True)]
    return Grid(shape, affine, "1.2")


def test_volume_by_hand() -> None:
    """4/3 pi x 30 x 20 x 10 mm = 25.1327 mL."""
    shape = Ellipsoid("e", (0, 0, 0), (30, 20, 10), 0)
    assert shape.volume_ml == pytest.approx(25.1327, abs=1e-4)
    assert shape.longest_axial_diameter_mm == 60
    assert shape.scaled(0.5).volume_ml == pytest.approx(25.1327 / 8, abs=1e-4)


@given(st.tuples(*[st.floats(-2.4, 2.4)] * 3))
@example((-2.4, 2.4, -2.4))
@example((0.0, 0.0, 0.0))
@settings(max_examples=60)
def test_painted_volume_is_right_wherever_the_lesion_lies_between_the_voxels(centre: tuple[float, ...]) -> None:
    """A 12.3 mL lesion in 4.8 mm voxels, within the 1 % that the module promises, also in its symmetric positions."""
    lesion = Ellipsoid("e", centre, (15, 14, 14), 0)
    on = grid((4.8, 4.8, 4.8))
    assert lesion.fraction(on).sum() * on.voxel_volume_ml == pytest.approx(lesion.volume_ml, rel=0.01)


def test_share_of_a_voxel_is_the_share_of_its_sub_voxels() -> None:
    """Against one test per sub-voxel centre, on a grid whose three axes differ; the shape leaves the grid on one side."""
    shape, on = Ellipsoid("e", (6, -3, 12), (9.5, 7.2, 12.4), 0), grid((2.0, 2.5, 3.1), (14, 11, 9))
    offsets = (np.arange(SUPERSAMPLING) - (SUPERSAMPLING - 1) / 2) / SUPERSAMPLING
    expected = np.zeros(on.shape)
    for a, b, c in np.ndindex(*on.shape):
        points = on.to_lps_mm([(a + x, b + y, c + z) for x in offsets for y in offsets for z in offsets])
        expected[a, b, c] = ((((points - shape.centre_lps_mm) / shape.semi_axes_mm) ** 2).sum(axis=1) <= 1).mean()
    np.testing.assert_allclose(shape.fraction(on), expected, atol=1e-6)
    assert expected[:, :, -1].max() == 1  # the shape does reach the border


def test_outside_the_grid_there_is_nothing() -> None:
    assert not Ellipsoid("e", (500, 0, 0), (10, 10, 10), 0).fraction(grid((4, 4, 4))).any()


def test_polygons_have_the_area_of_the_cross_section() -> None:
    """Area pi a b (1 - z^2/c^2) by the shoelace formula, in every slice between the poles."""
    shape, on = Ellipsoid("e", (3, -4, 5), (15, 10, 14), 0), grid((2, 2, 2.5))
    polygons = shape.contours(on)
    assert len(polygons) == 12  # slice centres at -21.25 + 2.5 n between -9 and 19
    for polygon in polygons:
        x, y, z = polygon.T
        area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
        assert area == pytest.approx(pi * 150 * (1 - ((z[0] - 5) / 14) ** 2), rel=1e-9)
        assert np.ptp(z) == 0


def test_later_shapes_replace_earlier_ones() -> None:
    organ, lesion = Ellipsoid("organ", (0, 0, 0), (20, 20, 20), 0), Ellipsoid("lesion", (0, 0, 0), (8, 8, 8), 0)
    on = grid((3, 3, 3), (17, 17, 17))
    image = paint(on, {"organ": 2.0, "lesion": 7.0}, (organ, lesion), 1.0)
    assert (image[8, 8, 8], image[8, 8, 12], image[0, 0, 0]) == (7, 2, 1)
    np.testing.assert_allclose(image.max(), 7)
    unpainted = paint(on, {"organ": 2.0}, (organ, lesion), 1.0)
    assert unpainted[8, 8, 8] == 2
