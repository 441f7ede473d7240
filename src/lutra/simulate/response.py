r"""How lesions answer to dose: living, dead and inert tissue over days.

.. math::

    \dot L = g L - k L, \qquad k = \Bigl[\alpha + \frac{2 \beta \dot D}{\mu + \ln 2 / T_{rep}}\Bigr] \dot D, \qquad
    \dot X = k L - X \ln 2 / T_{clear}

with the dose rate :math:`\dot D = \sum_c D_c \mu e^{-\mu (t - t_c)}` of all cycles and :math:`\mu = \ln 2 / T_{eff}`. The third
part, stroma, stays as it is. The radiosensitivity is that of whole lesions, ten times below that of cells in a dish: uneven dose,
hypoxia and slow turnover are inside it. Its median and spread are tuned to published response rates; the structure is the usual
linear-quadratic one with repair.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64

Array = npt.NDArray[np.float64]

DAYS_PER_MONTH = 365.25 / 12
HOURS_PER_DAY = 24.0
ALPHA_BETA_GY, REPAIR_HALF_TIME_H = 10.0, 1.5
"""Usual for tumours; not measured for these."""
COHORT_GY = (30.8, 27.7, 24.9, 22.4)
"""Mean lesion dose of cycles 1 to 4 of the published cohorts: 3.2 Gy/GBq median, log-SD .73, 7.4 GBq, and 10 % less each cycle."""
COHORT_DECLINE = 0.9
DEPENDENCE_WHEN_WEAK = 0.35
"""Brings the rank correlation of dose and change to about half of the strong one."""


class TruthScenario(StrEnum):
    """What dose does to a lesion in a simulated study."""

    NONE = "none"
    """Treatment works, but no lesion more than another for its dose: every lesion answers to the mean dose of the cohort."""
    WEAK = "weak"
    """A third of the difference from the mean dose of the cohort counts."""
    STRONG = "strong"
    """Every lesion answers to its own dose."""
    G2_ONLY = "g2-only"
    """As strong, but in grade 1 as none."""

    def dependence(self, grade: int) -> float:
        """Share of a lesion's deviation from the mean dose that counts. [1]"""
        match self:
            case TruthScenario.NONE:
                return 0.0
            case TruthScenario.WEAK:
                return DEPENDENCE_WHEN_WEAK
            case TruthScenario.STRONG:
                return 1.0
            case TruthScenario.G2_ONLY:
                return 1.0 if grade >= 2 else 0.0


@frozen
class Growth:
    """How one lesion grows and dies.

    Parameters
    ----------
    alpha_per_gy
        Lethal events per dose; beta is a tenth of it per Gy. [1/Gy]
    growth_per_month
        Relative growth of the living volume. [1/month]
    clearance_half_time_d
        Half-life of dead tissue until it is cleared away. [d]
    inert_share
        Stroma, as a share of the volume at the first treatment. [1]
    """

    alpha_per_gy: float
    growth_per_month: float
    clearance_half_time_d: float
    inert_share: float


@frozen(eq=False)
class Tissue:
    """Volumes of some lesions over days, relative to their volume on day 0. [1] (lesions, days)"""

    days: Array = field(converter=float64)
    live: Array = field(converter=float64)
    dead: Array = field(converter=float64)
    inert: Array = field(converter=float64)

    @property
    def total(self) -> Array:
        """Volume relative to day 0. [1] (lesions, days)"""
        return np.asarray(self.live + self.dead + self.inert)

    @property
    def diameter_ratio(self) -> Array:
        """Diameter relative to day 0, the shape being kept. [1] (lesions, days)"""
        return np.asarray(np.cbrt(self.total))


def effective_dose_gy(scenario: TruthScenario, dose_gy: npt.ArrayLike, grade: int) -> Array:
    """Dose to which a lesion answers, per cycle. [Gy]; a cycle that was not given has dose 0 and stays 0."""
    dose = np.asarray(dose_gy, float)
    cohort = COHORT_GY[0] * COHORT_DECLINE ** np.arange(dose.shape[-1]) * (dose > 0)
    share = scenario.dependence(grade)
    return np.asarray(share * dose + (1 - share) * cohort)


