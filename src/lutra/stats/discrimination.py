"""Area under the ROC curve of rows that are clustered in patients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.errors import OutsideValidity
from lutra.stats.resampling import resampled

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@frozen
class Auc:
    """An area with two variances.

    Parameters
    ----------
    estimate
        Probability that a row with the outcome is marked higher than one without; ties count half. [1]
    higher_means_outcome
        Whether high marks go with the outcome. Otherwise the marks were taken with the opposite sign.
    var_delong
        As if rows were independent.
    var_clustered
        Rows of one patient together.
    """

    estimate: float
    higher_means_outcome: bool
    var_delong: float
    var_clustered: float


def clustered_auc(marks: Array, outcome: Array, groups: Codes, direction: str = "auto") -> Auc:
    """Estimate the area.

    Parameters
    ----------
    marks
        What is to discriminate. (n,)
    outcome
        0 or 1. (n,)
    groups
        Codes of the patients. (n,)
    direction
        `higher` or `lower` marks mean the outcome; `auto`: whichever the medians say.

    Raises
    ------
    OutsideValidity
        If fewer than two rows have the outcome, or fewer than two have not.

    References
    ----------
    [delong1988] DeLong et al., Biometrics 44:837; [obuchowski1997] Obuchowski, Biometrics 53:567.
    """
    with_it, without = outcome == 1, outcome == 0
    m, n = int(with_it.sum()), int(without.sum())
    if m < 2 or n < 2:
        raise OutsideValidity(f"{m} rows with the outcome and {n} without", required="two of each")
    higher = direction == "higher" or (
        direction == "auto" and bool(np.median(marks[with_it]) >= np.median(marks[without]))
    )
    signed = marks if higher else -marks
    of_cases, of_controls, area = _placements(signed[with_it], signed[without])
    delong = of_cases.var(ddof=1) / m + of_controls.var(ddof=1) / n
    size = int(groups.max()) + 1
    cases = np.bincount(groups[with_it], weights=of_cases - area, minlength=size)
    controls = np.bincount(groups[without], weights=of_controls - area, minlength=size)
    with_cases, with_controls = len(np.unique(groups[with_it])), len(np.unique(groups[without]))
    patients = len(np.unique(groups))
    clustered = np.inf
    if min(with_cases, with_controls, patients) > 1:
        own = with_cases / (with_cases - 1) / m**2 * (cases**2).sum()
        other = with_controls / (with_controls - 1) / n**2 * (controls**2).sum()
        common = patients / (patients - 1) / (m * n) * (cases * controls).sum()
        clustered = own + other + 2 * common
    return Auc(float(area), higher, float(delong), float(clustered))


def _placements(cases: Array, controls: Array) -> tuple[Array, Array, float]:
    """Share of the other kind below each row, and the mean; by ranks, so that large tables are quick."""
    order = np.sort(controls)
    of_cases = (np.searchsorted(order, cases, "left") + np.searchsorted(order, cases, "right")) / (2 * len(controls))
    order = np.sort(cases)
    above = 2 * len(cases) - np.searchsorted(order, controls, "left") - np.searchsorted(order, controls, "right")
    return of_cases, above / (2 * len(cases)), float(of_cases.mean())


def roc_points(marks: Array, outcome: Array) -> list[list[float]]:
    """Share of false and of true positives at each cut, from (0, 0) to (1, 1); a higher mark speaks for the outcome."""
    cuts = np.unique(marks)[::-1]
    with_outcome, without = marks[outcome == 1], marks[outcome == 0]
    points = [[float((without >= cut).mean()), float((with_outcome >= cut).mean())] for cut in cuts]
    return [[0.0, 0.0], *points]


def roc_band(marks: Array, outcome: Array, patients: Codes, samples: int, seed: int) -> list[list[float]]:
    """Give 95 % bounds of the share of true positives at each share of false ones, from a bootstrap of patients.

    Returns
    -------
    list
        Rows of (share of false positives, lower, upper); empty where most samples have one outcome only.
    """
    rng, grid = np.random.default_rng(seed), np.linspace(0, 1, 41)
    curves = []
    for _ in range(samples):
        rows, _codes = resampled(patients, rng)
        if len(np.unique(outcome[rows])) == 2:
            points = np.array(roc_points(marks[rows], outcome[rows]))
            curves.append(np.interp(grid, points[:, 0], np.maximum.accumulate(points[:, 1])))
    if len(curves) < samples / 2:
        return []
    low, high = np.quantile(curves, (0.025, 0.975), axis=0)
    return [[float(x), float(lo), float(hi)] for x, lo, hi in zip(grid, low, high, strict=True)]
