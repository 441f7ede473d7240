r"""Normalised mutual information of two images as a function of a rigid map, with its derivative.

:math:`S = (H(F) + H(M)) / H(F, M)` [studholme1999] of the grey levels that random points of the fixed image meet in the moving one.
The points lie between voxel centres, so that interpolation blurs both images alike and no shift by whole voxels is favoured
[pluim2000, tsao2003].
"""

from __future__ import annotations

from copy import copy

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy import ndimage

from lutra.align.joint_histogram import count, look_up, moments
from lutra.align.pyramid import Level
from lutra.align.pose import Pose

BINS = 32
"""Cells of the histogram along each axis; three of them are the margin of the B-spline window."""
LEAST_INSIDE = 0.1
"""Share of the points that must meet the moving image for a value. [1]"""


@frozen(eq=False)
class Samples:
    """Random points of the fixed image and their grey levels.

    Parameters
    ----------
    points_mm
        Relative to the centre of rotation. [mm] (n, 3)
    bins
        Bin of the grey level at each point. (n,)
    """

    points_mm: npt.NDArray[np.float64]
    bins: npt.NDArray[np.int32]


def sample(
    level: Level, where: npt.NDArray[np.bool_], n: int, centre_mm: npt.NDArray[np.float64], rng: np.random.Generator
) -> Samples:
    """Draw points from voxels of a level, each anywhere within its voxel."""
    voxels = np.flatnonzero(where)
    voxels = np.sort(rng.choice(voxels, min(n, len(voxels)), replace=False))
    ijk = np.stack(np.unravel_index(voxels, where.shape), axis=-1) + rng.uniform(-0.5, 0.5, (len(voxels), 3))
    grey = ndimage.map_coordinates(level.grey, ijk.T, order=1, mode="nearest")
    return Samples(level.grid.to_lps_mm(ijk) - centre_mm, np.rint(_bin(grey)).astype(np.int32))


def _bin(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(1 + grey * (BINS - 4 - 1e-3), np.float32)


class MutualInformation:
    """How well a rigid map brings the moving image onto samples of the fixed one."""

    def __init__(self, samples: Samples, moving: Level, centre_mm: npt.NDArray[np.float64]) -> None:
        """Prepare; `centre_mm` is the centre of rotation in the fixed image."""
        self.samples = samples
        self._moving = np.ascontiguousarray(_bin(moving.grey))
        self._ijk_from_moving = np.linalg.inv(moving.grid.affine_lps_mm)
        self._centre_mm = centre_mm
        self._seen = np.empty((len(samples.bins), 4), np.float32)

    def on(self, chosen: npt.NDArray[np.int64]) -> MutualInformation:
        """Measure the same images on some of the samples."""
        new = copy(self)
        new.samples = Samples(self.samples.points_mm[chosen], self.samples.bins[chosen])
        new._seen = np.empty((len(chosen), 4), np.float32)
        return new

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
        joint = np.zeros((BINS, BINS))
        inside = count(self.samples.bins, self._seen, joint)
        if inside < max(1, LEAST_INSIDE * len(self.samples.bins)):
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
