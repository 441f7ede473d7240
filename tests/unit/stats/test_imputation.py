"""Imputation of lesions in patients, and Rubin's rules."""

import numpy as np
import pytest

from lutra.core.errors import OutsideValidity
from lutra.stats.imputation import impute, pool


def test_rubins_rules_by_hand() -> None:
    """Five estimates with their variances; by the formulas of Barnard and Rubin, step by step."""
    q, u, complete = np.array([1.0, 1.2, 0.8, 1.1, 0.9]), np.array([0.04, 0.05, 0.04, 0.03, 0.04]), 48.0
    between, within = 0.025, 0.04
    total = within + 1.2 * between
    share = 1.2 * between / total
    old = 4 / share**2
    observed = 49 / 51 * 48 * (1 - share)
    found = pool(q[:, None], u[:, None], complete)
    assert found.estimate[0] == pytest.approx(1.0)
    assert found.se[0] == pytest.approx(total**0.5)
    assert found.df[0] == pytest.approx(old * observed / (old + observed))
    ratio = 1.2 * between / within
    assert found.missing_information[0] == pytest.approx((ratio + 2 / (found.df[0] + 3)) / (ratio + 1))
    assert found.ci95[0, 0] < 1 < found.ci95[0, 1]


def test_sets_that_agree_are_one_set() -> None:
    found = pool(np.full((5, 1), 2.0), np.full((5, 1), 0.25), 30.0)
    assert found.se[0] == pytest.approx(0.5)
    assert found.df[0] == pytest.approx(31 / 33 * 30)
    assert found.missing_information[0] < 0.1


def _lesions(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), 5)
    grade = (rng.random(60) < 0.4).astype(float)[groups]
    x = rng.normal(size=60)[groups] + rng.normal(size=300)
    y = 0.5 * x + 0.4 * grade + rng.normal(0, 0.5, 60)[groups] + rng.normal(0, 0.5, 300)
    shrunk = (y + rng.normal(0, 0.5, 300) > 0).astype(float)
    return np.column_stack([y, x, grade, shrunk]), groups


def test_what_is_known_stays_and_kinds_are_kept() -> None:
    values, groups = _lesions()
    gaps = values.copy()
    rng = np.random.default_rng(2)
    gaps[rng.random(300) < 0.2, 1] = np.nan
    gaps[rng.random(300) < 0.2, 3] = np.nan
    gaps[np.isin(groups, (3, 9)), 2] = np.nan
    sets = impute(gaps, groups, 4, 1)
    known = ~np.isnan(gaps)
    for filled in sets:
        assert np.array_equal(filled[known], gaps[known])
        assert set(np.unique(filled[:, 3])) == {0.0, 1.0}
        assert set(np.unique(filled[:, 2])) == {0.0, 1.0}
        for patient in (3, 9):
            assert np.ptp(filled[groups == patient, 2]) == 0
    assert not np.array_equal(sets[0], sets[1])
    assert np.array_equal(sets, impute(gaps, groups, 4, 1))


def test_a_value_known_in_one_lesion_of_a_patient_is_that_of_all() -> None:
    values, groups = _lesions()
    gaps = values.copy()
    gaps[[0, 1, 2, 3], 2] = np.nan
    assert (impute(gaps, groups, 2, 1)[:, :5, 2] == values[4, 2]).all()


def test_relations_survive() -> None:
    """Two thirds of the outcomes of half of the lesions gone by what x says: the slope of complete data comes back."""
    values, groups = _lesions(3)
    gaps = values[:, :2].copy()
    gaps[(values[:, 1] > 0.2) & (np.random.default_rng(4).random(300) < 0.66), 0] = np.nan
    slopes = [np.polyfit(filled[:, 1], filled[:, 0], 1)[0] for filled in impute(gaps, groups, 20, 5)]
    assert np.mean(slopes) == pytest.approx(np.polyfit(values[:, 1], values[:, 0], 1)[0], abs=0.06)


def test_shifts_move_imputed_values_only() -> None:
    values, groups = _lesions()
    gaps = values[:, :2].copy()
    gaps[:40, 0] = np.nan
    plain, moved = (impute(gaps, groups, 3, 1, shift=(d, 0.0)) for d in (0.0, 2.0))
    assert np.array_equal(plain[:, 40:], moved[:, 40:])
    assert (moved - plain)[:, :40, 0].mean() == pytest.approx(2.0)


def test_too_little_to_impute_from_is_named() -> None:
    values, groups = _lesions()
    values[9:, 1] = np.nan
    with pytest.raises(OutsideValidity, match="dose is known in 9 rows"):
        impute(values, groups, 2, 1, names=("y", "dose", "grade", "shrunk"))
    values[:, 1] = 1.0
    values[0, 1] = np.nan
    with pytest.raises(OutsideValidity, match="never differs"):
        impute(values, groups, 2, 1)
