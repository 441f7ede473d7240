"""Submission tables: round trips, study days, what is missing, and definitions that fit."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from lutra.core.clinical import AdverseEvent, ClinicalRecord, GivenCycle, InfusionKind, InfusionStep, LabResult
from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap
from lutra.core.tumour import ReaderResponse, TumourCourse, TumourLesion, TumourReading, TumourVisit
from lutra.core.units import Unit
from lutra.export import tables
from lutra.export.tables.define import DEF, ODM, XLINK
from lutra.export.tables.domain import study_day
from lutra.export.tables.redcap import COLUMNS
from lutra.export.tables.sdtm import TESTS
from lutra.ingest.tables import clinical_records, read_tables
from lutra.ingest.tumour_tables import read_courses
from lutra.reference.analytes import analytes
from lutra.response.lesion_course import lesion_endpoints
from lutra.response.recist import EndpointSettings, Known, assess_course, endpoints

START = date(2026, 1, 5)
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def record() -> ClinicalRecord:
    step = InfusionStep(InfusionKind.RADIOPHARMACEUTICAL, "radiopharmaceutical", AT, AT + timedelta(minutes=20))
    acids = InfusionStep(InfusionKind.AMINO_ACIDS, "amino acids", AT - timedelta(minutes=30), AT + timedelta(hours=4))
    return ClinicalRecord(
        "P1",
        "F",
        61.0,
        given=(GivenCycle(1, (acids, step), 7.4e9, 7.45e9, 0.05e9),),
        labs=(
            LabResult("creatinine", 79.56, "umol/L", date(2026, 1, 2), 44.2, 97.2, "0.9 mg/dL"),
            LabResult("albumin", None, "g/L", date(2026, 1, 5), 35.0, 50.0, "", missing_reason="not drawn"),
            LabResult("platelets", 120.0, "10*9/L", date(2026, 1, 6), 150.0, 400.0, "120 10*9/L"),
        ),
        events=(AdverseEvent("nausea", 2, date(2026, 1, 6), related=True),),
        died_on=date(2026, 9, 1),
    )


def course(reader: str = "reader 1") -> TumourCourse:
    lesions = (
        TumourLesion("T01", "target", "liver"),
        TumourLesion("T02", "target", "node", node=True),
        TumourLesion("NT01", "non-target", "bone"),
        TumourLesion("NEW01", "new", "lung"),
    )
    baseline = (
        TumourReading("T01", 40.0, 30.0),
        TumourReading("T02", 25.0, 18.0),
        TumourReading("NT01", state="present"),
    )
    second = (
        TumourReading("T01", 26.5, 20.25),
        TumourReading("T02", 14.0, 9.0),
        TumourReading("NT01", state="not evaluated"),
    )
    third = (
        TumourReading("T01", state="too small"),
        TumourReading("T02", state="absent"),
        TumourReading("NT01", state="unequivocal progression"),
        TumourReading("NEW01", 12.0, 9.0),
    )
    visits = [
        TumourVisit(n, f"visit {n}", START + timedelta(days=90 * n - 14), readings)
        for n, readings in enumerate((baseline, second, third))
    ]
    return TumourCourse("P1", reader, lesions, tuple(visits))


def response(of: TumourCourse) -> ReaderResponse:
    timepoints = assess_course(of).value or ()
    visits = [(t.on, t.overall) for t in timepoints if t.on]
    ends = endpoints(of.subject, of.reader, visits, Known(START, date(2026, 9, 1)), EndpointSettings())
    return ReaderResponse(of.subject, of.reader, timepoints, ends, lesion_endpoints(of, START))


def parsed(name: str, rows: list[dict[str, str | int | float | None]]) -> list[dict[str, str]]:
    domain = next(d for d in (*tables.DOMAINS, *tables.DATASETS) if d.name == name)
    return list(csv.DictReader(io.StringIO(domain.as_csv(rows))))


def test_the_study_has_no_day_zero() -> None:
    assert [study_day(START + timedelta(days=n), START) for n in (-2, -1, 0, 1)] == [-2, -1, 1, 2]
    assert study_day(None, START) is study_day(START, None) is None


def test_tumour_tables_come_back_as_they_went(tmp_path: Path) -> None:
    """Two readers, a node, a lesion too small, one that was not evaluated and a new one."""
    courses = [course("reader 1"), evolve(course("reader 2"), visits=course().visits[:2])]
    for name, rows in (("TU", tables.tu_rows("S", courses, START)), ("TR", tables.tr_rows("S", courses, START))):
        domain = next(d for d in tables.DOMAINS if d.name == name)
        (tmp_path / f"{name}.csv").write_text(domain.as_csv(rows))
    back, findings = read_courses(tmp_path / "TU.csv", tmp_path / "TR.csv")
    assert findings == ()
    for went, came in zip(courses, back, strict=True):
        assert came.reader == f"INVESTIGATOR, {went.reader}"
        assert {le.lesion: (le.kind, le.node) for le in came.lesions} == {
            le.lesion: (le.kind, le.node) for le in went.lesions
        }
        assert [(v.number, v.on, {r.lesion: r for r in v.readings}) for v in came.visits] == [
            (v.number, v.on, {r.lesion: r for r in v.readings}) for v in went.visits
        ]
        ours, theirs = assess_course(went).value or (), assess_course(came).value or ()
        assert [t.overall for t in ours] == [t.overall for t in theirs]


def test_laboratory_values_have_both_units_and_missing_ones_a_reason() -> None:
    creatinine, albumin, platelets = parsed("LB", tables.lb_rows("S", record()))
    assert (creatinine["LBORRES"], creatinine["LBORRESU"]) == ("0.9", "mg/dL")
    assert (creatinine["LBSTRESN"], creatinine["LBSTRESU"], creatinine["LBNRIND"]) == ("79.56", "umol/L", "NORMAL")
    assert (creatinine["LBDY"], albumin["LBDY"], platelets["LBDY"]) == ("-3", "1", "2")
    assert (albumin["LBSTAT"], albumin["LBREASND"], albumin["LBSTRESN"]) == ("NOT DONE", "not drawn", "")
    assert platelets["LBNRIND"] == "LOW"


def test_every_analyte_has_a_test_code() -> None:
    assert set(TESTS) == set(analytes())
    assert all(len(code) <= 8 and len(name) <= 40 for code, name, _ in TESTS.values())


def test_exposure_medication_events_and_subject() -> None:
    (ex,) = parsed("EX", tables.ex_rows("S", record()))
    assert (ex["EXDOSE"], ex["EXDOSU"], ex["EXSTDTC"]) == ("7.4", "GBq", "2026-01-05T09:00+00:00")
    (cm,) = parsed("CM", tables.cm_rows("S", record()))
    assert (cm["CMTRT"], cm["CMCAT"]) == ("AMINO ACIDS", "KIDNEY PROTECTION")
    (ae,) = parsed("AE", tables.ae_rows("S", record()))
    assert (ae["AETERM"], ae["AETOXGR"], ae["AEREL"], ae["AESER"], ae["AEENDTC"]) == ("nausea", "2", "RELATED", "", "")
    (dm,) = parsed("DM", tables.dm_rows("S", record()))
    assert (dm["RFXSTDTC"], dm["DTHDTC"], dm["DTHFL"], dm["SEX"]) == ("2026-01-05T09:00+00:00", "2026-09-01", "Y", "F")


def test_responses_and_times_to_events() -> None:
    found = response(course())
    rs = parsed("RS", tables.rs_rows("S", [found], START))
    assert [(r["VISIT"], r["RSSTRESC"]) for r in rs if r["RSTESTCD"] == "OVRLRESP"] == [
        ("VISIT 1", "PR"),
        ("VISIT 2", "PD"),
    ]
    assert [r["RSSTRESC"] for r in rs if r["RSTESTCD"] == "BESTRESP"] == ["PR"]
    tte = {r["PARAMCD"]: r for r in parsed("ADTTE", tables.adtte_rows("S", [found], START)) if r["PARAMCD"] != "TTPLES"}
    assert (tte["PFS"]["AVAL"], tte["PFS"]["CNSR"], tte["PFS"]["ADT"]) == ("167", "0", "2026-06-20")
    assert tte["PFS"]["EVNTDESC"] == "DISEASE PROGRESSION"
    assert (tte["OS"]["AVAL"], tte["OS"]["CNSR"], tte["OS"]["EVNTDESC"]) == ("240", "0", "DEATH")


def test_a_part_of_a_sum_has_no_change_and_no_flag() -> None:
    one = course()
    without = tuple(r for r in one.visits[1].readings if r.lesion != "T02")
    one = evolve(one, visits=(one.visits[0], evolve(one.visits[1], readings=without)))
    sums = parsed("ADTR", tables.adtr_rows("S", [one], [response(one)], START))
    (part,) = (r for r in sums if (r["PARAMCD"], r["AVISIT"]) == ("SUMDIAM", "visit 1"))
    assert (part["AVAL"], part["CHG"], part["ANL01FL"]) == ("26.5", "", "")
    sums = parsed("TR", tables.tr_rows("S", [one], START, [response(one)]))
    (missing,) = (r for r in sums if (r["TRTESTCD"], r["VISIT"]) == ("SUMDIAM", "VISIT 1"))
    assert (missing["TRSTAT"], missing["TRREASND"]) == ("NOT DONE", "NOT ALL TARGETS EVALUATED")


def test_a_death_before_any_progression_and_a_censoring_are_told_apart() -> None:
    one = evolve(course(), visits=course().visits[:2])
    timepoints = assess_course(one).value or ()
    visits = [(t.on, t.overall) for t in timepoints if t.on]
    died, alive = (
        ReaderResponse("P1", "r", timepoints, endpoints("P1", "r", visits, known, EndpointSettings()), ())
        for known in (Known(START, date(2026, 9, 1)), Known(START, alive=date(2026, 9, 1)))
    )
    said = [
        {
            r["PARAMCD"]: (r["CNSR"], r["EVNTDESC"], r["CNSDTDSC"])
            for r in parsed("ADTTE", tables.adtte_rows("S", [r], START))
        }
        for r in (died, alive)
    ]
    assert said[0]["PFS"] == ("0", "DEATH", "")
    assert said[1]["PFS"] == ("1", "CENSORED WITHOUT EVENT", "LAST ADEQUATE ASSESSMENT")
    assert said[1]["OS"] == ("1", "ALIVE", "LAST KNOWN ALIVE")


def test_responses_have_numbers_and_a_flag_until_progression() -> None:
    found = response(course())
    numbers = tables.visit_numbers([course()])
    rows = parsed("ADRS", tables.adrs_rows("S", [found], START, numbers))
    assert [(r["AVISITN"], r["AVALC"], r["AVAL"], r["ANL01FL"]) for r in rows] == [
        ("1", "PR", "2", "Y"),
        ("2", "PD", "5", "Y"),
        ("", "PR", "2", "Y"),
        ("", "SD", "3", "Y"),
    ]


def test_what_nobody_wrote_down_was_not_given() -> None:
    """A cycle of which only the prescription is known, and amino acids without a time."""
    silent = (
        InfusionStep(InfusionKind.AMINO_ACIDS, "amino acids"),
        InfusionStep(InfusionKind.RADIOPHARMACEUTICAL, "radiopharmaceutical"),
    )
    planned = evolve(record(), given=(GivenCycle(1, silent, 7.4e9),))
    assert tables.ex_rows("S", planned) == tables.cm_rows("S", planned) == []


def test_limits_of_normal_are_in_both_units_and_the_last_value_before_treatment_is_flagged() -> None:
    creatinine, _, platelets = parsed("LB", tables.lb_rows("S", record()))
    assert (creatinine["LBORNRLO"], creatinine["LBORNRHI"]) == ("0.499989", "1.09952")
    assert (creatinine["LBLOBXFL"], platelets["LBLOBXFL"]) == ("Y", "")
    assert (platelets["LBSTRESU"], platelets["LBCAT"]) == ("10^9/L", "HEMATOLOGY")


def test_changes_from_baseline_and_nadir() -> None:
    one = course()
    rows = parsed("ADTR", tables.adtr_rows("S", [one], [response(one)], START))
    lesion = [r for r in rows if r["LNKID"] == "T01"]
    assert [r["AVAL"] for r in lesion] == ["40", "26.5", "5"]
    assert [r["ABLFL"] for r in lesion] == ["Y", "", ""]
    assert float(lesion[2]["PCHG"]) == pytest.approx(-87.5)
    assert float(lesion[2]["CHGNAD"]) == pytest.approx(-21.5)
    sums = [r for r in rows if r["PARAMCD"] == "SUMDIAM"]
    assert [(float(r["AVAL"]), float(r["BASE"])) for r in sums] == [(58.0, 58.0), (35.5, 58.0), (5.0, 58.0)]
    assert [(r["ABLFL"], r["ANL01FL"]) for r in sums] == [("Y", "Y"), ("", "Y"), ("", "Y")]
    node = [r["AVAL"] for r in rows if (r["LNKID"], r["PARAMCD"]) == ("T02", "LPERP")]
    assert node == ["18", "9", "0"]


def test_dosimetry_keeps_its_uncertainty_and_its_path() -> None:
    dose = Estimate(4.0, Unit.GY, FrozenMap({"camera": 0.2, "contour": None}))
    number = tables.DosimetryNumber(
        "left kidney", False, 2, "absorbed-dose", "hybrid", dose, "P1/left-kidney/cycle-2/x"
    )
    total = tables.DosimetryNumber("L01", True, None, "bed", "hybrid", dose, "P1/L01/cumulative/x")
    one, other = parsed("XD", tables.xd_rows("S", "P1", [number, total]))
    assert (one["XDTESTCD"], one["XDMETHOD"], one["XDCYCLE"], one["XDSTRESN"]) == ("ABSDOSE", "HYBRID", "2", "4")
    assert (one["XDSTRU"], one["XDUNEVAL"]) == ("0.2", "contour")
    assert (one["XDLNKID"], one["XDLOC"], one["XDCAT"]) == ("", "LEFT KIDNEY", "NORMAL TISSUE")
    assert (other["XDLNKID"], other["XDCYCLE"], other["XDPATH"]) == ("L01", "", "P1/L01/cumulative/x")


def test_dosimetry_is_in_the_units_of_the_report_and_in_those_it_is_kept_in() -> None:
    day = Estimate(3.6e12, Unit.BQ_S, FrozenMap({"fit": 3.6e11}))
    scan = Estimate(2.5e7, Unit.BQ, FrozenMap())
    numbers = [
        tables.DosimetryNumber("L01", True, 1, "time-integrated-activity", "", day),
        tables.DosimetryNumber("L01", True, 1, "activity", "", scan, at=AT + timedelta(days=1), hours=24.0),
        tables.DosimetryNumber("L01", True, 1, "absorbed-dose", "hybrid", None, reason="one scan"),
    ]
    integral, activity, missing = parsed("XD", tables.xd_rows("S", "P1", numbers, START))
    assert (integral["XDORRES"], integral["XDORRESU"]) == ("1000", "MBq.h")
    assert (integral["XDSTRESN"], integral["XDSTRESU"], integral["XDSTRU"]) == ("3.6e+12", "Bq.s", "3.6e+11")
    assert (activity["XDDTC"], activity["XDDY"], activity["XDHOURS"]) == ("2026-01-06T09:00+00:00", "2", "24")
    assert (missing["XDSTAT"], missing["XDREASND"], missing["XDSTRESN"]) == ("NOT DONE", "one scan", "")
    wrong = tables.DosimetryNumber("L01", True, 1, "mass", "", scan)
    with pytest.raises(ValueError, match="Bq instead of g"):
        tables.xd_rows("S", "P1", [wrong])


def test_the_definition_of_dosimetry_says_every_test_and_its_factor() -> None:
    rows = {r["XDTESTCD"]: r for r in csv.DictReader(io.StringIO(tables.xd_definition()))}
    by_volume = {"EUDBED", "D98", "D90", "D50", "D2"}
    assert set(rows) == {"ACTIVITY", "TIA", "TEFF", "MASS", "ABSDOSE", "BED", "EQD2"} | by_volume
    assert float(rows["TIA"]["Factor to standard unit"]) == pytest.approx(3.6e9)
    assert (rows["TEFF"]["XDORRESU"], rows["TEFF"]["XDSTRESU"]) == ("h", "s")


@pytest.mark.parametrize("domains", [tables.DOMAINS, tables.DATASETS])
def test_the_definition_has_every_column_once_and_every_key(domains: tuple[tables.Domain, ...]) -> None:
    text = tables.define_xml("S", "a study", tables.Standard("SDTMIG", "3.4"), domains, "2026-01-01T00:00:00")
    root = ET.fromstring(text)  # noqa: S314
    items = [item.get("OID") for item in root.iter(f"{{{ODM}}}ItemDef")]
    assert len(items) == len(set(items)) == sum(len(d.variables) for d in domains)
    assert all(item.find(f"{{{DEF}}}Origin") is not None for item in root.iter(f"{{{ODM}}}ItemDef"))
    references = {r.get("ItemOID") for r in root.iter(f"{{{ODM}}}ItemRef")}
    assert references == set(items)
    for domain in domains:
        assert set(domain.keys) <= set(domain.names)
        assert all(len(v.name) <= 8 and len(v.label) <= 40 for v in domain.variables)
    lists = {one.get("OID") for one in root.iter(f"{{{ODM}}}CodeList")}
    assert lists == {one.get("CodeListOID") for one in root.iter(f"{{{ODM}}}CodeListRef")}
    files = {leaf.get(f"{{{XLINK}}}href") for leaf in root.iter(f"{{{DEF}}}leaf")}
    assert files == {f"{domain.name.lower()}.csv" for domain in domains}


def test_the_domain_of_the_sponsor_says_that_it_is() -> None:
    text = tables.define_xml("S", "", tables.Standard("SDTMIG", "3.4"), tables.DOMAINS, "2026-01-01T00:00:00")
    root = ET.fromstring(text)  # noqa: S314
    own = [g.get("Name") for g in root.iter(f"{{{ODM}}}ItemGroupDef") if g.get(f"{{{DEF}}}IsNonStandard") == "Yes"]
    assert own == ["XD"]
    (codes,) = (one for one in root.iter(f"{{{ODM}}}CodeList") if one.get("OID") == "CL.XD.XDTESTCD")
    assert [item.get("CodedValue") for item in codes] == [
        *("ACTIVITY", "TIA", "TEFF", "MASS"),
        *("ABSDOSE", "BED", "EQD2", "EUDBED", "D98", "D90", "D50", "D2"),
    ]


def test_the_redcap_dictionary_has_its_columns_and_names_once(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(tables.redcap_dictionary())))
    assert tuple(rows[0]) == COLUMNS
    names = [row["Variable / Field Name"] for row in rows]
    assert names[0] == "record_id"
    assert len(names) == len(set(names))
    # A column that two tables share is named after its table, and comes back under its own name.
    assert "labs_missing_reason" in names
    head = "record_id,lab_date,lab_test,lab_value,labs_missing_reason"
    (tmp_path / "labs.csv").write_text(f"{head}\nP1,2026-01-02,albumin,,not drawn\n")
    found = read_tables(tmp_path, ZoneInfo("UTC"))
    assert found.problems == ()
    assert clinical_records(found)[0].labs[0].missing_reason == "not drawn"


def test_the_redcap_dictionary_keeps_to_what_redcap_takes() -> None:
    """Names of small letters, digits and underscores; codes of choices without spaces and signs, none twice."""
    for row in csv.DictReader(io.StringIO(tables.redcap_dictionary())):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row["Variable / Field Name"])
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row["Form Name"])
        choices = row["Choices, Calculations, OR Slider Labels"]
        assert bool(choices) == (row["Field Type"] == "radio")
        codes = [choice.split(", ")[0].lower() for choice in choices.split(" | ") if choice]
        assert all(re.fullmatch(r"[a-z0-9_]+", code) for code in codes)
        assert len(codes) == len(set(codes))
        if row["Text Validation Min"] or row["Text Validation Max"]:
            assert row["Text Validation Type OR Show Slider Number"] in {"number", "integer"}


def test_codes_come_back_from_redcap_as_they_are(tmp_path: Path) -> None:
    head = "record_id,visit,visit_date,reader,lesion,organ,lesion_kind,lesion_state,quantity,value,unit,text"
    size = "P1,1,2026-01-02,A,T1,liver,non_target,too_small,long_axis,4,mm,"
    said = "P1,1,2026-01-02,A,,,,,non_target_response,,,non_CR_non_PD"
    (tmp_path / "measurements.csv").write_text(f"{head}\n{size}\n{said}\n")
    found = read_tables(tmp_path, ZoneInfo("UTC"))
    assert found.problems == ()
    one, other = found.rows("measurements")
    assert [one.cells[name] for name in ("lesion_kind", "lesion_state", "quantity")] == [
        *("non-target", "too small", "long axis")
    ]
    assert (other.cells["quantity"], other.cells["text"]) == ("non-target response", "non-CR/non-PD")
