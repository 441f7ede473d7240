"""Laws of delineation: unit, orientation and place of the image change nothing; a higher threshold never gives more."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.segment import DelineationSettings, Method, delineate

SPACING_MM = np.array([2.5, 3.0, 3.5])
SHAPE = (31, 27, 23)
SEEDS = st.integers(0, 2**31)
METHODS = st.sampled_from([Method.BACKGROUND_ADAPTED, Method.PERCENT_OF_MAX, Method.SPHERE_ADAPTED, Method.GRADIENT])


def blob(seed: int) -> Volume:
    """Two overlapping ellipsoids of random size in a noisy background, on voxels of three different edges."""
    random = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in SHAPE], indexing="ij"), axis=-1) * SPACING_MM
    inside = np.zeros(SHAPE, bool)
    for _ in range(2):
        axes, shift = random.uniform(9, 14, 3), random.uniform(-3, 3, 3)
        inside |= (((places - shift) / axes) ** 2).sum(axis=-1) <= 1
    values = 1 + random.uniform(5, 12) * inside + 0.1 * random.standard_normal(SHAPE)
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = -(np.array(SHAPE) // 2) * SPACING_MM
    return Volume(gaussian_filter(values, 6 / 2.355 / SPACING_MM), Grid(SHAPE, affine, "frame"), Unit.SUV_BW)


def whole(volume: Volume, method: Method, **change: object) -> np.ndarray | None:
    region = delineate(volume, (0, 0, 0), evolve(DelineationSettings(), method=method, **change)).value
    if region is None:
        return None
    full = np.zeros(volume.grid.shape, np.float32)
    full[region.box] = region.fraction
    return full


@settings(max_examples=8, deadline=None)
@given(SEEDS, METHODS, st.sampled_from([0.25, 4.0, 2.0**20]))
def test_the_unit_of_the_image_does_not_matter(seed: int, method: Method, factor: float) -> None:
    image = blob(seed)
    scaled = evolve(image, values=image.values * np.float32(factor))
    one, other = whole(image, method), whole(scaled, method)
    assert one is not None
    np.testing.assert_array_equal(one, other)


@settings(max_examples=8, deadline=None)
@given(SEEDS, METHODS, st.sampled_from(list(permutations(range(3)))), st.tuples(*[st.booleans()] * 3))
def test_turning_and_mirroring_the_image_turns_and_mirrors_the_region(
    seed: int, method: Method, axes: tuple[int, int, int], mirrored: tuple[bool, bool, bool]
) -> None:
    image = blob(seed)
    flip = [a for a in range(3) if mirrored[a]]
    values = np.flip(image.values.transpose(axes), flip)
    linear = np.zeros((4, 4))
    linear[3, 3] = 1
    for new, old in enumerate(axes):
        sign = -1 if mirrored[new] else 1
        linear[old, new] = sign * SPACING_MM[old]
        linear[:3, 3] += image.grid.affine_lps_mm[:3, 3] * (np.arange(3) == old)
        if mirrored[new]:
            linear[old, 3] += (SHAPE[old] - 1) * SPACING_MM[old]
    turned = Volume(values, Grid(values.shape, linear, "frame"), Unit.SUV_BW)
    one, other = whole(image, method), whole(turned, method)
    assert one is not None
    np.testing.assert_allclose(np.flip(one.transpose(axes), flip), other, atol=0.04)


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.floats(0.3, 0.6), st.floats(0.02, 0.2))
def test_a_higher_threshold_gives_a_part_of_the_region(seed: int, share: float, more: float) -> None:
    image = blob(seed)
    low = whole(image, Method.PERCENT_OF_MAX, share=share)
    high = whole(image, Method.PERCENT_OF_MAX, share=share + more)
    assert low is not None
    assert high is not None
    assert np.all(high <= low)


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_a_fixed_threshold_scales_with_the_image(seed: int) -> None:
    image = blob(seed)
    one = whole(image, Method.FIXED, level=3.0)
    other = whole(evolve(image, values=2 * image.values), Method.FIXED, level=6.0)
    assert one is not None
    np.testing.assert_array_equal(one, other)


@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_where_in_the_patient_it_lies_does_not_matter(seed: int) -> None:
    image = blob(seed)
    affine = image.grid.affine_lps_mm.copy()
    affine[:3, 3] += 400
    moved = evolve(image, grid=Grid(SHAPE, affine, "frame"))
    there = delineate(moved, (400, 400, 400), DelineationSettings()).value
    here = delineate(image, (0, 0, 0), DelineationSettings()).value
    assert here is not None
    assert there is not None
    assert there.volume_ml == pytest.approx(here.volume_ml)
