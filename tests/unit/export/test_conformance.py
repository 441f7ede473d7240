"""Submission tables against published rules of conformance, by their numbers (of CDISC and FDA, as Pinnacle 21 lists them)."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from lutra.core.clinical import AdverseEvent, ClinicalRecord, GivenCycle, InfusionKind, InfusionStep, LabResult
from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap
from lutra.core.tumour import ReaderResponse, TumourCourse, TumourLesion, TumourReading, TumourVisit
from lutra.core.units import Unit
from lutra.export import tables
from lutra.ingest.tumour_tables import read_courses
from lutra.response.lesion_course import lesion_endpoints
from lutra.response.recist import EndpointSettings, Known, assess_course, endpoints

START = date(2026, 1, 5)
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
Table = list[dict[str, str]]
Tables = dict[str, Table]


# ---- an example with everything that is out of the ordinary ----
def course(subject: str, reader: str, *, accepted: bool | None = None) -> TumourCourse:
    """A baseline with the number 1, a lesion that splits, two that merge, one that nobody measured, and a new one."""
    lesions = (
        TumourLesion("T01", "target", "liver"),
        TumourLesion("T02", "target", "node", node=True),
        TumourLesion("T03", "target", "liver"),
        TumourLesion("NT01", "non-target", "bone"),
        TumourLesion("NEW01", "new", "lung"),
    )
    visits = (
        (
            TumourReading("T01", 40.0, 30.0),
            TumourReading("T02", 25.0, 18.0),
            TumourReading("T03", 20.0, 15.0),
            TumourReading("NT01", state="present"),
        ),
        (
            TumourReading("T01.1", 12.5, 10.25),
            TumourReading("T01.2", state="too small"),
            TumourReading("T02", 14.0, 9.0),
            TumourReading("T03", state="not evaluated"),
            TumourReading("NT01", state="not evaluated"),
        ),
        (
            TumourReading("T01/T03", 33.3, 28.1),
            TumourReading("T02", state="absent"),
            TumourReading("NT01", state="unequivocal progression"),
            TumourReading("NEW01", 12.0, 9.0),
        ),
    )
    return TumourCourse(
        subject,
        reader,
        lesions,
        tuple(
            TumourVisit(n, f"visit {n}", START + timedelta(days=90 * (n - 1) - 14), readings, accepted, 5.0)
            for n, readings in enumerate(visits, start=1)
        ),
    )


def response(of: TumourCourse) -> ReaderResponse:
    timepoints = assess_course(of).value or ()
    ends = endpoints(
        of.subject,
        of.reader,
        [(t.on, t.overall) for t in timepoints if t.on],
        Known(START, date(2026, 9, 1)),
        EndpointSettings(),
    )
    return ReaderResponse(of.subject, of.reader, timepoints, ends, lesion_endpoints(of, START))


def record(subject: str) -> ClinicalRecord:
    therapy = InfusionStep(InfusionKind.RADIOPHARMACEUTICAL, "radiopharmaceutical", AT, AT + timedelta(minutes=20))
    acids = InfusionStep(InfusionKind.AMINO_ACIDS, "amino acids", AT - timedelta(minutes=30), AT + timedelta(hours=4))
    silent = (
        InfusionStep(InfusionKind.AMINO_ACIDS, "amino acids"),
        InfusionStep(InfusionKind.RADIOPHARMACEUTICAL, "radiopharmaceutical"),
    )
    return ClinicalRecord(
        subject,
        "F",
        61.0,
        given=(
            GivenCycle(
                1,
                (InfusionStep(InfusionKind.PREMEDICATION, "ondansetron"), acids, therapy),
                prepared_bq=7.45e9,
                residual_bq=0.05e9,
            ),
            GivenCycle(2, (therapy,), prepared_bq=7.4e9),
            GivenCycle(3, silent, prescribed_bq=7.4e9),
        ),
        labs=(
            LabResult("creatinine", 0.9 * 88.402, "umol/L", date(2026, 1, 2), 44.201, 97.2422, "0.9 mg/dL"),
            LabResult("creatinine", 90.0, "umol/L", date(2026, 1, 5), 44.0, 97.0, "90 umol/L"),
            LabResult("creatinine", 95.0, "umol/L", date(2026, 2, 5), 44.0, 97.0, "95 umol/L"),
            LabResult("egfr", 61.0, "mL/min/{1.73_m2}", date(2026, 1, 2), None, None, "61 mL/min/1.73 m2"),
            LabResult("albumin", None, "g/L", date(2026, 1, 5), 35.0, 50.0, "", missing_reason="not drawn"),
            LabResult("platelets", 120.0, "10*9/L", date(2026, 1, 6), 150.0, 400.0, "120 10*3/uL"),
        ),
        events=(
            AdverseEvent("nausea", 2, date(2026, 1, 6), date(2026, 1, 8), related=True, serious=False),
            AdverseEvent("fatigue", 0, date(2025, 12, 30)),
        ),
        died_on=date(2026, 9, 1),
    )


def numbers() -> list[tables.DosimetryNumber]:
    def estimate(value: float, unit: Unit) -> Estimate:
        return Estimate(value, unit, FrozenMap({"camera": 0.05 * value, "contour": None}))

    make = tables.DosimetryNumber
    return [
        make("L01", True, 1, "activity", "", estimate(1.2e7, Unit.BQ), "x", AT + timedelta(hours=24), 24.0),
        make("L01", True, 1, "time-integrated-activity", "", estimate(3.6e12, Unit.BQ_S), "x"),
        make("left kidney", False, 1, "effective-half-life", "", estimate(180000.0, Unit.S), "x"),
        make("left kidney", False, 1, "mass", "", estimate(150.0, Unit.G), "x"),
        make("left kidney", False, 1, "absorbed-dose", "hybrid", estimate(3.2, Unit.GY), "x"),
        make("left kidney", False, None, "bed", "hybrid", estimate(14.0, Unit.GY), "x"),
        make("spleen", False, 1, "absorbed-dose", "hybrid", None, reason="spleen: no scan " * 30),
    ]


def parsed(name: str, rows: list[tables.Row]) -> Table:
    domain = next(d for d in (*tables.DOMAINS, *tables.DATASETS) if d.name == name)
    return list(csv.DictReader(io.StringIO(domain.as_csv(rows))))


def exported(courses: list[TumourCourse], people: list[ClinicalRecord]) -> Tables:
    responses = [response(c) for c in courses]
    visits = tables.visit_numbers(courses)
    made: dict[str, list[tables.Row]] = {
        "TU": tables.tu_rows("S", courses, START),
        "TR": tables.tr_rows("S", courses, START, responses),
        "RS": tables.rs_rows("S", responses, START, visits),
        "ADTR": tables.adtr_rows("S", courses, responses, START),
        "ADRS": tables.adrs_rows("S", responses, START, visits),
        "ADTTE": tables.adtte_rows("S", responses, START),
        "XD": [],
    }
    for name, rows in (
        ("DM", tables.dm_rows),
        ("EX", tables.ex_rows),
        ("CM", tables.cm_rows),
        ("LB", tables.lb_rows),
        ("AE", tables.ae_rows),
    ):
        made[name] = [row for person in people for row in rows("S", person)]
    for person in people:
        made["XD"] += tables.xd_rows("S", person.subject_id, numbers(), START)
    return {name: parsed(name, rows) for name, rows in made.items()}


@pytest.fixture(scope="module")
def example() -> Tables:
    courses = [course(subject, reader) for subject in ("P1", "P2") for reader in ("reader 1", "reader 2")]
    return exported(courses, [record("P1"), record("P2")])


# ---- the rules ----
def numeric(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", text) is not None


def is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def one_value(rows: Table, key: str, value: str) -> bool:
    """Whether each key has one value."""
    found = defaultdict(set)
    for row in rows:
        if row.get(key):
            found[row[key]].add(row[value])
    return all(len(values) == 1 for values in found.values())


def seen(tables_: Tables, suffix: str) -> Iterator[tuple[str, Table, str]]:
    """Tables that have a column of this suffix, with the column's name."""
    for name, rows in tables_.items():
        if rows and f"{name}{suffix}" in rows[0]:
            yield name, rows, f"{name}{suffix}"


