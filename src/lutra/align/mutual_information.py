r"""Normalised mutual information of two images as a function of a rigid map, with its derivative.

:math:`S = (H(F) + H(M)) / H(F, M)` [studholme1999] of the grey levels that random points of the fixed image meet in the moving one.
The points lie between voxel centres, so that interpolation blurs both images alike and no shift by whole voxels is favoured
[pluim2000, tsao2003].
"""

from __future__ import annotations

from copy import copy

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy import ndimage

from lutra.align.joint_histogram import count, look_up, moments
from lutra.align.pose import Pose
from lutra.align.pyramid import Level
from lutra.core.grid import Grid

WINDOW_BINS = 4
"""Width of the B-spline window, which needs that many bins beside those of the grey levels. [bins]"""


@frozen(eq=False)
class Samples:
    """Random points of the fixed image and their grey levels.

    Parameters
    ----------
    points_mm
        Relative to the centre of rotation. [mm] (n, 3)
    bins
        Bin of the grey level at each point. (n,)
    count
        Number of bins.
    """

    points_mm: npt.NDArray[np.float64]
    bins: npt.NDArray[np.int32]
    count: int


def points_in(grid: Grid, where: npt.NDArray[np.bool_], n: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw points from some voxels of a grid, each anywhere within its voxel. [mm] (n, 3)"""
    voxels = np.flatnonzero(where)
    chosen = np.sort(voxels[rng.integers(0, len(voxels), n)])
    ijk = np.stack(np.unravel_index(chosen, where.shape), axis=-1) + rng.uniform(-0.5, 0.5, (n, 3))
    return grid.to_lps_mm(ijk)


def samples_of(
    level: Level, points_mm: npt.NDArray[np.float64], centre_mm: npt.NDArray[np.float64], bins: int
) -> Samples:
    """Read the grey levels of a fixed image at points."""
    grey = ndimage.map_coordinates(level.grey, level.grid.to_ijk(points_mm).T, order=1, mode="nearest")
    return Samples(points_mm - centre_mm, np.rint(_bin(grey, bins)).astype(np.int32), bins)


def _bin(grey: npt.NDArray[np.float32], bins: int) -> npt.NDArray[np.float32]:
    return np.asarray(1 + grey * (bins - WINDOW_BINS), np.float32)


class MutualInformation:
    """How well a rigid map brings the moving image onto samples of the fixed one."""

    def __init__(
        self, samples: Samples, moving: Level, centre_mm: npt.NDArray[np.float64], least_inside: float
    ) -> None:
        """Prepare.

        Parameters
        ----------
        centre_mm
            Centre of rotation in the fixed image. [mm] (3,)
        least_inside
            Share of the samples that have to lie in the moving image. [1]
        """
        self.samples, self.least_inside = samples, least_inside
        self._moving = np.ascontiguousarray(_bin(moving.grey, samples.count))
        self._ijk_from_moving = np.linalg.inv(moving.grid.affine_lps_mm)
        self._centre_mm = centre_mm
        self._seen = np.empty((len(samples.bins), 4), np.float32)

    def on(self, chosen: npt.NDArray[np.int64]) -> MutualInformation:
        """Measure the same images on some of the samples."""
        some = copy(self)
        some.__dict__.update(
            samples=Samples(self.samples.points_mm[chosen], self.samples.bins[chosen], self.samples.count),
            _seen=np.empty((len(chosen), 4), np.float32),
        )
        return some

    def value(self, pose: Pose) -> float:
        """Normalised mutual information, 1 for images that know nothing of each other. [1]"""
        return self._histogram(pose)[0]

    def value_and_slope(self, pose: Pose) -> tuple[float, npt.NDArray[np.float64]]:
        """Value, and its derivative by each parameter of the pose. [1], [1/mm] (6,)"""
        value, slope, inside = self._histogram(pose)
        if not inside:
            return value, np.zeros(6)
        by_matrix = np.zeros((3, 4))
        moments(self.samples.points_mm, self.samples.bins, self._seen, slope, by_matrix)
        by_map = self._ijk_from_moving[:3, :3].T @ by_matrix / inside
        return value, pose.chain(by_map)

    def inside(self, pose: Pose) -> npt.NDArray[np.bool_]:
        """Tell which samples meet the moving image. (n,)"""
        self._histogram(pose)
        return np.asarray(self._seen[:, 0] >= 0)

    def _histogram(self, pose: Pose) -> tuple[float, npt.NDArray[np.float64], int]:
        matrix = self._ijk_from_moving @ pose.moving_from_offset(self._centre_mm)
        look_up(self.samples.points_mm, self._moving, np.ascontiguousarray(matrix[:3]), self._seen)
        joint = np.zeros((self.samples.count, self.samples.count))
        inside = count(self.samples.bins, self._seen, joint)
        if inside < max(1, self.least_inside * len(self.samples.bins)):
            return 0.0, joint, 0
        return (*_normalised(joint / inside), inside)


def _normalised(joint: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
    """Normalised mutual information of a distribution, and its derivative by each cell."""
    with np.errstate(divide="ignore"):
        logs = [np.where(p > 0, np.log(p), 0.0) for p in (joint, joint.sum(axis=1), joint.sum(axis=0))]
    log_joint, log_fixed, log_moving = logs
    together = -float((joint * log_joint).sum())
    apart = -float((joint.sum(axis=1) * log_fixed).sum() + (joint.sum(axis=0) * log_moving).sum())
    if together <= 0:
        return 1.0, np.zeros_like(joint)
    slope = -(log_fixed[:, None] + log_moving[None, :]) / together + apart / together**2 * log_joint
    return apart / together, slope
