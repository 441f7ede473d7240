"""A nudge moves the moving image as it is seen on the fixed one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lutra.align import nudged
from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.transform import DisplacementField, Transform

POINTS = np.random.default_rng(5).uniform(10, 60, (50, 3))


def known(*, bent: bool = False) -> Transform:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [4, -7, 12], degrees=True).as_matrix()
    matrix[:3, 3] = [30, -20, 5]
    grid = Grid((40, 42, 44), np.diag([2.0, 2, 2, 1]), "f")
    field = DisplacementField(grid, 2 * np.sin(np.moveaxis(np.indices(grid.shape), 0, -1)[..., ::-1] / 9))
    return Transform("f", "m", matrix, 1.0, "found", field if bent else None, {"body_dice": 0.9})


@pytest.mark.parametrize("bent", [False, True])
def test_what_was_seen_at_a_place_is_seen_beside_it(bent: bool) -> None:
    """A shift of 3 mm to the left: the moving point that was at p is now at p + 3 mm, exactly."""
    before = known(bent=bent)
    after = nudged(before, (3.0, 0, -1.5), by="me")
    np.testing.assert_allclose(
        after.moving_points(np.add(POINTS, [3, 0, -1.5])), before.moving_points(POINTS), atol=1e-5
    )


@pytest.mark.parametrize("bent", [False, True])
def test_turns_follow_one_another_about_a_point(bent: bool) -> None:
    """About left, then posterior, then superior axes that stay: scipy's extrinsic x, y, z."""
    before, centre, shift = known(bent=bent), np.array([20.0, 30, 40]), np.array([1.0, 2, 3])
    after = nudged(before, shift, (5.0, -3, 8), centre)
    turn = Rotation.from_euler("xyz", [5, -3, 8], degrees=True)
    there = turn.apply(POINTS - centre) + centre + shift
    np.testing.assert_allclose(after.moving_points(there), before.moving_points(POINTS), atol=1e-5)


def test_it_says_who_and_what_and_trusts_no_older_check() -> None:
    after = nudged(known(), (3.0, 0, -1.5), (0, 0, 2), (1, 2, 3), by="me")
    assert after.method == "nudged by me: 3 0 -1.5 mm (L P S), turned 0 0 2° about 1 2 3 mm; found"
    assert after.error_mm is None
    assert dict(after.quality) == {}
    assert (after.fixed_frame, after.moving_frame) == ("f", "m")


def test_numbers_that_are_none_are_refused() -> None:
    for shift in ((1.0, 2), (1.0, 2, np.inf)):
        with pytest.raises(UsageError, match="three finite numbers"):
            nudged(known(), shift)
