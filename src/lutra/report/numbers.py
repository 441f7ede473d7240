"""How a number is written: rounding, doubt, unit. The rules are those of the design, section Numbers."""

from __future__ import annotations

from math import floor, isfinite, log10

from lutra.report.model import Number

NBSP = "\u00a0"
MINUS = "\u2212"
UNDETERMINED = "undetermined"


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


def write(value: float, decimals: int) -> str:
    """Write a value with a true minus, and a thin space as thousands separator from 10 000."""
    rounded = round(value, decimals)
    text = f"{abs(rounded):.{max(decimals, 0)}f}"
    whole, point, rest = text.partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", "\u2009")
    return (MINUS if rounded < 0 else "") + whole + point + rest


def value_text(number: Number) -> str:
    """Write the value alone, at the precision its uncertainty deserves."""
    if number.estimate is None:
        return UNDETERMINED
    value = number.estimate.value * number.factor
    return write(value, _decimals(number, value))


def doubt_text(number: Number) -> str:
    """Uncertainty and unit: `± 1.5 Gy`, or `Gy, u not evaluated`."""
    if number.estimate is None:
        return ""
    unit = f"{NBSP}{number.unit_shown}" if number.unit_shown else ""
    sd = number.estimate.sd
    if sd is None:
        return f"{unit}, u not evaluated".lstrip(", ") if unit else ", u not evaluated"
    decimals = _decimals(number, number.estimate.value * number.factor)
    return f"{NBSP}±{NBSP}{write(abs(sd * number.factor), decimals)}{unit}"


def plain_text(number: Number) -> str:
    """Value, doubt and unit in one line."""
    return value_text(number) + doubt_text(number)


def interval_text(number: Number) -> str:
    """Write the 95 % interval in words; of the evaluated sources only, where others are missing."""
    estimate = number.estimate
    if estimate is None:
        return number.reason or UNDETERMINED
    if not estimate.budget or all(sd is None for sd in estimate.budget.values()):
        missing = ", ".join(estimate.not_evaluated)
        return f"Its uncertainty was not evaluated{f': {missing}' if missing else ''}."
    low, high = (edge * number.factor for edge in estimate.evaluated_interval())
    decimals = _decimals(number, estimate.value * number.factor)
    unit = f"{NBSP}{number.unit_shown}" if number.unit_shown else ""
    interval = f"95{NBSP}% interval {write(low, decimals)} to {write(high, decimals)}{unit}"
    if estimate.not_evaluated:
        return f"{interval} from the evaluated sources alone; not evaluated: {', '.join(estimate.not_evaluated)}."
    return f"{interval}."


def change_text(change: float) -> str:
    """Write a relative change in percent, with its sign."""
    percent = round(100 * change)
    sign = "+" if percent > 0 else MINUS if percent < 0 else ""
    return f"{sign}{abs(percent)}{NBSP}%"


def _decimals(number: Number, value: float) -> int:
    estimate = number.estimate
    spread = estimate.evaluated_sd * abs(number.factor) if estimate is not None and estimate.sd is not None else 0.0
    if spread > 0 and isfinite(spread):
        return decimals_of_uncertainty(spread)
    return decimals_of_value(value)
