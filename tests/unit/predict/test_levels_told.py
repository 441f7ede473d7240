"""Levels that the rows do not tell apart: one row per patient, one lesion per patient, one row per lesion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lutra.core.data_table import DataTable
from lutra.core.frozen import FrozenMap
from lutra.predict import fit_models, parse_spec
from lutra.predict.result import ModelResult


def fitted(columns: dict[str, np.ndarray], cluster: str) -> ModelResult:
    table = DataTable("lesions", FrozenMap({name: tuple(map(str, cells)) for name, cells in columns.items()}))
    text = f'cluster = "pat"\n[[model]]\nname = "m"\nkind = "linear-mixed"\noutcome = "y"\npredictors = ["x"]\ncluster = {cluster}'
    return fit_models(parse_spec(text, "spec"), table, table)[0]


@pytest.fixture
def cycles() -> dict[str, np.ndarray]:
    """Twelve patients with one lesion each, three cycles."""
    rng = np.random.default_rng(5)
    pat = np.repeat(np.arange(12), 3)
    x = np.tile([1.0, 2.0, 3.0], 12)
    return {"pat": pat, "les": pat, "x": x, "y": 0.3 * x + rng.normal(0, 1, 12)[pat] + rng.normal(0, 0.4, 36)}


def codes(result: ModelResult) -> set[str]:
    return {finding.code for finding in result.findings}


def test_one_row_per_patient_is_the_ordinary_regression(cycles: dict[str, np.ndarray]) -> None:
    alone = {**cycles, "pat": np.arange(36)}
    result = fitted(alone, '["pat"]')
    truth = stats.linregress(alone["x"], alone["y"])
    slope = result.coefficients["x"]
    assert slope.estimate == pytest.approx(truth.slope, rel=1e-9)
    assert slope.se == pytest.approx(truth.stderr, rel=1e-9)
    assert slope.df == pytest.approx(34, rel=1e-4)
    assert slope.p == pytest.approx(truth.pvalue, rel=1e-4)
    residual = alone["y"] - truth.intercept - truth.slope * alone["x"]
    assert result.numbers["sd_residual"] == pytest.approx(np.sqrt((residual**2).sum() / 34), rel=1e-9)


def test_a_spread_between_patients_of_one_row_each_is_not_given(cycles: dict[str, np.ndarray]) -> None:
    result = fitted({**cycles, "pat": np.arange(36)}, '["pat"]')
    assert "predict.level-not-told" in codes(result)
    assert not {"sd_random", "icc"} & set(result.numbers)


def test_one_lesion_per_patient_leaves_two_levels(cycles: dict[str, np.ndarray]) -> None:
    two, three = fitted(cycles, '["pat"]'), fitted(cycles, '["pat", "les"]')
    assert "predict.level-not-told" in codes(three)
    assert "predict.level-not-told" not in codes(two)
    assert "sd_random_nested" not in three.numbers
    for name in ("sd_random", "sd_residual", "loglik", "icc"):
        assert three.numbers[name] == pytest.approx(two.numbers[name], rel=1e-6)
    assert three.coefficients["x"].df == pytest.approx(two.coefficients["x"].df, rel=1e-4)


def test_one_row_per_lesion_leaves_two_levels(cycles: dict[str, np.ndarray]) -> None:
    two, three = fitted(cycles, '["pat"]'), fitted({**cycles, "les": np.arange(36)}, '["pat", "les"]')
    assert "predict.level-not-told" in codes(three)
    assert three.numbers["sd_random"] == pytest.approx(two.numbers["sd_random"], rel=1e-6)
    assert three.numbers["sd_residual"] == pytest.approx(two.numbers["sd_residual"], rel=1e-6)
