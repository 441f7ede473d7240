"""Dose of the cycles to come, from those given: one normal vector of logarithms.

The logarithms of the true doses per activity of all cycles are jointly normal: a level of the patient that nobody knows before, a
trend of the population from which the patient may deviate, and a deviation of each cycle. The doses measured are that with their
errors, shared and own. Conditioning on them gives the doses of every cycle, given or not; sums and BED are taken of draws of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.projection import DoseLimit, GivenDose, LimitOutlook, ProjectedCycle, Projection, Quantiles
from lutra.reference.dose_trends import DoseTrend, dose_trend

Array = npt.NDArray[np.float64]
DRAWS = 8000
PATIENT_LEVEL_SD = 10.0
"""Of the logarithm of the dose per activity before anything was measured: nothing is known."""
MOST_FURTHER_CYCLES = 8
"""More cycles than anybody gives; a limit that is farther away than that does not limit."""
MOST_ACTIVITY = 4.0
"""Of the planned activity: nobody gives more, so that no more is looked for. [1]"""
GBQ = 1e9


@frozen
class Outlook:
    """What is planned.

    Parameters
    ----------
    cycles
        Planned number, those given included.
    activity_bq
        Of each of the cycles to come. [Bq]
    tolerance
        A cycle fits while the probability of being above the limit after it is not above this. [1]
    """

    cycles: int
    activity_bq: float
    tolerance: float


def project(
    region: str,
    tissue: str,
    given: Sequence[GivenDose],
    plan: Outlook,
    limits: Sequence[DoseLimit],
    seed: int,
    trend: DoseTrend | None = None,
) -> Outcome[Projection]:
    """Predict the doses of a region in the cycles to come and hold them against its limits.

    Parameters
    ----------
    given
        Doses of the cycles given. A cycle that is not among them but was given before the last is predicted as well.
    trend
        In place of the shipped one of the tissue.

    Returns
    -------
    Outcome
        None and `safety.nothing-to-project-from` if no dose is known.
    """
    known = [dose for dose in given if dose.absorbed_dose.value > 0]
    if not known:
        text = f"{region}: no dose of any cycle is known, so none can be predicted; the limits of this region cannot be checked"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "safety.nothing-to-project-from", text),))
    trend = trend or dose_trend(tissue)
    last = max(dose.cycle for dose in known)
    future = MOST_FURTHER_CYCLES + max(plan.cycles - last, 0)
    per_bq = _draws(known, last + future, trend, seed)
    activity = np.full(last + future, plan.activity_bq)
    for dose in known:
        activity[dose.cycle - 1] = dose.activity_bq
    doses = per_bq * activity
    measured = {dose.cycle for dose in known}
    shown = range(1, max(plan.cycles, last) + 1)
    projection = Projection(
        region,
        tissue,
        plan.cycles,
        _quantiles(per_bq[:, last] * GBQ),
        tuple(ProjectedCycle(c, c in measured, activity[c - 1], _quantiles(doses[:, c - 1])) for c in shown),
        tuple(_held_against(limit, known, doses, per_bq, last, plan) for limit in limits),
        f"{trend.per_cycle:g} per cycle ({trend.source})",
        tuple(sorted({name for dose in known for name in dose.absorbed_dose.not_evaluated})),
    )
    return Outcome(projection)


def _draws(known: Sequence[GivenDose], cycles: int, trend: DoseTrend, seed: int) -> Array:
    """Draw true doses per activity of cycles 1, 2, ... from what was measured. [Gy/Bq] (draws, cycles)"""
    at = np.array([dose.cycle - 1 for dose in known])
    measured = np.log([dose.absorbed_dose.value / dose.activity_bq for dose in known])
    step = np.arange(cycles, dtype=float)
    course = step * np.log(trend.per_cycle)
    level = float(np.mean(measured - course[at]))
    prior = (
        PATIENT_LEVEL_SD**2 + trend.patient_sd**2 * np.outer(step, step) + trend.between_cycles_sd**2 * np.eye(cycles)
    )
    errors = _error_covariance([dose.absorbed_dose for dose in known])
    gain = np.linalg.solve(prior[np.ix_(at, at)] + errors, prior[at]).T
    mean = level + course + gain @ (measured - level - course[at])
    spread = prior - gain @ prior[at]
    # Eigenvectors, because the level makes the matrix nearly singular beside its own size.
    values, vectors = np.linalg.eigh((spread + spread.T) / 2)
    normal = np.random.default_rng(seed).standard_normal((DRAWS, cycles))
    drawn: Array = np.exp(mean + normal @ (vectors * np.sqrt(np.clip(values, 0, None))).T)
    return drawn


def _error_covariance(doses: Sequence[Estimate]) -> Array:
    """Relative errors of the doses: a source by the same name is the same error. [1] (n, n)"""
    names = sorted({name for dose in doses for name in dose.budget})
    parts = np.array([[(dose.budget.get(name) or 0.0) / dose.value for name in names] for dose in doses]).reshape(
        len(doses), -1
    )
    covariance: Array = parts @ parts.T
    return covariance


def _held_against(
    limit: DoseLimit, known: Sequence[GivenDose], doses: Array, per_bq: Array, last: int, plan: Outlook
) -> LimitOutlook:
    protraction = [dose.protraction for dose in known if dose.protraction is not None]
    g = np.full(doses.shape[1], np.mean(protraction) if protraction else 1.0)
    for dose in known:
        if dose.protraction is not None:
            g[dose.cycle - 1] = dose.protraction

    def effect(dose_gy: Array, at: int | slice) -> Array:
        worth: Array = dose_gy if limit.alpha_beta_gy is None else dose_gy * (1 + g[at] * dose_gy / limit.alpha_beta_gy)
        return worth

    sums = np.cumsum(effect(doses, slice(None)), axis=1)
    exceeded = (sums > limit.limit_gy).mean(axis=0)
    so_far = sums[:, last - 1]

    def fits(activity_bq: float) -> bool:
        after = so_far + effect(per_bq[:, last] * activity_bq, last)
        return bool((after > limit.limit_gy).mean() <= plan.tolerance)

    more = plan.cycles > last
    return LimitOutlook(
        limit,
        _quantiles(so_far),
        _quantiles(sums[:, last]) if more else None,
        _quantiles(sums[:, plan.cycles - 1]) if more else None,
        float(exceeded[last - 1]),
        float(exceeded[last]) if more else None,
        float(exceeded[plan.cycles - 1]) if more else None,
        _first(exceeded[last:] > plan.tolerance),
        _largest(fits, MOST_ACTIVITY * plan.activity_bq) if fits(0.0) else 0.0,
    )


def _first(true: npt.NDArray[np.bool_]) -> int:
    return int(np.argmax(true)) if true.any() else len(true)


def _largest(fits: Callable[[float], bool], most: float) -> float:
    """Largest activity that fits, to a thousandth of the most that is tried. [Bq]"""
    low, high = 0.0, most
    if fits(high):
        return high
    while high - low > 1e-3 * most:
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _quantiles(draws: Array) -> Quantiles:
    low, median, high = np.quantile(draws, (0.025, 0.5, 0.975))
    return Quantiles(float(median), float(low), float(high))
