"""How a number is written: rounding, doubt, unit. The rules are those of the design, section Numbers."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, isfinite, log10

from lutra.core.estimate import Estimate
from lutra.report.model import Number

NBSP = "\u00a0"
THIN = "\u2009"
MINUS = "\u2212"
UNDETERMINED = "undetermined"
NOT_EVALUATED = "u not evaluated"

UNIT_WORDS = {
    "[hnsf'U]": "HU",
    "g/mL{SUVbw}": "SUV",
    "mm2/s": "mm²/s",
    "{stored}": "as stored, unit unknown",
}
"""UCUM codes of images that are not words on a page."""


def decimals_of_uncertainty(sd: float) -> int:
    """Decimals to write: two digits of the uncertainty if it begins with 1 or 2, else one."""
    exponent = floor(log10(sd))
    leading = round(sd / 10**exponent, 1)
    if leading >= 9.5:
        exponent, leading = exponent + 1, 1.0
    digits = 2 if leading < 2.95 else 1
    return digits - 1 - exponent


def decimals_of_value(value: float) -> int:
    """Decimals of a value without an uncertainty: three significant digits."""
    return 2 if value == 0 else max(0, 2 - floor(log10(abs(value))))


def decimals_of_column(column: Iterable[Number]) -> int | None:
    """Decimals a whole column keeps: those of its most precise number; None if none has an uncertainty."""
    spreads = [spread for number in column if (spread := _spread(number))]
    return max(map(decimals_of_uncertainty, spreads), default=None)


def write(value: float, decimals: int) -> str:
    """Write a value with a true minus, and a thin space as thousands separator from 10 000."""
    rounded = round(value, decimals)
    text = f"{abs(rounded):.{max(decimals, 0)}f}"
    whole, point, rest = text.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", THIN)
    return (MINUS if rounded < 0 else "") + whole + point + rest


def value_text(number: Number, decimals: int | None = None) -> str:
    """Write the value alone, at the precision its uncertainty or its column deserves."""
    if number.estimate is None:
        return UNDETERMINED
    return write(number.estimate.value * number.factor, _decimals(number, decimals))


def doubt_text(number: Number, decimals: int | None = None, *, unit: bool = True, sources: bool = True) -> str:
    """Uncertainty and unit: `± 1.5 Gy`; `± 1.2 Gy at least; recovery not evaluated`; `Gy, u not evaluated`.

    Parameters
    ----------
    decimals
        Of the column, if there is one.
    unit
        False where the head of the column or row says it.
    sources
        False where there is no room to name what was not evaluated; `why` names it.
    """
    estimate = number.estimate
    if estimate is None:
        return ""
    symbol = f"{NBSP}{number.unit_shown}" if unit and number.unit_shown else ""
    spread = _spread(number)
    if not spread:
        return f"{symbol}, {NOT_EVALUATED}"
    text = f"{NBSP}±{NBSP}{write(spread, _decimals(number, decimals))}{symbol}"
    if estimate.not_evaluated:
        text += f"{NBSP}at{NBSP}least"
        if sources:
            text += f"; {_kinds(estimate)} not evaluated"
    return text


def plain_text(number: Number, decimals: int | None = None) -> str:
    """Value, doubt and unit in one line."""
    return value_text(number, decimals) + doubt_text(number, decimals)


def interval_text(number: Number) -> str:
    """Write the 95 % interval in words; of the evaluated sources only, where others are missing."""
    estimate = number.estimate
    if estimate is None:
        return number.reason or "It cannot be determined from what is there."
    missing = ", ".join(estimate.not_evaluated)
    if not _spread(number):
        return f"Its uncertainty was not evaluated{f': {missing}' if missing else ''}."
    low, high = (edge * number.factor for edge in estimate.evaluated_interval())
    decimals = _decimals(number, None)
    unit = f"{NBSP}{number.unit_shown}" if number.unit_shown else ""
    interval = f"95{NBSP}% interval {write(low, decimals)} to {write(high, decimals)}{unit}"
    if missing:
        return f"{interval} from the evaluated sources alone; not evaluated: {missing}."
    return f"{interval}."


def change_text(change: float) -> str:
    """Write a relative change in percent, with its sign."""
    percent = round(100 * change)
    sign = "+" if percent > 0 else MINUS if percent < 0 else ""
    return f"{sign}{abs(percent)}{NBSP}%"


def unit_text(ucum: str | None) -> str:
    """Write the unit of an image as a page shows it."""
    return UNDETERMINED if ucum is None else UNIT_WORDS.get(ucum, ucum)


def _spread(number: Number) -> float:
    """Give the evaluated standard uncertainty in the shown unit; 0 where nothing was evaluated."""
    if number.estimate is None:
        return 0.0
    spread = number.estimate.evaluated_sd * abs(number.factor)
    return spread if isfinite(spread) else 0.0


def _kinds(estimate: Estimate) -> str:
    """Kinds of the sources not evaluated: `recovery` for `recovery: L01`."""
    return ", ".join(dict.fromkeys(name.split(":")[0] for name in estimate.not_evaluated))


def _decimals(number: Number, of_column: int | None) -> int:
    if of_column is not None:
        return of_column
    spread = _spread(number)
    if spread:
        return decimals_of_uncertainty(spread)
    value = number.estimate.value * number.factor if number.estimate is not None else 0.0
    return decimals_of_value(value)
