"""`lutra fit`: what it prints for programs, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from lutra.cli.main import app

KEYS = {
    "curve", "model", "parameters", "tia_mbq_h", "u_tia_mbq_h", "interval_95", "effective_half_life_h", "extrapolated_fraction",
    "findings",
}  # fmt: skip


def table(folder: Path, times_h: tuple[float, ...], *curves: str, u: bool = True) -> Path:
    lines = ["curve,t_h,activity_mbq" + (",u_mbq" if u else "")]
    for name in curves:
        for t in times_h:
            a = 100 * (2 ** (-t / 60) - 2 ** (-t / 1.5))
            lines.append(f"{name},{t},{a}" + (f",{0.05 * a}" if u else ""))
    path = folder / "curves.csv"
    path.write_text("\n".join(lines), "utf-8")
    return path


def fit(path: Path, *options: str) -> tuple[int, Any]:
    ran = CliRunner().invoke(app, ["fit", str(path), "--json", *options])
    return ran.exit_code, json.loads(ran.stdout) if ran.stdout else ran.stderr


def test_json_in_megabecquerel_and_hours(tmp_path: Path) -> None:
    """100 MBq x (60 h - 1.5 h) / ln 2 within its interval; the curve's share outside the scans is by hand."""
    code, found = fit(table(tmp_path, (4.0, 24.0, 96.0, 168.0), "kidney"), "--population", "kidney")
    (curve,) = found["curves"]
    assert set(curve) == KEYS
    assert curve["curve"] == "kidney"
    assert curve["model"].startswith("lutra.bayesian@")
    truth = 100 * 58.5 / np.log(2)
    assert curve["tia_mbq_h"] == pytest.approx(truth, rel=0.03)
    low, high = curve["interval_95"]
    assert low < truth < high
    assert high - low == pytest.approx(2 * 1.96 * curve["u_tia_mbq_h"], rel=0.05)
    assert curve["effective_half_life_h"] == pytest.approx(60, rel=0.05)
    assert set(curve["parameters"]) == {"amplitude", "washout_rate", "uptake_rate"}
    assert curve["parameters"]["amplitude"]["unit"] == "MBq"
    outside = 1 - sum(f * h * (2 ** (-4 / h) - 2 ** (-168 / h)) for f, h in ((1, 60), (-1, 1.5))) / 58.5
    assert curve["extrapolated_fraction"] == pytest.approx(outside, abs=0.01)
    assert code == 0


def test_a_refusal_has_no_number_and_says_why(tmp_path: Path) -> None:
    code, found = fit(table(tmp_path, (24.0, 96.0), "L1"), "--models", "monoexponential, biexponential")
    (curve,) = found["curves"]
    assert set(curve) == KEYS
    assert [curve[k] for k in ("model", "tia_mbq_h", "u_tia_mbq_h", "interval_95")] == [None] * 4
    assert {f["code"] for f in curve["findings"]} == {"kinetics.not-identifiable"}
    assert code == 4


def test_a_curve_is_the_same_whatever_else_the_table_holds(tmp_path: Path) -> None:
    _, alone = fit(table(tmp_path, (24.0, 96.0), "L2", u=False))
    _, among = fit(table(tmp_path, (24.0, 96.0), "L1", "L2", "L3", u=False))
    assert among["curves"][1] == alone["curves"][0]
    assert among["curves"][0]["interval_95"] != among["curves"][1]["interval_95"]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--nuclide", "Lu-178"), 2, "Lu-178"),
        (("--population", "knee"), 2, "one of: tumour, kidney, liver, spleen, any"),
        (("--models", "monoexponentiel"), 1, "monoexponentiel"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, options: tuple[str, ...], code: int, says: str) -> None:
    ran = CliRunner().invoke(app, ["fit", str(table(tmp_path, (24.0,), "L1")), *options])
    assert ran.exit_code == code
    assert says in ran.stderr


def test_for_people(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["fit", str(table(tmp_path, (96.0,), "L1"))])
    assert ran.exit_code == 3
    assert "L1" in ran.stdout
    assert "kinetics.population-half-life" in ran.stdout
