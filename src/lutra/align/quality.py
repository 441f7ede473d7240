"""What can be measured of a registration without knowing the truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lutra.align.mutual_information import MutualInformation
from lutra.align.pose import Pose
from lutra.align.pyramid import BONE_GREY, Level
from lutra.align.refine import Optimum, climb

PART_ITERATIONS = 15
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


def parts_apart(metric: MutualInformation, optimum: Optimum, parts: int, rng: np.random.Generator) -> tuple[float, float]:
    """How far the parts of the body, registered each on its own, leave the answer for the whole.

    The samples are halved along x, y and z in turn into parts of one size; each part is registered with all its samples, and
    with either half of them. What the halves differ by is noise; what is left of the distance from the answer is the body
    having changed its shape, or its being another one.

    Returns
    -------
    tuple
        Root mean square distance over all samples between where their part and the whole send them, and what of it is noise. [mm]
    """
    points = metric.samples.points_mm
    apart, noise = 0.0, 0.0
    for part in _halved(points, parts):
        own = placed(climb(metric.on(part), optimum.pose, most=PART_ITERATIONS).pose, points[part])
        chosen = rng.permutation(part)
        one, other = (
            placed(climb(metric.on(half), optimum.pose, most=PART_ITERATIONS).pose, points[part])
            for half in (chosen[: len(part) // 2], chosen[len(part) // 2 :])
        )
        apart += float(np.sum((own - placed(optimum.pose, points[part])) ** 2))
        noise += float(np.sum((one - other) ** 2)) / 4
    return float(np.sqrt(apart / len(points))), float(np.sqrt(noise / len(points)))


def _halved(points: Points, parts: int) -> list[npt.NDArray[np.int64]]:
    """Numbers of the points of each part; `parts` is a power of two."""
    found = [np.arange(len(points))]
    axis = 0
    while len(found) < parts:
        ordered = [part[np.argsort(points[part, axis % 3], kind="stable")] for part in found]
        found = [half for part in ordered for half in (part[: len(part) // 2], part[len(part) // 2 :])]
        axis += 1
    return found


def overlap(fixed: Level, moving: Level, moving_from_fixed: npt.NDArray[np.float64]) -> float:
    """Share of the smaller image that lies in the other. [1]"""
    shares = [
        _inside(fixed, moving, moving_from_fixed).mean(),
        _inside(moving, fixed, np.linalg.inv(moving_from_fixed)).mean(),
    ]
    return float(max(shares))


def dice(fixed: Level, moving: Level, moving_from_fixed: npt.NDArray[np.float64], what: str) -> float | None:
    """Overlap of the two bodies or skeletons where both are in the field; None if neither has any. [1]"""
    ijk = _indices(fixed, moving, moving_from_fixed)
    inside = np.all((ijk >= 0) & (ijk <= np.subtract(moving.grid.shape, 1)), axis=-1)
    one, other = (level.body if what == "body" else level.grey >= BONE_GREY for level in (fixed, moving))
    there = ndimage.map_coordinates(other.astype(np.float32), ijk[inside].T, order=1) >= 0.5
    here = one[inside]
    total = int(here.sum()) + int(there.sum())
    return 2 * float((here & there).sum()) / total if total else None


def _indices(source: Level, target: Level, target_from_source: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Index in the target of each voxel of the source. (i, j, k, 3)"""
    matrix = np.linalg.inv(target.grid.affine_lps_mm) @ target_from_source @ source.grid.affine_lps_mm
    index = np.moveaxis(np.indices(source.grid.shape, dtype=np.float32), 0, -1)
    return np.asarray(index @ matrix[:3, :3].T + matrix[:3, 3])


def _inside(source: Level, target: Level, target_from_source: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    ijk = _indices(source, target, target_from_source)
    return np.asarray(np.all((ijk >= -0.5) & (ijk <= np.subtract(target.grid.shape, 0.5)), axis=-1))
