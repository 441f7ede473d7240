"""`lutra bed` and `lutra dose marrow` as a user calls them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lutra.cli.main import app

AB = ("--alpha-beta-gy", "2.5")


def called(*words: str) -> tuple[int, Any]:
    done = CliRunner().invoke(app, [*words, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_bed_of_four_cycles() -> None:
    """D 6 Gy, T_eff 50 h, repair 2.8 h, alpha/beta 2.5 Gy: BED 6.763636, four times 27.0545."""
    code, found = called(
        *("bed", "--dose-gy", "6", "--effective-half-life-h", "50", "--alpha-beta-gy", "2.5", "--cycles", "4")
    )
    assert code == 0
    assert found["bed_gy"] == pytest.approx(6.763636, abs=1e-6)
    assert found["total_bed_gy"] == pytest.approx(27.0545, abs=1e-4)
    assert found["total_eqd2_gy"] == pytest.approx(27.0545 / 1.8, abs=1e-4)
    assert found["source"].endswith("alpha/beta as given")


def test_23_gray_in_four_cycles_is_a_bed_of_25_8() -> None:
    """Two limits of the kidney, alpha/beta 2.5 Gy: 23 Gy in 4 cycles is BED 25.8, and BED 40 is about 33.9 Gy."""
    _, found = called("bed", "--dose-gy", "5.75", "--effective-half-life-h", "51", "--cycles", "4", *AB)
    assert found["total_bed_gy"] == pytest.approx(25.8, abs=0.1)
    _, found = called("bed", "--dose-gy", "8.475", "--effective-half-life-h", "51", "--cycles", "4", *AB)
    assert found["total_bed_gy"] == pytest.approx(40.0, abs=0.5)


def test_a_half_life_of_nothing_is_refused() -> None:
    done = CliRunner().invoke(app, ["bed", "--dose-gy", "6", "--effective-half-life-h", "0"])
    assert done.exit_code != 0
    done = CliRunner().invoke(app, ["bed", "--dose-gy", "6", "--effective-half-life-h", "5", "--tissue", "hair"])
    assert done.exit_code != 0


def test_marrow_by_blood_and_image(tmp_path: Path) -> None:
    """Blood whose integral is near .5 MBq h/mL gives some 40 mGy; an image of .3 Gy is said to differ."""
    table = tmp_path / "blood.csv"
    samples = [(0.5, 0.30), (2, 0.12), (6, 0.02), (24, 0.002), (48, 0.001), (72, 0.0006)]
    rows = "".join(f"blood,{t},{a}\n" for t, a in samples)
    table.write_text(f"curve,t_h,activity_mbq\n{rows}")
    code, found = called("dose", "marrow", "--blood", str(table), "--body", "100000", "70", "--image", "0.3", "0.05")
    assert code == 3
    blood, image = found["methods"]
    integral = blood["own_gy"] * 1.03 / 0.08532
    by_trapezia = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(samples))
    assert 0.6 * by_trapezia < integral < 1.6 * by_trapezia
    assert blood["total_gy"] == pytest.approx(blood["own_gy"] + blood["cross_gy"])
    assert image["total_gy"] == pytest.approx(0.3)
    assert found["ratio"] == pytest.approx(image["total_gy"] / blood["total_gy"])
    assert "dose.marrow-methods-differ" in {f["code"] for f in found["findings"]}
