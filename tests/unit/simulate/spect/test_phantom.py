"""Painted phantoms against geometry."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

from lutra.simulate.spect.phantom import centred_grid, round_share, single_sphere, sphere_phantom


@pytest.mark.parametrize("diameter_mm", [10, 13, 17, 22, 28, 37, 60])
def test_spheres_have_their_volume(diameter_mm: float) -> None:
    """4.8 mm voxels, at five places between them."""
    grid = centred_grid((90, 90, 90), 4.8)
    for at in np.random.default_rng(0).uniform(-2.4, 2.4, (5, 3)):
        volume = round_share(grid, at, diameter_mm / 2).sum() * grid.voxel_volume_ml
        assert volume == pytest.approx(pi / 6 * diameter_mm**3 / 1000, rel=0.01 if diameter_mm < 15 else 0.003)


def test_a_cylinder_has_its_cross_section() -> None:
    grid = centred_grid((300, 300, 20), 5.0)
    area = round_share(grid, (1, 2, 0), 140, cylinder=True)[:, :, 0].sum() * 25
    assert area == pytest.approx(pi * 140**2, rel=1e-4)


def test_what_lies_outside_is_cut_off() -> None:
    assert not round_share(centred_grid((50, 50, 50), 5.0), (200, 0, 0), 10).any()


def test_phantom_holds_what_it_says() -> None:
    """Spheres and a background of a tenth: activity by volumes, and recovery 1 in the painted truth but for partial voxels."""
    phantom = sphere_phantom(4.0, 1e5, 0.1)
    shape = phantom.activity.grid.shape
    body_ml = pi * 14**2 * shape[2] * 0.4
    spheres_ml = sum(phantom.volumes_ml)
    assert phantom.activity.integral() == pytest.approx(1e5 * (spheres_ml + 0.1 * (body_ml - spheres_ml)), rel=2e-3)
    assert phantom.attenuation.values.max() == pytest.approx(0.0136)
    assert not sphere_phantom(8.0, water=False).attenuation.values.any()
    assert single_sphere(8.0).volumes_ml == pytest.approx([523.6], abs=0.1)


def test_spheres_do_not_touch() -> None:
    """No voxel belongs to two spheres, even after a blur of a voxel."""
    shares = np.array(sphere_phantom(4.8).shares)
    assert ((shares > 0).sum(axis=0) <= 1).all()
