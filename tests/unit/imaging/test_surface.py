"""Surfaces of masks whose geometry is known."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import OutsideValidity
from lutra.imaging.surface import surface_of

MM = np.diag([1.0, 1.0, 1.0, 1.0])


def ball(radius: float) -> np.ndarray:
    axis = np.arange(-int(radius) - 1, int(radius) + 2.0)
    return np.asarray(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= radius**2)


def test_one_voxel_is_an_octahedron() -> None:
    """Corners half-way to the six neighbours: volume 1/6, area sqrt(3), extent 1 voxel."""
    surface = surface_of(np.ones((1, 1, 1), bool), MM)
    assert surface.volume_ml == pytest.approx(1 / 6000)
    assert surface.area_mm2 == pytest.approx(3**0.5)
    assert surface.diameter_mm == pytest.approx(1)


def test_a_row_of_voxels_is_as_long_as_it_is() -> None:
    assert surface_of(np.ones((7, 1, 1), bool), np.diag([2.0, 3, 4, 1])).diameter_mm == pytest.approx(14)


def test_a_ball_has_the_volume_of_a_ball() -> None:
    surface = surface_of(ball(20.3), MM)
    assert surface.volume_ml * 1000 == pytest.approx(4 / 3 * np.pi * 20.3**3, rel=0.01)
    assert surface.diameter_mm == pytest.approx(2 * 20.3, abs=1)


def test_a_cavity_is_not_part_of_it_and_its_wall_is() -> None:
    whole, hollow = ball(12.0), ball(12.0)
    inner = ball(5.0)
    edge = (np.array(whole.shape) - inner.shape) // 2
    hollow[tuple(slice(e, e + n) for e, n in zip(edge, inner.shape, strict=True))] &= ~inner
    outside, both, wall = surface_of(whole, MM), surface_of(hollow, MM), surface_of(inner, MM)
    # The cavity's own mesh wraps its voxels half-way to the wall, which is where the hollow mask has its inner surface.
    assert both.volume_ml == pytest.approx(outside.volume_ml - wall.volume_ml, rel=0.01)
    assert both.area_mm2 == pytest.approx(outside.area_mm2 + wall.area_mm2, rel=0.02)


def test_the_frame_of_the_patient_does_not_matter() -> None:
    mask = np.random.default_rng(3).random((6, 5, 4)) > 0.5
    plain = surface_of(mask, np.diag([2.0, 3, 4, 1]))
    turned = np.diag([2.0, 3, 4, 1]).copy()
    angle = 0.4
    turned[:2, :2] = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ turned[:2, :2]
    turned[:3, 3] = (-2000, 500, 30)
    turned[:, 2] *= -1
    other = surface_of(mask, turned)
    for name in ("volume_ml", "area_mm2", "diameter_mm"):
        assert getattr(other, name) == pytest.approx(getattr(plain, name), rel=1e-9)


def test_nothing_has_no_surface() -> None:
    with pytest.raises(OutsideValidity):
        surface_of(np.zeros((2, 2, 2), bool), MM)
