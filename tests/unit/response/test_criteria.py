"""PERCIST, EORTC and Choi by hand, thresholds included."""

from __future__ import annotations

import pytest

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap
from lutra.core.response import VisitValues
from lutra.pipeline import plugins

LIVER = {"liver_sul_mean": 1.2, "liver_sul_sd": 0.1}


def category(name: str, *visits: dict[str, float], new: bool = False, **settings: float) -> str:
    _, criterion = plugins.load("response", name)
    last = len(visits) - 1
    seen = tuple(VisitValues(f"v{n}", v, new and n == last) for n, v in enumerate(visits))
    outcome = criterion.assess("L01", seen, FrozenMap(settings))
    assert outcome.value is not None
    assert outcome.value[-1].rule.startswith(outcome.value[-1].category)
    return str(outcome.value[-1].category)


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (3.0, 2.3, "SMD"),  # -23 %
        (2.0, 1.3, "SMD"),  # -35 % and -0.7: the 0.8 rule
        (4.0, 2.8, "PMR"),  # -30 % exactly, -1.2
        (4.0, 2.81, "SMD"),
        (2.0, 2.8, "PMD"),  # +40 %, +0.8 exactly
        (2.0, 2.79, "SMD"),
        (10.0, 12.9, "SMD"),  # +29 %
        (10.0, 13.0, "PMD"),
        (5.0, 1.2, "CMR"),  # not above the liver
    ],
)
def test_percist(before: float, after: float, wanted: str) -> None:
    assert category("percist", {"sul_peak": before, **LIVER}, {"sul_peak": after, **LIVER}) == wanted


def test_percist_progression_by_glycolysis_and_new_lesions() -> None:
    assert category("percist", {"sul_peak": 4.0, "tlg": 100.0}, {"sul_peak": 4.0, "tlg": 175.0}) == "PMD"
    assert category("percist", {"sul_peak": 4.0, "tlg": 100.0}, {"sul_peak": 4.0, "tlg": 174.0}) == "SMD"
    assert category("percist", {"sul_peak": 4.0}, {"sul_peak": 2.0}, new=True) == "PMD"


@pytest.mark.parametrize(("peak", "codes"), [(1.9, ["response.baseline-not-measurable"]), (2.1, [])])
def test_percist_asks_for_a_baseline_above_the_liver(peak: float, codes: list[str]) -> None:
    """1.5 x 1.2 + 2 x 0.1 = 2.0."""
    _, criterion = plugins.load("response", "percist")
    visits = (VisitValues("a", {"sul_peak": peak, **LIVER}), VisitValues("b", {"sul_peak": 1.0, **LIVER}))
    assert [f.code for f in criterion.assess("L01", visits, FrozenMap()).findings] == codes
    bare = (VisitValues("a", {"sul_peak": peak}), VisitValues("b", {"sul_peak": 1.0}))
    assert [f.code for f in criterion.assess("L01", bare, FrozenMap()).findings] == ["response.liver-not-known"]


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [(8.0, 6.0, "PMR"), (8.0, 6.1, "SMD"), (8.0, 10.0, "PMD"), (8.0, 9.9, "SMD")],
)
def test_eortc(before: float, after: float, wanted: str) -> None:
    assert category("eortc", {"suv_max": before}, {"suv_max": after}) == wanted


def test_eortc_after_one_cycle_and_down_to_the_background() -> None:
    assert category("eortc", {"suv_max": 8.0}, {"suv_max": 6.8}, relative_response=0.15) == "PMR"
    assert category("eortc", {"suv_max": 8.0}, {"suv_max": 1.5, "background_suv_mean": 1.6}) == "CMR"


@pytest.mark.parametrize(
    ("after_mm", "after_hu", "wanted"),
    [
        (90.0, 100.0, "PR"),  # -10 % of size
        (91.0, 100.0, "SD"),
        (100.0, 85.0, "PR"),  # -15 % of density
        (100.0, 86.0, "SD"),
        (110.0, 100.0, "PD"),
        (110.0, 80.0, "PR"),  # grown, and answers by density
        (109.0, 100.0, "SD"),
        (0.0, 0.0, "CR"),
    ],
)
def test_choi(after_mm: float, after_hu: float, wanted: str) -> None:
    first = {"longest_diameter_mm": 100.0, "hu_mean": 100.0}
    assert category("choi", first, {"longest_diameter_mm": after_mm, "hu_mean": after_hu}) == wanted


def test_choi_without_density_goes_by_size() -> None:
    assert category("choi", {"longest_diameter_mm": 100.0}, {"longest_diameter_mm": 89.0}) == "PR"


@pytest.mark.parametrize("name", ["percist", "eortc", "choi"])
def test_without_a_baseline_there_is_no_response(name: str) -> None:
    _, criterion = plugins.load("response", name)
    outcome = criterion.assess("L01", (VisitValues("a", {}),), FrozenMap())
    assert outcome.value is None
    assert outcome.findings[0].code == "response.no-baseline"


@pytest.mark.parametrize("name", ["percist", "eortc", "choi"])
def test_a_setting_nobody_knows_is_refused(name: str) -> None:
    _, criterion = plugins.load("response", name)
    with pytest.raises(ProtocolError, match="sise"):
        criterion.assess("L01", (), FrozenMap({"sise": 0.1}))