def each(suffix: str, rule: Callable[[dict[str, str], str], bool]) -> Callable[[Tables], bool]:
    """Hold a rule against every row of every domain with results; it gets the row and the domain."""
    return lambda found: all(rule(row, name) for name, rows, _ in seen(found, suffix) for row in rows)


RULES: dict[str, Callable[[Tables], bool]] = {
    "SD0003 dates are ISO 8601": lambda found: all(
        not text or is_iso(text)
        for rows in found.values()
        for row in rows
        for column, text in row.items()
        if column.endswith("DTC")
    ),
    "SD0005 sequence numbers are unique within a subject": lambda found: all(
        len({(row["USUBJID"], row[column]) for row in rows}) == len(rows) for _, rows, column in seen(found, "SEQ")
    ),
    "SD0007 one standard unit for each test": lambda found: all(
        one_value([row for row in rows if row[column]], f"{name}TESTCD", column)
        for name, rows, column in seen(found, "STRESU")
    ),
    "SD0013 no end before its start": each(
        "STDTC", lambda row, d: not row[f"{d}ENDTC"] or row[f"{d}STDTC"] <= row[f"{d}ENDTC"]
    ),
    "SD0016 what is derived has a result": each(
        "DRVFL", lambda row, d: row[f"{d}DRVFL"] != "Y" or row[f"{d}STRESC"] != ""
    ),
    "SD0017 SD0018 names of tests": each(
        "TESTCD",
        lambda row, d: (
            re.fullmatch(r"[A-Z_][A-Z0-9_]{0,7}", row[f"{d}TESTCD"]) is not None and 0 < len(row[f"{d}TEST"]) <= 40
        ),
    ),
    "SD0023 a reason comes with NOT DONE": each(
        "REASND", lambda row, d: not row[f"{d}REASND"] or row[f"{d}STAT"] == "NOT DONE"
    ),
    "SD0026 a number has an original unit": each(
        "ORRESU", lambda row, d: not numeric(row[f"{d}ORRES"]) or row[f"{d}ORRESU"] != ""
    ),
    "SD0027 an original unit has a result": each(
        "ORRESU", lambda row, d: not row[f"{d}ORRESU"] or row[f"{d}ORRES"] != ""
    ),
    "SD0029 a standard number has a unit": each(
        "STRESU", lambda row, d: not numeric(row[f"{d}STRESC"]) or row[f"{d}STRESU"] != ""
    ),
    "SD0030 a standard unit has a result": each(
        "STRESU", lambda row, d: not row[f"{d}STRESU"] or row[f"{d}STRESC"] != ""
    ),
    "SD0035 a dose and its unit come together": lambda found: all(
        bool(row["EXDOSE"]) == bool(row["EXDOSU"]) for row in found["EX"]
    ),
    "SD0036 an original result has a standard one": each(
        "ORRES", lambda row, d: not row[f"{d}ORRES"] or row[f"{d}STRESC"] != ""
    ),
    "SD0038 no day 0": lambda found: all(
        text != "0" for rows in found.values() for row in rows for column, text in row.items() if column.endswith("DY")
    ),
    "SD0040 one name for each test": lambda found: all(
        one_value(rows, column, f"{name}TEST") for name, rows, column in seen(found, "TESTCD")
    ),
    "SD0047 no result: not done, or derived": each(
        "ORRES",
        lambda row, d: bool(row[f"{d}ORRES"]) or row.get(f"{d}STAT") == "NOT DONE" or row.get(f"{d}DRVFL") == "Y",
    ),
    "SD0051 SD0052 one number for each visit, in all tables": lambda found: (
        one_value([*found["TU"], *found["TR"], *found["RS"]], "VISIT", "VISITNUM")
        and one_value([*found["TU"], *found["TR"], *found["RS"]], "VISITNUM", "VISIT")
    ),
    "SD0064 every subject is in DM": lambda found: (
        {row["USUBJID"] for rows in found.values() for row in rows} == {row["USUBJID"] for row in found["DM"]}
    ),
    "numeric and character result are one": each(
        "STRESN", lambda row, d: not row[f"{d}STRESN"] or row[f"{d}STRESN"] == row[f"{d}STRESC"]
    ),
    "what is measured is identified": lambda found: (
        {(r["USUBJID"], r["TREVALID"], r["TRLNKID"]) for r in found["TR"] if r["TRLNKID"]}
        <= {(r["USUBJID"], r["TUEVALID"], r["TULNKID"]) for r in found["TU"]}
    ),
    "no text is longer than 200 characters": lambda found: all(
        len(text) <= 200 for rows in found.values() for row in rows for text in row.values()
    ),
    "ADaM: one parameter for each code": lambda found: all(
        one_value(found[name], "PARAMCD", "PARAM") and one_value(found[name], "PARAM", "PARAMCD")
        for name in ("ADTR", "ADRS", "ADTTE")
    ),
    "ADaM: one baseline for each parameter, lesion and reader": lambda found: all(
        sum(r["ABLFL"] == "Y" for r in found["ADTR"] if key(r) == wanted) == 1
        for wanted in {key(r) for r in found["ADTR"] if r["BASE"]}
    ),
    "ADaM: change is the value minus the baseline": lambda found: all(
        float(r["CHG"]) == pytest.approx(float(r["AVAL"]) - float(r["BASE"]), abs=1e-6)
        for r in found["ADTR"]
        if r["CHG"]
    ),
    "ADaM: what is censored says at what": lambda found: all(
        (r["CNSR"] == "1") == (r["CNSDTDSC"] != "") for r in found["ADTTE"]
    ),
}


