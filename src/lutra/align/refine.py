"""From a start to the nearest maximum of mutual information."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.optimize import minimize

from lutra.align.mutual_information import MutualInformation
from lutra.align.pose import Pose

GAIN = 100.0
"""Brings a change of mutual information that matters to about one. [1]"""
CURVATURE = 1.0
"""What the slope of 100 times mutual information grows by per millimetre near a maximum, at the least. [1/mm2]"""
FINE_MM, COARSE_MM = 0.02, 0.05


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
    """Climb to the next maximum, by the quasi-Newton method of Broyden, Fletcher, Goldfarb and Shanno.

    Not by its variant with limited memory: for six numbers it gains nothing, and scipy's waits for threads of the linear algebra
    library a hundred times longer than it computes.

    Parameters
    ----------
    most
        Number of iterations.
    within_mm
        About how far from the maximum it may stop. [mm]
    only_shift
        Keep the turn.
    """
    kept = start.numbers_mm[:3] if only_shift else start.numbers_mm[:0]

    def loss(free: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        value, slope = metric.value_and_slope(Pose(np.concatenate([kept, free])))
        return -GAIN * value, -GAIN * slope[len(kept) :]

    options = {"maxiter": most, "gtol": CURVATURE * within_mm}
    found = minimize(loss, start.numbers_mm[len(kept) :], jac=True, method="BFGS", options=options)
    return Optimum(Pose(np.concatenate([kept, found.x])), -float(found.fun) / GAIN)
