"""The two-level model of patients, piece by piece."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import OutsideValidity
from lutra.predict.patient_model import PatientModel, fit_patient_model, mean_lesion_probability, predict_patient
from lutra.stats.firth import firth_logistic


def model(intercept: float, slope: float = 0.0, sd_patient: float = 1e-9, sd_rest: float = 1e-9) -> PatientModel:
    return PatientModel(
        ("dose",), [intercept, slope], np.eye(2) * 1e-12, sd_patient, sd_rest, np.array([-2.0]), np.array([2.0])
    )


def predicted(m: PatientModel, sizes: list[float], dose: list[float], **more: np.ndarray) -> tuple[float, float, float]:
    value = predict_patient(m, np.array(dose)[:, None], np.array(sizes), 1, **more).value
    assert value is not None
    return value.response, value.growth, value.expected_change


def test_without_spread_the_sum_decides() -> None:
    """One lesion halves and one stays: of 60 and 20 mm the sum falls by 37.5 %, of 20 and 60 mm by 12.5 %."""
    halves = model(0.0, float(np.log(0.5)))
    assert predicted(halves, [60, 20], [1.0, 0.0]) == pytest.approx((1.0, 0.0, -0.375), abs=1e-6)
    assert predicted(halves, [20, 60], [1.0, 0.0]) == pytest.approx((0.0, 0.0, -0.125), abs=1e-6)


def test_progression_needs_five_millimetres() -> None:
    grows = model(float(np.log(1.25)))
    assert predicted(grows, [40], [0.0])[1] == pytest.approx(1.0)
    assert predicted(grows, [16], [0.0])[1] == pytest.approx(0.0)


def test_lesions_of_one_patient_go_together() -> None:
    """The patient's deviation does not average out over its lesions, that of each lesion does."""
    together = predicted(model(-0.2, sd_patient=0.3), [20] * 5, [0.0] * 5)[0]
    apart = predicted(model(-0.2, sd_rest=0.3), [20] * 5, [0.0] * 5)[0]
    assert together > apart + 0.05
    # One lesion: P(ratio <= .7) = Phi((log .7 + .2) / .3) = Phi(-.522) = .301.
    assert together == pytest.approx(0.301, abs=0.04)


def test_a_new_lesion_is_progression_and_no_response() -> None:
    arm = evolve(model(float(np.log(0.5))), new_lesion=np.array([0.0, 0.0]))
    value = predict_patient(arm, np.zeros((1, 1)), np.array([30.0]), 1, np.array([1.0])).value
    assert value is not None
    assert (value.response, value.new_lesion, value.progression) == pytest.approx((0.5, 0.5, 0.5))


def test_the_interval_of_progression_has_that_of_a_new_lesion() -> None:
    """The sum is certain to stay, so that PD is a new lesion: its logit has mean 0 and variance 1 + 4 * .25 = 2."""
    arm = evolve(model(0.0), new_lesion=np.array([0.0, 0.0]), new_lesion_covariance=np.diag([1.0, 0.25]))
    ends = []
    for seed in range(40):
        value = predict_patient(arm, np.zeros((1, 1)), np.array([30.0]), seed, np.array([2.0])).value
        assert value is not None
        assert value.stable_95 == pytest.approx((1 - value.progression_95[1], 1 - value.progression_95[0]), abs=1e-9)
        odds = np.array(value.progression_95) / (1 - np.array(value.progression_95))
        ends.append(np.log(odds))
    # Of 100 normal draws this quantile lies between the third and the fourth, at 1.872 sd, with an error of .27 sd: .06 over 40.
    assert np.mean(ends, axis=0) == pytest.approx(np.array([-1.872, 1.872]) * np.sqrt(2), abs=0.2)


def test_what_lies_outside_of_the_data_is_said() -> None:
    outcome = predict_patient(model(0.0), np.array([[3.0]]), np.array([30.0]), 1)
    assert [f.code for f in outcome.findings] == ["predict.extrapolates"]
    assert predict_patient(model(0.0), np.empty((0, 1)), np.empty(0), 1).value is None


def test_the_comparator_is_a_mean_of_lesions() -> None:
    one = model(-0.2, sd_rest=0.3)
    assert mean_lesion_probability(one, np.zeros((3, 1))) == pytest.approx(0.301, abs=1e-3)


def test_one_patient_makes_no_model() -> None:
    with pytest.raises(OutsideValidity):
        fit_patient_model(("dose",), np.arange(5.0)[:, None], np.arange(5.0), np.zeros(5, np.intp))


def test_firth_stays_finite_where_the_outcome_is_separated() -> None:
    """Heinze and Schemper's case in its smallest form: two groups of five, all and none; the log odds ratio is 2 log 11."""
    x = np.column_stack([np.ones(10), np.repeat([0.0, 1.0], 5)])
    b, covariance = firth_logistic(x, np.repeat([0.0, 1.0], 5))
    assert b[1] == pytest.approx(2 * np.log(11), rel=1e-6)
    assert np.isfinite(covariance).all()


def test_firth_refuses_what_another_column_makes_up() -> None:
    with pytest.raises(OutsideValidity):
        firth_logistic(np.ones((6, 2)), np.array([0.0, 1, 0, 1, 0, 1]))
