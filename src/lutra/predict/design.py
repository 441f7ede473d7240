"""Columns of a table as the model wants them: terms, contrasts, and the rows that have them all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.data_table import DataTable
from lutra.core.errors import InputError
from lutra.core.frozen import FrozenMap, float64, frozen_map

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
CALL = re.compile(r"^\s*(\w+)\((.+)\)\s*$")
FUNCTIONS: dict[str, Callable[[Array], Array]] = {"log": np.log, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt}
OF_LESIONS: dict[str, Callable[[Array], float]] = {
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "sum": np.sum,
    "median": np.median,
}
KNOTS = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}
"""Quantiles of the knots of a restricted cubic spline [harrell2015]."""


@frozen
class Source:
    """A table with what its terms may refer to.

    Parameters
    ----------
    lesions
        Table that `mean(a)` and the like are taken from; None where the rows are lesions themselves.
    cluster
        Column that tells patients apart.
    reference
        Level that others are compared with, by column.
    """

    table: DataTable
    cluster: str
    lesions: DataTable | None = None
    reference: FrozenMap[str, str] = field(converter=frozen_map, factory=FrozenMap)


@frozen(eq=False)
class Design:
    """Columns of a model; rows with something missing are NaN.

    Parameters
    ----------
    names
        Of the columns, as R gives them.
    columns
        (n, p)
    """

    names: tuple[str, ...]
    columns: Array = field(converter=float64)


def design(source: Source, predictors: tuple[str, ...]) -> Design:
    """Build the columns of the predictors, main effects before interactions.

    Raises
    ------
    InputError
        For a column or function that is not there, or a value that a function has no answer for, by its row.
    """
    terms: list[str] = []
    for predictor in predictors:
        parts = [p.strip() for p in predictor.split("*")]
        terms += [*parts, ":".join(parts)] if len(parts) == 2 else [predictor.strip()]
    ordered = sorted(dict.fromkeys(terms), key=lambda t: t.count(":"))
    made = [column for term in ordered for column in _term(source, term)]
    columns = [values for _, values in made]
    return Design(
        tuple(name for name, _ in made), np.column_stack(columns) if columns else np.empty((len(source.table), 0))
    )


def group_codes(table: DataTable, columns: tuple[str, ...], rows: npt.NDArray[np.bool_]) -> list[Codes]:
    """Codes from 0 on of each grouping column, for some rows."""
    found = []
    for column in columns:
        cells = np.array(table.text(column))[rows]
        _, codes = np.unique(cells, return_inverse=True)
        found.append(codes)
    return found


def _term(source: Source, term: str) -> Iterator[tuple[str, Array]]:
    if ":" in term:
        left, right = term.split(":", 1)
        for right_name, right_values in _term(source, right.strip()):
            for left_name, left_values in _term(source, left.strip()):
                yield f"{left_name}:{right_name}", left_values * right_values
        return
    call = CALL.match(term)
    if call:
        yield from _called(source, call[1], [p.strip() for p in call[2].split(",")], term)
    elif source.table.is_numeric(term) or not _levels(source.table, term):
        yield term, _finite(source.table, term, source.table.numbers(term))
    else:
        yield from _contrasts(source, term)


def _contrasts(source: Source, column: str) -> Iterator[tuple[str, Array]]:
    """One column per level but the reference."""
    levels = _levels(source.table, column)
    reference = source.reference.get(column, levels[0])
    if reference not in levels:
        raise InputError(
            f"reference {reference!r} of {column}", where=source.table.name, required=f"one of: {', '.join(levels)}"
        )
    gone, cells = source.table.missing(column), np.array(source.table.text(column))
    for level in levels:
        if level != reference:
            yield f"{column}{level}", np.where(gone, np.nan, (cells == level).astype(float))


def _levels(table: DataTable, column: str) -> list[str]:
    gone = table.missing(column)
    return sorted({cell for cell, missing in zip(table.text(column), gone, strict=True) if not missing})


def _called(source: Source, function: str, arguments: list[str], term: str) -> Iterator[tuple[str, Array]]:
    column = arguments[0]
    if function in FUNCTIONS:
        values = source.table.numbers(column)
        with np.errstate(invalid="ignore", divide="ignore"):
            yield term, _finite(source.table, term, FUNCTIONS[function](values), values)
    elif function == "rcs":
        yield from _spline(source.table, column, int(arguments[1]) if len(arguments) > 1 else 3, term)
    elif function in ("within", "between"):
        parts = list(_term(source, column))
        if len(parts) != 1:
            raise InputError(
                f"{term!r} has {len(parts)} columns", where=source.table.name, required="a number in each row"
            )
        values = parts[0][1]
        means = _cluster_means(source, values)
        yield term, values - means if function == "within" else means
    elif function in OF_LESIONS and source.lesions is not None:
        yield term, _over_lesions(source, function, column)
    else:
        known = [*FUNCTIONS, "rcs", "within", "between", *(OF_LESIONS if source.lesions is not None else ())]
        raise InputError(
            f"function {function!r} in {term!r}", where=source.table.name, required=f"one of: {', '.join(known)}"
        )


def _finite(table: DataTable, term: str, values: Array, given: Array | None = None) -> Array:
    """Refuse values that are no numbers, where the cell was not missing."""
    wrong = ~np.isfinite(values) & ~np.isnan(values if given is None else given)
    if wrong.any():
        row = table.line(int(np.flatnonzero(wrong)[0]))
        raise InputError(
            f"row {row}: {term} has no finite value", where=table.name, do="correct the cell, or leave it empty"
        )
    return values


def _cluster_means(source: Source, values: Array) -> Array:
    cells = np.array(source.table.text(source.cluster))
    means = np.full(len(values), np.nan)
    for cluster in np.unique(cells):
        rows = cells == cluster
        known = values[rows][~np.isnan(values[rows])]
        if known.size:
            means[rows] = known.mean()
    return means


def _over_lesions(source: Source, function: str, column: str) -> Array:
    assert source.lesions is not None  # noqa: S101  (the caller's condition)
    values, owners = source.lesions.numbers(column), np.array(source.lesions.text(source.cluster))
    known: Mapping[str, Array] = {c: values[owners == c] for c in np.unique(owners)}
    found = np.full(len(source.table), np.nan)
    for n, patient in enumerate(source.table.text(source.cluster)):
        own = known.get(patient, np.empty(0))
        own = own[~np.isnan(own)]
        if own.size:
            found[n] = OF_LESIONS[function](own)
    return found


def _spline(table: DataTable, column: str, knots: int, term: str) -> Iterator[tuple[str, Array]]:
    """Restricted cubic spline: linear beyond the outer knots.

    References
    ----------
    [harrell2015] Harrell, Regression Modeling Strategies, section 2.4.5.
    """
    if knots not in KNOTS:
        raise InputError(f"{knots} knots in {term!r}", where=table.name, required="3, 4 or 5")
    values = _finite(table, term, table.numbers(column))
    if np.isnan(values).all():
        yield term, values
        return
    at = np.quantile(values[~np.isnan(values)], KNOTS[knots])

    def cube(knot: float) -> Array:
        return np.maximum(values - knot, 0.0) ** 3

    yield f"{column}", values
    last, before = at[-1], at[-2]
    for n, knot in enumerate(at[:-2]):
        bent = (
            cube(knot) - cube(before) * (last - knot) / (last - before) + cube(last) * (before - knot) / (last - before)
        )
        yield f"{column}{chr(39) * (n + 1)}", np.where(np.isnan(values), np.nan, bent / (last - at[0]) ** 2)
