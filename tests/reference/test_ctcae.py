"""Laboratory grades against the text of CTCAE 4.03, 5 and 6: every cell, from both sides of its bound."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lutra.core.errors import OutsideValidity, UnitMismatch
from lutra.reference.ctcae import VERSIONS, ctcae_grade, ctcae_grids

COUNT, PER_CENT = "10*9/L", 0.01
LLN = {"platelets": 150, "neutrophils": 1.8, "wbc": 4.0, "lymphocytes": 1.1, "haemoglobin": 12, "albumin": 35}
# As the criteria print them: the lowest values that still have grade 0, 1, 2, ....
FALLING = {
    ("platelets", COUNT, "4.03 5"): "LLN 75 50 25",
    ("platelets", COUNT, "6"): "LLN 75 50 10",
    ("neutrophils", COUNT, "4.03 5"): "LLN 1.5 1 0.5",
    ("neutrophils", COUNT, "6"): "1.5 1 0.5 0.1",
    ("wbc", COUNT, "4.03 5 6"): "LLN 3 2 1",
    ("lymphocytes", COUNT, "4.03 5 6"): "LLN 0.8 0.5 0.2",
    ("haemoglobin", "g/dL", "4.03 5 6"): "LLN 10 8",
    ("albumin", "g/L", "4.03 5 6"): "LLN 30 20",
}
# The highest values that still have grade 0, 1, 2, ...: multiples of ULN.
RISING = {
    ("creatinine", "umol/L"): "1 1.5 3 6",
    ("alt", "U/L"): "1 3 5 20",
    ("ast", "U/L"): "1 3 5 20",
    ("bilirubin", "umol/L"): "1 1.5 3 10",
    ("ggt", "U/L"): "1 2.5 5 20",
    ("alkaline_phosphatase", "U/L"): "1 2.5 5 20",
}
# Multiples of a baseline that was above ULN.
ABNORMAL = {
    ("alt", "5"): "1.5 3 5 20",
    ("alt", "6"): "1 1.5 2 4",
    ("ast", "5"): "1.5 3 5 20",
    ("ast", "6"): "1 1.5 2 4",
    ("bilirubin", "5"): "1 1.5 3 10",
    ("bilirubin", "6"): "1 1.5 2.5 10",
    ("ggt", "5"): "2 2.5 5 20",
    ("ggt", "6"): "1 1.5 3 10",
    ("alkaline_phosphatase", "5"): "2 2.5 5 20",
}


@pytest.mark.parametrize(
    ("analyte", "unit", "version", "text"),
    [(a, u, v, text) for (a, u, versions), text in FALLING.items() for v in versions.split()],
)
def test_every_cell_of_what_falls(analyte: str, unit: str, version: str, text: str) -> None:
    lln = LLN[analyte]
    bounds = [lln if word == "LLN" else float(word) for word in text.split()]
    assert len(ctcae_grids(version)[analyte].bounds) == len(bounds)
    for grade, bound in enumerate(bounds):
        for value, wanted in ((bound, grade), (bound * (1 - PER_CENT), grade + 1)):
            assert ctcae_grade(analyte, value, unit=unit, lln=lln, version=version).grade == wanted


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("analyte", "unit", "text"), [(*key, text) for key, text in RISING.items()])
def test_every_cell_of_what_rises(analyte: str, unit: str, text: str, version: str) -> None:
    if analyte not in ctcae_grids(version):
        pytest.skip("this version grades it otherwise")
    bounds = [40 * float(word) for word in text.split()]
    assert len(ctcae_grids(version)[analyte].bounds) == len(bounds)
    for grade, bound in enumerate(bounds):
        for value, wanted in ((bound, grade), (bound * (1 + PER_CENT), grade + 1)):
            assert ctcae_grade(analyte, value, unit=unit, uln=40, version=version).grade == wanted


@pytest.mark.parametrize(("analyte", "version"), ABNORMAL)
def test_every_cell_by_an_abnormal_baseline(analyte: str, version: str) -> None:
    """A patient whose baseline of 100 was above the limit of 40 is graded by multiples of 100."""
    unit = next(u for a, u in RISING if a == analyte)
    bounds = [100 * float(word) for word in ABNORMAL[analyte, version].split()]
    for grade, (bound, following) in enumerate(pairwise([*bounds, 1e6]), start=1):
        for value in (bound * (1 + PER_CENT), following * (1 - PER_CENT)):
            found = ctcae_grade(analyte, value, unit=unit, uln=40, baseline=100, version=version)
            assert found.grade == grade
    below = ctcae_grade(analyte, bounds[0] * (1 - PER_CENT), unit=unit, uln=40, baseline=100, version=version)
    assert below.grade == 0


def test_version_4_grades_transaminases_by_the_limit_alone() -> None:
    assert ctcae_grade("alt", 150, unit="U/L", uln=40, baseline=100, version="4.03").grade == 2
    assert ctcae_grade("alt", 150, unit="U/L", uln=40, baseline=100, version="5").grade == 1


def test_creatinine_by_the_patients_own_baseline() -> None:
    """80 is normal below a limit of 90, but 1.6 times a baseline of 50; version 6 looks there only if 50 is too low."""

    def of(value: float, version: str, lln: float | None = None) -> int | None:
        return ctcae_grade("creatinine", value, unit="umol/L", lln=lln, uln=90, baseline=50, version=version).grade

    assert ctcae_grade("creatinine", 80, unit="umol/L", uln=90).grade == 0
    assert (of(80, "4.03"), of(80, "5"), of(80, "6"), of(80, "6", lln=60)) == (2, 2, 0, 2)
    assert (of(60, "4.03"), of(60, "5")) == (1, 0)
    assert (of(151, "5"), of(280, "5"), of(541, "5")) == (3, 3, 4)


@pytest.mark.parametrize(("value", "grade"), [(5.0, 0), (5.1, 1), (5.5, 1), (5.6, 2), (6.1, 3), (7.0, 3), (7.1, 4)])
def test_potassium_that_is_too_high(value: float, grade: int) -> None:
    assert ctcae_grade("hyperkalaemia", value, unit="mmol/L", uln=5.0).grade == grade


@pytest.mark.parametrize(("value", "grade"), [(3.5, 0), (3.4, 2), (3.0, 2), (2.9, 3), (2.5, 3), (2.4, 4)])
def test_potassium_that_is_too_low_may_give_symptoms(value: float, grade: int) -> None:
    assert ctcae_grade("hypokalaemia", value, unit="mmol/L", lln=3.5).grade == grade


def test_neutrophils_of_point_eight_change_grade_with_the_version() -> None:
    grades = [ctcae_grade("neutrophils", 0.8, unit=COUNT, lln=1.8, version=v).grade for v in VERSIONS]
    assert grades == [3, 3, 2]


def test_what_cannot_be_graded_is_not_normal() -> None:
    assert ctcae_grade("platelets", None, unit=COUNT, lln=150).grade is None
    assert ctcae_grade("platelets", float("nan"), unit=COUNT, lln=150).grade is None
    unknown = ctcae_grade("platelets", 200, unit=COUNT)
    assert unknown.grade is None
    assert "limit of normal" in unknown.basis
    assert ctcae_grade("alt", 30, unit="U/L").grade is None


def test_a_count_below_a_number_is_graded_without_the_laboratorys_limit() -> None:
    assert ctcae_grade("platelets", 60, unit=COUNT).grade == 2


def test_an_unknown_baseline_is_said() -> None:
    assert "baseline not known" in ctcae_grade("alt", 130, unit="U/L", uln=40).basis


def test_unknown_versions_terms_and_units_are_refused() -> None:
    with pytest.raises(OutsideValidity, match="CTCAE 3"):
        ctcae_grade("platelets", 100, unit=COUNT, lln=150, version="3")
    with pytest.raises(OutsideValidity, match="no grades of alkaline_phosphatase by CTCAE 6"):
        ctcae_grade("alkaline_phosphatase", 100, unit="U/L", uln=150, version="6")
    with pytest.raises(UnitMismatch, match="haemoglobin in g/L"):
        ctcae_grade("haemoglobin", 120, unit="g/L", lln=130)