def key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("USUBJID", "PARAMCD", "LNKID", "EVALID"))


@pytest.mark.parametrize("rule", RULES)
def test_the_tables_keep_the_rule(example: Tables, rule: str) -> None:
    assert RULES[rule](example)


BROKEN: dict[str, tuple[str, Callable[[dict[str, str]], dict[str, str]]]] = {
    "SD0003 dates are ISO 8601": ("TU", lambda _: {"TUDTC": "5 Jan 2026"}),
    "SD0005 sequence numbers are unique within a subject": ("TR", lambda _: {"TRSEQ": "1"}),
    "SD0007 one standard unit for each test": ("LB", lambda row: {"LBSTRESU": row["LBTESTCD"] + row["LBSEQ"]}),
    "SD0013 no end before its start": ("EX", lambda _: {"EXENDTC": "2000-01-01"}),
    "SD0016 what is derived has a result": ("TR", lambda _: {"TRSTRESC": ""}),
    "SD0017 SD0018 names of tests": ("TU", lambda _: {"TUTESTCD": "1 tumour"}),
    "SD0023 a reason comes with NOT DONE": ("LB", lambda _: {"LBSTAT": ""}),
    "SD0026 a number has an original unit": ("TR", lambda _: {"TRORRESU": ""}),
    "SD0027 an original unit has a result": ("XD", lambda _: {"XDORRES": ""}),
    "SD0029 a standard number has a unit": ("TR", lambda _: {"TRSTRESU": ""}),
    "SD0030 a standard unit has a result": ("XD", lambda _: {"XDSTRESC": ""}),
    "SD0035 a dose and its unit come together": ("EX", lambda _: {"EXDOSU": ""}),
    "SD0036 an original result has a standard one": ("TR", lambda _: {"TRSTRESC": ""}),
    "SD0038 no day 0": ("RS", lambda _: {"RSDY": "0"}),
    "SD0040 one name for each test": ("RS", lambda row: {"RSTEST": row["RSSEQ"]}),
    "SD0047 no result: not done, or derived": ("TR", lambda _: {"TRDRVFL": ""}),
    "SD0051 SD0052 one number for each visit, in all tables": ("RS", lambda row: {"VISITNUM": row["RSSEQ"]}),
    "SD0064 every subject is in DM": ("DM", lambda _: {"USUBJID": "P1"}),
    "numeric and character result are one": ("XD", lambda row: {"XDSTRESC": row["XDORRES"]}),
    "what is measured is identified": ("TU", lambda _: {"TULNKID": "T99"}),
    "no text is longer than 200 characters": ("AE", lambda _: {"AETERM": "x" * 201}),
    "ADaM: one parameter for each code": ("ADRS", lambda row: {"PARAM": row["AVALC"]}),
    "ADaM: one baseline for each parameter, lesion and reader": ("ADTR", lambda _: {"ABLFL": "Y"}),
    "ADaM: change is the value minus the baseline": ("ADTR", lambda row: {"CHG": row["AVAL"]}),
    "ADaM: what is censored says at what": ("ADTTE", lambda _: {"CNSDTDSC": ""}),
}


