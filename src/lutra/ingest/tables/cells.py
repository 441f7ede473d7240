"""One cell of a clinical table: what it says, or which rule it breaks."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from math import isfinite
from zoneinfo import ZoneInfo

from attrs import frozen

from lutra.core.frozen import FrozenMap
from lutra.reference.data_dictionary import Field, redcap_code

Value = str | float | int | bool | date | datetime | None
EMPTY = frozenset({"", ".", "na", "n/a", "nan", "null"})


@frozen
class Broken:
    """A cell that cannot be taken, with the rule it breaks."""

    rule: str


def is_empty(text: str) -> bool:
    """Whether a cell says nothing."""
    return text.strip().lower() in EMPTY


def read_cell(field: Field, text: str, zone: ZoneInfo) -> Value | Broken:
    """Read a cell by its field; None of an empty one.

    Parameters
    ----------
    zone
        Applies to times that name none.
    """
    text = text.strip()
    if is_empty(text):
        return Broken("must not be empty") if field.required else None
    match field.type:
        case "number" | "integer":
            return _number(field, text)
        case "date":
            return _day(text)
        case "datetime":
            return _moment(text, zone)
        case "yesno" | "radio":
            return _code(field, text)
        case _:
            return text


def _number(field: Field, text: str) -> Value | Broken:
    unit = f" {field.unit}" if field.unit else ""
    try:
        value = float(text)
    except ValueError:
        comma = "; decimals are written with a point" if text.replace(",", ".", 1).replace(".", "", 1).isdigit() else ""
        return Broken(f"must be a number{f' of{unit}' if unit else ''}{comma}")
    if not isfinite(value):
        return Broken("must be a finite number")
    if (field.low is not None and value < field.low) or (field.high is not None and value > field.high):
        return Broken(f"must be {_range(field)}{unit}")
    if field.type == "integer":
        return int(value) if value == int(value) else Broken("must be a whole number")
    return value


def _range(field: Field) -> str:
    if field.low is None:
        return f"at most {field.high:g}"
    return f"at least {field.low:g}" if field.high is None else f"from {field.low:g} to {field.high:g}"


def _day(text: str) -> Value | Broken:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return Broken("must be a whole date, as 2026-03-31")


def _moment(text: str, zone: ZoneInfo) -> Value | Broken:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return Broken("must be a date and time, as 2026-03-31T10:15 or 2026-03-31T10:15+02:00")
    if len(text) <= len("2026-03-31"):
        return Broken("must have a time of day, as 2026-03-31T10:15")
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _code(field: Field, text: str) -> Value | Broken:
    code = _by_text(field.codes).get(text.lower())
    if code is None:
        shown = ", ".join(c if c == label else f"{c} ({label})" for c, label in field.codes.items())
        return Broken(f"must be one of: {shown}")
    return code == "1" if field.type == "yesno" else code


@cache
def _by_text(codes: FrozenMap[str, str]) -> dict[str, str]:
    """Code by everything that may be written for it, in small letters."""
    by_text = {redcap_code(code).lower(): code for code in codes}
    by_text |= {code.lower(): code for code in codes}
    return by_text | {label.lower(): code for code, label in codes.items()}
