"""Validation by patient: nothing that has seen a patient may judge it."""

import numpy as np
import pytest

from lutra.core.errors import OutsideValidity
from lutra.stats import performance
from lutra.stats.validation import (
    Codes,
    Predictor,
    cut_off,
    folds_by_patient,
    refuse_divided_patients,
    resampled,
    validate,
)


def _least_squares(x: np.ndarray, y: np.ndarray):  # type: ignore[no-untyped-def]
    def fit(rows: Codes, codes: Codes) -> Predictor:
        b, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(rows)), x[rows]]), y[rows], rcond=None)
        return lambda new: np.column_stack([np.ones(len(new)), new]) @ b

    return fit


def test_folds_never_divide_a_patient_and_hold_everybody_once() -> None:
    patients = np.repeat(np.arange(23), 4)
    held = []
    for to_fit, out in folds_by_patient(patients, 5, np.random.default_rng(1)):
        assert not set(patients[to_fit]) & set(patients[out])
        held += out.tolist()
    assert sorted(held) == list(range(92))


def test_a_divided_patient_is_refused_by_name() -> None:
    with pytest.raises(OutsideValidity, match="patient P7 is on both sides"):
        refuse_divided_patients(["P1", "P7"], ["P7", "P9"])


def test_a_patient_drawn_twice_is_two() -> None:
    rows, codes = resampled(np.array([0, 0, 1, 2]), np.random.default_rng(0))
    assert len(np.unique(codes)) == 3
    assert len(rows) == len(codes)


def test_optimism_is_what_theory_says() -> None:
    """Noise predictors: expected R2 in the sample is p / (n - 1), and a corrected one must come back to about 0 or below."""
    rng = np.random.default_rng(3)
    seeming, corrected = [], []
    for _ in range(20):
        x, y = rng.normal(size=(60, 6)), rng.normal(size=60)
        found = validate(
            _least_squares(x, y), x, y, np.arange(60), performance.of_numbers, samples=60, folds=5, repeats=2, seed=1
        )
        seeming.append(found.apparent["r2"])
        corrected.append(found.corrected["r2"])
    assert np.mean(seeming) == pytest.approx(6 / 59, abs=0.03)
    assert np.mean(corrected) < -0.05


def test_out_of_fold_predictions_come_of_other_patients_only() -> None:
    """A model that remembers the outcomes of its patients knows nothing of those it has not seen."""
    patients = np.repeat(np.arange(20), 3)
    y = np.random.default_rng(2).normal(size=20)[patients]

    def fit(rows: Codes, codes: Codes) -> Predictor:
        memory = dict(zip(patients[rows].tolist(), y[rows].tolist(), strict=True))
        return lambda x: np.array([memory.get(int(p), 0.0) for p in x[:, 0]])

    found = validate(
        fit,
        patients[:, None].astype(float),
        y,
        patients,
        performance.of_numbers,
        samples=20,
        folds=4,
        repeats=2,
        seed=1,
    )
    assert found.apparent["r2"] == pytest.approx(1)
    assert found.out_of_fold == pytest.approx(0)


def test_samples_without_a_model_are_counted_and_too_many_refused() -> None:
    x, y = np.arange(20.0)[:, None], np.arange(20.0)
    calls = iter(range(10_000))

    def sometimes(rows: Codes, codes: Codes) -> Predictor | None:
        return None if next(calls) in (3, 8) else _least_squares(x, y)(rows, codes)

    found = validate(sometimes, x, y, np.arange(20), performance.of_numbers, samples=20, folds=4, repeats=1, seed=1)
    assert found.failed == 2

    def seldom(rows: Codes, codes: Codes) -> Predictor | None:
        return _least_squares(x, y)(rows, codes) if len(set(codes)) == 20 and rows[0] == 0 else None

    with pytest.raises(OutsideValidity, match="of 20 samples"):
        validate(seldom, x, y, np.arange(20), performance.of_numbers, samples=20, folds=4, repeats=1, seed=1)


def test_a_split_by_lesion_flatters_a_learner_and_one_by_patient_does_not() -> None:
    """Nearest neighbours on a trait of the patient that means nothing: only a split by lesion finds something in it."""
    rng = np.random.default_rng(11)
    patients = np.repeat(np.arange(60), 6)
    trait = rng.normal(size=60)[patients]
    y = (rng.normal(size=60)[patients] * 1.5 + rng.normal(size=360) > 0.8).astype(float)

    def neighbours(to_fit: np.ndarray, held: np.ndarray) -> np.ndarray:
        distance = np.abs(trait[held][:, None] - trait[to_fit][None, :])
        return np.asarray(y[to_fit][np.argsort(distance, axis=1)[:, :5]].mean(axis=1))

    by_lesion = np.empty(360)
    for held in np.array_split(rng.permutation(360), 5):
        rest = np.setdiff1d(np.arange(360), held)
        by_lesion[held] = neighbours(rest, held)
        with pytest.raises(OutsideValidity, match="both sides"):
            refuse_divided_patients(patients[rest].tolist(), patients[held].tolist())
    by_patient = np.empty(360)
    for rest, held in folds_by_patient(patients, 5, rng):
        by_patient[held] = neighbours(rest, held)
    assert performance.area(by_lesion, y) > 0.7
    assert abs(performance.area(by_patient, y) - 0.5) < 0.1


def test_a_cut_off_comes_with_how_it_wanders() -> None:
    rng = np.random.default_rng(4)
    patients = np.repeat(np.arange(40), 5)
    y = (rng.random(200) < 0.4).astype(float)
    marks = 100 - 10 * y + rng.normal(0, 10, 200)
    found = cut_off(marks, y, patients, higher=False, samples=100, seed=1)
    assert found.value_95[0] <= found.value <= found.value_95[1]
    assert found.value_95[1] - found.value_95[0] > 3
    assert found.sensitivity + found.specificity > found.sensitivity_corrected + found.specificity_corrected
    expected = float((marks[y == 1] <= found.value).mean())
    assert found.sensitivity == pytest.approx(expected)


def test_progress_comes_to_its_end() -> None:
    x, y = np.arange(20.0)[:, None], np.random.default_rng(0).normal(size=20)
    told: list[tuple[int, int]] = []
    validate(
        _least_squares(x, y),
        x,
        y,
        np.arange(20),
        performance.of_numbers,
        samples=5,
        folds=4,
        repeats=2,
        seed=1,
        progress=lambda n, of: told.append((n, of)),
    )
    assert told == [(n, 7) for n in range(8)]


def test_samples_of_one_outcome_are_counted_in_a_cut_off() -> None:
    """Of three events in eight patients a sample has none with probability (5 / 8) ** 8, about 2 %."""
    y = np.array([1.0, 1, 1, 0, 0, 0, 0, 0])
    found = cut_off(np.arange(8.0), y, np.arange(8), higher=False, samples=500, seed=1)
    assert found.samples == 500
    assert 1 <= found.failed <= 30
