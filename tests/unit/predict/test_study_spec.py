"""What a study's plan needs of the engine: rows by value, intervals, families, curves, a column of uncertainties."""

from importlib.resources import files

import numpy as np
import pytest

from lutra.core.analysis_table import Column
from lutra.core.data_table import DataTable
from lutra.core.errors import InputError, ProtocolError
from lutra.core.frozen import FrozenMap
from lutra.pipeline.analysis_columns import INTERVAL_COLUMNS, PATIENT_COLUMNS, lesion_columns
from lutra.predict import fit_models, parse_spec

PLAN = (files("lutra.predict") / "plans" / "lesion_response.toml").read_text("utf-8")


def _tables(seed: int = 3, patients: int = 20) -> tuple[DataTable, DataTable]:
    rng = np.random.default_rng(seed)
    pat = np.repeat(np.arange(patients), 5)
    dose = np.exp(rng.normal(4, 0.5, len(pat)))
    y = -0.002 * dose + rng.normal(0, 0.1, patients)[pat] + rng.normal(0, 0.1, len(pat))
    columns = {"pat": pat, "landmark": np.tile([0, 1], len(pat) // 2), "dose": dose, "dose_sd": 0.2 * dose, "y": y}
    lesions = DataTable("lesions.csv", FrozenMap({k: tuple(map(str, v)) for k, v in columns.items()}))
    return lesions, DataTable("patients.csv", FrozenMap({"pat": tuple(map(str, range(patients)))}))


def _fit(model: str, **tables: DataTable):  # type: ignore[no-untyped-def]
    lesions, patients = _tables()
    spec = parse_spec(
        f'cluster = "pat"\n[[model]]\nname = "m"\nkind = "linear-mixed"\noutcome = "y"\n{model}', "spec.toml"
    )
    return fit_models(spec, lesions, patients, **tables)[0]


def test_where_takes_the_rows_of_a_landmark() -> None:
    assert _fit('predictors = ["dose"]').n == 100
    assert _fit('predictors = ["dose"]\nwhere = { landmark = 1 }').n == 50


def test_models_of_intervals_need_the_table() -> None:
    with pytest.raises(InputError, match="intervals"):
        _fit('predictors = ["dose"]\ntable = "intervals"')
    assert _fit('predictors = ["dose"]\ntable = "intervals"', intervals=_tables(4)[0]).n == 100


def test_errors_from_their_column_are_those_given_as_a_number() -> None:
    own = _fit('predictors = ["dose"]\nerror_cv = { dose = "dose_sd" }\nbootstrap = 20')
    given = _fit('predictors = ["dose"]\nerror_cv = { dose = 0.2 }\nbootstrap = 20')
    assert own.numbers["error_cv"]["dose"] == pytest.approx(0.2)
    assert own.coefficients["dose"].estimate == pytest.approx(given.coefficients["dose"].estimate)
    assert abs(own.coefficients["dose"].estimate) > abs(own.numbers["uncorrected"]["dose"]["estimate"])


def test_p_of_a_bootstrap_agrees_with_its_interval() -> None:
    c = _fit('predictors = ["dose"]\nerror_cv = { dose = 0.2 }\nbootstrap = 99').coefficients["dose"]
    assert c.p is not None
    assert (c.p < 0.05) == (c.ci95[1] < 0 or c.ci95[0] > 0)


def test_the_curve_is_the_fitted_line_where_there_is_one_effect() -> None:
    result = _fit('predictors = ["dose"]\ncurve = "dose"')
    b0, b1 = (result.coefficients[name].estimate for name in ("(Intercept)", "dose"))
    for point in result.numbers["curve"]:
        assert point["expected"] == pytest.approx(b0 + b1 * point["x"])
        assert point["low"] < point["expected"] < point["high"]


def test_a_family_is_adjusted_in_the_way_it_asks_for() -> None:
    lesions, patients = _tables()
    text = 'cluster = "pat"\n' + "".join(
        f'[[model]]\nname = "{n}"\nkind = "linear-mixed"\noutcome = "y"\npredictors = ["{x}"]\nfamily = "f"\nadjust = "bh"\n'
        for n, x in enumerate(("dose", "landmark"))
    )
    one, other = fit_models(parse_spec(text, "spec.toml"), lesions, patients)
    p = [one.coefficients["dose"].p, other.coefficients["landmark"].p]
    assert p[0] is not None
    assert p[1] is not None
    assert one.numbers["p_bh"] == pytest.approx(min(2 * p[0], p[1]))
    with pytest.raises(ProtocolError, match="two ways"):
        parse_spec(text.replace('adjust = "bh"', 'adjust = "holm"', 1), "spec.toml")


def test_within_and_between_take_a_function() -> None:
    result = _fit('predictors = ["within(log2(dose))", "between(log2(dose))"]')
    assert {"within(log2(dose))", "between(log2(dose))"} <= set(result.coefficients)


def test_a_spline_of_nothing_is_refused_with_the_reason() -> None:
    lesions, patients = _tables()
    empty = DataTable("lesions.csv", FrozenMap({**lesions.columns, "dose": ("",) * 100}))
    spec = parse_spec(
        'cluster = "pat"\n[[model]]\nname = "m"\nkind = "linear-mixed"\noutcome = "y"\npredictors = ["rcs(dose,3)"]',
        "s",
    )
    (result,) = fit_models(spec, empty, patients)
    assert not result.converged
    assert "no row has every column" in result.findings[-1].text


def _names(columns: tuple[Column, ...]) -> set[str]:
    return {c.name for c in columns} | {f"{c.name}_sd" for c in columns if c.uncertain}


def test_the_plan_that_comes_with_lutra_uses_columns_that_are_there() -> None:
    spec = parse_spec(PLAN, "plan")
    tables = {
        "lesions": _names(lesion_columns(4)),
        "patients": _names(PATIENT_COLUMNS),
        "intervals": _names(INTERVAL_COLUMNS),
    }
    for model in spec.models:
        known = tables[model.table] | (tables["lesions"] if model.table == "patients" else set())
        plain = {p for p in model.predictors if "(" not in p} | {
            c for c in (model.outcome, model.time, model.event, model.start) if c
        }
        assert plain <= known, model.name
        assert set(map(str, model.error_cv.values())) <= known
