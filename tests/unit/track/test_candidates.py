"""What matching is told of regions and images, against shapes whose moments and places are known."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import Role
from lutra.core.transform import Transform
from lutra.track import ImageField, ball_spread_mm2, candidate
from lutra.track.candidates import COMMON, spread_matrix


def grid(spacing: tuple[float, float, float] = (2.0, 2.0, 3.0)) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -40, -40, -30
    return Grid((40, 40, 30), affine, "frame")


def ellipsoid(half_mm: tuple[float, float, float]) -> Region:
    """About the origin, voxels of 1 mm in or out by their centres, none of them at a pole."""
    affine = np.eye(4)
    affine[:3, 3] = -40.5, -40.5, -30.5
    g = Grid((82, 82, 62), affine, "frame")
    points = g.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, g.shape), indexing="ij"), axis=-1))
    inside = ((points / half_mm) ** 2).sum(axis=-1) <= 1
    return Region("a", RegionKind.LESION, g, (0, 0, 0), inside, None, RegionOrigin.DRAWN, "test", tracking_uid="1.2")


def test_moments_of_an_ellipsoid() -> None:
    """Its covariance is a fifth of the squares of its half axes."""
    found = candidate(ellipsoid((20, 12, 8)), "digest", "series", 3, Role.CT)
    assert found.spread_mm2 is not None
    np.testing.assert_allclose(spread_matrix(found.spread_mm2), np.diag([400 / 5, 144 / 5, 64 / 5]), atol=0.5)
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * 20 * 12 * 8 / 1000, rel=0.01)
    assert (found.position_mm, found.position_error_mm, found.tracking_uid) == (None, None, "1.2")
    assert found.position_in("frame") == pytest.approx((0, 0, 0), abs=0.01)


def test_moments_turn_with_the_patient() -> None:
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turn[:3, 3] = 5, 6, 7
    found = candidate(ellipsoid((20, 12, 8)), "d", "s", 0, to_common=Transform("common", "frame", turn, 4.0, "test"))
    assert found.spread_mm2 is not None
    np.testing.assert_allclose(spread_matrix(found.spread_mm2), np.diag([144 / 5, 400 / 5, 64 / 5]), atol=0.5)
    assert found.position_mm == pytest.approx((5, 6, 7), abs=0.01)
    assert found.position_error_mm == 4.0
    assert found.position_in("frame") == pytest.approx((0, 0, 0), abs=0.01)


def test_one_voxel_is_a_box() -> None:
    region = Region("a", RegionKind.LESION, grid(), (3, 4, 5), np.ones((1, 1, 1)), None, RegionOrigin.DRAWN, "test")
    found = candidate(region, "d", "s", 0)
    assert found.spread_mm2 == pytest.approx((4 / 12, 0, 0, 4 / 12, 0, 9 / 12))


def test_a_ball_of_a_volume() -> None:
    np.testing.assert_allclose(ball_spread_mm2(4 / 3 * np.pi), np.eye(3) * 100 / 5)


def test_depth_in_a_field() -> None:
    """The image reaches from -41 to 39 mm across, and from -31.5 to 58.5 mm along the patient."""
    moved = np.eye(4)
    moved[:3, 3] = 100, 0, 0
    field = ImageField("s", 0, grid(), moved)
    assert field.depth_mm((100, 0, 0), COMMON) == pytest.approx(31.5)
    assert field.depth_mm((100, 0, 58.5), COMMON) == pytest.approx(0)
    assert field.depth_mm((100, 0, 61.5), COMMON) == pytest.approx(-3)
    assert field.depth_mm((142, 0, 62.5), COMMON) == pytest.approx(-5)
    assert field.depth_mm((0, 0, 0), "frame") == pytest.approx(31.5)
    assert field.depth_mm((0, 0, 0), "another frame") is None
    assert ImageField("s", 0, grid()).depth_mm((0, 0, 0), COMMON) is None
    assert (field.space, ImageField("s", 0, grid()).space) == (COMMON, "frame")
