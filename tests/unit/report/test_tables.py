"""The tables: the same numbers as on the pages, missing as missing, CSV and Parquet alike."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

NAMES = ("measurements", "doses", "curves", "diameters", "responses", "findings")


def rows(report: Path, name: str) -> list[dict[str, str]]:
    with (report / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def dose(report: Path, key: str) -> dict[str, str]:
    (row,) = (r for r in rows(report, "doses") if r["key"].endswith(key))
    return row


@pytest.mark.parametrize("name", NAMES)
def test_csv_and_parquet_hold_the_same(report: Path, name: str) -> None:
    table = pq.read_table(report / "tables" / f"{name}.parquet").to_pylist()
    text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in table]
    assert text
    assert text == rows(report, name)


def test_complete_dose(report: Path) -> None:
    """1.2, 0.8 and 0.5 Gy in quadrature are 1.526 Gy; 1.96 of that on either side of 13.04 Gy."""
    row = dose(report, "L01/cycle-1/absorbed-dose.sphere")
    assert row["complete"] == "True"
    assert float(row["sd"]) == pytest.approx(1.5264, abs=1e-4)
    assert float(row["low95"]) == pytest.approx(10.048, abs=1e-3)
    assert float(row["high95"]) == pytest.approx(16.032, abs=1e-3)
    assert (row["engine"], row["unit"], row["cycle"]) == ("sphere", "Gy", "1")


def test_incomplete_dose_has_no_interval(report: Path) -> None:
    row = dose(report, "L02/cycle-1/absorbed-dose.local")
    assert (row["complete"], row["sd"], row["low95"], row["high95"]) == ("False", "", "", "")
    assert float(row["sd_evaluated"]) == pytest.approx(1.2)
    assert row["not_evaluated"] == "recovery: L02"


def test_undetermined_dose_is_a_row_without_a_value(report: Path) -> None:
    row = dose(report, "L02/cycle-1/absorbed-dose.sphere")
    assert row["value"] == ""
    assert row["reason"].startswith("The volume of 0.2 mL")


def test_parts_repeat_the_measurements(report: Path) -> None:
    everything = {r["key"]: r for r in rows(report, "measurements")}
    for part in (*rows(report, "doses"), *rows(report, "diameters")):
        part.pop("engine", None)
        assert part == everything[part["key"]]
    assert {r["quantity"] for r in rows(report, "diameters")} == {"longest-diameter"}


def test_curves_tell_points_from_fit(report: Path) -> None:
    first = [r for r in rows(report, "curves") if (r["lesion"], r["cycle"]) == ("L01", "1")]
    assert [float(r["time_h"]) for r in first if r["kind"] == "measured"] == [4.2, 24.1, 72.3, 168.2]
    assert len([r for r in first if r["kind"] == "fitted"]) == 101
