"""Regression calibration: slopes of what was true, from what was measured with error."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.data_table import DataTable
from lutra.core.errors import OutsideValidity
from lutra.predict import fit_models, parse_spec
from lutra.simulate.table_trial import TableTrial, simulate_tables
from lutra.stats.measurement_error import expected_truth
from lutra.stats.multiplicity import benjamini_hochberg, holm


def test_without_error_nothing_changes() -> None:
    lesions = simulate_tables(TableTrial(dose_cv=0.0), 1).lesions
    dose = lesions["dose"].astype(float)
    assert expected_truth(dose, lesions["pat"].astype(int), 0.0) == pytest.approx(dose, rel=1e-6)


def test_large_values_shrink_and_the_mean_stays() -> None:
    lesions = simulate_tables(TableTrial(patients=400, dose_cv=0.4), 1).lesions
    measured, truth = lesions["dose"].astype(float), lesions["dose_true"].astype(float)
    found = expected_truth(measured, lesions["pat"].astype(int), 0.4)
    assert found.mean() == pytest.approx(truth.mean(), rel=0.03)
    largest = measured > np.quantile(measured, 0.95)
    assert measured[largest].mean() > 1.2 * truth[largest].mean()
    assert found[largest].mean() == pytest.approx(truth[largest].mean(), rel=0.06)
    assert np.std(found - truth) < np.std(measured - truth)


def test_errors_larger_than_the_spread_are_refused() -> None:
    lesions = simulate_tables(TableTrial(dose_cv=0.1), 1).lesions
    with pytest.raises(OutsideValidity, match="spread within patients"):
        expected_truth(lesions["dose"].astype(float), lesions["pat"].astype(int), 3.0)
    with pytest.raises(OutsideValidity, match="0 or less"):
        expected_truth(np.array([1.0, 0.0]), np.array([0, 1]), 0.1)


SPEC = """
cluster = "pat"
[[model]]
name = "corrected"
kind = "linear-mixed"
outcome = "y"
predictors = ["dose", "x_fdg", "x_adc"]
error_cv = { dose = 0.25 }
bootstrap = 60
family = "primary"
[[model]]
name = "fdg alone"
kind = "linear-mixed"
outcome = "y"
predictors = ["x_fdg"]
family = "primary"
"""


def tables(seed: int) -> tuple[DataTable, DataTable]:
    return simulate_tables(TableTrial(), seed).as_tables()


def test_a_corrected_model_gives_both_slopes_and_an_interval_of_patients() -> None:
    corrected, alone = fit_models(parse_spec(SPEC, "spec"), *tables(4))
    slope, plain = corrected.coefficients["dose"], corrected.numbers["uncorrected"]["dose"]
    assert abs(slope.estimate) > abs(plain["estimate"])
    assert slope.ci95[0] < slope.estimate < slope.ci95[1]
    assert slope.se > plain["se"]
    assert corrected.numbers["bootstrap"] == 60
    p = [corrected.coefficients["dose"].p or 0.0, alone.coefficients["x_fdg"].p or 0.0]
    assert [corrected.numbers["p_holm"], alone.numbers["p_holm"]] == pytest.approx(holm(p))


def test_the_bootstrap_is_the_same_for_the_same_seed() -> None:
    one, other = (fit_models(parse_spec(SPEC, "spec"), *tables(4))[0].coefficients for _ in range(2))
    assert one == other


# ---- several questions ----
def test_holm_and_benjamini_hochberg_by_hand() -> None:
    """As R's p.adjust gives them."""
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
