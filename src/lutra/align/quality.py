"""What can be measured of a registration without knowing the truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lutra.align.mutual_information import MutualInformation
from lutra.align.pose import Pose
from lutra.align.pyramid import BONE_GREY, Pyramid
from lutra.align.refine import Optimum, climb
from lutra.core.frozen import float64
from lutra.core.grid import Grid

PARTS, PART_ITERATIONS = 8, 15
WITHIN_PARTS, OF_A_VOXEL = 3.2, 0.03
DICE_VOXELS = 200_000
"""About how many voxels an overlap is counted on."""
Points = npt.NDArray[np.float64]


def spread_mm(poses: list[Pose], points_mm: Points) -> float:
    """Largest distance between the places to which several poses send a point. [mm]

    Parameters
    ----------
    points_mm
        Relative to the centre of rotation. [mm] (n, 3)
    """
    places = np.stack([placed(pose, points_mm) for pose in poses])
    return float(np.linalg.norm(places[:, None] - places[None], axis=-1).max())


def distance_mm(one: Pose, other: Pose, points_mm: Points) -> float:
    """Root mean square distance between the places to which two poses send points. [mm]"""
    return float(np.sqrt(np.mean(np.sum((placed(one, points_mm) - placed(other, points_mm)) ** 2, axis=-1))))


def placed(pose: Pose, points_mm: Points) -> Points:
    """Points after turn and shift, still relative to the centre. [mm] (n, 3)"""
    moved: Points = points_mm @ pose.turn.T + pose.shift_mm
    return moved


def error_mm(metric: MutualInformation, optimum: Optimum, voxel_mm: float, rng: np.random.Generator) -> float:
    """Estimate the error of a point, from what the parts of the body say when each is registered on its own. [mm]

    The samples are halved along x, y and z in turn into eight parts, and each part is shifted to where it fits best: with all its
    samples, and with either half of them. What the halves differ by is noise, that of the whole being smaller by the root of
    eight. What is left of the distance between a part and the whole is the body having changed its shape, or its being another
    one; the median over the parts is taken, because one with a bladder that filled says nothing of the others. Organs that move
    within a part are off by more than the part as a whole: by 3.2 times on digital patients whose breath and spine are known
    (bench/align/rigid_accuracy.py). Interpolation leaves 3 % of a voxel whatever else is right.
    """
    shape_mm2, noise_mm2 = [], []
    for part in _halved(metric.samples.points_mm):
        chosen = rng.permutation(part)
        own, one, other = (
            climb(metric.on(some), optimum.pose, most=PART_ITERATIONS, only_shift=True).pose.shift_mm
            for some in (part, chosen[: len(part) // 2], chosen[len(part) // 2 :])
        )
        noise_mm2.append(float(np.sum((one - other) ** 2)) / 4)
        shape_mm2.append(max(0.0, float(np.sum((own - optimum.pose.shift_mm) ** 2)) - noise_mm2[-1]))
    grid_mm2 = (OF_A_VOXEL * voxel_mm) ** 2
    return float(np.sqrt(WITHIN_PARTS**2 * np.median(shape_mm2) + np.mean(noise_mm2) / PARTS + grid_mm2))


def _halved(points: Points) -> list[npt.NDArray[np.int64]]:
    """Numbers of the points of each part."""
    found = [np.arange(len(points))]
    axis = 0
    while len(found) < PARTS:
        ordered = [part[np.argsort(points[part, axis % 3], kind="stable")] for part in found]
        found = [half for part in ordered for half in (part[: len(part) // 2], part[len(part) // 2 :])]
        axis += 1
    return found


def overlap(fixed: Grid, moving: Grid, moving_from_fixed: npt.NDArray[np.float64]) -> float:
    """Share of the smaller image that lies in the other. [1]"""
    back = float64(np.linalg.inv(moving_from_fixed))
    return max(_inside(fixed, moving, moving_from_fixed), _inside(moving, fixed, back))


def body_dice(fixed: Pyramid, moving: Pyramid, moving_from_fixed: npt.NDArray[np.float64]) -> float | None:
    """Overlap of the two bodies (Dice) where both images are; None if one shows uptake and not the body. [1]"""
    if not (fixed.has_outline and moving.has_outline):
        return None
    return _dice(fixed.body, moving.body, fixed.coarse.grid, moving.coarse.grid, moving_from_fixed)


def bone_dice(fixed: Pyramid, moving: Pyramid, moving_from_fixed: npt.NDArray[np.float64]) -> float | None:
    """Overlap of the two skeletons (Dice) where both images are; None unless both are CT and show some. [1]"""
    if not (fixed.has_bone and moving.has_bone):
        return None
    here, there = (image.fine.grey >= BONE_GREY for image in (fixed, moving))
    return _dice(here, there, fixed.fine.grid, moving.fine.grid, moving_from_fixed)


def _dice(
    here: npt.NDArray[np.bool_],
    there: npt.NDArray[np.bool_],
    fixed: Grid,
    moving: Grid,
    moving_from_fixed: npt.NDArray[np.float64],
) -> float | None:
    step = max(1, round((here.size / DICE_VOXELS) ** (1 / 3)))
    ijk = _indices(fixed, moving, moving_from_fixed, step)
    inside = np.all((ijk >= 0) & (ijk <= np.subtract(moving.shape, 1)), axis=-1)
    one = here[::step, ::step, ::step][inside]
    other = ndimage.map_coordinates(there.astype(np.float32), ijk[inside].T, order=1) >= 0.5
    total = int(one.sum()) + int(other.sum())
    return 2 * float((one & other).sum()) / total if total else None


def _indices(source: Grid, target: Grid, target_from_source: npt.NDArray[np.float64], step: int) -> Points:
    """Index in the target of every so many voxels of the source. (i, j, k, 3)"""
    matrix = np.linalg.inv(target.affine_lps_mm) @ target_from_source @ source.affine_lps_mm
    index = np.stack(np.meshgrid(*(np.arange(0, n, step) for n in source.shape), indexing="ij"), axis=-1)
    return np.asarray(index @ matrix[:3, :3].T + matrix[:3, 3])


def _inside(source: Grid, target: Grid, target_from_source: npt.NDArray[np.float64]) -> float:
    ijk = _indices(source, target, target_from_source, 1)
    return float(np.all((ijk >= -0.5) & (ijk <= np.subtract(target.shape, 0.5)), axis=-1).mean())
