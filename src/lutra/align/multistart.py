"""Where to begin: every shift of one image over the other is tried, because a wrong beginning ends in a wrong answer in silence.

The bodies are laid over each other at all whole-voxel shifts of a coarse grid that keep enough of them in common, and normalised mutual
information is taken of each. Its peaks are the candidates; each is offered straight and turned.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy import ndimage
from scipy.signal import correlate

from lutra.align.joint_histogram import BLANK, BODY, LEVELS, scan
from lutra.align.pose import ARM_MM, Pose
from lutra.align.pyramid import Pyramid
from lutra.core.grid import MM3_PER_ML

SCAN_MM = 12.0
"""Edge of the voxels of the scan. [mm]"""
MAX_VOXELS = 25_000
"""Above so many voxels of the smaller body the grid is made coarser."""
LEAST_SHARE = 0.3
"""Share of the smaller body that has to lie in both images. [1]"""
TURN_DEG = 7.0
"""Turns offered beside the straight position: with them, 14 degrees to either side are within reach. [degree]"""


@frozen(eq=False)
class Shifts:
    """Scores of all shifts of the scan.

    Parameters
    ----------
    shifts_mm
        What takes a fixed point to a moving one. [mm] (n, 3)
    scores
        Normalised mutual information; 0 where too little of the bodies is in common. [1] (n,)
    peaks
        Numbers of the shifts that no neighbour exceeds, best first.
    """

    shifts_mm: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    peaks: npt.NDArray[np.int64]


def scan_shifts(fixed: Pyramid, moving: Pyramid) -> Shifts | None:
    """Score every shift by whole voxels of the scan; None if an image has no body."""
    edge_mm = max(SCAN_MM, (MM3_PER_ML * min(fixed.body_ml, moving.body_ml) / MAX_VOXELS) ** (1 / 3))
    one, origin = _on_axes(fixed, edge_mm)
    other, other_origin = _on_axes(moving, edge_mm)
    bodies = [(codes != BLANK) & (codes & BODY > 0) for codes in (one, other)]
    if not all(body.any() for body in bodies):
        return None
    together = np.rint(correlate(*(marked.astype(np.float32) for marked in reversed(bodies)), method="fft"))
    offsets = np.argwhere(together >= LEAST_SHARE * min(float(body.sum()) for body in bodies))
    score = np.zeros(len(offsets))
    if not len(offsets):
        return None
    scan(one, other, offsets - (np.array(one.shape) - 1), score)
    cube = np.zeros(together.shape)
    cube[tuple(offsets.T)] = score
    peaks = np.flatnonzero((cube == ndimage.maximum_filter(cube, 3))[tuple(offsets.T)])
    peaks = peaks[np.argsort(-score[peaks], kind="stable")]
    return Shifts((offsets - (np.array(one.shape) - 1)) * edge_mm + (other_origin - origin), score, peaks)


def poses(shifts: Shifts, most: int, turned: int) -> list[Pose]:
    """Best peaks as poses, and the very best of them also turned to either side about each axis."""
    found = []
    for rank, peak in enumerate(shifts.peaks[:most]):
        straight = np.concatenate([np.zeros(3), shifts.shifts_mm[peak]])
        found.append(Pose(straight))
        if rank < turned:
            step = np.deg2rad(TURN_DEG) * ARM_MM
            found += [Pose(straight + sign * step * np.eye(6)[axis]) for axis in range(3) for sign in (1, -1)]
    return found


def _on_axes(image: Pyramid, edge_mm: float) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Grey levels and body on a grid along the axes of the patient, and the position of its first voxel. [mm]"""
    level = image.coarse
    corners = level.grid.corners_lps_mm
    origin = corners.min(axis=0) + edge_mm / 2
    shape = np.maximum(np.rint(np.ptp(corners, axis=0) / edge_mm), 1).astype(int)
    points = origin + edge_mm * np.moveaxis(np.indices(tuple(shape)), 0, -1)
    ijk = np.moveaxis(level.grid.to_ijk(points), -1, 0)
    sigma = edge_mm / np.array(level.grid.spacing_mm) / 4
    grey = ndimage.map_coordinates(ndimage.gaussian_filter(level.grey, sigma), ijk, order=1, mode="nearest")
    body = ndimage.map_coordinates(image.body.astype(np.float32), ijk, order=1, mode="nearest") >= 0.5
    codes = np.minimum(grey * LEVELS, LEVELS - 1).astype(np.uint8) | np.where(body, BODY, 0).astype(np.uint8)
    inside = np.all((ijk >= -0.5) & (ijk <= np.subtract(level.grid.shape, 0.5).reshape(3, 1, 1, 1)), axis=0)
    return np.where(inside, codes, BLANK).astype(np.uint8), origin
