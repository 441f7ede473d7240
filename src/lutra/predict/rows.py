"""The rows a model is fitted to, and doubts about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.data_table import DataTable
from lutra.core.errors import InputError, OutsideValidity
from lutra.core.finding import Finding, Severity, few
from lutra.core.frozen import FrozenMap, float64
from lutra.predict.design import Design, Source, design, group_codes
from lutra.predict.spec import OF_TIME, AnalysisSpec, ModelSpec

Array = npt.NDArray[np.float64]


@frozen(eq=False)
class Rows:
    """What a model is fitted to: rows that have everything.

    Parameters
    ----------
    names
        Of the columns of `x`.
    x
        Without an intercept. (n, p)
    outcome
        (n,) Empty for survival.
    groups
        Codes of patients, and of what is nested in them. (n,) each
    times
        `time`, `event` and, where given, `start`. (n,) each
    along
        Values of the column that a curve is asked along. (n,) Empty where none is.
    """

    names: tuple[str, ...]
    x: Array = field(converter=float64)
    outcome: Array = field(converter=float64)
    groups: tuple[npt.NDArray[np.intp], ...]
    times: FrozenMap[str, Array]
    levels: tuple[str, ...] = ()
    along: Array = field(converter=float64, factory=lambda: np.empty(0))

    @property
    def clusters(self) -> int:
        """Number of patients."""
        return len(np.unique(self.groups[0])) if self.groups else 0


def take_rows(
    spec: AnalysisSpec, model: ModelSpec, table: DataTable, lesions: DataTable | None
) -> tuple[Rows, FrozenMap[str, int], tuple[Finding, ...]]:
    """Take the rows that have every column of the model, and count those that have not."""
    columns = spec.clusters_of(model)
    source = Source(table, columns[0], lesions, model.reference)
    made = design(source, model.predictors)
    times = FrozenMap(
        {name: table.numbers(column) for name in ("time", "event", "start") if (column := getattr(model, name))}
    )
    outcome, levels = _outcome(table, model)
    gone = {name: np.isnan(values) for name, values in zip(made.names, made.columns.T, strict=True)}
    gone |= {getattr(model, name): np.isnan(values) for name, values in times.items()}
    gone |= {} if model.kind in OF_TIME else {model.outcome: np.isnan(outcome)}
    gone |= {column: table.missing(column) for column in columns}
    whole = np.ones(len(table), dtype=bool)
    for values in gone.values():
        whole &= ~values
    asked = np.ones(len(table), dtype=bool)
    if model.kind in OF_TIME:
        _refuse_impossible_times(table, model, times)
        if model.landmark is not None:
            asked = times["time"] > model.landmark
            if "start" in times:
                asked &= times["start"] <= model.landmark
                times = _followed_from(model.landmark, times, table.text(columns[0]))
        whole &= asked
    rows = Rows(
        made.names,
        made.columns[whole],
        outcome[whole] if outcome.size else outcome,
        tuple(group_codes(table, columns, whole)) if whole.any() else (),
        FrozenMap({name: values[whole] for name, values in times.items()}),
        levels,
        table.numbers(model.curve)[whole] if model.curve else np.empty(0),
    )
    missing = FrozenMap({name: int(n) for name, values in gone.items() if (n := (values & asked).sum())})
    return rows, missing, tuple(_doubts(spec, model, table, made, whole))


def _followed_from(landmark: float, times: Mapping[str, Array], patients: Sequence[str]) -> FrozenMap[str, Array]:
    """Let each row begin at the landmark and end as the last row of its patient does."""
    last: dict[str, int] = {}
    for row in map(int, np.flatnonzero(~np.isnan(times["time"]))):
        before = last.get(patients[row])
        if before is None or times["time"][row] > times["time"][before]:
            last[patients[row]] = row
    ends = [last.get(patient, row) for row, patient in enumerate(patients)]
    begin = np.full(len(patients), float(landmark))
    return FrozenMap({"time": times["time"][ends], "event": times["event"][ends], "start": begin})


def _outcome(table: DataTable, model: ModelSpec) -> tuple[Array, tuple[str, ...]]:
    """Outcome as numbers; of categories, their place in the order."""
    if model.kind in OF_TIME:
        return np.empty(0), ()
    if model.kind != "ordinal-mixed" and table.is_numeric(model.outcome):
        return table.numbers(model.outcome), ()
    gone, cells = table.missing(model.outcome), np.array(table.text(model.outcome))
    if table.is_numeric(model.outcome) and not model.levels:
        numbers = table.numbers(model.outcome)
        steps = np.unique(numbers[~gone])
        places = np.where(gone, np.nan, np.searchsorted(steps, np.where(gone, 0, numbers)).astype(float))
        return places, tuple(f"{step:g}" for step in steps)
    levels = model.levels or tuple(sorted({str(cell) for cell in cells[~gone]}))
    place = {level: float(n) for n, level in enumerate(levels)}
    strange = sorted({str(cell) for cell in cells[~gone]} - set(levels))
    if strange:
        raise InputError(
            f"{model.outcome} holds {strange[0]!r}", where=table.name, required=f"one of: {', '.join(levels)}"
        )
    return np.array([np.nan if g else place[str(c)] for c, g in zip(cells, gone, strict=True)]), levels


def _refuse_impossible_times(table: DataTable, model: ModelSpec, times: FrozenMap[str, Array]) -> None:
    time, event, start = times["time"], times["event"], times.get("start", np.zeros(len(table)))
    checks = (
        (~np.isin(event[~np.isnan(event)], (0.0, 1.0)), ~np.isnan(event), f"{model.event} is neither 0 nor 1"),
        (time[~np.isnan(time)] < 0, ~np.isnan(time), f"{model.time} is negative"),
    )
    for wrong, known, words in checks:
        if wrong.any():
            row = table.line(int(np.flatnonzero(known)[np.flatnonzero(wrong)[0]]))
            raise InputError(f"row {row}: {words}", where=table.name, do="correct the cell, or leave it empty")
    if (start >= time).any() and "start" in times:
        row = table.line(int(np.flatnonzero(start >= time)[0]))
        raise InputError(f"row {row}: {model.start} is not before {model.time}", where=table.name, do="correct the row")


def refuse_what_tells_nothing(rows: Rows, model: ModelSpec) -> None:
    """Raise for too few rows, one patient, or a predictor that never differs."""
    if len(rows.x) == 0:
        raise OutsideValidity("no row has every column of the model", required="rows without missing values")
    if model.kind not in OF_TIME and rows.clusters < 2:
        raise OutsideValidity("all rows are of one patient", required="at least two patients")
    constant = [name for name, values in zip(rows.names, rows.x.T, strict=True) if np.ptp(values) == 0]
    if constant:
        raise OutsideValidity(f"{few(constant)} never differs", required="predictors that differ", do="leave it out")
    if model.kind in ("logistic-mixed", "gee", "auc", "tcp") and not set(np.unique(rows.outcome)) <= {0.0, 1.0}:
        raise OutsideValidity(f"{model.outcome} has other values than 0 and 1", required="0 and 1, or two categories")


def _doubts(
    spec: AnalysisSpec, model: ModelSpec, table: DataTable, made: Design, whole: npt.NDArray[np.bool_]
) -> Sequence[Finding]:
    found = []
    if whole.sum() < len(table) and model.landmark is None:
        text = f"{model.name}: {int(len(table) - whole.sum())} of {len(table)} rows lack a column of the model and are left out"
        found.append(Finding(Severity.INFO, "predict.rows-left-out", text))
    lesion = spec.lesion or next((c for c in ("les", "lesion", "lesion_id", "lid") if c in table.columns), "")
    if model.table == "lesions" and lesion and len(spec.clusters_of(model)) == 1:
        keys = list(zip(table.text(spec.clusters_of(model)[0]), table.text(lesion), strict=True))
        twice = sorted({k for k in keys if keys.count(k) > 1}) if len(set(keys)) < len(keys) else []
        if twice:
            names = few([f"{p} {le}" for p, le in twice])
            text = f"{model.name}: lesions in more than one row ({names}) count more than once; a third level tells them apart"
            found.append(Finding(Severity.WARNING, "predict.lesion-twice", text))
    rows = int(whole.sum())
    if rows and model.kind != "km" and rows < 10 * max(len(made.names), 1):
        text = f"{model.name}: {rows} rows for {len(made.names)} effects; fewer than ten each are not to be trusted"
        found.append(Finding(Severity.WARNING, "predict.few-rows", text))
    return found
