"""What every plugin of the socket `lutra.registrar` has to do."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from scipy import ndimage

from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.pipeline.plugins import available, load
from lutra.ports import Registrar
from lutra.simulate.moved import moved

OPTIONAL = {"bspline"}
"""Rests on another program, and on texture that this trunk lacks: tests/unit/align/test_deformable.py holds it to the same."""
NAMES = sorted(set(available("registrar")) - OPTIONAL)
TRUSTS_FRAMES = {"shared-frame"}
"""Registrars that compare frames of reference instead of images."""
REFINES = {"demons"}
"""Registrars that begin at a rigid map, and bend: a fifth of a voxel from the truth where nothing holds them."""


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def registrar(name: str) -> Registrar:
    return load("registrar", name)[1]


@pytest.fixture(scope="module")
def trunk() -> Volume:
    """A trunk with organs and bones at random places, so that no part of it looks like another."""
    rng = np.random.default_rng(7)
    grid = Grid((64, 52, 60), np.diag([5.0, 5, 5, 1]), "1.2.1")
    x, y, z = np.moveaxis(grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    values = np.where(((x - 160) / 135) ** 2 + ((y - 130) / 105) ** 2 < 1, -90.0, -1000.0)
    for hu in rng.permutation([30.0, 45, 60, 110, 150, 30, 55, 140, 500, 700, 600, 800]):
        place, size = rng.uniform((70, 70, 30), (250, 190, 270)), rng.uniform(15, 45, 3)
        values[(((x, y, z) - place.reshape(3, 1, 1, 1)) ** 2 / size.reshape(3, 1, 1, 1) ** 2).sum(axis=0) < 1] = hu
    soft = ndimage.gaussian_filter(values, 0.8) + rng.normal(0, 10, grid.shape)
    return Volume(soft, grid, Unit.HU)


def points(volume: Volume) -> np.ndarray:
    return volume.grid.to_lps_mm(np.random.default_rng(1).uniform((15, 12, 10), (50, 40, 50), (40, 3)))


def off_mm(found: Transform, truth: Transform, where: np.ndarray) -> float:
    return float(np.linalg.norm(found.moving_points(where) - truth.moving_points(where), axis=1).mean())


def test_an_image_lies_on_itself(registrar: Registrar, trunk: Volume) -> None:
    outcome = registrar.register(trunk, trunk, FrozenMap(), 1)
    assert outcome.value is not None, outcome.findings
    assert (outcome.value.fixed_frame, outcome.value.moving_frame) == ("1.2.1", "1.2.1")
    same = Transform("1.2.1", "1.2.1", np.eye(4), 0.0, "known")
    assert off_mm(outcome.value, same, points(trunk)) < 0.5


def test_a_small_move_is_found_with_an_honest_error(name: str, registrar: Registrar, trunk: Volume) -> None:
    """Truth: the image moved by 6 mm along each axis and 2 degrees about each; a tenth of a voxel, within three stated errors."""
    scan, truth = moved(trunk, (2, -2, 2), (6, -6, 6), "1.2.2", 3)
    outcome = registrar.register(trunk, scan, FrozenMap(), 1, truth if name in REFINES else None)
    if name in TRUSTS_FRAMES:
        assert outcome.value is None
        return
    assert outcome.value is not None, outcome.findings
    assert (outcome.value.fixed_frame, outcome.value.moving_frame) == ("1.2.1", "1.2.2")
    off = off_mm(outcome.value, truth, points(trunk))
    assert off < (1.0 if name in REFINES else 0.5)
    assert outcome.value.error_mm is not None
    assert off < 3 * outcome.value.error_mm


def test_nonsense_is_refused_with_a_reason(registrar: Registrar, trunk: Volume) -> None:
    elsewhere = evolve(trunk.grid, frame_of_reference="1.2.3")
    nonsense = {
        "empty": np.zeros(elsewhere.shape),
        "noise": np.random.default_rng(2).normal(0, 300, elsewhere.shape),
        "not finite": np.where(trunk.values > 100, np.nan, trunk.values),
    }
    for what, values in nonsense.items():
        outcome = registrar.register(trunk, Volume(values, elsewhere, Unit.HU), FrozenMap(), 1)
        assert outcome.value is None, what
        assert {finding.severity for finding in outcome.findings} <= {Severity.UNDETERMINED, Severity.ERROR}
        assert all(frame in outcome.findings[0].text for frame in ("1.2.1", "1.2.3")), what


def test_one_seed_one_answer(registrar: Registrar, trunk: Volume) -> None:
    first, second = (registrar.register(trunk, trunk, FrozenMap(), 5).value for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.fixed_from_moving, second.fixed_from_moving)
    assert first.error_mm == second.error_mm
