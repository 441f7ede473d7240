"""Shapes against geometry: volumes in closed form, and levels against true distances."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutra.simulate.combine import HalfSpace, Intersection, Offset, Outside, Scaled, Union
from lutra.simulate.shapes import Blob, Ellipsoid, Shape, Tube, irregular_blob, rotation, smooth_line, volume_ml

TILTED = rotation(20, -35, 50)
BALL = Ellipsoid("ball", (3, -4, 5), (20, 20, 20))


def surface_points(shape: Ellipsoid, n: int = 500) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    unit = np.random.default_rng(0).normal(size=(n, 3))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    return shape.centre_lps_mm + (unit * shape.semi_axes_mm) @ shape.axes.T


@pytest.mark.parametrize(
    ("shape", "expected_ml"),
    [
        (Ellipsoid("", (3, -4, 5), (30, 20, 10), TILTED), 4 / 3 * pi * 6),
        (Ellipsoid("", (0, 0, 0), (30, 20, 10), TILTED, exponent=4), 8 * 6 * 0.810256),  # Gamma(5/4)^3 / Gamma(7/4)
        (Ellipsoid("", (0, 0, 0), (20, 20, 40), bend_per_mm=0.01), 4 / 3 * pi * 16),  # a bend is a shear
        (Ellipsoid("", (0, 0, 0), (20, 20, 20), lower=2), 2 / 3 * pi * (8 + 16)),
        (Tube("", [(0, 0, 0), (30, 40, 0)], [10, 10]), pi * 5 + 4 / 3 * pi),
        (HalfBall := Intersection("", (BALL, HalfSpace((3, -4, 5), (0, 1, 0)))), 2 / 3 * pi * 8),
        (Union("", (BALL, HalfBall)), 4 / 3 * pi * 8),
        (Intersection("", (BALL, Outside(HalfSpace((3, -4, 5), (0, 1, 0))))), 2 / 3 * pi * 8),
        (Offset("", BALL, 5), 4 / 3 * pi * 3.375),
        (Offset("", BALL, -5), 4 / 3 * pi * 15.625),
        (Scaled("", BALL, (1, 1, 1), 1.5), 4 / 3 * pi * 27),
        (Blob("", (1, 2, 3), 20), 4 / 3 * pi * 8),
        (Blob("", (1, 2, 3), 20, stretch=(1, 2, 0.5)), 4 / 3 * pi * 8),
    ],
)
def test_volume_in_closed_form(shape: Shape, expected_ml: float) -> None:
    assert volume_ml(shape, 100) == pytest.approx(expected_ml, rel=2e-3)


def test_level_is_the_distance_near_the_surface() -> None:
    """3 mm along the normal. The smallest radius of curvature is 22^2/40 = 12 mm: first order errs by up to 3/24 = 12.5 %."""
    shape = Ellipsoid("", (3, -4, 5), (40, 30, 22), TILTED)
    on = surface_points(shape)
    own = (on - shape.centre_lps_mm) @ shape.axes
    normal = (own / shape.semi_axes_mm**2) @ shape.axes.T
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    np.testing.assert_allclose(shape.level_mm(on), 0, atol=1e-4)
    for depth_mm in (-3, 3):
        np.testing.assert_allclose(shape.level_mm(on - depth_mm * normal), depth_mm, rtol=0.125)


def test_distance_to_a_tube_is_exact() -> None:
    """10 mm beside the middle of a straight tube of 4 mm radius: 6 mm outside; beyond its round end likewise."""
    tube = Tube("", [(0, 0, 0), (0, 0, 50)], [4, 4])
    np.testing.assert_allclose(tube.level_mm(np.array([(10, 0, 25), (0, 0, 60), (0, 0, 10)])), [-6, -6, 4], atol=1e-6)


@given(seed=st.integers(0, 10_000), volume=st.floats(0.3, 500), irregularity=st.floats(0, 0.25))
def test_an_irregular_lesion_has_the_volume_asked_for_and_is_closed(
    seed: int, volume: float, irregularity: float
) -> None:
    """Its centre is inside; along every direction there is one way out; its box holds it."""
    blob = irregular_blob("lesion", (10, -20, 30), volume, np.random.default_rng(seed), irregularity)
    assert blob.volume_ml == pytest.approx(volume, rel=1e-6)
    assert blob.scaled(2).volume_ml == pytest.approx(8 * volume, rel=1e-6)
    directions = np.random.default_rng(1).normal(size=(60, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    along = blob.centre_lps_mm + directions[:, None] * np.linspace(0.01, 3, 300)[:, None] * blob.radius_mm * 2
    inside = blob.level_mm(along) > 0
    assert inside[:, 0].all()
    assert (np.diff(inside.astype(int), axis=1) != 0).sum(axis=1).max() == 1
    low, high = blob.bounds_lps_mm
    assert (along[inside] >= low).all()
    assert (along[inside] <= high).all()


def test_the_numeric_volume_of_a_blob_is_that_of_its_level() -> None:
    """The volume by quadrature over the sphere against sampling the level in space."""
    blob = irregular_blob("lesion", (10, -20, 30), 40, np.random.default_rng(5), 0.2)
    assert volume_ml(blob, 120) == pytest.approx(40, rel=3e-3)


def test_rounding_an_edge_takes_a_little_off_and_filling_a_groove_adds_a_little() -> None:
    other = Ellipsoid("", (25, -4, 5), (20, 20, 20))
    sharp, rounded = (volume_ml(Intersection("", (BALL, other), r)) for r in (0, 6))
    apart, filled = (volume_ml(Union("", (BALL, other), r)) for r in (0, 6))
    assert 0.8 * sharp < rounded < sharp
    assert apart < filled < 1.05 * apart


def test_an_intersection_is_the_same_wherever_its_parts_are_skipped() -> None:
    """Looking at later parts only where they can matter leaves the surface where the plain minimum has it."""
    other = Ellipsoid("", (25, -4, 5), (20, 15, 30), TILTED)
    cut = Intersection("", (BALL, other, Outside(Ellipsoid("", (0, 0, 0), (6, 6, 6)))))
    points = np.random.default_rng(0).uniform(-40, 60, (20_000, 3))
    plain = np.minimum.reduce([part.level_mm(points) for part in cut.parts])
    found = cut.level_mm(points)
    near = np.abs(plain) < 10
    np.testing.assert_array_equal(found[near], plain[near])
    np.testing.assert_array_equal(found > 0, plain > 0)


def test_a_smooth_line_goes_through_its_corners() -> None:
    corners = [(0, 0, 0), (10, 5, 0), (20, -5, 8)]
    line, radii = smooth_line(corners, [3, 4, 5], pieces=4)
    np.testing.assert_allclose(line[::4], corners)
    np.testing.assert_allclose(radii[::4], [3, 4, 5])
    assert len(line) == 9
