"""What `lutra predict` prints for people: nothing of a model stays hidden in the JSON."""

from __future__ import annotations

import csv
from pathlib import Path

from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.simulate.table_trial import TableTrial, simulate_tables

SPEC = """
cluster = "pat"
[[model]]
name = "change"
kind = "linear-mixed"
outcome = "y"
predictors = ["dose_obs", "fdg_obs"]
impute = 5
validate = { bootstrap = 5, repeats = 1 }
[[model]]
name = "areas"
kind = "auc"
outcome = "resp"
predictors = ["dose", "fdg"]
cut_off = true
bootstrap = 20
[[model]]
name = "one area"
kind = "auc"
outcome = "resp"
predictors = ["dose"]
[[model]]
name = "few events"
kind = "cox"
penalty = "firth"
time = "T"
event = "E"
predictors = ["max(dose)"]
"""


def _write(path: Path, columns: dict[str, object]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))  # type: ignore[arg-type]
    return path


def test_every_part_of_a_model_is_printed(tmp_path: Path) -> None:
    trial = simulate_tables(TableTrial(patients=30), 4)
    lesions, patients = (
        _write(tmp_path / "l.csv", dict(trial.lesions)),
        _write(tmp_path / "p.csv", dict(trial.patients)),
    )
    (tmp_path / "s.toml").write_text(SPEC)
    ran = CliRunner().invoke(app, ["predict", str(lesions), str(patients), "--spec", str(tmp_path / "s.toml")])
    assert ran.exit_code in (0, 3), ran.output
    for words in (
        "change: linear-mixed",
        "5 imputed sets",
        "validated by patient",
        "cross-validated",
        "cut-off",
        "max(dose)",
    ):
        assert words in ran.output, words
    assert "no result" not in ran.output
