"""Fits the models of a specification, and says of each what it rests on or why it gives nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import evolve

from lutra.core.data_table import DataTable
from lutra.core.errors import InputError, MissingExtra, OutsideValidity
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.predict import kinds
from lutra.predict.bayes import with_posterior
from lutra.predict.calibration import calibrated
from lutra.predict.dose_forecast import first_dose, with_forecasts
from lutra.predict.imputed import with_imputed
from lutra.predict.result import ModelResult
from lutra.predict.rows import Rows, refuse_what_tells_nothing, take_rows
from lutra.predict.spec import AnalysisSpec, ModelSpec
from lutra.predict.tumour_control import tumour_control
from lutra.predict.validated import with_cut_off, with_validation
from lutra.stats.multiplicity import benjamini_hochberg, holm

Fitter = Callable[[Rows, ModelSpec], kinds.Found]
FITTERS: dict[str, Fitter] = {
    "linear-mixed": kinds.linear,
    "logistic-mixed": kinds.logistic,
    "ordinal-mixed": kinds.ordinal,
    "gee": kinds.gee,
    "cox": kinds.cox,
    "auc": kinds.auc,
    "km": kinds.survival_curve,
    "tcp": tumour_control,
    "dose-forecast": first_dose,
}
ADJUSTMENTS = {"holm": holm, "bh": benjamini_hochberg}


def fit_models(
    spec: AnalysisSpec, lesions: DataTable, patients: DataTable, intervals: DataTable | None = None
) -> tuple[ModelResult, ...]:
    """Fit every model.

    Parameters
    ----------
    intervals
        Time of the patients in pieces, for values that change with time; models of it are refused where there is none.

    Raises
    ------
    InputError
        For a column that is not there, or a value that cannot be.
    """
    results = tuple(fit_model(spec, model, lesions, patients, intervals) for model in spec.models)
    return _adjusted(spec, results)


def fit_model(
    spec: AnalysisSpec,
    model: ModelSpec,
    lesions: DataTable,
    patients: DataTable,
    intervals: DataTable | None = None,
) -> ModelResult:
    """Fit one model; see :func:`fit_models`."""
    table, behind = chosen_tables(model, lesions, patients, intervals)
    rows, missing, doubts = take_rows(spec, model, table, behind)
    model = with_own_errors(model, table)
    n, clusters = len(rows.x), rows.clusters
    try:
        refuse_what_tells_nothing(rows, model)
        found = FITTERS[model.kind](rows, model)
        if model.error_cv and found.converged:
            found = calibrated(rows, model, FITTERS[model.kind], found)
        if model.bayes and found.converged:
            found = with_posterior(rows, model, found)
        if model.validate is not None and found.converged:
            found = with_validation(rows, model, FITTERS[model.kind], found)
        if model.impute and found.converged:
            found = with_imputed(spec, model, _to_impute(model, table), FITTERS[model.kind], found)
        if model.cut_off and found.converged:
            found = with_cut_off(rows, model, found)
        if model.kind == "dose-forecast" and found.converged:
            found = with_forecasts(found, model, table, spec.clusters_of(model)[0])
    except (OutsideValidity, MissingExtra) as error:
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
        numbers=FrozenMap({**found.numbers, "sd_predictors": spreads(rows)}),
        findings=(*doubts, *found.findings),
    )


def spreads(rows: Rows) -> dict[str, float]:
    """Give the standard deviation of each predictor over the rows of the model; effects times it can be compared."""
    return dict(zip(rows.names, map(float, rows.x.std(axis=0, ddof=1)), strict=True)) if len(rows.x) > 1 else {}


def with_own_errors(model: ModelSpec, table: DataTable) -> ModelSpec:
    """Put the root mean square of the relative uncertainties of a column in place of its name in `error_cv`.

    Raises
    ------
    InputError
        If no row has both the value and its uncertainty.
    """
    errors: dict[str, float | str] = dict(model.error_cv)
    for column, error in errors.items():
        if isinstance(error, str):
            relative = table.numbers(error) / table.numbers(column)
            known = relative[np.isfinite(relative)]
            if not known.size:
                raise InputError(
                    f"{model.name}: no row has {column} and {error}", where=table.name, do="give a number instead"
                )
            errors[column] = float(np.sqrt((known**2).mean()))
    return evolve(model, error_cv=FrozenMap(errors))


def _to_impute(model: ModelSpec, table: DataTable) -> DataTable:
    """Leave out the rows that lack a column which is not to be imputed."""
    whole = ~np.any([np.zeros(len(table), dtype=bool), *(table.missing(c) for c in model.not_imputed)], axis=0)
    return table if whole.all() else table.take(np.flatnonzero(whole).tolist())


def chosen_tables(
    model: ModelSpec, lesions: DataTable, patients: DataTable, intervals: DataTable | None = None
) -> tuple[DataTable, DataTable | None]:
    """Give the rows of a model, and the lesions behind them where the rows are patients.

    Raises
    ------
    InputError
        If `where` names a column that is not there, or the model is of intervals and there are none.
    """
    if model.table == "lesions":
        return lesions.where(model.where), None
    if model.table == "patients":
        return patients, lesions.where(model.where)
    if intervals is None:
        raise InputError(
            f"{model.name}: no table of intervals", required="--intervals FILE", do="give it, or leave the model out"
        )
    return intervals.where(model.where), None


def _adjusted(spec: AnalysisSpec, results: tuple[ModelResult, ...]) -> tuple[ModelResult, ...]:
    """Adjust the first predictor of each model for the others of its family."""
    adjusted = list(results)
    for family in dict.fromkeys(model.family for model in spec.models if model.family):
        members = [n for n, model in enumerate(spec.models) if model.family == family]
        tested = [(n, p) for n in members if (p := _first_p(results[n], spec.models[n])) is not None]
        method = spec.models[members[0]].adjust
        for (n, _), p in zip(tested, ADJUSTMENTS[method]([p for _, p in tested]), strict=True):
            numbers = FrozenMap({**results[n].numbers, "family": family, f"p_{method}": p})
            adjusted[n] = evolve(results[n], numbers=numbers)
    return tuple(adjusted)


def _first_p(result: ModelResult, model: ModelSpec) -> float | None:
    name = model.predictors[0] if model.predictors else ""
    return result.coefficients[name].p if name in result.coefficients else None
