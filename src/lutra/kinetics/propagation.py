"""From the budgets of the activities to the budget of something computed from all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.core.estimate import Estimate

NOISE = "noise: "
"""Sources of this kind are independent from scan to scan; every other name is one and the same error in each scan."""


def linear_budget(
    gradient: npt.NDArray[np.float64], activities: Sequence[Estimate], *, noise: bool
) -> dict[str, float | None]:
    """Propagate the sources of several activities to first order.

    A source met in several activities adds with its sign, so that a camera factor common to all scans is not averaged down.

    Parameters
    ----------
    gradient
        Derivative of the result by each activity. [result/Bq] (n,)
    activities
        Activities with their budgets. [Bq] (n,)
    noise
        Whether the independent counting noise is included. False where a fit already accounts for it.

    Returns
    -------
    dict
        Contribution by source, None where any of its parts was not evaluated. [result]
    """
    total: dict[str, float | None] = {}
    for slope, activity in zip(gradient, activities, strict=True):
        for name, sd in activity.budget.items():
            if noise or not name.startswith(NOISE):
                known = total.get(name, 0.0)
                total[name] = None if known is None or sd is None else known + float(slope) * sd
    return total


def noise_sd_bq(activity: Estimate) -> float | None:
    """Return the counting noise of one activity, None if it was not (wholly) evaluated. [Bq]"""
    parts = [sd for name, sd in activity.budget.items() if name.startswith(NOISE)]
    known = [sd for sd in parts if sd is not None]
    return float(np.hypot.reduce(known)) if known and len(known) == len(parts) else None


def shared_matrix(activities: Sequence[Estimate]) -> npt.NDArray[np.float64]:
    """Gather the evaluated contributions common to the scans, one row per source. [Bq] (sources, n)"""
    names = sorted({name for a in activities for name in a.budget if not name.startswith(NOISE)})
    return np.array([[a.budget.get(name) or 0.0 for a in activities] for name in names]).reshape(-1, len(activities))
