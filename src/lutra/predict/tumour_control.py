"""Tumour control probability of a specification: what the priors say, and what the data would say without them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np

from lutra.core.finding import Finding, Severity
from lutra.predict.kinds import Found
from lutra.predict.result import Coefficient
from lutra.predict.rows import Rows
from lutra.predict.spec import ModelSpec
from lutra.stats.tumour_control import LogNormalPrior, TumourControlFit, fit_tumour_control, unaided_d50_interval

WIDEST = 2.0
"""Ratio of the ends of an interval without a prior up to which the data are said to tell the dose; Lutra's own choice."""
CURVE_POINTS = 25
SENSITIVITY = {"half": 0.5, "double": 2.0}
"""Factors of the standard deviations of the logarithms."""


def tumour_control(rows: Rows, model: ModelSpec) -> Found:
    """Fit the sigmoid with the priors of the model, and again with half and twice their width."""
    dose, patients = rows.x[:, 0], rows.groups[0]
    d50, gamma50 = (LogNormalPrior(*pair) for pair in (model.prior_d50_gy, model.prior_gamma50))
    fit = fit_tumour_control(dose, rows.outcome, patients, d50, gamma50)
    low, high = unaided_d50_interval(dose, rows.outcome, patients)
    refits = {
        name: fit_tumour_control(dose, rows.outcome, patients, d50.widened(by), gamma50.widened(by))
        for name, by in SENSITIVITY.items()
    }
    numbers: dict[str, Any] = {
        "events": int(rows.outcome.sum()),
        "sd_random": fit.sd_random,
        "prior_d50_gy": list(model.prior_d50_gy),
        "prior_gamma50": list(model.prior_gamma50),
        "d50_without_prior_ci95": [low, high if isfinite(high) else None],
        "prior_sensitivity": {name: _plain(refit) for name, refit in refits.items()},
        "tcp": _curve(fit, dose),
    }
    coefficients = {
        name: Coefficient(value, value * float(np.sqrt(fit.log_covariance[n, n])), ends, None)
        for n, (name, value, ends) in enumerate(
            (("d50_gy", fit.d50_gy, fit.d50_95_gy), ("gamma50", fit.gamma50, fit.gamma50_95))
        )
    }
    return Found(fit.converged, coefficients, numbers, _not_identified(model.name, low, high))


def _plain(fit: TumourControlFit) -> dict[str, Any]:
    if not fit.converged:
        return {"converged": False}
    return {
        "converged": True,
        "d50_gy": fit.d50_gy,
        "d50_ci95": list(fit.d50_95_gy),
        "gamma50": fit.gamma50,
        "gamma50_ci95": list(fit.gamma50_95),
    }


def _curve(fit: TumourControlFit, dose: np.ndarray[Any, np.dtype[np.float64]]) -> list[Mapping[str, float]]:
    """Give the probability along the doses that lesions had; nothing is said beyond them."""
    at = np.geomspace(dose.min(), dose.max(), CURVE_POINTS)
    keys = ("dose_gy", "probability", "low", "high")
    return [dict(zip(keys, map(float, row), strict=True)) for row in zip(at, *fit.probability(at), strict=True)]


def _not_identified(name: str, low: float, high: float) -> tuple[Finding, ...]:
    if low > 0 and high / low <= WIDEST:
        return ()
    without = f"{low:.0f} to {high:.0f} Gy" if isfinite(high) else "without bounds"
    text = (
        f"{name}: without its prior the D50 is not determined by these lesions (95 %: {without}); the given one leans on it. "
        "Compare the interval with that of half and twice the prior's width"
    )
    return (Finding(Severity.WARNING, "predict.d50-not-identified", text),)