def test_every_rule_can_be_broken() -> None:
    assert set(BROKEN) == set(RULES)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_rule_that_is_broken_is_found(example: Tables, rule: str) -> None:
    name, change = BROKEN[rule]
    assert not RULES[rule](example | {name: [row | change(row) for row in example[name]]})


# ---- round trips ----
def back(courses: list[TumourCourse], folder: Path) -> tuple[TumourCourse, ...]:
    found = exported(courses, [])
    for name in ("TU", "TR"):
        domain = next(d for d in tables.DOMAINS if d.name == name)
        (folder / f"{name}.csv").write_text(domain.as_csv(found[name]))  # type: ignore[arg-type]
    return read_courses(folder / "TU.csv", folder / "TR.csv")[0]


def test_parts_masses_and_slices_come_back(tmp_path: Path) -> None:
    """Places are written in capitals, as the terminology has them; a node by its own word."""
    (came,) = back([course("P1", "INDEPENDENT ASSESSOR, A", accepted=True)], tmp_path)
    went = course("P1", "INDEPENDENT ASSESSOR, A", accepted=True)
    assert came.reader == went.reader
    assert [v.readings for v in came.visits] == [v.readings for v in went.visits]
    assert [(v.number, v.on, v.accepted, v.slice_mm) for v in came.visits] == [
        (n, d.on, True, 5.0) for n, d in enumerate(went.visits, 1)
    ]
    assert [t.overall for t in assess_course(came).value or ()] == [t.overall for t in assess_course(went).value or ()]


