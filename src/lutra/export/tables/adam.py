"""Analysis tables in the manner of ADaM: sizes (ADTR), responses (ADRS) and times to events (ADTTE)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from lutra.core.tumour import ReaderResponse, TumourCourse
from lutra.export.tables.domain import Domain, Row, Variable, iso, study_day

V = Variable
FIRST = (
    V("STUDYID", "Study Identifier", origin="Assigned"),
    V("USUBJID", "Unique Subject Identifier", origin="Assigned"),
    V("PARAMCD", "Parameter Code", origin="Assigned"),
    V("PARAM", "Parameter", origin="Assigned"),
)
READ = (V("EVALID", "Reader", origin="Collected"),)
TIMES = (
    V("AVISITN", "Analysis Visit (N)", "float", "Derived"),
    V("AVISIT", "Analysis Visit", origin="Derived"),
    V("ADT", "Analysis Date", "date", "Derived"),
    V("ADY", "Analysis Relative Day", "integer", "Derived"),
)
ADTR = Domain(
    "ADTR",
    "Tumor Results Analysis",
    "One record per parameter per visit per reader",
    (
        *FIRST,
        V("LNKID", "Link ID: the lesion"),
        *READ,
        *TIMES,
        V("AVAL", "Analysis Value", "float", "Derived"),
        V("BASE", "Baseline Value", "float", "Derived"),
        V("CHG", "Change from Baseline", "float", "Derived"),
        V("PCHG", "Percent Change from Baseline", "float", "Derived"),
        V("NADIR", "Smallest Value Before", "float", "Derived"),
        V("CHGNAD", "Change from Nadir", "float", "Derived"),
        V("PCHGNAD", "Percent Change from Nadir", "float", "Derived"),
        V("ABLFL", "Baseline Record Flag", origin="Derived"),
        V("ANL01FL", "Analysis Flag 01: every target measured", origin="Derived"),
    ),
    ("USUBJID", "PARAMCD", "LNKID", "EVALID", "AVISITN"),
)
ADRS = Domain(
    "ADRS",
    "Response Analysis",
    "One record per parameter per visit per reader",
    (*FIRST, *READ, *TIMES, V("AVALC", "Analysis Value (C)", origin="Derived")),
    ("USUBJID", "PARAMCD", "EVALID", "AVISITN"),
)
ADTTE = Domain(
    "ADTTE",
    "Time-to-Event Analysis",
    "One record per parameter per reader",
    (
        *FIRST,
        *READ,
        V("STARTDT", "Time-to-Event Origin Date", "date", "Derived"),
        V("ADT", "Analysis Date", "date", "Derived"),
        V("AVAL", "Analysis Value: days, the start is day 1", "integer", "Derived"),
        V("CNSR", "Censor: 0 event, 1 censored", "integer", "Derived"),
        V("EVNTDESC", "Event or Censoring Description", origin="Derived"),
    ),
    ("USUBJID", "PARAMCD", "EVALID"),
)
DATASETS = (ADTR, ADRS, ADTTE)


def adtr_rows(
    study: str, courses: Iterable[TumourCourse], responses: Iterable[ReaderResponse], start: date | None
) -> list[Row]:
    """Longest diameter of each lesion and the sum of the targets, visit by visit."""
    rows = [row for course in courses for row in _of_lesions(study, course, start)]
    return [*rows, *(row for response in responses for row in _of_sums(study, response, start))]


def _of_lesions(study: str, course: TumourCourse, start: date | None) -> Iterator[Row]:
    for lesion in course.lesions:
        base: float | None = None
        nadir: float | None = None
        for n, visit in enumerate(course.visits):
            reading = next((r for r in visit.readings if r.lesion == lesion.lesion), None)
            size = None if reading is None else {"absent": 0.0, "too small": 5.0}.get(reading.state, reading.long_mm)
            if size is None:
                continue
            base = size if n == 0 else base
            yield {
                **_keys(study, course.subject, "LDIAM", "Longest Diameter (mm)"),
                "LNKID": lesion.lesion,
                "EVALID": course.reader,
                **_time(visit.number, visit.name, visit.on, start),
                **_changes(size, base, nadir if n else None),
                "ABLFL": "Y" if n == 0 else "",
            }
            nadir = size if nadir is None else min(nadir, size)


def _of_sums(study: str, response: ReaderResponse, start: date | None) -> Iterator[Row]:
    base = next((t.nadir_mm for t in response.timepoints), None)
    for n, t in enumerate(response.timepoints, start=1):
        if t.sum_mm is not None:
            yield {
                **_keys(study, response.subject, "SUMDIAM", "Sum of Target Diameters (mm)"),
                "EVALID": response.reader,
                **_time(n, t.visit, t.on, start),
                **_changes(t.sum_mm, base, t.nadir_mm),
                "ANL01FL": "" if t.target == "NE" or "not measured" in t.rule else "Y",
            }


def adrs_rows(study: str, responses: Iterable[ReaderResponse], start: date | None) -> list[Row]:
    """Overall response of each visit, best response and the same with confirmation."""
    rows: list[Row] = []
    for r in responses:
        rows += [
            {
                **_keys(study, r.subject, "OVR", "Overall Response by RECIST 1.1"),
                "EVALID": r.reader,
                **_time(n, t.visit, t.on, start),
                "AVALC": t.overall.upper(),
            }
            for n, t in enumerate(r.timepoints, start=1)
        ]
        for code, name, value in (
            ("BOR", "Best Overall Response by RECIST 1.1", r.endpoints.bor),
            ("CBOR", "Best Overall Response by RECIST 1.1, confirmed", r.endpoints.confirmed_bor),
        ):
            rows.append({**_keys(study, r.subject, code, name), "EVALID": r.reader, "AVALC": value})
    return rows


def adtte_rows(study: str, responses: Iterable[ReaderResponse], start: date | None) -> list[Row]:
    """Progression-free survival, time to progression, overall survival; and time to progression of each lesion."""
    rows: list[Row] = []
    for r in responses:
        e = r.endpoints
        for code, name, days, event, what in (
            ("PFS", "Progression-Free Survival (days)", e.pfs_days, e.pfs_event, "progression or death"),
            ("TTP", "Time to Progression (days)", e.ttp_days, e.ttp_event, "progression"),
            ("OS", "Overall Survival (days)", e.os_days, e.os_event, "death"),
        ):
            if days is not None:
                censored = "last known alive" if code == "OS" else "last adequate assessment"
                said = what if event else censored
                rows.append(_tte(study, r, code, name, days, said, start, event=bool(event)))
        for lesion in r.lesions:
            if lesion.ttp_days is not None:
                name = f"Time to Progression of {lesion.lesion} (days)"
                what = "progression of the lesion" if lesion.ttp_event else "last measurement of the lesion"
                rows.append(_tte(study, r, "TTPLES", name, lesion.ttp_days, what, start, event=lesion.ttp_event))
    return rows


def _tte(
    study: str,
    r: ReaderResponse,
    code: str,
    name: str,
    days: int,
    what: str,
    start: date | None,
    *,
    event: bool,
) -> Row:
    return {
        **_keys(study, r.subject, code, name),
        "EVALID": r.reader,
        "STARTDT": iso(start),
        "ADT": iso(start + timedelta(days=days - 1)) if start else "",
        "AVAL": days,
        "CNSR": 0 if event else 1,
        "EVNTDESC": what.upper(),
    }


def _keys(study: str, subject: str, code: str, name: str) -> Row:
    return {"STUDYID": study, "USUBJID": subject, "PARAMCD": code, "PARAM": name}


def _time(number: float, name: str, on: date | None, start: date | None) -> Row:
    return {"AVISITN": number, "AVISIT": name, "ADT": iso(on), "ADY": study_day(on, start)}


def _changes(value: float, base: float | None, nadir: float | None) -> Row:
    row: Row = {"AVAL": value, "BASE": base, "NADIR": nadir}
    for of, change, percent in ((base, "CHG", "PCHG"), (nadir, "CHGNAD", "PCHGNAD")):
        if of is not None:
            row[change] = value - of
            row[percent] = 100 * (value / of - 1) if of > 0 else None
    return row
