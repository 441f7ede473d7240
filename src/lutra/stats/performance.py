"""How good predictions are: of probabilities and of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]
ITERATIONS, TOLERANCE = 50, 1e-10
FARTHEST = 1e-9
"""Probabilities are kept this far from 0 and 1, where their logit has no value."""


def area(probability: Array, outcome: Array) -> float:
    """Area under the ROC curve; NaN where only one outcome occurred. [1]"""
    ranks = rankdata(probability)
    n1 = float(outcome.sum())
    n0 = len(outcome) - n1
    if not n1 or not n0:
        return float("nan")
    return float((ranks[outcome == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def brier(probability: Array, outcome: Array) -> float:
    """Mean squared difference of probability and outcome. [1]  [brier1950] Mon Weather Rev 78:1."""
    return float(np.mean((probability - outcome) ** 2))


def calibration_of_probabilities(probability: Array, outcome: Array) -> tuple[float, float]:
    """Slope of the outcome on the logit of the probability, and the intercept where that slope is 1.

    A slope below 1: predictions too extreme; an intercept above 0: too low. NaN where the outcome is separated.

    References
    ----------
    [cox1958] Biometrika 45:562; [vancalster2016] J Clin Epidemiol 74:167.
    """
    p = np.clip(probability, FARTHEST, 1 - FARTHEST)
    logit = np.log(p / (1 - p))
    both = _logistic(np.column_stack([np.ones(len(logit)), logit]), outcome, np.zeros(len(logit)))
    large = _logistic(np.ones((len(logit), 1)), outcome, logit)
    return (
        float(both[1]) if both is not None else float("nan"),
        float(large[0]) if large is not None else float("nan"),
    )


def _logistic(x: Array, y: Array, offset: Array) -> Array | None:
    """Maximum likelihood by Newton's method; None where it runs away."""
    b = np.zeros(x.shape[1])
    for _ in range(ITERATIONS):
        p = 1 / (1 + np.exp(-np.clip(offset + x @ b, -500, 500)))
        information = x.T @ (x * (p * (1 - p))[:, None])
        try:
            step = np.linalg.solve(information, x.T @ (y - p))
        except np.linalg.LinAlgError:
            return None
        b = b + step
        if not np.isfinite(b).all() or np.abs(b).max() > 1e3:
            return None
        if np.abs(step).max() < TOLERANCE:
            return b
    return None


def of_probabilities(probability: Array, outcome: Array) -> dict[str, float]:
    """Area, Brier score, calibration slope and intercept."""
    slope, intercept = calibration_of_probabilities(probability, outcome)
    return {
        "auc": area(probability, outcome),
        "brier": brier(probability, outcome),
        "slope": slope,
        "intercept": intercept,
    }


def of_numbers(predicted: Array, outcome: Array) -> dict[str, float]:
    """Share of the variance explained, mean absolute error, slope of outcome on prediction, and mean of what is left."""
    left = outcome - predicted
    total = float(np.sum((outcome - outcome.mean()) ** 2))
    spread = float(np.sum((predicted - predicted.mean()) ** 2))
    covariance = float(np.sum((predicted - predicted.mean()) * (outcome - outcome.mean())))
    return {
        "r2": 1 - float(np.sum(left**2)) / total if total else float("nan"),
        "mae": float(np.mean(np.abs(left))),
        "slope": covariance / spread if spread else float("nan"),
        "intercept": float(left.mean()),
    }


def calibration_groups(probability: Array, outcome: Array, groups: int = 5) -> list[tuple[Array, Array]]:
    """Probabilities and outcomes in groups of like size by probability; ties stay together, empty groups are left out."""
    cuts = np.quantile(probability, np.linspace(0, 1, groups + 1)[1:-1])
    place = np.searchsorted(np.unique(cuts), probability, side="right")
    return [(probability[place == n], outcome[place == n]) for n in np.unique(place)]


def net_benefit(probability: Array, outcome: Array, thresholds: Sequence[float]) -> list[dict[str, float]]:
    """Net benefit of acting at each threshold, of acting on all, and on none. [1]

    References
    ----------
    [vickers2006] Vickers and Elkin, Med Decis Making 26:565.
    """
    rate, found = float(outcome.mean()), []
    for t in thresholds:
        odds = t / (1 - t)
        act = probability >= t
        benefit = float((act & (outcome == 1)).mean() - odds * (act & (outcome == 0)).mean())
        found.append({"threshold": t, "model": benefit, "all": rate - odds * (1 - rate), "none": 0.0})
    return found
