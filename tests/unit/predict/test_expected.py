"""What the other patients lead one to expect of a lesion."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from attrs import evolve

from lutra.core.data_table import DataTable
from lutra.core.frozen import FrozenMap
from lutra.predict import parse_spec
from lutra.predict.expected import expected_by_others, predicting_model

SPEC = parse_spec(
    """
cluster = "pat"
lesion = "les"
[[model]]
name = "one"
question = "primary"
kind = "linear-mixed"
outcome = "y"
predictors = ["a"]
[[model]]
name = "both"
question = "primary"
kind = "linear-mixed"
outcome = "y"
predictors = ["a", "b"]
[[model]]
name = "within"
question = "primary"
kind = "linear-mixed"
outcome = "y"
predictors = ["within(a)", "between(a)", "b"]
""",
    "spec",
)
PATIENTS, LESIONS = 12, 5


def _table(rng: np.random.Generator, patients: int = PATIENTS) -> dict[str, np.ndarray]:
    pat = np.repeat(np.arange(patients), LESIONS)
    a, b = rng.normal(size=(2, len(pat)))
    y = 0.3 * a - 0.2 * b + 0.2 * rng.normal(size=patients)[pat] + 0.2 * rng.normal(size=len(pat))
    return {"pat": pat, "les": np.tile(np.arange(LESIONS), patients), "a": a, "b": b, "y": y}


def _cells(columns: dict[str, np.ndarray], **empty: set[int]) -> DataTable:
    text = {n: tuple("" if k in empty.get(n, ()) else str(v) for k, v in enumerate(c)) for n, c in columns.items()}
    return DataTable("lesions", FrozenMap(text))


def test_the_model_with_the_most_predictors_of_a_lesion_is_asked() -> None:
    model = predicting_model(SPEC)
    assert model is not None
    assert model.name == "both"
    assert predicting_model(evolve(SPEC, models=SPEC.models[2:])) is None


def test_a_lesion_is_predicted_from_the_patients_that_are_not_its_own() -> None:
    columns = _table(np.random.default_rng(2))
    found = expected_by_others(SPEC, SPEC.models[1], _cells(columns))
    assert len(found) == PATIENTS * LESIONS
    others = columns["pat"] != 4
    x = np.column_stack([np.ones(len(others)), columns["a"], columns["b"]])
    fit = sm.MixedLM(columns["y"][others], x[others], groups=columns["pat"][others]).fit(reml=True)
    for row in np.flatnonzero(~others):
        of = found["4", str(columns["les"][row])]
        assert of.value == pytest.approx(x[row] @ fit.fe_params, abs=1e-4)
        sd = np.sqrt(fit.scale + fit.cov_re[0, 0] + x[row] @ np.asarray(fit.cov_params())[:3, :3] @ x[row])
        assert of.high - of.value == pytest.approx(2.228 * sd, rel=0.01)  # t of 10 degrees of freedom
        assert (of.rows, of.patients) == (others.sum(), PATIENTS - 1)


def test_its_own_patient_says_nothing_and_an_unknown_outcome_is_no_hindrance() -> None:
    columns = _table(np.random.default_rng(3))
    before = expected_by_others(SPEC, SPEC.models[1], _cells(columns))
    own = set(np.flatnonzero(columns["pat"] == 0).tolist())
    unknown = expected_by_others(SPEC, SPEC.models[1], _cells(columns, y=own, a={0}))
    assert ("0", "0") not in unknown  # a predictor is missing
    assert unknown["0", "1"] == before["0", "1"]


def test_intervals_hold_what_comes() -> None:
    held = []
    for seed in range(30):
        columns = _table(np.random.default_rng(100 + seed))
        for (patient, lesion), of in expected_by_others(SPEC, SPEC.models[1], _cells(columns)).items():
            true = columns["y"][int(patient) * LESIONS + int(lesion)]
            held.append(of.low <= true <= of.high)
    assert 0.93 < np.mean(held) < 0.975


def test_few_patients_say_nothing_and_what_lies_beyond_them_is_named() -> None:
    rng = np.random.default_rng(4)
    assert not expected_by_others(SPEC, SPEC.models[1], _cells(_table(rng, 3)))
    columns = _table(rng)
    columns["b"][7] = 99.0
    assert expected_by_others(SPEC, SPEC.models[1], _cells(columns))["1", "2"].beyond == ("b",)
