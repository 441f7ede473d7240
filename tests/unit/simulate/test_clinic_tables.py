"""The clinic's tables as another program reads them."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.simulate.clinic import sampling_days, treat
from lutra.simulate.clinic_doses import DosePerActivity
from lutra.simulate.clinic_tables import ClinicRecord, write_tables
from lutra.simulate.labs import sample_person, sample_traits, take_samples
from lutra.simulate.missing import Mechanism, Missing
from lutra.simulate.progression import progression_free
from lutra.simulate.reads import Reader, ReadLesion, read_course

FIRST = datetime(2025, 3, 4, tzinfo=ZoneInfo("Europe/Brussels"))
VISITS = [-7, 84, 168, 252]
TABLES = ("subjects", "administrations", "labs", "events", "measurements")


def record(seed: int) -> ClinicRecord:
    person = sample_person(seed, "F", 61.4, 68.2, 84.0)
    traits = sample_traits(person, seed)
    course = treat(traits, DosePerActivity(), FIRST, seed)
    panels = sampling_days(course, 600)
    samples = take_samples(traits, course.doses, list(panels), panels=panels)
    lesions = [
        ReadLesion("lesion 1", "liver", [0, 300], [40, 30], [30, 22]),
        ReadLesion("new 1", "node", [0, 200, 201, 300], [0, 0, 14, 20], [0, 0, 12, 18]),
    ]
    reads = tuple(read_course(lesions, VISITS, [Reader(name)], seed, lost=[2]) for name in ("A", "B"))
    gone = Missing("ct", "visit 2", Mechanism.AT_RANDOM, "patient did not come")
    first_counts = next(s.day for s in samples if s.day > 0)
    lab = Missing("lab", f"platelets day {first_counts}", Mechanism.AT_RANDOM, "sample lost")
    return ClinicRecord(
        f"P{seed:03d}",
        person,
        1.67,
        2,
        "small bowel",
        FIRST,
        course,
        samples,
        reads,
        VISITS,
        progression_free(reads[0], VISITS, None, 600),
        death_day=590.0,
        missing=(gone, lab),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder, [record(1), record(2), record(3)])
    return folder


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_patients_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for path in write_tables(tmp_path, [record(1), record(2), record(3)]):
        assert path.read_bytes() == (folder / path.name).read_bytes()


@pytest.mark.parametrize("table", TABLES)
def test_every_column_and_code_is_in_the_dictionary(folder: Path, table: str) -> None:
    dictionary = {r["name"]: r for r in rows(folder, "dictionary") if r["table"] == table}
    found = rows(folder, table)
    assert list(found[0]) == list(dictionary)
    for row in found:
        for name, cell in row.items():
            entry = dictionary[name]
            codes = [c.split(", ")[0] for c in entry["codes"].split(" | ")] if entry["codes"] else None
            if cell and codes:
                assert cell in codes, (name, cell)
            if cell and entry["type"] in {"number", "integer"}:
                float(cell)
            if cell and entry["type"] == "date":
                date.fromisoformat(cell)
            if cell and entry["type"] == "datetime":
                assert datetime.fromisoformat(cell).utcoffset() is not None


def test_subjects_are_rows_of_their_own(folder: Path) -> None:
    found = rows(folder, "subjects")
    assert [r["record_id"] for r in found] == ["P001", "P002", "P003"]
    assert found[0]["first_treatment"] == "2025-03-04"
    assert found[0]["weight"] == "68.2"


@pytest.mark.parametrize("table", TABLES[1:])
def test_instances_count_within_record_and_event(folder: Path, table: str) -> None:
    groups: dict[tuple[str, str], list[int]] = {}
    for row in rows(folder, table):
        assert row["redcap_repeat_instrument"] == table
        groups.setdefault((row["record_id"], row["redcap_event_name"]), []).append(int(row["redcap_repeat_instance"]))
    assert all(n == list(range(1, len(n) + 1)) for n in groups.values())


def test_administrations_hold_what_was_measured(folder: Path) -> None:
    a = record(1).course.administrations[0]
    row = rows(folder, "administrations")[0]
    assert float(row["measured_activity"]) == pytest.approx(a.measured_bq / 1e6, rel=1e-4)
    assert row["infusion_start"] == a.infusion_from.isoformat(timespec="minutes")
    assert row["redcap_event_name"] == "cycle_1_arm_1"
    assert "ondansetron" in row["premedication"]


def test_missing_values_are_empty_with_their_reason(folder: Path) -> None:
    lost = [r for r in rows(folder, "labs") if r["missing_reason"]]
    assert {(r["record_id"], r["lab_test"], r["lab_value"], r["lab_grade"]) for r in lost} == {
        (f"P00{n}", "platelets", "", "") for n in (1, 2, 3)
    }
    scans = [r for r in rows(folder, "measurements") if r["quantity"] == "scan"]
    assert [(r["visit"], r["missing_reason"]) for r in scans] == [("2", "patient did not come")] * 3
    assert "2" not in {r["visit"] for r in rows(folder, "measurements") if r["quantity"] == "sum"}


def test_both_readers_and_the_new_lesion_are_there(folder: Path) -> None:
    mine = [r for r in rows(folder, "measurements") if r["record_id"] == "P001"]
    overall = Counter(r["reader"] for r in mine if r["quantity"] == "overall response")
    assert overall == {"A": 2, "B": 2}
    new = {r["visit"] for r in mine if r["lesion_kind"] == "new"}
    assert new == {"3"}
    assert {r["text"] for r in mine if r["visit"] == "3" and r["quantity"] == "overall response"} == {"PD"}


def test_events_come_in_order_and_end_with_death(folder: Path) -> None:
    mine = [r for r in rows(folder, "events") if r["record_id"] == "P001"]
    dates = [r["event_date"] for r in mine]
    assert dates == sorted(dates)
    assert mine[-1]["event_kind"] == "death"
    assert "progression" in {r["event_kind"] for r in mine}
    assert {r["event_term"] for r in mine if r["event_kind"] == "toxicity"} >= {"lymphocytes"}


def test_no_truth_in_the_tables(folder: Path) -> None:
    """The true count of the first sample is nowhere; the measured one is."""
    value = record(1).samples[0]["platelets"]
    cells = {r["lab_value"] for r in rows(folder, "labs")}
    assert f"{value.measured:.5g}" in cells
    assert f"{value.true:.5g}" not in cells


def test_one_subject_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="P001 more than once"):
        write_tables(tmp_path, [record(1), evolve(record(2), subject="P001")])
