"""Models of the reference study against R 4.2.2: lme4, lmerTest, ordinal, geepack, pROC and survival."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.ingest.data_table import read_data_table
from lutra.predict import fit_models, parse_spec

SPEC = """
cluster = "pat"
[[model]]
name = "linear"
kind = "linear-mixed"
outcome = "y"
predictors = ["x_dose", "x_fdg", "x_adc"]
[[model]]
name = "logistic"
kind = "logistic-mixed"
outcome = "resp"
predictors = ["x_dose", "x_fdg", "x_adc"]
[[model]]
name = "ordinal"
kind = "ordinal-mixed"
outcome = "ord"
predictors = ["x_dose", "x_fdg", "x_adc"]
[[model]]
name = "gee"
kind = "gee"
outcome = "resp"
predictors = ["x_dose", "x_fdg", "x_adc"]
[[model]]
name = "cox"
kind = "cox"
time = "T"
event = "E"
predictors = ["max(x_dose)", "max(x_fdg)"]
[[model]]
name = "landmark"
kind = "cox"
time = "T"
event = "E"
predictors = ["max(x_dose)", "max(x_fdg)"]
landmark = 8
[[model]]
name = "auc"
kind = "auc"
outcome = "resp"
predictors = ["x_dose"]
[[model]]
name = "auc of FDG"
kind = "auc"
outcome = "resp"
predictors = ["x_fdg"]
[[model]]
name = "km"
kind = "km"
time = "T"
event = "E"
"""
LONG = """
cluster = "pat"
[[model]]
name = "three levels"
kind = "linear-mixed"
cluster = ["pat", "lid"]
outcome = "s"
predictors = ["cyc*x_fdg", "x_dose"]
[[model]]
name = "start-stop"
kind = "cox"
start = "start"
time = "stop"
event = "ev"
predictors = ["cumdose", "fmax"]
"""
NAMES = ("(Intercept)", "x_dose", "x_fdg", "x_adc")


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "clinical" / "virtual_trial_R"


@pytest.fixture(scope="module")
def r(folder: Path) -> dict[tuple[str, str], float]:
    rows = [line.split("\t") for line in (folder / "R_reference.tsv").read_text().splitlines()]
    return {(row[0], row[1]): float(row[2]) for row in rows if row[0] != "time"}


@pytest.fixture(scope="module")
def found(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Through the command, as its users get it."""
    spec = tmp_path_factory.mktemp("predict") / "spec.toml"
    spec.write_text(SPEC)
    tables = [str(folder / "ref_lesions.csv"), str(folder / "ref_patients.csv")]
    result = CliRunner().invoke(app, ["predict", *tables, "--spec", str(spec), "--json"])
    assert result.exit_code == 0, result.output
    return {model["name"]: model for model in json.loads(result.output)["models"]}


def test_linear_mixed(found: dict[str, Any], r: dict[tuple[str, str], float]) -> None:
    model = found["linear"]
    assert (model["n"], model["n_clusters"], model["converged"]) == (314, 50, True)
    for name in NAMES:
        c = model["coefficients"][name]
        assert c["estimate"] == pytest.approx(r["lmer.b", name], abs=1e-5)
        assert c["se"] == pytest.approx(r["lmer.se", name], abs=1e-5)
        assert c["df"] == pytest.approx(r["lmer.df_satt", name], rel=1e-3)
        assert c["p"] == pytest.approx(r["lmer.p", name], rel=1e-3)
    assert model["sd_random"] == pytest.approx(r["lmer.sd", "u"], abs=1e-5)
    assert model["sd_residual"] == pytest.approx(r["lmer.sd", "e"], abs=1e-5)
    assert model["loglik"] == pytest.approx(r["lmer.reml", "1"], abs=1e-5)


def test_logistic_mixed(found: dict[str, Any], r: dict[tuple[str, str], float]) -> None:
    model = found["logistic"]
    for name in NAMES:
        assert model["coefficients"][name]["estimate"] == pytest.approx(r["glmer.agq25.b", name], abs=1e-5)
        assert model["coefficients"][name]["se"] == pytest.approx(r["glmer.agq25.se", name], abs=1e-5)
    assert model["sd_random"] == pytest.approx(r["glmer.agq25.sd", "1"], abs=1e-5)
    assert model["loglik"] == pytest.approx(r["glmer.agq25.ll", "1"], abs=1e-5)


def test_ordinal_mixed(found: dict[str, Any], r: dict[tuple[str, str], float]) -> None:
    model = found["ordinal"]
    for name in ("0|1", "1|2", *NAMES[1:]):
        assert model["coefficients"][name]["estimate"] == pytest.approx(r["clmm.b", name], abs=1e-5)
        assert model["coefficients"][name]["se"] == pytest.approx(r["clmm.se", name], abs=1e-5)
    # clmm stops its search earlier than the others: its standard deviation is given to 2e-5.
    assert model["sd_random"] == pytest.approx(r["clmm.sd", "1"], abs=3e-5)
    assert model["loglik"] == pytest.approx(r["clmm.ll", "1"], abs=1e-5)


