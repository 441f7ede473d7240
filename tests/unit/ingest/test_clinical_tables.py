"""Clinical tables: what is read, and which rule every bad cell breaks."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lutra.core.clinical import ClinicalRecord, InfusionKind
from lutra.core.errors import InputError
from lutra.ingest.tables import CellProblem, clinical_records, read_tables
from lutra.reference.analytes import analyte_named, analytes
from lutra.reference.ctcae import VERSIONS, ctcae_grids

ZONE = ZoneInfo("Europe/Brussels")
SUBJECTS = "record_id,sex,age,height,weight,hypertension,diabetes,prior_chemotherapy,stop_date\n"
LABS = "record_id,lab_date,lab_test,lab_value,lab_unit,lab_low,lab_high,missing_reason\n"
GIVEN = (
    "record_id,cycle,prescribed_activity,measured_activity,residual_activity,premedication,amino_acids_start,infusion_start,"
    "infusion_end,amino_acids_end\n"
)


def read(tmp_path: Path, **tables: str) -> tuple[dict[str, ClinicalRecord], tuple[CellProblem, ...]]:
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    found = read_tables(tmp_path, ZONE)
    return {r.subject_id: r for r in clinical_records(found)}, found.problems


def only(problems: tuple[CellProblem, ...]) -> tuple[str, int, str, str]:
    (problem,) = problems
    return problem.table, problem.row, problem.column, problem.rule


def test_a_subject_with_blood_in_other_units(tmp_path: Path) -> None:
    labs = (
        LABS
        + "P1,2026-01-02,creatinine,0.9,mg/dL,0.5,1.1,\n"
        + "P1,2026-01-02,HGB,128,g/L,120,155,\n"
        + "P1,2026-01-02,PLT,187000,/uL,150000,400000,\n"
        + "P1,2026-01-02,egfr,85,mL/min/1.73m2,,,\n"
        + "P1,2026-01-02,albumin,,g/L,,,not drawn\n"
    )
    records, problems = read(tmp_path, subjects=SUBJECTS + "P1,F,61,1.66,70,1,0,0,\n", labs=labs)
    assert problems == ()
    record = records["P1"]
    assert (record.sex, record.age_y, record.height_m, record.weight_kg) == ("F", 61.0, 1.66, 70.0)
    assert (record.risk_factors, record.risk_factors_known) == (("hypertension",), True)
    by_name = {lab.analyte: lab for lab in record.labs}
    # 0.9 mg/dL is 9 mg/L; over 113.12 g/mol: 79.56 umol/L.
    assert by_name["creatinine"].value == pytest.approx(79.56, rel=1e-4)
    assert by_name["creatinine"].uln == pytest.approx(97.24, rel=1e-4)
    assert (by_name["haemoglobin"].value, by_name["haemoglobin"].lln) == pytest.approx((12.8, 12.0))
    assert by_name["platelets"].value == pytest.approx(187.0)
    assert by_name["platelets"].as_written == "187000 /uL"
    assert by_name["platelets"].row == "labs.csv, row 4"
    assert (by_name["albumin"].value, by_name["albumin"].missing_reason) == (None, "not drawn")


def test_an_administration(tmp_path: Path) -> None:
    row = (
        "P1,1,7400,7450,55.5,ondansetron 8 mg 08:00; metoclopramide 08:10,2026-01-05T08:30,2026-01-05T09:00+01:00,"
        "2026-01-05T09:20,2026-01-05T13:00\n"
    )
    records, problems = read(tmp_path, administrations=GIVEN + row)
    assert problems == ()
    (given,) = records["P1"].given
    assert given.net_bq == pytest.approx(7394.5e6)
    assert given.started_at == datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    drugs = [(s.name, s.started_at) for s in given.steps if s.kind is InfusionKind.PREMEDICATION]
    assert drugs[0] == ("ondansetron 8 mg", datetime(2026, 1, 5, 8, 0, tzinfo=ZONE))
    assert [name for name, _ in drugs] == ["ondansetron 8 mg", "metoclopramide"]
    assert records["P1"].given_on(1) == date(2026, 1, 5)
    assert records["P1"].given_on(2) is None


@pytest.mark.parametrize(
    ("row", "column", "rule"),
    [
        ("P1,F,151,1.66,70,0,0,0,", "age", "from 0 to 120 a"),
        ("P1,X,61,1.66,70,0,0,0,", "sex", "one of: F (female), M (male)"),
        ("P1,F,61,166,70,0,0,0,", "height", "from 0.5 to 2.5 m"),
        ("P1,F,61,1.66,seventy,0,0,0,", "weight", "must be a number of kg"),
        ("P1,F,61,1.66,70,maybe,0,0,", "hypertension", "0 (no), 1 (yes)"),
        ("P1,F,61,1.66,70,0,0,0,31.12.2026", "stop_date", "whole date, as 2026-03-31"),
    ],
)
def test_a_bad_cell_of_a_subject_costs_that_cell(tmp_path: Path, row: str, column: str, rule: str) -> None:
    records, problems = read(tmp_path, subjects=f"{SUBJECTS}{row}\n")
    table, line, where, why = only(problems)
    assert (table, line, where) == ("subjects", 2, column)
    assert rule in why
    assert "P1" in records


def test_a_decimal_comma_is_named(tmp_path: Path) -> None:
    text = SUBJECTS.replace(",", ";") + "P1;F;61;1,66;70;0;0;0;\n"
    _, problems = read(tmp_path, subjects=text)
    assert "decimals are written with a point" in only(problems)[3]


@pytest.mark.parametrize(
    ("row", "column", "rule"),
    [
        ("P1,2026-01-02,platelets,187,mg/dL,,,", "lab_unit", "a unit of platelets: 10*9/L"),
        ("P1,2026-01-02,platelets,187000,10*9/L,,,", "lab_value", "check value and unit"),
        ("P1,2026-01-02,platelets,187,10*9/L,400,150,", "lab_low", "below lab_high"),
        ("P1,2026-01-02,platelets,high,10*9/L,,,", "lab_value", "must be a number"),
        ("P1,2026-01-02,platelets,inf,10*9/L,,,", "lab_value", "finite"),
    ],
)
def test_bad_blood_is_refused_and_stays_missing(tmp_path: Path, row: str, column: str, rule: str) -> None:
    records, problems = read(tmp_path, labs=f"{LABS}{row}\n")
    table, line, where, why = only(problems)
    assert (table, line, where) == ("labs", 2, column)
    assert rule in why
    (lab,) = records["P1"].labs
    if column == "lab_low":
        assert (lab.value, lab.lln) == (187.0, None)
    else:
        assert lab.value is None


@pytest.mark.parametrize(
    ("row", "column"), [("P1,,platelets,187,10*9/L,,,", "lab_date"), ("P1,2026-01-02,plutonium,1,g/L,,,", "lab_test")]
)
def test_a_row_that_says_nothing_without_the_cell_is_left_out_and_named(tmp_path: Path, row: str, column: str) -> None:
    records, problems = read(tmp_path, labs=f"{LABS}{row}\nP1,2026-01-02,platelets,187,10*9/L,,,\n")
    assert only(problems)[2] == column
    assert len(records["P1"].labs) == 1


def test_times_and_activities_in_the_wrong_order(tmp_path: Path) -> None:
    row = "P1,1,7400,50,7450,,2026-01-05T08:30,2026-01-05T08:00,2026-01-05T09:20,\n"
    records, problems = read(tmp_path, administrations=GIVEN + row)
    assert {(p.column, p.rule.split(" (")[0]) for p in problems} == {
        ("infusion_start", "must not be before amino_acids_start"),
        ("residual_activity", "must be less than measured_activity"),
    }
    (given,) = records["P1"].given
    assert given.residual_bq is None
    assert given.net_bq is None
    assert given.started_at is None


def test_a_time_without_a_clock_is_none(tmp_path: Path) -> None:
    _, problems = read(tmp_path, administrations=GIVEN + "P1,1,7400,7450,50,,2026-01-05,,,\n")
    assert "time of day" in only(problems)[3]


def test_unknown_columns_tables_and_subjects_are_said(tmp_path: Path) -> None:
    labs = LABS.replace("lab_unit", "unit_of_lab") + "P2,2026-01-02,platelets,187,10*9/L,,,\n"
    _, problems = read(
        tmp_path, subjects=SUBJECTS + "P1,F,61,1.66,70,0,0,0,\n", labs=labs, diary="record_id,text\nP1,x\n"
    )
    said = {(p.table, p.column): p.rule for p in problems}
    assert "not in the dictionary" in said["labs", "unit_of_lab"]
    assert "no row in subjects.csv" in said["labs", "record_id"]
    assert "no table of the dictionary" in said["diary", "(all)"]


def test_a_missing_required_column_takes_the_table(tmp_path: Path) -> None:
    records, problems = read(tmp_path, labs="record_id,lab_date,lab_value\nP1,2026-01-02,3\n")
    assert "is missing" in only(problems)[3]
    assert records == {}


def test_a_repeated_row_is_taken_once(tmp_path: Path) -> None:
    _, problems = read(tmp_path, subjects=SUBJECTS + "P1,F,61,1.66,70,0,0,0,\nP1,F,62,1.66,70,0,0,0,\n")
    assert only(problems)[1] == 3
    assert "repeats the row of line 2" in only(problems)[3]


def test_no_table_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clinical table"):
        read_tables(tmp_path, ZONE)


def test_unanswered_risk_factors_are_not_absent(tmp_path: Path) -> None:
    records, _ = read(tmp_path, subjects=SUBJECTS + "P1,F,61,1.66,70,0,,0,\n")
    assert not records["P1"].risk_factors_known


def test_low_clearance_is_a_risk_factor(tmp_path: Path) -> None:
    labs = LABS + "P1,2026-01-02,creatinine_clearance,55,mL/min,,,\n"
    records, _ = read(tmp_path, subjects=SUBJECTS + "P1,F,61,1.66,70,0,0,0,\n", labs=labs)
    assert records["P1"].risk_factors == ("low-gfr",)


# ---- the tables they rest on ----
def test_names_of_analytes_are_unique() -> None:
    names = [n for a in analytes().values() for n in {a.name, a.label.lower(), *a.aliases}]
    assert len(names) == len(set(names))
    assert analyte_named("Hb") is analytes()["haemoglobin"]
    assert analyte_named("unobtainium") is None


@pytest.mark.parametrize("version", VERSIONS)
def test_graded_analytes_are_kept_in_the_unit_of_their_grid(version: str) -> None:
    for grid in ctcae_grids(version).values():
        assert analytes()[grid.analyte].unit == grid.unit


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [
        ("creatinine", "mg/dL", 10 / 113.12 * 1e3),
        ("bilirubin", "mg/dL", 10 / 584.66 * 1e3),
        ("haemoglobin", "mmol/L", 16114.5 / 1e4),
        ("alt", "ukat/L", 60.0),
    ],
)
def test_factors_follow_from_molar_masses(name: str, unit: str, factor: float) -> None:
    assert analytes()[name].factor(unit) == pytest.approx(factor, rel=1e-4)


def test_blood_samples_for_the_dose_of_marrow(tmp_path: Path) -> None:
    text = "record_id,cycle,sampled_at,concentration,concentration_sd\n"
    rows = "P1,1,2026-01-05T13:00,80,2.4\nP1,1,2026-01-05T09:45,250,\nP1,1,2026-01-05T24:45,250,\n"
    records, problems = read(tmp_path, blood=text + rows)
    assert only(problems)[2] == "sampled_at"
    first, second = records["P1"].blood
    assert (first.concentration_bq_per_ml, first.sd_bq_per_ml) == (250e3, None)
    assert (second.cycle, second.sd_bq_per_ml) == (1, 2400.0)
