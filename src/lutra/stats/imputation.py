"""Multiple imputation of lesions in patients by chained equations, and pooling of what is fitted to each set.

Every incomplete column is drawn given all others: a linear model with a random intercept per patient for numbers, the same on the
latent scale (probit) for 0 and 1, and one row per patient for what does not differ within patients. The means over a patient's
lesions of the other columns are among the predictors, so that effects within and between patients may differ.

References
----------
[vanbuuren2018] Van Buuren, Flexible Imputation of Missing Data, chapters 4 and 7; [schafer2002] Schafer and Yucel, J Comput Graph
Stat 11:437, the sampler; [albert1993] Albert and Chib, J Am Stat Assoc 88:669; [rubin1987] Rubin, Multiple Imputation for
Nonresponse in Surveys; [barnard1999] Barnard and Rubin, Biometrika 86:948.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy import stats

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
SWEEPS = 4
"""Of the sampler of one column, each time its turn comes."""
RIDGE = 1e-6
LEAST_KNOWN = 10
PATIENTS_PER_MEAN = 4
"""Patients that each column must have before means of patients are predictors too; with fewer these would explain everything."""
FARTHEST_SD = 20.0
"""Drawn values farther than this from the known ones, in standard deviations, mean that the columns do not determine them."""


@frozen(eq=False)
class Pooled:
    """Estimates over imputed sets by Rubin's rules.

    Parameters
    ----------
    estimate, se, df
        (q,)
    ci95
        (q, 2)
    p
        Of the hypothesis that an effect is 0. (q,)
    missing_information
        Share of the information that is missing. (q,)
    """

    estimate: Array = field(converter=float64)
    se: Array = field(converter=float64)
    df: Array = field(converter=float64)
    ci95: Array = field(converter=float64)
    p: Array = field(converter=float64)
    missing_information: Array = field(converter=float64)


def pool(estimates: Array, variances: Array, df_complete: npt.ArrayLike = np.inf) -> Pooled:
    """Pool the fits of imputed sets.

    Parameters
    ----------
    estimates, variances
        (m, q)
    df_complete
        Degrees of freedom that the test would have if nothing were missing. (q,) or one
    """
    m = len(estimates)
    best, within = estimates.mean(axis=0), variances.mean(axis=0)
    between = estimates.var(axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    share = np.where(total > 0, (1 + 1 / m) * between / total, 0.0)
    complete = np.broadcast_to(np.asarray(df_complete, dtype=float), best.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        old = np.where(share > 0, (m - 1) / share**2, np.inf)
        observed = np.where(np.isinf(complete), np.inf, (complete + 1) / (complete + 3) * complete * (1 - share))
        df = np.where(np.isinf(observed), old, np.where(np.isinf(old), observed, old * observed / (old + observed)))
        ratio = np.where(within > 0, (1 + 1 / m) * between / within, np.inf)
        information = np.where(np.isinf(ratio), 1.0, (ratio + 2 / (df + 3)) / (ratio + 1))
    se = np.sqrt(total)
    half = stats.t.ppf(0.975, df) * se
    p = 2 * stats.t.sf(np.abs(best / se), df)
    return Pooled(best, se, df, np.column_stack([best - half, best + half]), p, information)


def impute(
    values: Array,
    groups: Codes,
    m: int,
    seed: int,
    iterations: int = 10,
    shift: Sequence[float] | None = None,
    names: Sequence[str] = (),
) -> Array:
    """Draw m complete sets.

    Parameters
    ----------
    values
        Columns of numbers, NaN where missing; the outcome is one of them. (n, k)
    groups
        Codes of patients. (n,)
    shift
        Added to imputed numbers of each column, for outcomes that are worse where they are missing. (k,)
    names
        Of the columns, for messages.

    Returns
    -------
    Array
        (m, n, k)

    Raises
    ------
    OutsideValidity
        If a column is known in too few rows, or never differs.
    """
    gone = np.isnan(values)
    incomplete = [k for k in range(values.shape[1]) if gone[:, k].any()]
    by_patient = [_is_of_patient(values[:, k], groups) for k in range(values.shape[1])]
    for k in incomplete:
        known = values[~gone[:, k], k]
        name = names[k] if names else f"column {k + 1}"
        if len(known) < LEAST_KNOWN:
            raise OutsideValidity(f"{name} is known in {len(known)} rows", required=f"{LEAST_KNOWN} to impute from")
        if np.ptp(known) == 0:
            raise OutsideValidity(f"{name} never differs where it is known", required="values that differ")
    shifts = np.zeros(values.shape[1]) if shift is None else np.asarray(shift, dtype=float)
    sets = np.empty((m, *values.shape))
    for n in range(m):
        rng = np.random.default_rng([seed, n])
        chain = _Chain(values, gone, groups, by_patient, shifts, rng)
        for _ in range(iterations):
            for k in incomplete:
                chain.draw(k)
        sets[n] = chain.filled
    known = np.where(gone, np.nan, values)
    far = np.abs(sets - np.nanmean(known, axis=0)) > FARTHEST_SD * np.nanstd(known, axis=0) + np.abs(shifts)
    if wild := [k for k in incomplete if not np.isfinite(sets[:, :, k]).all() or far[:, :, k].any()]:
        name = names[wild[0]] if names else f"column {wild[0] + 1}"
        raise OutsideValidity(f"what is known does not determine {name}", required="fewer columns, or more patients")
    return sets


def _is_of_patient(column: Array, groups: Codes) -> bool:
    """Whether a column never differs within a patient, and some patient has it twice."""
    repeated = False
    for group in np.unique(groups):
        known = column[(groups == group) & ~np.isnan(column)]
        if known.size > 1:
            repeated = True
            if np.ptp(known) > 0:
                return False
    return repeated


class _Chain:
    """One chain of imputations; each call of `draw` gives the missing cells of a column new values."""

    def __init__(
        self,
        values: Array,
        gone: npt.NDArray[np.bool_],
        groups: Codes,
        by_patient: Sequence[bool],
        shifts: Array,
        rng: np.random.Generator,
    ) -> None:
        self.gone, self.groups, self.by_patient, self.shifts, self.rng = gone, groups, by_patient, shifts, rng
        self.count = np.bincount(groups).astype(float)
        self.first = np.unique(groups, return_index=True)[1]
        self.binary = [set(np.unique(c[~np.isnan(c)])) <= {0.0, 1.0} for c in values.T]
        self.filled = values.copy()
        self.samplers: dict[int, _Sampler] = {}
        for k in np.flatnonzero(gone.any(axis=0)):
            self._put(int(k), rng.choice(values[~gone[:, k], k], len(values)), shift=0.0)

    def draw(self, k: int) -> None:
        others = np.delete(self.filled, k, axis=1)
        parts = [np.ones((len(others), 1)), others]
        if len(self.count) >= PATIENTS_PER_MEAN * others.shape[1]:
            deviations = self._means(others)[self.groups] - others
            parts.append(deviations[:, np.ptp(deviations, axis=0) > 0])
        design = np.column_stack(parts)
        known = ~self.gone[:, k]
        y = self.filled[:, k]
        if self.by_patient[k]:
            own = self._means(design)
            rows = np.zeros(len(self.first), dtype=bool)
            rows[self.groups[known]] = True
            target = self._means(np.where(known, y, 0)[:, None])[:, 0] * self.count
            target = np.where(rows, target / np.maximum(np.bincount(self.groups, weights=known), 1), 0.0)
            sampler = self.samplers.setdefault(k, _Sampler(None, binary=self.binary[k]))
            drawn = sampler.draw(own, target, rows, self.rng)[self.groups]
        else:
            sampler = self.samplers.setdefault(k, _Sampler(self.groups, binary=self.binary[k]))
            drawn = sampler.draw(design, y, known, self.rng)
        self._put(k, drawn, shift=0.0 if self.binary[k] else float(self.shifts[k]))

    def _means(self, columns: Array) -> Array:
        sums = np.column_stack([np.bincount(self.groups, weights=c) for c in columns.T])
        return np.asarray(sums / self.count[:, None])

    def _put(self, k: int, drawn: Array, shift: float) -> None:
        if self.by_patient[k]:
            # A patient in which the value is known somewhere has it everywhere; others have one draw for all of its lesions.
            known = ~self.gone[:, k]
            sums = np.bincount(self.groups, weights=np.where(known, self.filled[:, k], 0))
            times = np.bincount(self.groups, weights=known)
            own = np.where(times > 0, sums / np.maximum(times, 1), drawn[self.first] + shift)
            self.filled[:, k] = np.where(known, self.filled[:, k], own[self.groups])
        else:
            self.filled[:, k] = np.where(self.gone[:, k], drawn + shift, self.filled[:, k])


class _Sampler:
    """Draws of one column by a linear model with or without a random intercept, on the latent scale where it is binary."""

    def __init__(self, groups: Codes | None, *, binary: bool) -> None:
        self.groups, self.binary = groups, binary
        self.residual, self.between = 1.0, 0.1
        self.u = np.zeros(0 if groups is None else int(groups.max()) + 1)

    def draw(self, x: Array, y: Array, known: npt.NDArray[np.bool_], rng: np.random.Generator) -> Array:
        """Give a value for every row. x (n, p), y (n,), known (n,)"""
        own = x[known]
        target = y[known]
        groups = None if self.groups is None else self.groups[known]
        scale = RIDGE * np.trace(own.T @ own) / own.shape[1]
        information = own.T @ own + scale * np.eye(own.shape[1])
        factor = np.linalg.cholesky(np.linalg.inv(information))
        if not self.binary and self.residual == 1.0:
            self.residual = float(target.var()) or 1.0
        b = np.zeros(own.shape[1])
        if self.binary:
            b[0] = float(stats.norm.ppf(np.clip(target.mean(), 0.02, 0.98)))
        for _ in range(SWEEPS):
            effect = 0.0 if groups is None else self.u[groups]
            z = _latent(own @ b + effect, target, rng) if self.binary else target
            b = np.linalg.solve(information, own.T @ (z - effect)) + np.sqrt(self.residual) * factor @ rng.normal(
                size=len(b)
            )
            left = z - own @ b
            if groups is not None:
                self._draw_patients(left, groups, rng)
                left = left - self.u[groups]
            if not self.binary:
                free = max(len(left) - own.shape[1], 1)
                self.residual = float(np.sum(left**2) / rng.chisquare(free))
        eta = x @ b + (0.0 if self.groups is None else self.u[self.groups])
        noise = rng.normal(size=len(x)) * np.sqrt(self.residual)
        return (eta + noise > 0).astype(float) if self.binary else np.asarray(eta + noise)

    def _draw_patients(self, left: Array, groups: Codes, rng: np.random.Generator) -> None:
        """Draw deviations of patients, those without a known row from their distribution; then its variance (flat on the sd)."""
        sums = np.bincount(groups, weights=left, minlength=len(self.u))
        times = np.bincount(groups, minlength=len(self.u))
        precision = times / self.residual + 1 / self.between
        self.u = sums / self.residual / precision + rng.normal(size=len(self.u)) / np.sqrt(precision)
        self.between = max(float(np.sum(self.u**2) / rng.chisquare(max(len(self.u) - 1, 1))), 1e-8)


def _latent(mean: Array, outcome: Array, rng: np.random.Generator) -> Array:
    """Draw normal values on the side of 0 that the outcome says."""
    below = stats.norm.cdf(-mean)
    low, high = np.where(outcome == 1, below, 0.0), np.where(outcome == 1, 1.0, below)
    at = np.clip(low + (high - low) * rng.random(len(mean)), 1e-12, 1 - 1e-12)
    return np.asarray(mean + stats.norm.ppf(at))
