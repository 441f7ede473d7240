"""NETPET grades by the table of Chan et al. 2017."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import OutsideValidity
from lutra.predict.netpet import netpet_grade, netpet_of_lesions

NAN = float("nan")


@pytest.mark.parametrize(
    ("fdg", "sstr", "grade"),
    [
        (0.0, 0.0, 0),
        (2.0, 4.0, 0),  # at the background is not above it
        (1.5, 20.0, 1),
        (3.0, 20.0, 2),
        (6.0, 10.0, 3),
        (6.0, 9.6, 3),  # a quarter more is still alike, either way
        (4.8, 12.0, 3),
        (6.0, 9.5, 4),
        (4.8, 12.1, 2),
        (20.0, 5.0, 4),
        (8.0, 3.0, 5),
    ],
)
def test_the_grade_of_a_lesion(fdg: float, sstr: float, grade: int) -> None:
    """Backgrounds of 2 and 4: uptakes are alike where FDG is half of the other."""
    assert netpet_of_lesions(fdg, sstr, 2.0, 4.0).tolist() == [grade]


@pytest.mark.parametrize(
    ("fdg", "sstr", "background"),
    [(NAN, 20.0, 2.0), (NAN, 1.0, 2.0), (8.0, NAN, 2.0), (1.0, NAN, 2.0), (8.0, 9.0, NAN)],
)
def test_a_lesion_without_one_of_the_scans_has_no_grade(fdg: float, sstr: float, background: float) -> None:
    assert np.isnan(netpet_of_lesions(fdg, sstr, background, 4.0)).all()
    assert netpet_grade(fdg, sstr, background, 4.0) is None


def test_a_patient_has_the_grade_of_its_worst_lesion_and_the_number_of_these() -> None:
    fdg, sstr = [1.0, 10, 10, 10], [20.0, 5, 5, 15]
    found = netpet_grade(fdg, sstr, 2.0, 4.0)
    assert found is not None
    assert (found.grade, found.lesions, found.text) == (4, 3, "P4b")
    two = netpet_grade(fdg[:3], sstr[:3], 2.0, 4.0)
    assert two is not None
    assert two.text == "P4a"
    mild = netpet_grade([1.0, 1, 1], [20.0, 20, 1], 2.0, 4.0)
    assert mild is not None
    assert mild.text == "P1"


def test_a_lesion_without_a_grade_leaves_only_the_worst_grade_certain() -> None:
    assert netpet_grade([1.0, NAN], [20.0, 20], 2.0, 4.0) is None
    found = netpet_grade([10.0, NAN], [1.0, 20], 2.0, 4.0)
    assert found is not None
    assert found.grade == 5
    assert netpet_grade([], [], 2.0, 4.0) is None


@pytest.mark.parametrize(
    ("fdg", "sstr", "fdg_background", "sstr_background", "similar"),
    [(-1.0, 5, 2, 4, 1.25), (5.0, -5, 2, 4, 1.25), (5.0, 5, 0, 4, 1.25), (5.0, 5, 2, -4, 1.25), (5.0, 5, 2, 4, 0.8)],
)
def test_impossible_uptakes_are_refused(
    fdg: float, sstr: float, fdg_background: float, sstr_background: float, similar: float
) -> None:
    with pytest.raises(OutsideValidity):
        netpet_grade(fdg, sstr, fdg_background, sstr_background, similar)
