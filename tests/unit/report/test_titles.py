"""What a card claims, rule by rule; where no rule applies it names the quantity."""

from __future__ import annotations

from types import ModuleType

import pytest
from attrs import evolve

from lutra.report import titles


@pytest.mark.parametrize(
    ("tops", "said"),
    [
        ((60, 41), "Uptake falls by 32\u00a0% from cycle 1 to 2"),
        ((41, 60), "Uptake rises by 46\u00a0% from cycle 1 to 2"),
        ((60, 56), "Uptake is alike from cycle 1 to 2"),
        ((60,), "Activity over time"),
    ],
)
def test_curves(factory: ModuleType, tops: tuple[float, ...], said: str) -> None:
    assert titles.curve_title([factory.curve(c, top) for c, top in enumerate(tops, start=1)]) == said


@pytest.mark.parametrize(
    ("scans", "said"), [(1, "1 scan does not identify a curve"), (2, "2 scans do not identify a curve")]
)
def test_a_curve_that_is_not_identified_claims_nothing_else(factory: ModuleType, scans: int, said: str) -> None:
    curves = [factory.curve(1, 60), factory.curve(2, 20, identifiable=False, scans=scans)]
    assert titles.curve_title(curves) == said


def test_doses(factory: ModuleType) -> None:
    known = factory.dose(1, "sphere", 13.0, {"camera calibration": 1.5})
    unknown = factory.dose(1, "sphere", None, {}, "no mass")
    assert titles.dose_title([known]) == "Cycle 1: 13.0\u00a0±\u00a01.5\u00a0Gy"
    assert titles.dose_title([unknown, known]) == titles.dose_title([known])
    assert titles.dose_title([known, factory.dose(2, "sphere", 9.0, {})]) == "Absorbed dose in 2 cycles"
    assert titles.dose_title([unknown]) == "Absorbed dose cannot be determined"


def test_sizes(factory: ModuleType) -> None:
    complete, doubtful = factory.full_subject().lesions
    assert titles.size_title(complete) == "22\u00a0mm, −35\u00a0% from 34\u00a0mm: PR"
    assert titles.size_title(doubtful) == "Longest transversal diameter"


def test_subjects(factory: ModuleType) -> None:
    full = factory.full_subject()
    assert titles.subject_title(full) == "Absorbed dose of 2 lesions in 2 cycles; 1 undetermined"
    assert titles.subject_title(factory.empty_subject()) == "No usable image yet"
    assert titles.subject_title(factory.pet_subject()) == "1 lesion measured; no dose without a therapy SPECT"
    assert titles.subject_title(evolve(full, lesions=())) == "Images without lesions: whole-image numbers only"
    lesion = evolve(full.lesions[1], doses=full.lesions[1].doses[:1])
    assert titles.subject_title(evolve(full, lesions=(lesion,))) == "Absorbed dose cannot be determined"


def test_gaps_are_named_with_their_cost(factory: ModuleType) -> None:
    assert titles.missing_words(factory.full_subject()) == ()
    gaps = titles.missing_words(factory.pet_subject())
    assert gaps == ("no therapy SPECT, so no dose", "no CT, so no diameter on CT and no density", "no agreed weight")


@pytest.mark.parametrize(
    ("n", "said"), [(0, "No finding needs a person"), (1, "1 finding for a person"), (3, "3 findings for a person")]
)
def test_findings(n: int, said: str) -> None:
    assert titles.findings_title(n) == said
