"""Puts beside a model of complete rows the same model of imputed ones, and how far imputed outcomes may be off before it turns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.data_table import DataTable
from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Severity, few
from lutra.core.frozen import FrozenMap
from lutra.predict.kinds import Found
from lutra.predict.rows import Rows, take_rows
from lutra.predict.spec import AnalysisSpec, ModelSpec
from lutra.stats.imputation import Pooled, impute, pool

Array = npt.NDArray[np.float64]
ALPHA = 0.05
WORD = re.compile(r"[A-Za-z_]\w*")
BENT = re.compile(r"rcs\(|:|\*")
LOGARITHM = re.compile(r"\blog(2|10)?\(\s*(\w+)\s*\)")


def with_imputed(
    spec: AnalysisSpec, model: ModelSpec, table: DataTable, fitter: Callable[[Rows, ModelSpec], Found], found: Found
) -> Found:
    """Fit the model to imputed sets and pool.

    Columns are imputed as they are and terms made of them afterwards; a column that the model takes the logarithm of is imputed
    as its logarithm.
    """
    names = _columns(model, table)
    doubts = []
    try:
        sets, cells, columns = _imputed(spec, model, table, names, shift=0.0)
        pooled, n, clusters = _pooled(spec, model, table, fitter, sets, columns)
    except OutsideValidity as error:
        doubt = Finding(Severity.UNDETERMINED, "predict.not-imputed", f"{model.name}: complete rows only: {error}")
        return evolve(found, findings=(*found.findings, doubt))
    if bent := [term for term in model.predictors if BENT.search(term)]:
        text = (
            f"{model.name}: {few(bent)} is made of imputed columns, while the imputation knows of straight effects only: "
            "bends and interactions come out too weak"
        )
        doubts.append(Finding(Severity.WARNING, "predict.imputed-not-linear", text))
    most = float(pooled.missing_information.max())
    if model.impute < 100 * most:
        wanted = f"{100 * most:.0f}"
        text = (
            f"{model.name}: {model.impute} imputations where {wanted} % of the information is missing: ask for {wanted}"
        )
        doubts.append(Finding(Severity.INFO, "predict.few-imputations", text))
    effects = tuple(found.coefficients)
    numbers: dict[str, Any] = {
        "m": model.impute,
        "n": n,
        "n_clusters": clusters,
        "cells": cells,
        "coefficients": {name: _plain(pooled, k) for k, name in enumerate(effects)},
    }
    if model.delta:
        numbers |= _tipping(spec, model, table, fitter, names, effects, pooled)
    return evolve(found, numbers=FrozenMap({**found.numbers, "imputed": numbers}), findings=(*found.findings, *doubts))


def _columns(model: ModelSpec, table: DataTable) -> list[str]:
    """Columns of the model and those that help to impute it, as they stand in the table."""
    words = [model.outcome, *(w for term in model.predictors for w in WORD.findall(term)), *model.impute_with]
    return [word for word in dict.fromkeys(words) if word in table.columns]


def _imputed(
    spec: AnalysisSpec, model: ModelSpec, table: DataTable, names: list[str], shift: float
) -> tuple[Array, dict[str, int], list[str]]:
    """Give the sets of the numeric columns (m, n, k), how many cells of each were filled, and the names of the columns."""
    cluster = spec.clusters_of(model)[0]
    if table.missing(cluster).any():
        raise OutsideValidity(
            f"rows without {cluster}", required="a patient in every row", do="fill it or remove the rows"
        )
    numeric = [name for name in names if table.is_numeric(name)]
    words = [name for name in names if name not in numeric]
    if gone := [name for name in words if table.missing(name).any()]:
        raise OutsideValidity(
            f"{few(gone)} is a column of words with gaps", required="words everywhere", do="list it in not_imputed"
        )
    logs = _logarithmic(model, table, numeric)
    columns = [np.log(table.numbers(c)) if c in logs else table.numbers(c) for c in numeric]
    helpers = [
        (np.array(table.text(w)) == level).astype(float) for w in words for level in sorted(set(table.text(w)))[1:]
    ]
    given = np.column_stack([*columns, *helpers])
    groups = np.unique(table.text(cluster), return_inverse=True)[1]
    shifts = [shift if name == model.outcome else 0.0 for name in numeric] + [0.0] * len(helpers)
    sets = impute(given, groups, model.impute, model.seed, shift=shifts, names=[*numeric, *words])[:, :, : len(numeric)]
    for k, name in enumerate(numeric):
        if name in logs:
            sets[:, :, k] = np.exp(sets[:, :, k])
    cells = {name: int(np.isnan(column).sum()) for name, column in zip(numeric, columns, strict=True)}
    if not any(cells.values()):
        raise OutsideValidity("nothing is missing", required="a missing value", do="leave impute out")
    return sets, {name: n for name, n in cells.items() if n}, numeric


def _logarithmic(model: ModelSpec, table: DataTable, numeric: list[str]) -> set[str]:
    """Columns that the model only takes the logarithm of, and that are positive wherever they are known."""
    found = {call[1] for term in model.predictors for call in LOGARITHM.findall(term)}
    plain = {word for term in model.predictors for word in WORD.findall(LOGARITHM.sub("", term))}
    return {c for c in found - plain - {model.outcome} if c in numeric and not (table.numbers(c) <= 0).any()}


def _pooled(
    spec: AnalysisSpec,
    model: ModelSpec,
    table: DataTable,
    fitter: Callable[[Rows, ModelSpec], Found],
    sets: Array,
    columns: list[str],
) -> tuple[Pooled, int, int]:
    estimates, variances, freedom, n, clusters = [], [], [], 0, 0
    for values in sets:
        filled = {name: tuple(map(repr, values[:, k].tolist())) for k, name in enumerate(columns)}
        whole = evolve(table, columns=FrozenMap({**table.columns, **filled}))
        rows, _, _ = take_rows(spec, model, whole, None)
        made = fitter(rows, model)
        if not made.converged:
            raise OutsideValidity(
                "an imputed set gives no model", required="a model of each", do="leave predictors out"
            )
        estimates.append([c.estimate for c in made.coefficients.values()])
        variances.append([c.se**2 for c in made.coefficients.values()])
        freedom.append([np.inf if c.df is None else c.df for c in made.coefficients.values()])
        n, clusters = len(rows.x), rows.clusters
    return pool(np.array(estimates), np.array(variances), np.mean(freedom, axis=0)), n, clusters


def _tipping(
    spec: AnalysisSpec,
    model: ModelSpec,
    table: DataTable,
    fitter: Callable[[Rows, ModelSpec], Found],
    names: list[str],
    effects: tuple[str, ...],
    unshifted: Pooled,
) -> dict[str, Any]:
    """Fit with imputed outcomes shifted; the tipping point is the smallest shift that makes an effect of the model (un)shown."""
    shown = unshifted.p[1:] < ALPHA
    found: list[dict[str, Any]] = []
    tipping: dict[str, float | None] = dict.fromkeys(effects[1:])
    for shift in sorted(model.delta, key=abs):
        sets, _, columns = _imputed(spec, model, table, names, shift)
        pooled, _, _ = _pooled(spec, model, table, fitter, sets, columns)
        found.append({"shift": shift, "coefficients": {name: _plain(pooled, k) for k, name in enumerate(effects)}})
        for k, name in enumerate(effects[1:]):
            if tipping[name] is None and (pooled.p[k + 1] < ALPHA) != shown[k]:
                tipping[name] = shift
    return {"delta": found, "tipping": tipping}


def _plain(pooled: Pooled, k: int) -> Mapping[str, Any]:
    return {
        "estimate": float(pooled.estimate[k]),
        "se": float(pooled.se[k]),
        "ci95": pooled.ci95[k].tolist(),
        "p": float(pooled.p[k]),
        "df": float(pooled.df[k]) if np.isfinite(pooled.df[k]) else None,
        "missing_information": float(pooled.missing_information[k]),
    }
