"""Laboratory grades against the text of CTCAE."""

from __future__ import annotations

import pytest

from lutra.core.errors import OutsideValidity
from lutra.reference.ctcae import ctcae_grade


@pytest.mark.parametrize(
    ("analyte", "value", "grade"),
    [
        *(
            ("platelets", v, g)
            for v, g in ((150, 0), (149.9, 1), (75, 1), (74.9, 2), (50, 2), (49, 3), (25, 3), (24, 4))
        ),
        *(("neutrophils", v, g) for v, g in ((1.8, 0), (1.7, 1), (1.49, 2), (0.99, 3), (0.8, 3), (0.49, 4))),
        *(("haemoglobin", v, g) for v, g in ((12, 0), (10, 1), (9.9, 2), (8, 2), (7.9, 3), (3, 3))),
    ],
)
def test_low_counts(analyte: str, value: float, grade: int) -> None:
    lln = {"platelets": 150, "neutrophils": 1.8, "haemoglobin": 12}[analyte]
    assert ctcae_grade(analyte, value, lln=lln) == grade


@pytest.mark.parametrize(("value", "grade"), [(35, 0), (36, 1), (105, 1), (106, 2), (175, 2), (176, 3), (701, 4)])
def test_transaminases_are_multiples_of_the_limit(value: float, grade: int) -> None:
    assert ctcae_grade("alt", value, uln=35) == grade


def test_creatinine_by_the_patients_own_baseline() -> None:
    """80 is normal below a limit of 90, but 1.6 times a baseline of 50: grade 2."""
    assert ctcae_grade("creatinine", 80, uln=90) == 0
    assert ctcae_grade("creatinine", 80, uln=90, baseline=50) == 2


def test_neutrophils_of_point_eight_change_grade_with_the_version() -> None:
    assert ctcae_grade("neutrophils", 0.8, lln=1.8, version="5") == 3
    assert ctcae_grade("neutrophils", 0.8, lln=1.8, version="6") == 2


def test_what_cannot_be_graded_is_not_normal() -> None:
    assert ctcae_grade("platelets", None, lln=150) is None
    assert ctcae_grade("platelets", float("nan"), lln=150) is None
    assert ctcae_grade("platelets", 200) is None


def test_unknown_version_is_refused() -> None:
    with pytest.raises(OutsideValidity, match="CTCAE 3"):
        ctcae_grade("platelets", 100, lln=150, version="3")
