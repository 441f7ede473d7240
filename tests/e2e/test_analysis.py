"""From images to the table a statistician gets, and the page that says what the models show."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from .conftest import lutra


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def exported(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "analysis"
    ran = lutra("export", "analysis", demo / "study", "--out", out)
    assert ran.code == 0, ran.err
    return out


def test_cells_are_the_numbers_of_the_report(demo: Path, exported: Path) -> None:
    """Doses and sizes of the analysis table against the report's own tables, which are gathered another way."""
    doses = {
        (r["lesion"], r["cycle"]): float(r["value"])
        for r in _read(demo / "study" / "report" / "tables" / "doses.csv")
        if r["engine"] == "hybrid" and r["quantity"].startswith("absorbed-dose") and r["value"]
    }
    rows = [r for r in _read(exported / "lesions.csv") if r["end_of_treatment"] == "1"]
    compared = 0
    for row in rows:
        for cycle in ("1", "2", "3", "4"):
            if row.get(f"dose_cycle_{cycle}"):
                assert float(row[f"dose_cycle_{cycle}"]) == pytest.approx(doses[row["lesion"], cycle])
                compared += 1
    assert compared >= 4
    responses = _read(demo / "study" / "report" / "tables" / "responses.csv")
    last = {r["lesion"]: float(r["change"]) for r in responses}
    changes = {r["lesion"]: float(r["change"]) for r in rows if r["change"]}
    assert changes
    for lesion, change in changes.items():
        assert change == pytest.approx(last[lesion])


def test_a_row_holds_nothing_of_later_cycles(exported: Path) -> None:
    rows = _read(exported / "lesions.csv")
    assert {r["landmark"] for r in rows} >= {"0", "1", "2"}
    for row in rows:
        for cycle in range(int(row["landmark"]) + 1, 5):
            assert row.get(f"dose_cycle_{cycle}", "") == ""
        if row["landmark"] == "0":
            assert row["dose_cumulative"] == row["dose_latest"] == row["ltd_after"] == ""


def test_every_path_of_the_lineage_is_one_that_why_knows(demo: Path, exported: Path) -> None:
    lineage = _read(exported / "lineage.csv")
    assert all(r["value"] or r["reason_for_missing"] for r in lineage)
    paths = {
        path
        for r in lineage
        for path in r["path"].split("; ")
        if r["column"] in ("fdg_suv_max", "dose_cumulative", "log_ratio")
    }
    some = sorted(paths - {""})[::7][:3]
    assert some
    for path in some:
        assert lutra("why", demo / "study", path).code == 0, path


def test_one_patient_gives_reasons_and_no_numbers(demo: Path) -> None:
    ran = lutra("analyse", demo / "study", "--json")
    assert ran.code in (3, 4), ran.err
    models = ran.json["models"]
    mixed = [m for m in models if m["kind"].endswith("mixed")]
    assert mixed
    assert not any(m["converged"] or m["coefficients"] for m in mixed)
    assert all(m["findings"] for m in mixed)


def test_the_page_says_so_and_carries_its_tables(demo: Path) -> None:
    report = demo / "study" / "report"
    page = (report / "analysis.html").read_text(encoding="utf-8")
    assert "all rows are of one patient" in page
    assert "No predictor" in page or "No result" in page
    assert 'href="analysis.html"' in (report / "index.html").read_text(encoding="utf-8")
    found = json.loads((report / "analysis" / "analysis.json").read_text(encoding="utf-8"))
    for name, digest in ((n, t["sha256"]) for n, t in found["tables"].items()):
        assert digest in page, name


def test_a_plan_of_ones_own_is_followed_and_a_bad_one_named(demo: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'cluster = "subject"\n[[model]]\nname = "mine"\nkind = "km"\ntime = "pfs_days"\nevent = "pfs_event"\n'
    )
    ran = lutra("analyse", demo / "study", "--plan", plan, "--json")
    assert [m["name"] for m in ran.json["models"]] == ["mine"]
    plan.write_text(
        'cluster = "subject"\nsplit = "lesion"\n[[model]]\nname = "mine"\nkind = "km"\ntime = "t"\nevent = "e"\n'
    )
    ran = lutra("analyse", demo / "study", "--plan", plan)
    assert ran.code == 1
    assert "split by lesion is refused" in " ".join(ran.err.split())
