"""Imputed models beside those of complete rows."""

import numpy as np
import pytest

from lutra.core.data_table import DataTable
from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap
from lutra.predict import ModelResult, fit_models, parse_spec

HEAD = 'cluster = "pat"\n[[model]]\nname = "m"\nkind = "linear-mixed"\noutcome = "y"\n'
PATIENTS = DataTable("patients.csv", FrozenMap({"pat": ("0",)}))


def _table(*, gaps_in_outcome: bool = False, words: bool = False) -> DataTable:
    rng = np.random.default_rng(8)
    pat = np.repeat(np.arange(40), 5)
    suv = np.exp(rng.normal(1, 0.5, 200))
    helper = np.log(suv) + rng.normal(0, 0.3, 200)
    y = 0.4 * np.log2(suv) + rng.normal(0, 0.2, 40)[pat] + rng.normal(0, 0.3, 200)
    organ = np.where(rng.random(200) < 0.5, "liver", "node")
    columns = {"pat": pat, "suv": suv, "helper": helper, "y": y, "organ": organ}
    cells = {name: [str(v) for v in values] for name, values in columns.items()}
    for n in np.flatnonzero(rng.random(200) < 0.25):
        cells["y" if gaps_in_outcome else "suv"][n] = ""
    if words:
        cells["organ"][0] = ""
    return DataTable("lesions.csv", FrozenMap({name: tuple(values) for name, values in cells.items()}))


def _fit(keys: str, table: DataTable) -> ModelResult:
    return fit_models(parse_spec(HEAD + keys, "spec.toml"), table, PATIENTS)[0]


def test_both_stand_side_by_side() -> None:
    result = _fit('predictors = ["log2(suv)"]\nimpute = 20\nimpute_with = ["helper"]', _table())
    imputed = result.numbers["imputed"]
    assert result.n < imputed["n"] == 200
    assert imputed["cells"] == {"suv": 200 - result.n}
    c = imputed["coefficients"]["log2(suv)"]
    assert c["estimate"] == pytest.approx(0.4, abs=0.08)
    assert 0 < c["missing_information"] < 1
    assert c["se"] < result.coefficients["log2(suv)"].se * 1.1


def test_the_tipping_point_is_the_smallest_shift_that_turns_an_effect() -> None:
    keys = 'predictors = ["log2(suv)"]\nimpute = 10\nimpute_with = ["helper"]\ndelta = [0.05, -30.0]'
    imputed = _fit(keys, _table(gaps_in_outcome=True)).numbers["imputed"]
    assert [d["shift"] for d in imputed["delta"]] == [0.05, -30.0]
    assert imputed["tipping"] == {"log2(suv)": -30.0}


def test_what_cannot_be_imputed_leaves_complete_rows_and_says_so() -> None:
    result = _fit('predictors = ["log2(suv)", "organ"]\nimpute = 5', _table(words=True))
    assert result.converged
    assert "imputed" not in result.numbers
    assert "predict.not-imputed" in {f.code for f in result.findings}
    result = _fit('predictors = ["log2(suv)", "organ"]\nimpute = 5\nnot_imputed = ["organ"]', _table(words=True))
    assert result.numbers["imputed"]["n"] == 199


def test_bends_and_few_sets_are_doubted() -> None:
    codes = {f.code for f in _fit('predictors = ["rcs(suv,3)"]\nimpute = 3', _table()).findings}
    assert {"predict.imputed-not-linear", "predict.few-imputations"} <= codes


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('predictors = ["suv"]\nimpute = 1', "impute 1"),
        ('predictors = ["suv"]\ndelta = [0.1]', "delta without impute"),
        ('predictors = ["suv"]\nimpute = 5\nerror_cv = { suv = 0.2 }', "impute"),
        ('predictors = ["suv"]\nimpute = 5\ncluster = ["pat", "organ"]', "impute"),
    ],
)
def test_what_makes_no_sense_is_refused(keys: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_spec(HEAD + keys, "spec.toml")
