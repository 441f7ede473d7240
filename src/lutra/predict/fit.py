"""Fits the models of a specification, and says of each what it rests on or why it gives nothing."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from lutra.core.data_table import DataTable
from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.predict import kinds
from lutra.predict.calibration import calibrated
from lutra.predict.result import ModelResult
from lutra.predict.rows import Rows, refuse_what_tells_nothing, take_rows
from lutra.predict.spec import AnalysisSpec, ModelSpec
from lutra.stats.multiplicity import holm

Fitter = Callable[[Rows, ModelSpec], kinds.Found]
FITTERS: dict[str, Fitter] = {
    "linear-mixed": kinds.linear,
    "logistic-mixed": kinds.logistic,
    "ordinal-mixed": kinds.ordinal,
    "gee": kinds.gee,
    "cox": kinds.cox,
    "auc": kinds.auc,
    "km": kinds.survival_curve,
}


def fit_models(spec: AnalysisSpec, lesions: DataTable, patients: DataTable) -> tuple[ModelResult, ...]:
    """Fit every model.

    Raises
    ------
    InputError
        For a column that is not there, or a value that cannot be.
    """
    results = tuple(fit_model(spec, model, lesions, patients) for model in spec.models)
    return _adjusted(spec, results)


def fit_model(spec: AnalysisSpec, model: ModelSpec, lesions: DataTable, patients: DataTable) -> ModelResult:
    """Fit one model; see :func:`fit_models`."""
    table = lesions if model.table == "lesions" else patients
    rows, missing, doubts = take_rows(spec, model, table, lesions if model.table == "patients" else None)
    n, clusters = len(rows.x), rows.clusters
    try:
        refuse_what_tells_nothing(rows, model)
        found = FITTERS[model.kind](rows, model)
        if model.error_cv and found.converged:
            found = calibrated(rows, model, FITTERS[model.kind], found)
    except OutsideValidity as error:
        refused = Finding(Severity.UNDETERMINED, "predict.not-fitted", f"{model.name}: {error}")
        return ModelResult(
            model.name, model.kind, n, clusters, converged=False, missing=missing, findings=(*doubts, refused)
        )
    if not found.converged:
        text = (
            f"{model.name}: {model.kind} did not converge; no number is given. Look for predictors that separate the outcome "
            "wholly, or for too many of them"
        )
        lost = Finding(Severity.UNDETERMINED, "predict.not-converged", text)
        return ModelResult(
            model.name, model.kind, n, clusters, converged=False, missing=missing, findings=(*doubts, lost)
        )
    return ModelResult(
        model.name,
        model.kind,
        n,
        clusters,
        converged=True,
        missing=missing,
        coefficients=found.coefficients,
        numbers=found.numbers,
        findings=(*doubts, *found.findings),
    )


def _adjusted(spec: AnalysisSpec, results: tuple[ModelResult, ...]) -> tuple[ModelResult, ...]:
    """Adjust the first predictor of each model for the others of its family, by Holm."""
    adjusted = list(results)
    for family in dict.fromkeys(model.family for model in spec.models if model.family):
        members = [n for n, model in enumerate(spec.models) if model.family == family]
        tested = [(n, p) for n in members if (p := _first_p(results[n], spec.models[n])) is not None]
        for (n, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
            numbers = FrozenMap({**results[n].numbers, "family": family, "p_holm": p})
            adjusted[n] = evolve(results[n], numbers=numbers)
    return tuple(adjusted)


def _first_p(result: ModelResult, model: ModelSpec) -> float | None:
    name = model.predictors[0] if model.predictors else ""
    return result.coefficients[name].p if name in result.coefficients else None
