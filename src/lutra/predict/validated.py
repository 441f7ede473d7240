"""Puts beside a model what it is worth for patients it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.predict.kinds import INTERCEPT, Found
from lutra.predict.rows import Rows
from lutra.predict.spec import VALIDATION, ModelSpec
from lutra.stats import performance
from lutra.stats.validation import THRESHOLDS, Codes, Predictor, Validation, calibration_curve, cut_off, validate

Array = npt.NDArray[np.float64]
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(25)


def with_validation(rows: Rows, model: ModelSpec, fitter: Callable[[Rows, ModelSpec], Found], found: Found) -> Found:
    """Validate by patient, the fit inside every sample; predictions are those for a new patient, without its deviation.

    Splines keep the knots of all rows: their places follow from the predictor alone, not from the outcome.
    """
    settings = VALIDATION | dict(model.validate or {})
    logistic = model.kind == "logistic-mixed"

    def fit(chosen: Codes, patients: Codes) -> Predictor | None:
        own = evolve(rows, x=rows.x[chosen], outcome=rows.outcome[chosen], groups=(patients,), along=np.empty(0))
        try:
            made = fitter(own, evolve(model, curve=""))
        except OutsideValidity:
            return None
        return (lambda x: expected(made, x, logistic=logistic)) if made.converged else None

    try:
        result = validate(
            fit,
            rows.x,
            rows.outcome,
            rows.groups[0],
            performance.of_probabilities if logistic else performance.of_numbers,
            samples=settings["bootstrap"],
            folds=settings["folds"],
            repeats=settings["repeats"],
            seed=model.seed,
        )
    except OutsideValidity as error:
        doubt = Finding(Severity.UNDETERMINED, "predict.not-validated", f"{model.name}: not validated: {error}")
        return evolve(found, findings=(*found.findings, doubt))
    numbers = validation_numbers(result) | {"folds": settings["folds"], "repeats": settings["repeats"]}
    if logistic:
        held = result.out_of_fold
        numbers["calibration_curve"] = calibration_curve(held, rows.outcome, rows.groups[0], model.seed)
        numbers["decision_curve"] = performance.net_benefit(held, rows.outcome, THRESHOLDS)
    return evolve(found, numbers=FrozenMap({**found.numbers, "validation": numbers}))


def validation_numbers(result: Validation) -> dict[str, Any]:
    """Give a validation as plain data; what could not be determined is None."""
    return {
        "apparent": _known(result.apparent),
        "optimism": _known(result.optimism),
        "corrected": _known(result.corrected),
        "corrected_ci95": {name: _ends(ends) for name, ends in result.corrected_95.items()},
        "cross_validated": _known(result.cross_validated),
        "cross_validated_range": {name: _ends(ends) for name, ends in result.cross_validated_range.items()},
        "bootstrap": result.samples,
        "failed": result.failed,
        "instability": {"mean": result.instability[0], "p95": result.instability[1]},
    }


def _known(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def _ends(ends: tuple[float, float]) -> list[float] | None:
    return list(ends) if np.isfinite(ends).all() else None


def expected(found: Found, x: Array, *, logistic: bool) -> Array:
    """Give the expected outcome of rows of a new patient; of a probability the mean over patients' deviations."""
    b = np.array([c.estimate for c in found.coefficients.values()])
    assert next(iter(found.coefficients)) == INTERCEPT  # noqa: S101  (of both kinds)
    eta = b[0] + x @ b[1:]
    if not logistic:
        return np.asarray(eta, dtype=np.float64)
    sd = float(found.numbers["sd_random"])
    probability = 1 / (1 + np.exp(-np.clip(eta[:, None] + sd * NODES, -500, 500)))
    return np.asarray(probability @ WEIGHTS / WEIGHTS.sum(), dtype=np.float64)


def with_cut_off(rows: Rows, model: ModelSpec, found: Found) -> Found:
    """Add to each area a threshold with its spread; thresholds wander, so that one without its spread is never given."""
    each = {rows.names[0]: dict(found.numbers)} if len(rows.names) == 1 else found.numbers["predictors"]
    more: dict[str, Mapping[str, Any]] = {}
    for name, marks in zip(rows.names, rows.x.T, strict=True):
        higher = bool(each[name]["higher_means_outcome"])
        chosen = cut_off(marks, rows.outcome, rows.groups[0], higher=higher, samples=model.bootstrap, seed=model.seed)
        more[name] = {
            "value": chosen.value,
            "ci95": list(chosen.value_95),
            "sensitivity": chosen.sensitivity,
            "specificity": chosen.specificity,
            "sensitivity_corrected": chosen.sensitivity_corrected,
            "specificity_corrected": chosen.specificity_corrected,
            "bootstrap": chosen.samples,
            "failed": chosen.failed,
        }
    own = more[rows.names[0]] if len(rows.names) == 1 else more
    return evolve(found, numbers=FrozenMap({**found.numbers, "cut_off": own}))
