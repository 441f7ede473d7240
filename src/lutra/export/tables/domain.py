"""What every submission table has in common: variables with their labels and codes, keys, study days."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from attrs import frozen

Cell = str | int | float | None
Row = dict[str, Cell]
LONGEST_TEXT = 200
"""Of a text in a submission file."""


@frozen
class Variable:
    """One column.

    Parameters
    ----------
    label
        As the standard words it, at most 40 characters.
    type
        `text`, `integer`, `float`, `date` or `datetime`.
    origin
        `Collected`, `Derived` or `Assigned`.
    codes
        What may stand in it and what that means; empty where anything may.
    """

    name: str
    label: str
    type: str = "text"
    origin: str = "Collected"
    codes: tuple[tuple[str, str], ...] = ()


@frozen
class Domain:
    """One table: its name, what it holds and its columns.

    Parameters
    ----------
    structure
        What one row is.
    keys
        Columns that tell rows apart, in the order they are sorted by.
    kind
        Class of the standard's model.
    standard
        Whether the standard has this table; else it is the sponsor's.
    """

    name: str
    label: str
    structure: str
    variables: tuple[Variable, ...]
    keys: tuple[str, ...]
    kind: str = "FINDINGS"
    standard: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns, in their order."""
        return tuple(variable.name for variable in self.variables)

    def as_csv(self, rows: Iterable[Row]) -> str:
        """Write rows; what is missing is empty.

        Raises
        ------
        ValueError
            For a column that is not of this domain.
        """
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.names, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
        return text.getvalue()


def keys(study: str, domain: str, subject: str) -> Row:
    """Begin a row of a domain."""
    return {"STUDYID": study, "DOMAIN": domain, "USUBJID": subject}


def number_text(value: float) -> str:
    """Write a number as both the character and the numeric column of a result have it."""
    return f"{value:.10g}"


def numbered(rows: Iterable[Row], column: str) -> list[Row]:
    """Count the rows of each subject from 1 on."""
    seen: dict[Cell, int] = {}
    found = []
    for row in rows:
        seen[row["USUBJID"]] = seen.get(row["USUBJID"], 0) + 1
        found.append({**row, column: seen[row["USUBJID"]]})
    return found


def study_day(day: date | None, start: date | None) -> int | None:
    """Day of the study: the first day of treatment is 1, the day before it -1; there is no day 0."""
    if day is None or start is None:
        return None
    days = (day - start).days
    return days + 1 if days >= 0 else days


def iso(moment: date | datetime | None) -> str:
    """ISO 8601 as the standard asks for; of times to the minute, with their zone."""
    if moment is None:
        return ""
    return moment.isoformat(timespec="minutes") if isinstance(moment, datetime) else moment.isoformat()


def common(*, study: bool = True) -> Sequence[Variable]:
    """Columns that begin every domain."""
    first = (Variable("STUDYID", "Study Identifier", origin="Assigned"),) if study else ()
    return (
        *first,
        Variable("DOMAIN", "Domain Abbreviation", origin="Assigned"),
        Variable("USUBJID", "Unique Subject Identifier", origin="Assigned"),
    )


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return number_text(value) if isinstance(value, float) else str(value)
