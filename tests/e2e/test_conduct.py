"""The demo's clinical tables through the study: decisions, responses, exports, and the page of a blinded reader."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lutra.cli.main import app

CYCLES = 4


def table(demo: Path, name: str) -> list[dict[str, str]]:
    with (demo / "study" / "report" / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stated(demo: Path) -> dict[tuple[str, str, str], str]:
    with (demo / "simulated" / "tables" / "measurements.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["quantity"] == "overall response"]
    return {(row["record_id"], row["reader"], row["visit"]): row["text"] for row in rows}


def test_every_overall_response_is_what_the_simulated_readers_wrote(demo: Path) -> None:
    ours = {(r["subject"], r["reader"], r["visit"].removeprefix("visit ")): r["overall"] for r in table(demo, "recist")}
    assert len(ours) >= 4
    assert ours == stated(demo)


def test_survival_is_what_the_clinic_wrote(demo: Path) -> None:
    """The clinic counts days from the first treatment, the standard calls it day 1."""
    with (demo / "simulated" / "tables" / "subjects.csv").open(encoding="utf-8") as file:
        clinic = {row["record_id"]: (int(row["pfs_days"]) + 1, row["pfs_event"] == "1") for row in csv.DictReader(file)}
    first = {r["subject"]: r for r in reversed(table(demo, "endpoints"))}
    assert {s: (int(r["pfs_days"]), r["pfs_event"] == "True") for s, r in first.items()} == clinic


def test_every_cycle_has_a_decision_that_lists_every_rule(demo: Path) -> None:
    rows = table(demo, "decisions")
    asked = {(r["subject"], r["cycle"]) for r in rows}
    assert len(asked) == CYCLES
    assert len(rows) % len(asked) == 0
    (kidney,) = (r for r in rows if r["rule"] == "kidney BED" and r["cycle"] == str(CYCLES))
    assert "kidney: BED" in kidney["saw"]
    assert {r["decision"] for r in rows} <= {"PROCEED", "UNDETERMINED"}


def test_what_was_to_come_came_within_its_interval(demo: Path) -> None:
    """Kidney doses of the last cycle, as the first three cycles predict them, against the doses found in it."""
    (subject,) = {r["subject"] for r in table(demo, "dosimetry")}
    said = json.loads(CliRunner().invoke(app, ["decide", str(demo / "study"), subject, str(CYCLES), "--json"]).output)
    found = {
        r["region"]: float(r["value"])
        for r in table(demo, "dosimetry")
        if (r["cycle"], r["quantity"]) == (str(CYCLES), "absorbed-dose.hybrid")
    }
    assert all(c["given"] == (c["cycle"] < CYCLES) for p in said["projection"] for c in p["cycles"])
    kidneys = [p for p in said["projection"] if p["tissue"] == "kidney"]
    assert len(kidneys) == 2
    for kidney in kidneys:
        dose = kidney["cycles"][CYCLES - 1]["dose_gy"]
        assert dose["low"] <= found[kidney["region"]] <= dose["high"]


def test_exported_tables_read_back_give_the_same_responses(demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "export"
    assert CliRunner().invoke(app, ["export", "tables", str(demo / "study"), "--out", str(out)]).exit_code == 0
    sdtm = out / "sdtm"
    paths = [str(sdtm / "tu.csv"), str(sdtm / "tr.csv"), "--dm", str(sdtm / "dm.csv"), "--json"]
    said: dict[str, Any] = json.loads(CliRunner().invoke(app, ["recist", *paths]).output)
    back = {
        (t["subject"], t["reader"].removeprefix("INVESTIGATOR, "), t["visit"]): t["overall"] for t in said["timepoints"]
    }
    assert back == {(s, r, f"VISIT {v}"): text.upper() for (s, r, v), text in stated(demo).items()}
    with (sdtm / "xd.csv").open(encoding="utf-8") as file:
        doses = [row for row in csv.DictReader(file) if row["XDTESTCD"] == "ABSDOSE" and row["XDLNKID"]]
    assert len(doses) > 10
    assert all(float(row["XDSTRESN"]) > 0 for row in doses)


@pytest.mark.parametrize(
    "words", [r"\bGy\b", r"\bMBq\b", r"\bBq\b", r"\bSUV", r"\babsorbed\b", r"\bdose\b", r"\bcycle \d"]
)
def test_a_blinded_reader_meets_no_word_of_dosimetry(demo: Path, words: str, reader_report: Path) -> None:
    del demo
    for path in [*reader_report.rglob("*.html"), *reader_report.rglob("*.csv")]:
        found = re.search(
            words, re.sub(r"<(style|script).*?</\1>", "", path.read_text(), flags=re.DOTALL), re.IGNORECASE
        )
        assert found is None, (path.name, found)


@pytest.fixture(scope="module")
def reader_report(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = tmp_path_factory.mktemp("blinded") / "study"
    shutil.copytree(demo / "study", study, ignore=shutil.ignore_patterns("report"))
    assert CliRunner().invoke(app, ["report", str(study), "--for-reader"]).exit_code == 0
    return study / "report-reader"
