"""How numbers are written, against the rules and examples of the design."""

from __future__ import annotations

import pytest

from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.report import numbers
from lutra.report.model import Number


def number(value: float | None, sd: float | None = None, unit: str = "Gy", missing: str = "") -> Number:
    budget: dict[str, float | None] = {} if sd is None else {"a": sd}
    if missing:
        budget[missing] = None
    estimate = None if value is None else Estimate(value, Unit.GY, FrozenMap(budget))
    return Number("q", "Q", estimate, unit, 1.0, "no scan", "k", (), "r")


@pytest.mark.parametrize(
    ("value", "sd", "text"),
    [
        (13.04, 1.49, "13.0 ± 1.5 Gy"),
        (0.9, 0.32, "0.9 ± 0.3 Gy"),
        (80.2, 9.1, "80 ± 9 Gy"),
        (5.123, 0.213, "5.12 ± 0.21 Gy"),
        (-3.14159, 0.06, "−3.14 ± 0.06 Gy"),
        (99.6, 0.97, "99.6 ± 1.0 Gy"),
        (123456.0, 1500.0, "123\u2009500 ± 1500 Gy"),
    ],
)
def test_value_and_uncertainty(value: float, sd: float, text: str) -> None:
    assert numbers.plain_text(number(value, sd)).replace(numbers.NBSP, " ") == text


def test_not_evaluated_is_said_and_never_zero() -> None:
    assert numbers.plain_text(number(4.1)).replace(numbers.NBSP, " ") == "4.10 Gy, u not evaluated"
    half = number(4.1, 0.5, missing="recovery")
    assert "at least; recovery not evaluated" in numbers.plain_text(half).replace(numbers.NBSP, " ")
    assert "evaluated sources alone; not evaluated: recovery" in numbers.interval_text(half)


def test_undetermined_is_a_word_with_a_reason() -> None:
    assert numbers.plain_text(number(None)) == "undetermined"
    assert numbers.interval_text(number(None)) == "no scan"


@pytest.mark.parametrize(("change", "text"), [(-0.31, "−31 %"), (0.2, "+20 %"), (0.001, "0 %")])
def test_change_has_its_sign(change: float, text: str) -> None:
    assert numbers.change_text(change).replace(numbers.NBSP, " ") == text
