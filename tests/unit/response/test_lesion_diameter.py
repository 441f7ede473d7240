"""The lesion-level criterion against RECIST 1.1 by hand, thresholds included."""

from __future__ import annotations

import pytest

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap
from lutra.core.response import ResponseAssessment, VisitValues
from lutra.response import LesionDiameter, ResponseSettings

DEFAULT = ResponseSettings().options()


def pairs(*long_mm: float) -> tuple[VisitValues, ...]:
    return tuple(VisitValues(f"series {n}", {"longest_diameter_mm": mm}) for n, mm in enumerate(long_mm))


def assess(*long_mm: float) -> tuple[ResponseAssessment, ...]:
    return LesionDiameter().assess("L01", pairs(*long_mm), DEFAULT).value


@pytest.mark.parametrize(
    ("long_mm", "categories"),
    [
        ((100, 71, 70), "SD PR"),  # -30 % exactly is a response
        ((50, 59, 60), "SD PD"),  # +20 % exactly is progression
        ((41, 49.2), "PD"),  # a threshold that binary arithmetic misses
        ((20, 24.9, 25), "SD PD"),  # +20 % is 4 mm, but 5 mm are needed
        ((100, 50, 60), "PR PD"),  # from the nadir of 50, though 40 % below baseline: PD before PR
        ((100, 50, 54), "PR PR"),
        ((40, 0, 0), "CR CR"),
        ((40, 0, 3, 5), "CR PR PD"),  # regrowth from 0 is measured in mm alone
        ((40, 30, 38), "SD PD"),  # nadir 30: +27 % and +8 mm
        ((40, 48, 48), "PD PD"),  # the nadir stays the baseline
    ],
)
def test_categories_by_hand(long_mm: tuple[float, ...], categories: str) -> None:
    assert [a.category for a in assess(*long_mm)] == categories.split()


def test_an_assessment_says_what_it_compared() -> None:
    (_, last) = assess(100, 50, 60)
    assert (last.series_uid, last.baseline, last.nadir, last.current) == ("series 2", 100, 50, 60)
    assert last.change_from_baseline == pytest.approx(-0.4)
    assert last.rule == "PD: +10.0 mm (+20%) from the nadir, at least +20% and +5 mm"


def test_the_study_may_choose_other_thresholds() -> None:
    choi = FrozenMap({"pr_relative": -0.10})
    (only,) = LesionDiameter().assess("L01", pairs(100, 89), choi).value
    assert only.category == "PR"


@pytest.mark.parametrize("settings", [{"pr_relativ": -0.1}, {"pr_relative": "10 %"}, {"pd_absolute_mm": True}])
def test_a_setting_nobody_knows_is_refused(settings: dict[str, float | str | bool]) -> None:
    with pytest.raises(ProtocolError, match=next(iter(settings))):
        LesionDiameter().assess("L01", pairs(100, 89), FrozenMap(settings))


@pytest.mark.parametrize("long_mm", [(), (20,), (0, 20)])
def test_no_baseline_no_category(long_mm: tuple[float, ...]) -> None:
    outcome = LesionDiameter().assess("L01", pairs(*long_mm), DEFAULT)
    assert outcome.value is None
    assert [finding.code for finding in outcome.findings] == ["response.no-baseline"]


def test_a_small_baseline_is_doubted() -> None:
    outcome = LesionDiameter().assess("L01", pairs(9.9, 15), DEFAULT)
    assert [finding.code for finding in outcome.findings] == ["response.baseline-not-measurable"]
    assert outcome.value[0].category == "PD"
