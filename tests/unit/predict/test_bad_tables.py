"""Tables and specifications that ask for what they do not hold: no number is given of a model that has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.core.data_table import DataTable
from lutra.core.errors import InputError, ProtocolError
from lutra.predict import ModelResult, fit_models, parse_spec

HEAD = 'cluster = "pat"\n[[model]]\nname = "m"\n'
PATIENTS = DataTable("patients", {"pat": ("0", "1"), "T": ("5", "7"), "E": ("1", "0"), "z": ("1", "2")})


def table(n: int = 60, patients: int = 12, **changed: Callable[[int], object]) -> DataTable:
    """Lesions with a real effect of dose; columns may be replaced by functions of the row."""
    rng = np.random.default_rng(5)
    dose, noise = rng.normal(size=n), rng.normal(size=n)
    columns: dict[str, list[object]] = {
        "pat": [i % patients for i in range(n)],
        "les": [i // patients for i in range(n)],
        "dose": list(dose),
        "organ": [("liver", "node", "bone")[i % 3] for i in range(n)],
        "y": list(0.5 * dose + noise),
        "resp": [int(d + e > 0) for d, e in zip(dose, noise, strict=True)],
    }
    columns |= {name: [make(i) for i in range(n)] for name, make in changed.items()}
    return DataTable("lesions", {name: tuple(str(v) for v in values) for name, values in columns.items()})


def fitted(model: str, lesions: DataTable, patients: DataTable = PATIENTS) -> ModelResult:
    (found,) = fit_models(parse_spec(HEAD + model, "spec"), lesions, patients)
    return found


def nothing_of(found: ModelResult, code: str) -> None:
    assert not found.converged
    assert not found.coefficients
    assert not found.numbers
    assert [f.code for f in found.findings if f.severity.value == "undetermined"] == [code]


LINEAR = 'kind = "linear-mixed"\noutcome = "y"\npredictors = ["dose"]\n'
LOGISTIC = 'kind = "logistic-mixed"\noutcome = "resp"\npredictors = ["dose"]\n'
KINDS = ("linear-mixed", "logistic-mixed", "ordinal-mixed", "gee", "auc")


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_table_is_fitted(kind: str) -> None:
    outcome = "y" if kind == "linear-mixed" else "resp"
    found = fitted(f'kind = "{kind}"\noutcome = "{outcome}"\npredictors = ["dose"]\n', table())
    assert found.converged
    assert (found.n, found.n_clusters) == (60, 12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_predictor(kind: str) -> None:
    outcome = "y" if kind == "linear-mixed" else "resp"
    found = fitted(f'kind = "{kind}"\noutcome = "{outcome}"\npredictors = ["dose"]\n', table(dose=lambda _: 1.5))
    nothing_of(found, "predict.not-fitted")
    assert "dose never differs" in found.findings[-1].text


@pytest.mark.parametrize("kind", KINDS)
def test_one_patient(kind: str) -> None:
    outcome = "y" if kind == "linear-mixed" else "resp"
    found = fitted(f'kind = "{kind}"\noutcome = "{outcome}"\npredictors = ["dose"]\n', table(pat=lambda _: 7))
    nothing_of(found, "predict.not-fitted")
    assert "one patient" in found.findings[-1].text


@pytest.mark.parametrize("kind", KINDS)
def test_all_missing(kind: str) -> None:
    outcome = "y" if kind == "linear-mixed" else "resp"
    found = fitted(f'kind = "{kind}"\noutcome = "{outcome}"\npredictors = ["dose"]\n', table(dose=lambda _: "NA"))
    nothing_of(found, "predict.not-fitted")
    assert found.n == 0
    assert found.missing["dose"] == 60


@pytest.mark.parametrize("kind", ["logistic-mixed", "gee", "ordinal-mixed"])
def test_separation_gives_no_number(kind: str) -> None:
    lesions = table(dose=lambda i: i - 29.5, resp=lambda i: int(i >= 30))
    nothing_of(fitted(f'kind = "{kind}"\noutcome = "resp"\npredictors = ["dose"]\n', lesions), "predict.not-converged")


def test_a_hazard_without_bound_gives_no_number() -> None:
    patients = DataTable(
        "patients",
        {
            "pat": tuple(str(i) for i in range(20)),
            "T": tuple(str(i + 1) for i in range(20)),
            "E": tuple("1" if i < 10 else "0" for i in range(20)),
            "z": tuple("1" if i < 10 else "0" for i in range(20)),
        },
    )
    found = fitted('kind = "cox"\ntime = "T"\nevent = "E"\npredictors = ["z"]\n', table(), patients)
    nothing_of(found, "predict.not-converged")


def test_an_outcome_that_never_differs() -> None:
    nothing_of(fitted(LOGISTIC, table(resp=lambda _: 1)), "predict.not-fitted")


def test_a_predictor_that_another_makes_up() -> None:
    nothing_of(
        fitted(
            LINEAR.replace('["dose"]', '["dose", "twice"]'), table(twice=lambda i: 2 * (i % 7), dose=lambda i: i % 7)
        ),
        "predict.not-fitted",
    )


def test_missing_cells_cost_their_rows_and_are_counted() -> None:
    found = fitted(LINEAR, table(organ=lambda i: "" if i < 5 else "liver", dose=lambda i: "NA" if i < 7 else i % 5))
    assert found.n == 53
    assert dict(found.missing) == {"dose": 7}


def test_a_lesion_in_two_rows_is_said() -> None:
    found = fitted(LINEAR, table(les=lambda i: 0 if i < 24 else i))
    assert "predict.lesion-twice" in [f.code for f in found.findings]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dose": lambda i: "inf" if i == 3 else 1.0 + i}, "row 5: dose has no finite value"),
        ({"dose": lambda i: "high" if i == 3 else i}, ""),
    ],
)
def test_impossible_values(changed: dict[str, Any], words: str) -> None:
    """A word among numbers makes a column of categories, which has as many levels as rows and is then no model."""
    if words:
        with pytest.raises(InputError, match=words):
            fitted(LINEAR, table(**changed))
    else:
        nothing_of(fitted(LINEAR, table(**changed)), "predict.not-fitted")


def test_the_logarithm_of_nothing_is_refused_by_row() -> None:
    with pytest.raises(InputError, match=r"row 6: log\(dose\)"):
        fitted(LINEAR.replace('"dose"', '"log(dose)"'), table(dose=lambda i: 0 if i == 4 else i + 1))


@pytest.mark.parametrize(
    ("column", "cells", "words"),
    [("E", ("2", "0"), "row 2: E is neither 0 nor 1"), ("T", ("5", "-7"), "row 3: T is negative")],
)
def test_impossible_times(column: str, cells: tuple[str, str], words: str) -> None:
    patients = DataTable("patients", {**PATIENTS.columns, column: cells})
    with pytest.raises(InputError, match=words):
        fitted('kind = "km"\ntime = "T"\nevent = "E"\n', table(), patients)


def test_an_interval_that_ends_before_it_starts() -> None:
    patients = DataTable("patients", {**PATIENTS.columns, "s": ("0", "9")})
    with pytest.raises(InputError, match="row 3: s is not before T"):
        fitted('kind = "cox"\ntime = "T"\nevent = "E"\nstart = "s"\npredictors = ["z"]\n', table(), patients)


def test_an_outcome_of_three_values_is_no_log_odds() -> None:
    nothing_of(fitted(LOGISTIC, table(resp=lambda i: i % 3)), "predict.not-fitted")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (LINEAR + 'split = "lesion"\n', "split by lesion is refused: lesions of one patient resemble"),
        (LINEAR + 'split = "halves"\n', "split 'halves'"),
        (LINEAR.replace("outcome", "outcom"), "unknown key 'outcom'"),
        (LINEAR.replace("linear-mixed", "ols"), "kind 'ols'"),
        ('kind = "cox"\ntime = "T"\npredictors = ["z"]\n', "no event"),
        ('kind = "auc"\noutcome = "resp"\n', "no predictors"),
        (LINEAR + 'table = "organs"\n', "table 'organs'"),
        (LINEAR + "[[model]]\n" + 'name = "m"\n' + LINEAR, "more than once"),
    ],
)
def test_a_wrong_specification_is_refused_with_what_would_be_right(model: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_spec(HEAD + model, "spec.toml")


def test_a_split_of_the_whole_analysis_by_lesion_is_refused_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "lesions.csv").write_text("pat,y,dose\n0,1,2\n1,2,3\n")
    (tmp_path / "spec.toml").write_text('split = "lesion"\n' + HEAD + LINEAR)
    paths = [str(tmp_path / "lesions.csv")] * 2
    result = CliRunner().invoke(app, ["predict", *paths, "--spec", str(tmp_path / "spec.toml"), "--json"])
    assert result.exit_code == 1
    assert "refused" in result.output


def test_an_unknown_column_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"no column 'doze'.*dose"):
        fitted(LINEAR.replace('"dose"', '"doze"'), table())


def test_ragged_and_double_columns_are_refused(tmp_path: Path) -> None:
    from lutra.ingest.data_table import read_data_table

    path = tmp_path / "t.csv"
    for text, words in (("a,b\n1\n", "line 2 has 1 cells"), ("a,a\n1,2\n", "two columns called 'a'"), ("", "empty")):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_data_table(path)


def test_findings_make_the_command_exit_with_them(tmp_path: Path) -> None:
    (tmp_path / "lesions.csv").write_text("pat,y,dose\n0,1,2\n0,2,3\n")
    (tmp_path / "spec.toml").write_text(HEAD + LINEAR)
    paths = [str(tmp_path / "lesions.csv")] * 2
    result = CliRunner().invoke(app, ["predict", *paths, "--spec", str(tmp_path / "spec.toml"), "--json"])
    assert result.exit_code == 4
    (model,) = json.loads(result.output)["models"]
    assert model["coefficients"] == {}


# ---- terms ----
def test_categories_are_compared_with_the_first_or_the_one_asked_for() -> None:
    found = fitted(LINEAR.replace('["dose"]', '["organ"]'), table())
    assert list(found.coefficients) == ["(Intercept)", "organliver", "organnode"]
    found = fitted(LINEAR.replace('["dose"]', '["organ"]') + 'reference = { organ = "node" }\n', table())
    assert list(found.coefficients) == ["(Intercept)", "organbone", "organliver"]


def test_interactions_and_parts_within_and_between_patients() -> None:
    found = fitted(
        LINEAR.replace('["dose"]', '["dose*size", "within(depth)", "between(depth)"]'),
        table(size=lambda i: i % 5, depth=lambda i: (i * i) % 17),
    )
    assert list(found.coefficients) == ["(Intercept)", "dose", "size", "within(depth)", "between(depth)", "dose:size"]


def test_a_spline_of_a_straight_line_bends_nowhere() -> None:
    found = fitted(
        'kind = "linear-mixed"\noutcome = "line"\npredictors = ["rcs(dose,3)"]\n',
        table(line=lambda i: 0.0 + i % 12, dose=lambda i: i % 12 + 0.001 * (i % 7)),
    )
    assert list(found.coefficients) == ["(Intercept)", "dose", "dose'"]
    assert found.coefficients["dose"].estimate == pytest.approx(1.0, abs=0.01)
    assert found.coefficients["dose'"].estimate == pytest.approx(0.0, abs=0.02)


def test_the_order_of_lesions_changes_nothing() -> None:
    lesions = table()
    order = np.random.default_rng(1).permutation(60)
    turned = DataTable("lesions", {name: tuple(cells[i] for i in order) for name, cells in lesions.columns.items()})
    for model in (LINEAR, LOGISTIC):
        one, other = fitted(model, lesions), fitted(model, turned)
        for name, c in one.coefficients.items():
            assert other.coefficients[name].estimate == pytest.approx(c.estimate, abs=1e-6)