def test_gee(found: dict[str, Any], r: dict[tuple[str, str], float]) -> None:
    """geepack estimates the correlation without a correction for the coefficients, so that they agree to 1e-2."""
    model = found["gee"]
    for n, name in enumerate(NAMES, start=1):
        assert model["coefficients"][name]["estimate"] == pytest.approx(r["gee.b", name], abs=1e-2)
        assert model["coefficients"][name]["se"] == pytest.approx(r["gee.se", str(n)], abs=1e-2)
        assert model["coefficients"][name]["small_sample"]["se"] > model["coefficients"][name]["se"]
    assert model["alpha"] == pytest.approx(r["gee.alpha", "1"], abs=1e-2)


def test_discrimination(found: dict[str, Any], r: dict[tuple[str, str], float]) -> None:
    assert found["auc"]["estimate"] == pytest.approx(r["proc.auc", "1"], abs=1e-8)
    assert found["auc"]["var_delong"] == pytest.approx(r["proc.delong_var", "1"], abs=1e-8)
    # Of the reference study's plan; a bootstrap of its patients gives 1.222e-3.
    assert found["auc"]["var_clustered"] == pytest.approx(1.214e-3, abs=1e-6)
    # FDG goes with no response: the direction is taken from the medians, and said.
    assert found["auc of FDG"]["estimate"] == pytest.approx(r["proc.auc_fdg", "1"], abs=1e-8)
    assert found["auc of FDG"]["higher_means_outcome"] is False


def test_cox_and_kaplan_meier(found: dict[str, Any], r: dict[tuple[str, str], float]) -> None:
    model = found["cox"]
    for name, known in (("max(x_dose)", "dmean"), ("max(x_fdg)", "fmax")):
        assert model["coefficients"][name]["estimate"] == pytest.approx(r["cox.b", known], abs=1e-6)
        assert model["coefficients"][name]["se"] == pytest.approx(r["cox.se", known], abs=1e-6)
    assert model["concordance"] == pytest.approx(r["cox.c", "1"], abs=1e-8)
    assert model["loglik"] == pytest.approx(r["cox.ll", "1"], abs=1e-6)
    after = found["landmark"]
    assert after["n"] == r["cox_lm8.n", "1"]
    for name, known in (("max(x_dose)", "dmean"), ("max(x_fdg)", "fmax")):
        assert after["coefficients"][name]["estimate"] == pytest.approx(r["cox_lm8.b", known], abs=1e-6)
    assert found["km"]["median"] == pytest.approx(r["km.med", "1"], abs=1e-6)
    before = [step for step in found["km"]["curve"] if step["time"] <= 12]
    assert before[-1]["survival"] == pytest.approx(r["km.s12", "1"], abs=1e-8)


def test_three_levels_and_start_stop(folder: Path, r: dict[tuple[str, str], float]) -> None:
    tables = read_data_table(folder / "ref_long.csv"), read_data_table(folder / "ref_tv.csv")
    three, stop = fit_models(parse_spec(LONG, "spec"), *tables)
    estimates = [three.coefficients[n].estimate for n in ("(Intercept)", "cyc", "x_fdg", "x_dose", "cyc:x_fdg")]
    assert estimates == pytest.approx([0.015092473, -0.049328989, 0.011296091, -0.036493573, 0.01632264], abs=1e-5)
    sd = [three.numbers[n] for n in ("sd_random", "sd_random_nested", "sd_residual")]
    assert sd == pytest.approx([0.08376, 0.11458, 0.09972], abs=1e-5)
    assert three.numbers["loglik"] == pytest.approx(774.4975, abs=1e-4)
    for name in ("cumdose", "fmax"):
        assert stop.coefficients[name].estimate == pytest.approx(r["coxtv.b", name], abs=1e-6)
        assert stop.coefficients[name].se == pytest.approx(r["coxtv.se", name], abs=1e-6)


def test_the_clustered_variance_is_that_of_a_patient_bootstrap(folder: Path) -> None:
    from lutra.stats.discrimination import clustered_auc

    table = read_data_table(folder / "ref_lesions.csv")
    marks, outcome, pat = (table.numbers(name) for name in ("x_dose", "resp", "pat"))
    rng, areas = np.random.default_rng(3), []
    rows = {p: np.flatnonzero(pat == p) for p in np.unique(pat)}
    for _ in range(600):
        chosen = np.concatenate([rows[p] for p in rng.choice(list(rows), len(rows))])
        areas.append(clustered_auc(marks[chosen], outcome[chosen], np.zeros(len(chosen), np.intp), "higher").estimate)
    known = clustered_auc(marks, outcome, np.unique(pat, return_inverse=True)[1]).var_clustered
    assert np.var(areas) == pytest.approx(known, rel=0.2)
