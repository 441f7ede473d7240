"""Imputation beside complete rows: bias and coverage in virtual studies of 50 patients with 6 lesions.

python bench/imputation.py [trials]
"""

from __future__ import annotations

import sys

import numpy as np

from lutra.stats.imputation import impute, pool
from lutra.stats.linear_mixed import fit_linear_mixed, t_interval

TRUTH, SETS = 0.5, 20
WAYS = ("x at random", "x by outcome", "0/1 by outcome", "of patients", "outcome by x")


def trial(way: str, seed: int) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """Estimate and whether the interval holds the truth, of complete rows and of imputed ones."""
    rng = np.random.default_rng(seed)
    pat = np.repeat(np.arange(50), 6)
    n = len(pat)
    x = rng.normal(0, 0.5, 50)[pat] + rng.normal(size=n)
    if way == "0/1 by outcome":
        x = (x > 0).astype(float)
    if way == "of patients":
        x = rng.normal(size=50)[pat]
    helper = 0.6 * x + rng.normal(size=n)
    y = TRUTH * x + rng.normal(0, 0.5, 50)[pat] + rng.normal(size=n)
    values = np.column_stack([y, x, helper])
    if way == "x at random":
        values[rng.random(n) < 0.3, 1] = np.nan
    elif way == "of patients":
        means = np.bincount(pat, weights=y) / 6
        values[(rng.random(50) < _chance(-1.2 + 1.5 * means))[pat], 1] = np.nan
    elif way == "outcome by x":
        values[rng.random(n) < _chance(-1.2 + 1.5 * helper), 0] = np.nan
    else:
        values[rng.random(n) < _chance(-1.2 + 1.5 * y), 1] = np.nan
    whole = ~np.isnan(values).any(axis=1)
    groups = np.unique(pat[whole], return_inverse=True)[1]
    own = fit_linear_mixed(np.column_stack([np.ones(whole.sum()), values[whole, 1]]), values[whole, 0], [groups])
    low, high, _ = t_interval(own.coefficients, own.se, own.df)
    fits = [
        fit_linear_mixed(np.column_stack([np.ones(n), s[:, 1]]), s[:, 0], [pat])
        for s in impute(values, pat, SETS, seed)
    ]
    pooled = pool(
        np.array([f.coefficients for f in fits]),
        np.array([f.se**2 for f in fits]),
        np.mean([f.df for f in fits], axis=0),
    )
    held = bool(pooled.ci95[1, 0] < TRUTH < pooled.ci95[1, 1])
    return (float(own.coefficients[1]), bool(low[1] < TRUTH < high[1])), (float(pooled.estimate[1]), held)


def _chance(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logit)))


def study(way: str, trials: int, seed: int = 1) -> tuple[float, float, float, float]:
    """Mean and coverage of complete rows, and of imputed ones."""
    found = [trial(way, seed * 100_003 + n) for n in range(trials)]
    own, imputed = np.array([f[0] for f in found]), np.array([f[1] for f in found])
    return (*map(float, own.mean(axis=0)), *map(float, imputed.mean(axis=0)))


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"| what is missing, truth {TRUTH} | complete rows | their interval holds | imputed | its interval holds |")
    print("|---|---|---|---|---|")
    for way in WAYS:
        mean, holds, imputed, held = study(way, number)
        print(f"| {way} | {mean:.3f} | {100 * holds:.1f} % | {imputed:.3f} | {100 * held:.1f} % |")
