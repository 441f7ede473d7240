"""Virtual trials as tables, and what an analysis makes of many of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve
from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.core.errors import ProtocolError
from lutra.simulate.power import PowerSpec, operating_characteristics, parse_power_spec
from lutra.simulate.table_trial import TableTrial, simulate_tables
from lutra.stats.survival import kaplan_meier


def test_the_same_seed_gives_the_same_tables() -> None:
    one, other = (simulate_tables(TableTrial(), 5).as_tables() for _ in range(2))
    assert one == other
    assert one != simulate_tables(TableTrial(), 6).as_tables()


def test_responses_and_survival_are_those_of_the_plan() -> None:
    trials = [simulate_tables(TableTrial(), seed).patients for seed in range(60)]
    recist = np.concatenate([t["recist"] for t in trials])
    for category, share in (("PR", 0.18), ("SD", 0.60), ("PD", 0.21)):
        assert np.mean(recist == category) == pytest.approx(share, abs=0.03)
    time, event = (np.concatenate([t[name] for t in trials]).astype(float) for name in ("T", "E"))
    assert kaplan_meier(time, event).median == pytest.approx(24, abs=3)


def test_the_truth_is_what_was_asked_for() -> None:
    """Without errors and rest the outcome is the sum of its effects."""
    exact = TableTrial(sd_patient=0.0, sd_rest=1e-12, reader_mm=0.0, dose_cv=0.0, sstr=0.05, adc=-0.03)
    lesions = {k: v for k, v in simulate_tables(exact, 1).lesions.items() if k != "organ"}
    x = {k: lesions[k].astype(float) for k in ("x_dose", "x_fdg", "x_sstr", "x_adc")}
    expected = -0.2 - 0.09 * x["x_dose"] + 0.07 * x["x_fdg"] + 0.05 * x["x_sstr"] - 0.03 * x["x_adc"]
    assert lesions["y"].astype(float) == pytest.approx(expected, abs=1e-9)


def test_what_is_missing_is_missing_by_patient() -> None:
    lesions = simulate_tables(TableTrial(patients=400), 2).lesions
    gone, pat = np.isnan(lesions["fdg_obs"].astype(float)), lesions["pat"].astype(int)
    assert all(len(set(gone[pat == p])) == 1 for p in range(400))
    assert gone.mean() == pytest.approx(0.10, abs=0.04)
    assert np.isnan(lesions["adc_obs"].astype(float)).mean() == pytest.approx(0.145, abs=0.04)


def test_more_dose_may_stop_treatment() -> None:
    lesions = simulate_tables(TableTrial(patients=2000, stop_by_dose=2.0), 3).lesions
    first, cycles = lesions["D1"].astype(float), lesions["ncyc"].astype(int)
    assert first[cycles < 4].mean() > 1.3 * first[cycles == 4].mean()


def test_type_i_error_and_coverage_of_the_primary_model() -> None:
    """A short run; the long one is among the integration tests."""
    null = PowerSpec(TableTrial(dose=0.0, fdg=0.0, dose_cv=0.0), replicates=120)
    for found in operating_characteristics(null):
        assert found.fitted == 120
        assert found.rejected <= 0.12
        assert found.coverage >= 0.88


def test_workers_change_nothing() -> None:
    spec = PowerSpec(TableTrial(patients=12), patients=(12,), replicates=20)
    assert operating_characteristics(spec, 1) == operating_characteristics(spec, 2)


def test_power_grows_with_patients() -> None:
    spec = PowerSpec(TableTrial(dose=-0.03), patients=(10, 40), predictors=("x_dose",), replicates=60)
    few, many = operating_characteristics(spec)
    assert few.rejected < many.rejected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patiens = 50", "unknown key patiens"),
        ("[trial]\ndoze = 1.0", "unknown key trial.doze"),
        ('predictors = ["x_ki67"]', "'x_ki67'"),
        ("patients = 2", "impossible"),
        ("patients = ", "not valid TOML"),
    ],
)
def test_a_wrong_plan_is_refused(text: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_power_spec(text, "plan.toml")


def test_the_commands(tmp_path: Path) -> None:
    out = tmp_path / "tables"
    run = CliRunner().invoke
    assert run(app, ["simulate", "trial", str(out), "--tables", "2", "--patients", "8"]).exit_code == 0
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.csv")) == [
        "trial-001/lesions.csv",
        "trial-001/patients.csv",
        "trial-002/lesions.csv",
        "trial-002/patients.csv",
    ]
    assert run(app, ["simulate", "trial", str(out), "--tables", "1"]).exit_code == 2
    plan = tmp_path / "plan.toml"
    plan.write_text("patients = 8\nreplicates = 10\n")
    result = run(app, ["simulate", "power", str(plan), "--workers", "1"])
    assert result.exit_code == 0
    assert "x_dose" in result.output


def test_a_trial_with_few_lesions_can_be_drawn() -> None:
    assert len(simulate_tables(evolve(TableTrial(), patients=3, lesions=1.0), 1).as_tables()[0]) >= 3
