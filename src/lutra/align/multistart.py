"""Where to begin: every shift of one image over the other is tried, because a wrong beginning ends in a wrong answer in silence.

The bodies are laid over each other at all whole-voxel shifts of a coarse grid that keep enough of them in common, straight and
turned, and normalised mutual information is taken of each. The peaks are the starts.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy import ndimage
from scipy.signal import correlate

from lutra.align.joint_histogram import BLANK, BODY, LEVELS, scan
from lutra.align.pose import ARM_MM, Pose
from lutra.align.pyramid import Pyramid
from lutra.core.grid import MM3_PER_ML

SCAN_MM, MAX_VOXELS = 16.0, 10_000
"""Edge of the voxels of the scan, and the number of them in the smaller body above which they are made larger. [mm], [1]"""
LEAST_SHARE = 0.3
"""Share of the smaller body that has to lie in both images. [1]"""
STEP_DEG = 8.0
"""Turns that are scanned. A tall body turned by more than half of it about x or y has no peak left. [degree]"""
TURNS = (*((x, y, 0) for x, y in product((0, -1, 1), repeat=2)), (0, 0, -1), (0, 0, 1))


@frozen
class Peak:
    """A pose that no neighbour exceeds, and how it was scored.

    Parameters
    ----------
    score
        Normalised mutual information. [1]
    share
        Share of the smaller body that lies in both images. [1]
    """

    pose: Pose
    score: float
    share: float

    @property
    def weight(self) -> float:
        """Rank of a peak: what a small overlap shows by chance grows with the inverse root of the number of voxels. [1]"""
        return (self.score - 1) * float(np.sqrt(self.share))


def peaks(fixed: Pyramid, moving: Pyramid, most: int) -> list[Peak]:
    """Score every shift and turn of the scan and return the best peaks; none if the bodies have too little contrast."""
    edge_mm = max(SCAN_MM, (MM3_PER_ML * min(fixed.body_ml, moving.body_ml) / MAX_VOXELS) ** (1 / 3))
    centres = fixed.centre_mm, moving.centre_mm
    soft, other_soft = (_softened(image, edge_mm / 4) for image in (fixed, moving))
    one, origin = _on_axes(*soft, fixed, edge_mm, np.eye(3))
    found: list[Peak] = []
    for turn in TURNS:
        arcs = np.deg2rad(STEP_DEG) * ARM_MM * np.array(turn, float)
        rotation = Pose(np.concatenate([arcs, np.zeros(3)])).turn
        other, other_origin = _on_axes(*other_soft, moving, edge_mm, rotation)
        for shift, score, share in _scanned(one, other):
            offset_mm = shift * edge_mm + other_origin - origin
            shift_mm = rotation @ (centres[0] + offset_mm - centres[1]) + centres[1] - centres[0]
            found.append(Peak(Pose(np.concatenate([arcs, shift_mm])), score, share))
    return sorted(found, key=lambda peak: -peak.weight)[:most]


def _scanned(
    one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]
) -> list[tuple[npt.NDArray[np.int64], float, float]]:
    """Peaks among the shifts of two coded images: what is added to a fixed index, score and share."""
    bodies = [((codes != BLANK) & (codes & BODY > 0)).astype(np.float32) for codes in (one, other)]
    least = min(float(body.sum()) for body in bodies)
    if not least:
        return []
    shares = np.rint(correlate(bodies[1], bodies[0], method="fft")) / least
    where = np.argwhere(shares >= LEAST_SHARE)
    shifts = where - (np.array(one.shape) - 1)
    score = np.zeros(len(where))
    scan(one, other, shifts, score)
    cube = np.zeros(shares.shape)
    cube[tuple(where.T)] = (score - 1) * np.sqrt(shares[tuple(where.T)])
    highest = (cube == ndimage.maximum_filter(cube, 3)) & (cube > 0)
    return [
        (shifts[n], float(score[n]), float(shares[tuple(where[n])])) for n in np.flatnonzero(highest[tuple(where.T)])
    ]


def _softened(image: Pyramid, sigma_mm: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Grey levels and body, smoothed so that they can be looked at on a coarser grid. [1] (i, j, k) each"""
    sigma = sigma_mm / np.array(image.coarse.grid.spacing_mm)
    grey, body = (ndimage.gaussian_filter(v, sigma) for v in (image.coarse.grey, image.body.astype(np.float32)))
    return grey, body


def _on_axes(
    grey: npt.NDArray[np.float32],
    body: npt.NDArray[np.float32],
    image: Pyramid,
    edge_mm: float,
    rotation: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Grey levels and body on a grid along the patient's axes, turned back about the middle of the body; and its origin. [mm]"""
    grid, centre = image.coarse.grid, image.centre_mm
    corners = (grid.corners_lps_mm - centre) @ rotation + centre
    origin = corners.min(axis=0) + edge_mm / 2
    shape = np.maximum(np.rint(np.ptp(corners, axis=0) / edge_mm), 1).astype(int)
    points = origin + edge_mm * np.moveaxis(np.indices(tuple(shape)), 0, -1)
    ijk = np.moveaxis(grid.to_ijk((points - centre) @ rotation.T + centre), -1, 0)
    grey, body = (ndimage.map_coordinates(values, ijk, order=1, mode="nearest") for values in (grey, body))
    codes = np.minimum(grey * LEVELS, LEVELS - 1).astype(np.uint8) | np.where(body >= 0.5, BODY, 0).astype(np.uint8)
    inside = np.all((ijk >= -0.5) & (ijk <= np.subtract(grid.shape, 0.5).reshape(3, 1, 1, 1)), axis=0)
    return np.where(inside, codes, BLANK).astype(np.uint8), origin