def killed(
    days: npt.ArrayLike,
    dose_gy: npt.ArrayLike,
    cycle_days: Sequence[float],
    half_life_h: npt.ArrayLike,
    alpha: npt.ArrayLike,
) -> Array:
    r"""Lethal events until a day, :math:`\int k\,dt`, in closed form. [1] (lesions, days)

    Between two administrations the dose rate is one exponential of amplitude A, so its integral is :math:`A (1-e^{-\mu s})/\mu`,
    that of its square :math:`A^2 (1-e^{-2\mu s})/2\mu`.

    Parameters
    ----------
    days
        Any days; nothing is killed before the first administration. [d] (days)
    dose_gy
        Dose of every cycle, to infinity. [Gy] (lesions, cycles)
    cycle_days
        Days of the administrations, ascending. [d] (cycles)
    half_life_h
        Effective half-life in each lesion. [h] (lesions)
    alpha
        [1/Gy] (lesions)
    """
    t, dose = np.asarray(days, float)[None, :], np.atleast_2d(np.asarray(dose_gy, float))
    mu = (np.log(2) * HOURS_PER_DAY / np.asarray(half_life_h, float)).reshape(-1, 1)
    alpha_ = np.asarray(alpha, float).reshape(-1, 1)
    repair = np.log(2) * HOURS_PER_DAY / REPAIR_HALF_TIME_H
    quadratic = 2 * alpha_ / ALPHA_BETA_GY / (mu + repair)
    total = np.zeros((dose.shape[0], t.shape[1]))
    amplitude = np.zeros_like(mu)
    for c, (start, end) in enumerate(pairwise((*cycle_days, np.inf))):
        amplitude = amplitude + dose[:, c : c + 1] * mu
        s = np.clip(t - start, 0, end - start)
        total += alpha_ * amplitude * -np.expm1(-mu * s) / mu
        total += quadratic * amplitude**2 * -np.expm1(-2 * mu * s) / (2 * mu)
        amplitude = amplitude * np.exp(-mu * min(end - start, 1e6))
    return total


def tissue_over_days(
    growth: Sequence[Growth],
    dose_gy: npt.ArrayLike,
    cycle_days: Sequence[float],
    half_life_h: npt.ArrayLike,
    days: npt.ArrayLike,
) -> Tissue:
    """Follow lesions over time, all at once.

    Living tissue is exact. Dead tissue is exact where the net rate is constant within a step; with steps of a day the error of
    the total volume is below 1e-4 of it, below 1e-3 in the most sensitive of lesions, and it falls with the square of the step.

    Parameters
    ----------
    dose_gy, cycle_days, half_life_h
        As for :func:`killed`; the dose the lesions answer to, see :func:`effective_dose_gy`.
    days
        Ascending, in steps of a day or so; day 0 is that on which the volumes are 1, and no cycle lies before it. [d]

    Raises
    ------
    OutsideValidity
        For days out of order, a cycle before day 0, or a dose or half-life that cannot be.
    """
    t, dose = np.asarray(days, float), np.atleast_2d(np.asarray(dose_gy, float))
    _check(t, dose, cycle_days, half_life_h)
    rate, clearance, inert = (
        np.array(column)[:, None]
        for column in (
            [g.growth_per_month / DAYS_PER_MONTH for g in growth],
            [np.log(2) / g.clearance_half_time_d for g in growth],
            [g.inert_share for g in growth],
        )
    )
    events = killed(t, dose, cycle_days, half_life_h, [g.alpha_per_gy for g in growth])
    live = (1 - inert) * np.exp(rate * t - events)
    step = np.diff(t)[None, :]
    change = np.log(live[:, 1:] / live[:, :-1])
    mean_live = live[:, :-1] * _mean_of_exponential(change)
    died = np.maximum(live[:, :-1] - live[:, 1:] + rate * mean_live * step, 0)
    # Within a step tissue dies in proportion to what lives, and what has died is cleared until the end of the step.
    left = (
        died
        * np.exp(-clearance * step)
        * _mean_of_exponential(change + clearance * step)
        / _mean_of_exponential(change)
    )
    # All terms are positive, so the sum of exponentials loses no digits; the exponent stays below 700 for 50 years.
    grown = np.exp(clearance * (t[1:] - t[0])[None, :])
    dead = np.zeros_like(live)
    dead[:, 1:] = np.cumsum(left * grown, axis=1) / grown
    return Tissue(t, live, dead, np.broadcast_to(inert, live.shape))


def _mean_of_exponential(x: Array) -> Array:
    """Mean of exp(x s) for s from 0 to 1. [1]"""
    small = np.abs(x) < 1e-9
    return np.asarray(np.where(small, 1.0, np.expm1(x) / np.where(small, 1.0, x)))


def _check(t: Array, dose: Array, cycle_days: Sequence[float], half_life_h: npt.ArrayLike) -> None:
    if t.size < 2 or (np.diff(t) <= 0).any():
        raise OutsideValidity("days that do not ascend", required="two or more, ascending")
    if len(cycle_days) != dose.shape[1] or (np.diff(cycle_days) <= 0).any() or min(cycle_days, default=0) < 0:
        raise OutsideValidity(
            f"cycles on days {', '.join(f'{d:g}' for d in cycle_days)} for {dose.shape[1]} doses",
            required="one ascending day from 0 on for every dose",
        )
    if not (np.isfinite(dose).all() and (dose >= 0).all() and (np.asarray(half_life_h, float) > 0).all()):
        raise OutsideValidity("a negative dose, or a half-life that is not positive", required="doses from 0 Gy on")
