"""Effects of what lesions truly had: regression calibration, with intervals from a bootstrap of whole patients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import FrozenMap
from lutra.predict.kinds import Found
from lutra.predict.result import Coefficient
from lutra.predict.rows import Rows
from lutra.predict.spec import ModelSpec
from lutra.stats.measurement_error import expected_truth
from lutra.stats.resampling import resampled

LEAST_SHARE = 0.9
"""Of the samples that have to give a model; with less the interval is of a selection."""


def calibrated(rows: Rows, model: ModelSpec, fit: Callable[[Rows, ModelSpec], Found], plain: Found) -> Found:
    """Fit again with expected true values in place of measured ones; `plain` is the fit without.

    Raises
    ------
    OutsideValidity
        If a predictor is not positive, errors are larger than what lesions differ by, or too few samples give a model.
    """
    found = fit(_truth(rows, model), model)
    if not found.converged:
        return found
    rng = np.random.default_rng(model.seed)
    samples = []
    for _ in range(model.bootstrap):
        try:
            sample = fit(_truth(_resampled(rows, rng), model), model)
        except OutsideValidity:
            continue
        if sample.converged:
            samples.append([sample.coefficients[name].estimate for name in found.coefficients])
    if len(samples) < LEAST_SHARE * model.bootstrap:
        raise OutsideValidity(
            f"{len(samples)} of {model.bootstrap} samples of patients give a model",
            required=f"{LEAST_SHARE:.0%} of them",
            do="leave predictors out",
        )
    draws = np.array(samples)
    coefficients = {
        name: _coefficient(c.estimate, draws[:, n]) for n, (name, c) in enumerate(found.coefficients.items())
    }
    uncorrected = {name: {"estimate": c.estimate, "se": c.se} for name, c in plain.coefficients.items()}
    more = {"uncorrected": uncorrected, "bootstrap": len(samples), "error_cv": dict(model.error_cv)}
    return evolve(found, coefficients=FrozenMap(coefficients), numbers=FrozenMap({**found.numbers, **more}))


def _truth(rows: Rows, model: ModelSpec) -> Rows:
    x = np.array(rows.x)
    others = [n for n, name in enumerate(rows.names) if name not in model.error_cv]
    for name, error in model.error_cv.items():
        cv = float(error)
        n = rows.names.index(name)
        x[:, n] = expected_truth(rows.x[:, n], rows.groups[0], cv, rows.x[:, others] if others else None)
    return evolve(rows, x=x)


def _resampled(rows: Rows, rng: np.random.Generator) -> Rows:
    """Draw patients with replacement; one drawn twice is two."""
    chosen, new = resampled(rows.groups[0], rng)
    return evolve(
        rows, x=rows.x[chosen], outcome=rows.outcome[chosen], groups=(new, *(g[chosen] for g in rows.groups[1:]))
    )


def _coefficient(estimate: float, draws: npt.NDArray[np.float64]) -> Coefficient:
    """Interval by quantiles of the samples; p by the share of them on the other side of 0, so that the two agree."""
    low, high = np.quantile(draws, (0.025, 0.975))
    beyond = min((draws <= 0).sum(), (draws >= 0).sum())
    p = min(2 * (beyond + 1) / (len(draws) + 1), 1.0)
    return Coefficient(estimate, float(draws.std(ddof=1)), (float(low), float(high)), float(p))
