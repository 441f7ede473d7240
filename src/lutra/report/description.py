"""Who and what was analysed: flow of subjects and lesions, table one, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import quantiles

from attrs import frozen

from lutra.core.analysis_table import AnalysisTable, Cell, Column, ColumnType
from lutra.core.frozen import FrozenMap

Row = FrozenMap[str, Cell]
FOUR = ("fdg_suv_max", "sstr_suv_max", "adc_median", "dose_cumulative")
"""Predictors of the primary question."""
PATIENT_ROWS = (
    "sex",
    "age",
    "grade",
    "primary_site",
    "cycles_given",
    "activity",
    "lesions",
    "kidney_dose",
    "best_response",
)
LESION_ROWS = (
    "organ", "ltd_baseline", "volume_baseline", "fdg_suv_max", "sstr_suv_max", "adc_median", "dose_cycle_1", "dose_cumulative",
    "change", "category",
)  # fmt: skip


@frozen
class Step:
    """How many are left, and why others are not."""

    n: int
    words: str
    note: str = ""


@frozen
class TableOneRow:
    """A variable, or one of its levels, overall and by outcome."""

    label: str
    overall: str
    without: str
    with_outcome: str
    missing: int


def final_rows(lesions: AnalysisTable) -> list[Row]:
    """Rows of the end of treatment: one per lesion."""
    return [row for row in lesions.rows if row["end_of_treatment"].value]


def flow(lesions: AnalysisTable, patients: AnalysisTable) -> tuple[Step, ...]:
    """Subjects and lesions from the study to the primary model; each step says why others are lost."""
    treated = [row for row in patients.rows if row["cycles_given"].value]
    followed = [row for row in treated if row["lesions_with_outcome"].value]
    final = final_rows(lesions)
    steps = [
        Step(len(patients), "subjects in study", ""),
        Step(len(treated), "treated", _lost(len(patients) - len(treated), "without a cycle")),
        Step(len(followed), "with a lesion's outcome", _lost(len(treated) - len(followed), "without")),
        Step(len(final), "lesions followed", ""),
    ]
    left = final
    for columns, words in (
        (("log_ratio",), "with outcome"),
        (("dose_cumulative",), "and dose"),
        (FOUR, "and all four predictors"),
    ):
        kept = [row for row in left if all(_known(row, c) for c in columns)]
        lost = [row for row in left if row not in kept]
        steps.append(Step(len(kept), words, _reasons(lost, columns)))
        left = kept
    return tuple(steps)


def _known(row: Row, column: str) -> bool:
    return column in row and row[column].value is not None


def _lost(n: int, words: str) -> str:
    return f"{n} {words}" if n else ""


def _reasons(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Give the first thing missing of each row, the most frequent two in words."""
    reasons = Counter(next(row[c].reason for c in columns if not _known(row, c)) for row in rows)
    named = [f"{n} {reason}" for reason, n in reasons.most_common(2)]
    others = sum(reasons.values()) - sum(n for _, n in reasons.most_common(2))
    return "; ".join([*named, *([f"{others} others"] if others else [])])


def table_one(table: AnalysisTable, rows: Sequence[Row], names: Sequence[str], by: str) -> Iterator[TableOneRow]:
    """Median and quartiles of numbers, counts of levels; overall and by a column of 0 and 1."""
    groups = (rows, [r for r in rows if r[by].value is False], [r for r in rows if r[by].value is True])
    for name in names:
        column = next(c for c in table.columns if c.name == name)
        missing = sum(not _known(row, name) for row in rows)
        if column.kind in (ColumnType.NUMBER, ColumnType.WHOLE):
            label = f"{column.label}, {column.unit}" if column.unit else column.label
            overall, without, with_outcome = (_quartiles(group, column) for group in groups)
            yield TableOneRow(label, overall, without, with_outcome, missing)
            continue
        yield TableOneRow(column.label, "", "", "", missing)
        for level in sorted({str(row[name].value) for row in rows if _known(row, name)}):
            overall, without, with_outcome = (_share(group, name, level) for group in groups)
            yield TableOneRow(f"  {level}", overall, without, with_outcome, 0)


def _quartiles(rows: Sequence[Row], column: Column) -> str:
    values = [float(v) for row in rows if isinstance(v := row[column.name].value, float | int)]
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.3g}"
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return f"{middle:.3g} ({low:.3g} to {high:.3g})".replace("-", "−")


def _share(rows: Sequence[Row], name: str, level: str) -> str:
    known = [row for row in rows if _known(row, name)]
    n = sum(str(row[name].value) == level for row in known)
    return f"{n} ({100 * n / len(known):.0f} %)" if known else ""


def missing_rows(
    table: AnalysisTable, rows: Sequence[Row], names: Sequence[str]
) -> Iterator[tuple[str, int, int, str]]:
    """Give label, missing, rows and reasons of each column that lacks something."""
    labels = {c.name: c.label for c in table.columns}
    for name in names:
        gone = Counter(row[name].reason for row in rows if not _known(row, name))
        if gone:
            yield labels[name], sum(gone.values()), len(rows), "; ".join(f"{r}: {n}" for r, n in gone.most_common())


def numbers_of(
    rows: Sequence[Row], *names: str, keep: Callable[[Row], bool] = lambda _: True
) -> list[tuple[float, ...]]:
    """Give the values of columns in the rows that have them all."""
    found = []
    for row in rows:
        values = [row[name].value if name in row else None for name in names]
        if keep(row) and all(isinstance(v, float | int) for v in values):
            found.append(tuple(float(v) for v in values if isinstance(v, float | int)))
    return found