def test_where_nobody_accepted_a_reading_none_is_refused(tmp_path: Path) -> None:
    (came,) = back([course("P1", "INVESTIGATOR, A")], tmp_path)
    assert {v.accepted for v in came.visits} == {None}


def test_lesions_that_nobody_chose_are_not_assessed(tmp_path: Path) -> None:
    measured = TumourCourse(
        "P1",
        "COMPUTER PROGRAM, LUTRA",
        (TumourLesion("L01", "not classified"),),
        (TumourVisit(0, "CT", START, (TumourReading("L01", 30.0, 20.0),)),),
    )
    assert [c.reader for c in back([measured, course("P1", "INVESTIGATOR, A")], tmp_path)] == ["INVESTIGATOR, A"]


def test_the_public_example_comes_back_as_it_was_read(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "clinical" / "recist_sdtm"
    went, _ = read_courses(folder / "tu_onco_recist.csv", folder / "tr_onco_recist.csv")
    came = back(list(went), tmp_path)
    assert [c.subject for c in came] == [c.subject for c in went]
    assert [c.reader for c in came] == [c.reader for c in went]
    for one, other in zip(came, went, strict=True):
        assert one.lesions == other.lesions
        for visit, before in zip(one.visits, other.visits, strict=True):
            assert visit == evolve(before, readings=visit.readings)
            assert {r.lesion: r for r in visit.readings} == {r.lesion: r for r in before.readings}
