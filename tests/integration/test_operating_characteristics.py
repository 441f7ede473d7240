"""The primary model on 400 virtual trials: type I error, coverage, and slopes corrected for the error of the dose."""

from __future__ import annotations

import pytest

from lutra.simulate.power import PowerSpec, operating_characteristics
from lutra.simulate.table_trial import TableTrial

WORKERS = 2


def test_type_i_error_and_coverage() -> None:
    null = PowerSpec(TableTrial(dose=0.0, fdg=0.0, dose_cv=0.0))
    real = PowerSpec(TableTrial(dose_cv=0.0), replicates=1200)
    for found in operating_characteristics(null, WORKERS):
        assert 0.03 <= found.rejected <= 0.07, found
    for found in operating_characteristics(real, WORKERS):
        assert 0.92 <= found.coverage_robust <= 0.97, found
        # Lesions that shrink most vary most in the logarithm of their ratio, which the model does not know: its own interval of the
        # dose holds the truth in 90 % (of 2000 trials 90.5; 94.2 without reader error).
        assert found.coverage >= (0.87 if found.predictor == "x_dose" else 0.92), found


@pytest.mark.parametrize("cv", [0.25, 0.40])
def test_the_corrected_slope_is_right_within_three_percent(cv: float) -> None:
    plan = PowerSpec(TableTrial(dose_cv=cv), correct_dose=True)
    dose = operating_characteristics(plan, WORKERS)[0]
    assert dose.mean / dose.truth == pytest.approx(1.0, abs=0.03)


def test_without_correction_the_slope_shrinks() -> None:
    dose = operating_characteristics(PowerSpec(TableTrial(dose_cv=0.25)), WORKERS)[0]
    assert dose.mean / dose.truth == pytest.approx(0.82, abs=0.03)
    assert dose.coverage < 0.7
