"""The digital patient through the whole study, against its own truth."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from .conftest import lutra


@pytest.fixture(scope="module")
def truth(demo: Path) -> dict[str, Any]:
    lesions: dict[str, Any] = json.loads((demo / "simulated" / "truth" / "truth.json").read_text())["lesions"]
    return lesions


@pytest.fixture(scope="module")
def rows(demo: Path) -> list[dict[str, str]]:
    with (demo / "study" / "report" / "tables" / "measurements.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def found(rows: list[dict[str, str]], key: str) -> dict[str, str]:
    (row,) = [r for r in rows if r["key"].endswith(key)]
    return row


LESIONS = {"L01": "lesion 1 liver dome", "L02": "lesion 2 liver hilum", "L03": "lesion 3 node"}


@pytest.mark.parametrize("lesion", LESIONS)
@pytest.mark.parametrize("cycle", ["cycle-1", "cycle-2"])
def test_dose_interval_holds_the_true_dose(
    rows: list[dict[str, str]], truth: dict[str, Any], lesion: str, cycle: str
) -> None:
    """True electron dose; cycle 1 is stored decay-referenced to the administration, cycle 2 to the start."""
    row = found(rows, f"{lesion}/{cycle}/absorbed-dose.local")
    true_gy = truth[LESIONS[lesion]][cycle]["absorbed_dose_electrons_gy"]
    assert float(row["low95"]) < true_gy < float(row["high95"])
    # The fit reads the 4 h scan, where 9 % of the uptake is still to come, as washout: up to 6 % on the half-life (below).
    assert float(row["value"]) == pytest.approx(true_gy, rel=0.08)


@pytest.mark.parametrize("lesion", LESIONS)
def test_half_life_and_size(rows: list[dict[str, str]], truth: dict[str, Any], lesion: str) -> None:
    true = truth[LESIONS[lesion]]
    half_life_h = float(found(rows, f"{lesion}/cycle-1/effective-half-life")["value"])
    excess = half_life_h / true["cycle-1"]["effective_half_life_h"] - 1
    # A mono-exponential through noise-free points of this uptake (1.2 h) is 3.8 to 5.8 % too long for half-lives of 64 to 98 h.
    assert -0.02 < excess < 0.08
    (baseline,) = [r for r in rows if r["key"].endswith(f"{lesion}/CT-5-Jan-2026/longest-diameter")]
    assert float(baseline["value"]) == pytest.approx(true["longest_diameter_mm"], abs=0.5 * 2.2)
    (volume,) = [r for r in rows if r["key"].endswith(f"{lesion}/CT-5-Jan-2026/volume")]
    assert float(volume["value"]) == pytest.approx(true["volume_ml"], rel=0.03)


def test_adc_in_the_largest_lesion(rows: list[dict[str, str]], truth: dict[str, Any]) -> None:
    row = found(rows, "L01/ADC-8-Jan-2026/adc-median")
    assert float(row["value"]) == pytest.approx(truth[LESIONS["L01"]]["adc_mm2_per_s"] * 1e3, rel=0.05)


def test_growth_decides_the_response(demo: Path) -> None:
    with (demo / "study" / "report" / "tables" / "responses.csv").open(encoding="utf-8") as file:
        assert {r["lesion"]: r["category"] for r in csv.DictReader(file)} == {"L01": "PR", "L02": "SD", "L03": "PD"}


def test_parquet_holds_what_csv_holds(demo: Path, rows: list[dict[str, str]]) -> None:
    table = pq.read_table(demo / "study" / "report" / "tables" / "measurements.parquet").to_pylist()
    assert [r["key"] for r in table] == [r["key"] for r in rows]


def test_pages_refer_only_to_files_that_exist_and_to_nothing_outside(demo: Path) -> None:
    report = demo / "study" / "report"
    for page in (report / "index.html", *(report / "subjects").glob("*.html")):
        text = page.read_text(encoding="utf-8")
        assert " style=" not in text
        for target in re.findall(r'(?:href|src)="([^"#][^"]*)"', text):
            if not target.startswith("data:"):
                assert "://" not in target, target
                assert (page.parent / target.split("#")[0]).exists(), target


def test_a_second_run_computes_nothing(demo: Path) -> None:
    ran = lutra("run", demo / "study", "--json")
    assert ran.json["computed"] == 0
    assert ran.json["found"] > 100


def test_why_reaches_the_instances(demo: Path) -> None:
    ran = lutra("why", demo / "study", "L01/cycle-1/absorbed-dose.sphere", "--json")
    assert ran.code == 0
    sources = ran.json["sources"]
    assert {s["modality"] for s in sources} == {"PT", "CT", "RTSTRUCT"}
    assert sum(s["modality"] == "PT" for s in sources) == 4
    assert all(s["sop_instance_uids"] for s in sources)
    tree = lutra("why", demo / "study", "L01/cycle-1/absorbed-dose.sphere", "--instances").out
    assert all(uid in tree for s in sources for uid in s["sop_instance_uids"])


def test_usage_errors_exit_with_2_and_say_what_to_do(demo: Path, tmp_path: Path) -> None:
    ran = lutra("why", demo / "study", "nothing-like-this")
    assert ran.code == 2
    assert "lutra why" in ran.err
    assert lutra("study", "add", demo / "study", tmp_path / "absent").code == 2
    assert lutra("run", tmp_path).code == 1
