"""Points go where the transform says, there and back, alone and chained."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import GridMismatch
from lutra.core.grid import Grid
from lutra.core.transform import DisplacementField, Transform

POINTS = np.random.default_rng(5).uniform(10, 60, (50, 3))


def rigid(fixed: str, moving: str, seed: int, error_mm: float | None = 3.0) -> Transform:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    turn, _ = np.linalg.qr(np.eye(3) + 0.1 * rng.normal(size=(3, 3)))
    matrix[:3, :3] = turn * np.sign(np.diag(turn))
    matrix[:3, 3] = rng.uniform(-5, 5, 3)
    return Transform(fixed, moving, matrix, error_mm, "known")


def warped(fixed: str, moving: str, seed: int) -> Transform:
    base = rigid(fixed, moving, seed, error_mm=4.0)
    grid = Grid((40, 42, 44), np.diag([2.0, 2, 2, 1]), fixed)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    bend = 2 * np.sin(index[..., ::-1] / 9 + seed)
    return Transform(fixed, moving, base.fixed_from_moving, 4.0, "bent", DisplacementField(grid, bend))


def test_a_displacement_is_linear_between_centres_and_constant_beyond() -> None:
    grid = Grid((3, 4, 5), np.diag([2.0, 3, 4, 1]), "1")
    slope = np.moveaxis(np.indices(grid.shape), 0, -1) * [2.0, 3, 4]
    field = DisplacementField(grid, slope)
    inside = np.array([[1.3, 4.4, 9.9], [4.0, 9.0, 16.0]])
    np.testing.assert_allclose(field.at(inside), inside, atol=1e-5)
    np.testing.assert_allclose(field.at([[-7.0, 4, 99]]), [[0, 4, 16]], atol=1e-5)


def test_a_field_of_one_slice() -> None:
    field = DisplacementField(Grid((2, 2, 1), np.eye(4), "1"), np.full((2, 2, 1, 3), 1.5))
    np.testing.assert_allclose(field.at([0.5, 0.5, 3.0]), [1.5, 1.5, 1.5])


def test_there_and_back() -> None:
    for transform in (rigid("a", "b", 1), warped("a", "b", 2)):
        np.testing.assert_allclose(transform.fixed_points(transform.moving_points(POINTS)), POINTS, atol=1e-4)
    turned = rigid("a", "b", 1).inverse()
    np.testing.assert_allclose(turned.moving_points(POINTS), rigid("a", "b", 1).fixed_points(POINTS))
    with pytest.raises(GridMismatch, match="not affine"):
        warped("a", "b", 2).inverse()


@pytest.mark.parametrize("first", [rigid("a", "b", 3), warped("a", "b", 3)], ids=["rigid", "bent"])
@pytest.mark.parametrize("second", [rigid("b", "c", 4), warped("b", "c", 4)], ids=["rigid", "bent"])
def test_a_chain_sends_points_where_its_links_do(first: Transform, second: Transform) -> None:
    chain = first.after(second)
    assert (chain.fixed_frame, chain.moving_frame) == ("a", "c")
    both_bent = first.displacement is not None and second.displacement is not None
    np.testing.assert_allclose(
        chain.moving_points(POINTS), second.moving_points(first.moving_points(POINTS)), atol=0.1 if both_bent else 1e-4
    )
    assert chain.error_mm == pytest.approx(np.hypot(first.error_mm, second.error_mm))


def test_chains_need_a_common_frame_and_do_not_invent_errors() -> None:
    with pytest.raises(GridMismatch, match="cannot follow"):
        rigid("a", "b", 1).after(rigid("c", "d", 1))
    assert rigid("a", "b", 1, None).after(rigid("b", "c", 1)).error_mm is None
