"""Survival: the Kaplan-Meier curve, and the concordance of marks with survival times."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import float64

Array = npt.NDArray[np.float64]
Z_95 = 1.959963984540054


@frozen(eq=False)
class KaplanMeier:
    """Share without the event over time; it falls at the times given.

    Parameters
    ----------
    time, at_risk, events, survival
        At each time of an event or censoring. (k,)
    low, high
        95 % interval, on the log-log scale. (k,)
    """

    time: Array = field(converter=float64)
    at_risk: Array = field(converter=float64)
    events: Array = field(converter=float64)
    survival: Array = field(converter=float64)
    low: Array = field(converter=float64)
    high: Array = field(converter=float64)

    @property
    def median(self) -> float | None:
        """Time at which half have had the event; between two, where the curve runs along one half; None if it stays above."""
        below = self.time[self.survival < 0.5 - 1e-12]
        level = self.time[np.abs(self.survival - 0.5) < 1e-12]
        if level.size and below.size:
            return float((level[0] + below[0]) / 2)
        return float(below[0]) if below.size else (float(level[0]) if level.size else None)

    def at(self, time: float) -> float:
        """Share without the event at a time."""
        before = self.survival[self.time <= time]
        return float(before[-1]) if before.size else 1.0


def kaplan_meier(time: Array, event: Array) -> KaplanMeier:
    """Estimate the curve; events come before censorings of the same time.

    References
    ----------
    [kaplan-meier] J Am Stat Assoc 53:457; [greenwood] for the variance; [kalbfleisch-prentice] for the log-log interval.
    """
    times = np.unique(time)
    at_risk = np.array([(time >= t).sum() for t in times], float)
    events = np.array([event[time == t].sum() for t in times], float)
    survival = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        se = np.sqrt(greenwood) / np.abs(np.log(survival))
        low, high = survival ** np.exp(Z_95 * se), survival ** np.exp(-Z_95 * se)
    known = np.isfinite(low) & np.isfinite(high)
    return KaplanMeier(
        times, at_risk, events, survival, np.where(known, low, survival), np.where(known, high, survival)
    )


def concordance(marks: Array, time: Array, event: Array, start: Array | None = None) -> float | None:
    """Share of comparable pairs in which the one with the earlier event has the higher mark; equal marks count half.

    Parameters
    ----------
    start
        When each row came under observation; default: all from the beginning.

    References
    ----------
    [harrell1982] Harrell et al., JAMA 247:2543.
    """
    concordant = comparable = 0.0
    for i in np.flatnonzero(event == 1):
        later = (time > time[i]) | ((time == time[i]) & (event == 0))
        if start is not None:
            later &= start < time[i]
        comparable += later.sum()
        concordant += (marks[i] > marks[later]).sum() + 0.5 * (marks[i] == marks[later]).sum()
    return concordant / comparable if comparable else None
