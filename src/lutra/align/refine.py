"""From a start to the nearest maximum of mutual information."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.align.mutual_information import MutualInformation
from lutra.align.pose import Pose

FINE_MM, COARSE_MM = 0.01, 0.1
"""Steps below which a climb is over. [mm]"""
FIRST_MM, LONGEST_MM = 1.0, 15.0
"""Length of the first step, before anything is known of the curvature, and of the longest. [mm]"""
HALVINGS = 8
ARMIJO = 1e-4
"""Share of the gain promised by the slope that a step has to bring. [1] The usual one."""

Numbers = npt.NDArray[np.float64]


@frozen(eq=False)
class Optimum:
    """A maximum of mutual information.

    Parameters
    ----------
    value
        Normalised mutual information there. [1]
    """

    pose: Pose
    value: float


def climb(
    metric: MutualInformation, start: Pose, *, most: int, within_mm: float = FINE_MM, only_shift: bool = False
) -> Optimum:
    """Climb to the next maximum, by the quasi-Newton method of Broyden, Fletcher, Goldfarb and Shanno with backtracking.

    Not by scipy's: six numbers leave its threads of linear algebra waiting for each other a hundred times longer than they compute,
    and a line search that ends at the resolution of the metric, as here most do, is a warning there.

    Parameters
    ----------
    most
        Number of steps.
    within_mm
        Step below which it is over. [mm]
    only_shift
        Keep the turn.
    """
    free = np.array([0.0 if only_shift else 1.0] * 3 + [1.0] * 3)
    at = np.array(start.numbers_mm)
    value, slope = metric.value_and_slope(Pose(at))
    slope = slope * free
    inverse = np.eye(6) * (FIRST_MM / max(float(np.linalg.norm(slope)), 1e-12))
    for n in range(most):
        step = _bounded(inverse @ slope)
        gained = _backtracked(metric, at, value, slope, step, free)
        if gained is None:
            break
        step, value, new_slope = gained
        at = at + step
        inverse = _updated(inverse, step, slope - new_slope, is_first=n == 0)
        slope = new_slope
        if np.linalg.norm(step) < within_mm:
            break
    return Optimum(Pose(at), value)


def _bounded(step: Numbers) -> Numbers:
    length = float(np.linalg.norm(step))
    return step * min(1.0, LONGEST_MM / length) if length else step


def _backtracked(
    metric: MutualInformation, at: Numbers, value: float, slope: Numbers, step: Numbers, free: Numbers
) -> tuple[Numbers, float, Numbers] | None:
    """Halve a step until it gains enough; None if it never does, which is the end of the climb."""
    for _ in range(HALVINGS):
        found, new_slope = metric.value_and_slope(Pose(at + step))
        if found > value + ARMIJO * float(slope @ step):
            return step, found, new_slope * free
        step = step / 2
    return None


def _updated(inverse: Numbers, step: Numbers, change: Numbers, *, is_first: bool) -> Numbers:
    """Correct the inverse of the curvature by what a step has shown of it; not by a step along which it is not curved down."""
    along = float(step @ change)
    if along <= 1e-12:
        return inverse
    if is_first:
        inverse = np.eye(6) * (along / float(change @ change))
    projection = np.eye(6) - np.outer(step, change) / along
    corrected: Numbers = projection @ inverse @ projection.T + np.outer(step, step) / along
    return corrected
