"""How numbers are written, against the examples and rules of the interface design."""

from __future__ import annotations

from types import ModuleType

import pytest

from lutra.report import numbers


@pytest.mark.parametrize(
    ("value", "sd", "written"),
    [
        (13.04, 1.54, "13.0 ± 1.5 Gy"),
        (4.1, 0.21, "4.10 ± 0.21 Gy"),
        (80.2, 6.4, "80 ± 6 Gy"),
        (4.13, 0.5, "4.1 ± 0.5 Gy"),
        (27.4, 2.96, "27 ± 3 Gy"),  # 2.96 rounds to 3.0, which begins with 3
        (5.0, 0.0996, "5.00 ± 0.10 Gy"),  # and 0.0996 to 0.10, which begins with 1
        (-31.2, 1.9, "−31.2 ± 1.9 Gy"),
        (9999.0, 120.0, "10\u2009000 ± 120 Gy"),
        (1234.0, 31.0, "1230 ± 30 Gy"),
    ],
)
def test_value_and_doubt_end_at_the_same_decimal(factory: ModuleType, value: float, sd: float, written: str) -> None:
    n = factory.number("absorbed-dose", value, "Gy", {"camera calibration": sd})
    assert numbers.plain_text(n) == written.replace(" ", numbers.NBSP).replace("−", numbers.MINUS)


@pytest.mark.parametrize("budget", [{}, {"recovery: L01": None}, {"voxel": 0.0}])
def test_not_evaluated_is_never_plus_minus_zero(factory: ModuleType, budget: dict[str, float | None]) -> None:
    n = factory.number("absorbed-dose", 4.1, "Gy", budget)
    assert numbers.plain_text(n) == f"4.10{numbers.NBSP}Gy, u not evaluated"
    assert "not evaluated" in numbers.interval_text(n)


def test_number_without_unit_has_no_stray_space(factory: ModuleType) -> None:
    assert numbers.plain_text(factory.number("suv-max", 6.21, "")) == "6.21, u not evaluated"


def test_evaluated_part_is_called_a_lower_bound(factory: ModuleType) -> None:
    n = factory.number(
        "absorbed-dose", 4.1, "Gy", {"camera calibration": 1.2, "recovery: L02": None, "recovery: L03": None}
    )
    nb = numbers.NBSP
    assert numbers.doubt_text(n) == f"{nb}±{nb}1.2{nb}Gy{nb}at{nb}least; recovery not evaluated"
    assert numbers.doubt_text(n, sources=False, unit=False) == f"{nb}±{nb}1.2{nb}at{nb}least"
    assert "from the evaluated sources alone; not evaluated: recovery: L02, recovery: L03" in numbers.interval_text(n)


def test_undetermined_is_a_word_with_its_reason(factory: ModuleType) -> None:
    n = factory.number("absorbed-dose", None, "Gy", reason="no weight")
    assert numbers.plain_text(n) == "undetermined"
    assert numbers.interval_text(n) == "no weight"


def test_interval_in_words(factory: ModuleType) -> None:
    """13.0 ± 1.5: 13.0 - 1.96 x 1.5 = 10.06 and 13.0 + 1.96 x 1.5 = 15.94."""
    n = factory.number("absorbed-dose", 13.0, "Gy", {"camera calibration": 1.5})
    assert numbers.interval_text(n) == f"95{numbers.NBSP}% interval 10.1 to 15.9{numbers.NBSP}Gy."


def test_shown_unit_scales_value_and_doubt_alike(factory: ModuleType) -> None:
    n = factory.number("adc-mean", 1.024, "10⁻³ mm²/s", {"noise": 0.021})
    assert n.estimate.value == pytest.approx(1.024e-3)
    assert numbers.value_text(n) + numbers.doubt_text(n, unit=False) == "1.024 ± 0.021".replace(" ", numbers.NBSP)


def test_column_keeps_the_decimals_of_its_most_precise_number(factory: ModuleType) -> None:
    """The design's marrow example: 0.32 alone would end at one digit, its column at two decimals."""
    marrow = factory.number("absorbed-dose", 0.9, "Gy", {"s": 0.32})
    column = [
        marrow,
        factory.number("absorbed-dose", 1.4, "Gy", {"s": 0.21}),
        factory.number("absorbed-dose", None, "Gy"),
    ]
    assert numbers.plain_text(marrow) == "0.9 ± 0.3 Gy".replace(" ", numbers.NBSP)
    places = numbers.decimals_of_column(column)
    assert numbers.plain_text(marrow, places) == "0.90 ± 0.32 Gy".replace(" ", numbers.NBSP)


def test_column_without_uncertainties_has_no_common_precision(factory: ModuleType) -> None:
    assert numbers.decimals_of_column([factory.number("suv-max", 6.2, "")]) is None


@pytest.mark.parametrize(
    ("change", "written"), [(-0.31, "−31\u00a0%"), (0.204, "+20\u00a0%"), (0.0, "0\u00a0%"), (-0.004, "0\u00a0%")]
)
def test_change_has_a_sign_unless_it_rounds_to_zero(change: float, written: str) -> None:
    assert numbers.change_text(change) == written


@pytest.mark.parametrize(
    ("value", "decimals", "written"),
    [(9999.4, 0, "9999"), (12345.6, 1, "12\u2009345.6"), (-0.04, 1, "0.0"), (1234.0, -2, "1200")],
)
def test_thousands_and_zero(value: float, decimals: int, written: str) -> None:
    assert numbers.write(value, decimals) == written
