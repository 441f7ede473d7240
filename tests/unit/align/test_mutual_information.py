"""The metric behind rigid registration, against finite differences, textbook values and a second way to count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import entropy

from lutra.align.joint_histogram import BLANK, BODY, LEVELS, scan
from lutra.align.mutual_information import MutualInformation, points_in, samples_of
from lutra.align.pose import Pose
from lutra.align.pyramid import Level, averaged, pyramid
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume

CENTRE = np.array([60.0, 60, 60])
POSE = np.array([4.0, -3, 5, 2, -6, 3])


def clouds(seed: int, shape: tuple[int, int, int] = (40, 41, 42)) -> Level:
    soft = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
    soft = (soft - soft.min()) / np.ptp(soft)
    return Level(soft.astype(np.float32), Grid(shape, np.diag([3.0, 3, 3, 1])))


def metric(level: Level, moving: Level) -> MutualInformation:
    points = points_in(level.grid, np.ones(level.grid.shape, bool), 6000, np.random.default_rng(1))
    return MutualInformation(samples_of(level, points, CENTRE, 32), moving, CENTRE, 0.1)


def test_the_slope_is_that_of_the_value() -> None:
    found = metric(clouds(1), clouds(1))
    _, slope = found.value_and_slope(Pose(POSE))
    steps = np.eye(6) * 1e-3
    by_difference = [(found.value(Pose(POSE + s)) - found.value(Pose(POSE - s))) / 2e-3 for s in steps]
    np.testing.assert_allclose(slope, by_difference, atol=3e-5)


def test_nothing_is_known_of_another_image_and_everything_of_itself() -> None:
    """1 for independent images but for the finite number of samples, and far above for the image itself where it lies on itself."""
    assert metric(clouds(1), clouds(2)).value(Pose(np.zeros(6))) == pytest.approx(1.0, abs=0.03)
    itself = metric(clouds(1), clouds(1))
    assert itself.value(Pose(np.zeros(6))) > 1.4
    assert itself.value(Pose(np.array([0, 0, 0, 2.0, 0, 0]))) < itself.value(Pose(np.zeros(6)))
    far = itself.value_and_slope(Pose(np.array([0, 0, 0, 500.0, 0, 0])))
    assert far[0] == 0.0
    assert not far[1].any()


def test_a_pose_is_its_matrix() -> None:
    matrix = Pose(POSE).moving_from_fixed(CENTRE)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(matrix[:3, :3] @ CENTRE + matrix[:3, 3], CENTRE + POSE[3:])
    np.testing.assert_allclose(Pose.of(matrix, CENTRE).numbers_mm, POSE, atol=1e-9)


def test_a_scanned_shift_has_the_entropies_of_its_histogram() -> None:
    """Against scipy's entropy of a histogram counted by numpy, with the Miller-Madow correction of each."""
    rng = np.random.default_rng(3)
    one, other = (rng.integers(0, LEVELS, (5, 6, 7)).astype(np.uint8) for _ in range(2))
    one[1:4, 2:5, 2:6] |= BODY
    one[0, 0], other[4] = BLANK, BLANK
    score = np.zeros(1)
    scan(one, other, np.array([[1, -1, 2]]), score)
    f, m = one[0:4, 1:6, 0:5], other[1:5, 0:5, 2:7]
    use = (f != BLANK) & (m != BLANK) & (((f | m) & BODY) > 0)
    joint, *_ = np.histogram2d(f[use] % LEVELS, m[use] % LEVELS, LEVELS, ((0, LEVELS),) * 2)
    h = [entropy(c) + (np.count_nonzero(c) - 1) / (2 * use.sum()) for c in (joint.ravel(), joint.sum(1), joint.sum(0))]
    assert score[0] == pytest.approx((h[1] + h[2]) / h[0])


def test_averaging_keeps_places_and_means() -> None:
    """An image linear in its coordinates still is after whole blocks were averaged."""
    affine = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -7], [0, 0, 1.0, 11], [0, 0, 0, 1]])
    grid = Grid((20, 15, 31), affine)
    slope = np.array([1.0, 2, 3])
    volume = Volume(grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) @ slope, grid, Unit.HU)
    coarse = averaged(volume, 4.0)
    assert coarse.grid.shape == (10, 7, 7)
    np.testing.assert_allclose(
        coarse.values, coarse.grid.to_lps_mm(np.moveaxis(np.indices(coarse.grid.shape), 0, -1)) @ slope, atol=1e-4
    )


def test_the_body_leaves_out_the_table() -> None:
    values = np.full((60, 60, 20), -1000.0)
    values[10:50, 10:40] = 30
    values[5:55, 52:54] = 100
    found = pyramid(Volume(values, Grid((60, 60, 20), np.diag([6.0, 6, 6, 1])), Unit.HU), 3.0)
    assert found.body[30, 25, 10]
    assert not found.body[30, 52:54].any()
