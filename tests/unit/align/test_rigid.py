"""What rigid registration does with a mask, a start and wide fields, on an image whose halves moved differently."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from scipy import ndimage

from lutra.align.rigid import RigidRegistration
from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.transform import QUALITY, Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume

GRID = Grid((60, 50, 56), np.diag([6.0, 6, 6, 1]), "a")
STEP_MM = 6.0
HALF = 28


def trunk(lower_shift_mm: float) -> Volume:
    """A trunk full of organs, its lower half shifted to the left."""
    rng = np.random.default_rng(3)
    x, y, z = np.moveaxis(GRID.to_lps_mm(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)
    x = x - np.where(z < HALF * 6, lower_shift_mm, 0.0)
    values = np.where(((x - 180) / 150) ** 2 + ((y - 150) / 115) ** 2 < 1, -90.0, -1000.0)
    for hu in np.tile([30.0, 120, 50, 600, 140, 800], 4):
        place, size = rng.uniform((80, 80, 20), (280, 220, 310)), rng.uniform(15, 40, 3)
        values[(((x, y, z) - place.reshape(3, 1, 1, 1)) ** 2 / size.reshape(3, 1, 1, 1) ** 2).sum(axis=0) < 1] = hu
    return Volume(ndimage.gaussian_filter(values, 0.7) + rng.normal(0, 10, GRID.shape), GRID, Unit.HU)


def register(fixed: Volume, moving: Volume, **options) -> Transform:
    outcome = RigidRegistration().register(fixed, moving, FrozenMap(), 4, **options)
    assert outcome.value is not None, outcome.findings
    return outcome.value


def test_a_mask_asks_for_one_part_and_the_whole_states_a_larger_error() -> None:
    """Truth: the lower half went 5 mm to the left, the upper half stayed."""
    fixed, moving = trunk(0.0), trunk(5.0)
    moving = evolve(moving, grid=evolve(GRID, frame_of_reference="b"))
    found = {}
    for name, first in (("lower", 2), ("upper", HALF + 4)):
        half = Region(
            name, RegionKind.OTHER, GRID, (5, 5, first), np.ones((50, 40, 22)), None, RegionOrigin.DRAWN, "test"
        )
        found[name] = register(fixed, moving, fixed_mask=half)
        middle = GRID.to_lps_mm((30.0, 25.0, first + 11.0))
        expected = middle + ([5.0, 0, 0] if name == "lower" else [0.0, 0, 0])
        np.testing.assert_allclose(found[name].moving_points(middle), expected, atol=0.1 * STEP_MM)
    whole = register(fixed, moving)
    assert whole.error_mm > 1.5 > found["upper"].error_mm


def test_checks_are_named_and_a_start_does_no_harm() -> None:
    image = trunk(0.0)
    wrong = Transform("a", "a", np.eye(4) + np.pad([[150.0], [0], [90]], ((0, 1), (3, 0))), None, "guessed")
    found = register(image, image, start=wrong)
    np.testing.assert_allclose(found.fixed_from_moving, np.eye(4), atol=0.02)
    assert set(found.quality) <= set(QUALITY)
    assert found.quality["body_dice"] > 0.99
    assert found.quality["overlap"] > 0.99


def test_unknown_options_and_tiny_images_are_refused() -> None:
    image = trunk(0.0)
    with pytest.raises(ProtocolError, match=r"align\.options\.rigid"):
        RigidRegistration().register(image, image, FrozenMap({"levels": 3.0}), 1)
    slice_ = Volume(image.values[:, :, :2], evolve(GRID, shape=(60, 50, 2)), Unit.HU)
    outcome = RigidRegistration().register(image, slice_, FrozenMap(), 1)
    few = Volume(image.values[20:25, 20:25, 20:25], Grid((5, 5, 5), np.eye(4)), Unit.HU)
    assert RigidRegistration().register(few, few, FrozenMap(), 1).value is None
    assert outcome.value is None
    assert "fewer than 4 voxels" in outcome.findings[0].text
