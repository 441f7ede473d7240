"""Analysis tables in the manner of ADaM: sizes (ADTR), responses (ADRS) and times to events (ADTTE)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from lutra.core.tumour import ReaderResponse, TumourCourse, TumourLesion
from lutra.export.tables.domain import Domain, Row, Variable, iso, study_day
from lutra.export.tables.tumours import VisitNumbers, baseline_sum_mm, visit_numbers

V = Variable
TOO_SMALL_MM = 5.0
"""Entered for a lesion that is seen and too small to measure. [eisenhauer2009, Eur J Cancer 45:228]"""
ORDER = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE", "MISSING")
"""Responses in the order of their numbers, from 1 on."""
FIRST = (
    V("STUDYID", "Study Identifier", origin="Assigned"),
    V("USUBJID", "Unique Subject Identifier", origin="Assigned"),
    V("PARAMCD", "Parameter Code", origin="Assigned"),
    V("PARAM", "Parameter", origin="Assigned"),
)
LINK = V("LNKID", "Link ID: the lesion")
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
        LINK,
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
        V("ANL01FL", "Analysis Flag 01: nothing is missing", origin="Derived"),
    ),
    ("USUBJID", "PARAMCD", "LNKID", "EVALID", "AVISITN"),
    "BASIC DATA STRUCTURE",
)
ADRS = Domain(
    "ADRS",
    "Response Analysis",
    "One record per parameter per visit per reader",
    (
        *FIRST,
        *READ,
        *TIMES,
        V("AVAL", "Analysis Value: 1 CR to 6 NE, 7 MISSING", "integer", "Derived"),
        V("AVALC", "Analysis Value (C)", origin="Derived"),
        V("ANL01FL", "Analysis Flag 01: until progression", origin="Derived"),
    ),
    ("USUBJID", "PARAMCD", "EVALID", "AVISITN"),
    "BASIC DATA STRUCTURE",
)
ADTTE = Domain(
    "ADTTE",
    "Time-to-Event Analysis",
    "One record per parameter per reader",
    (
        *FIRST,
        LINK,
        *READ,
        V("STARTDT", "Time-to-Event Origin Date", "date", "Derived"),
        V("ADT", "Analysis Date", "date", "Derived"),
        V("AVAL", "Analysis Value: days, the start is day 1", "integer", "Derived"),
        V("CNSR", "Censor: 0 event, 1 censored", "integer", "Derived"),
        V("EVNTDESC", "Event or Censoring Description", origin="Derived"),
        V("CNSDTDSC", "Censor Date Description", origin="Derived"),
    ),
    ("USUBJID", "PARAMCD", "LNKID", "EVALID"),
    "BASIC DATA STRUCTURE",
)
DATASETS = (ADTR, ADRS, ADTTE)


# ---- sizes ----
def adtr_rows(
    study: str, courses: Iterable[TumourCourse], responses: Iterable[ReaderResponse], start: date | None
) -> list[Row]:
    """Longest diameter of each lesion, of nodes the short axis as well, and the sum of the targets, visit by visit."""
    courses = tuple(courses)
    rows: list[Row] = []
    for course in courses:
        for lesion in course.lesions:
            rows += _sizes(study, course, lesion, "LDIAM", start)
            rows += _sizes(study, course, lesion, "LPERP", start) if lesion.node else ()
    by_reader = {(c.subject, c.reader): c for c in courses}
    for response in responses:
        rows += _of_sums(study, response, by_reader.get((response.subject, response.reader)), start)
    return rows


def _sizes(study: str, course: TumourCourse, lesion: TumourLesion, code: str, start: date | None) -> Iterator[Row]:
    name = "Longest Diameter (mm)" if code == "LDIAM" else "Longest Perpendicular (mm)"
    base: float | None = None
    nadir: float | None = None
    for n, visit in enumerate(course.visits):
        reading = next((r for r in visit.readings if r.lesion == lesion.lesion), None)
        if reading is None:
            continue
        measured = reading.long_mm if code == "LDIAM" else reading.short_mm
        size = {"absent": 0.0, "too small": TOO_SMALL_MM, "not evaluated": None}.get(reading.state, measured)
        if size is None:
            continue
        base = size if n == 0 else base
        yield {
            **_keys(study, course.subject, code, name),
            "LNKID": lesion.lesion,
            "EVALID": course.reader,
            **_time(visit.number, visit.name, visit.on, start),
            **_changes(size, base, nadir),
            "ABLFL": "Y" if n == 0 else "",
            "ANL01FL": "Y",
        }
        nadir = size if nadir is None else min(nadir, size)


def _of_sums(study: str, response: ReaderResponse, course: TumourCourse | None, start: date | None) -> Iterator[Row]:
    """Give the sums, the baseline first. A sum that lacks targets is a part of one: it has no change, and no flag."""
    followed = [t for t in response.timepoints if t.sum_mm is not None]
    base = baseline_sum_mm(followed)
    if base is None:
        return
    same: Row = {**_keys(study, response.subject, "SUMDIAM", "Sum of Target Diameters (mm)"), "EVALID": response.reader}
    if course and course.visits:
        first = course.visits[0]
        at = _time(first.number, first.name, first.on, start)
        yield {**same, **at, **_changes(base, base, None), "ABLFL": "Y", "ANL01FL": "Y"}
    numbers = visit_numbers([course] if course else [])
    for t in followed:
        assert t.sum_mm is not None  # noqa: S101  (the filter above)
        at = _time(numbers.get((t.subject, t.reader, t.visit)), t.visit, t.on, start)
        values = _changes(t.sum_mm, base, t.nadir_mm) if t.complete else {"AVAL": t.sum_mm, "BASE": base}
        yield {**same, **at, **values, "ANL01FL": "Y" if t.complete else ""}


# ---- responses ----
def adrs_rows(
    study: str, responses: Iterable[ReaderResponse], start: date | None, numbers: VisitNumbers | None = None
) -> list[Row]:
    """Overall response of each visit, best response and the same with confirmation.

    Parameters
    ----------
    numbers
        Of the visits, as the readings have them.
    """
    rows: list[Row] = []
    for r in responses:
        progressed = False
        for t in r.timepoints:
            overall = t.overall.upper()
            number = (numbers or {}).get((t.subject, t.reader, t.visit))
            rows.append(
                {
                    **_keys(study, r.subject, "OVR", "Overall Response by RECIST 1.1"),
                    "EVALID": r.reader,
                    **_time(number, t.visit, t.on, start),
                    **_response(overall),
                    "ANL01FL": "" if progressed else "Y",
                }
            )
            progressed = progressed or overall == "PD"
        for code, name, value in (
            ("BOR", "Best Overall Response by RECIST 1.1", r.endpoints.bor),
            ("CBOR", "Confirmed Best Overall Response", r.endpoints.confirmed_bor),
        ):
            row = {**_keys(study, r.subject, code, name), "EVALID": r.reader, **_response(value)}
            rows.append({**row, "ANL01FL": "Y"})
    return rows


def _response(value: str) -> Row:
    return {"AVAL": ORDER.index(value) + 1 if value in ORDER else None, "AVALC": value}


# ---- times to events ----
def adtte_rows(study: str, responses: Iterable[ReaderResponse], start: date | None) -> list[Row]:
    """Progression-free survival, time to progression, overall survival; and time to progression of each lesion."""
    rows: list[Row] = []
    for r in responses:
        e = r.endpoints
        progressed = {t.on for t in r.timepoints if t.overall.upper() == "PD"}
        for code, name, days, event in (
            ("PFS", "Progression-Free Survival (days)", e.pfs_days, e.pfs_event),
            ("TTP", "Time to Progression (days)", e.ttp_days, e.ttp_event),
            ("OS", "Overall Survival (days)", e.os_days, e.os_event),
        ):
            if days is None:
                continue
            row = _tte(study, r, code, name, days, start, event=bool(event))
            by_progression = code != "OS" and _reached(start, days) in progressed
            rows.append(row | _described(code, days, event=bool(event), by_progression=by_progression))
        for lesion in r.lesions:
            if lesion.ttp_days is not None:
                name = "Time to Progression of a Lesion (days)"
                row = _tte(study, r, "TTPLES", name, lesion.ttp_days, start, event=lesion.ttp_event)
                said = _described("TTPLES", lesion.ttp_days, event=lesion.ttp_event, by_progression=True)
                rows.append({**row, "LNKID": lesion.lesion, **said})
    return rows


def _described(code: str, days: int, *, event: bool, by_progression: bool) -> Row:
    """Say what happened; and where nothing did, that, and what the last day known of is."""
    if event:
        return {"EVNTDESC": "DISEASE PROGRESSION" if by_progression else "DEATH"}
    if code == "OS":
        return {"EVNTDESC": "ALIVE", "CNSDTDSC": "LAST KNOWN ALIVE"}
    last = "LAST MEASUREMENT OF THE LESION" if code == "TTPLES" else "LAST ADEQUATE ASSESSMENT"
    return {"EVNTDESC": "CENSORED WITHOUT EVENT", "CNSDTDSC": "START OF TREATMENT" if days == 1 else last}


def _tte(study: str, r: ReaderResponse, code: str, name: str, days: int, start: date | None, *, event: bool) -> Row:
    return {
        **_keys(study, r.subject, code, name),
        "EVALID": r.reader,
        "STARTDT": iso(start),
        "ADT": iso(_reached(start, days)),
        "AVAL": days,
        "CNSR": 0 if event else 1,
    }


def _reached(start: date | None, days: int) -> date | None:
    """Return the date of a day, of which the start is day 1."""
    return start + timedelta(days=days - 1) if start else None


def _keys(study: str, subject: str, code: str, name: str) -> Row:
    return {"STUDYID": study, "USUBJID": subject, "PARAMCD": code, "PARAM": name}


def _time(number: float | None, name: str, on: date | None, start: date | None) -> Row:
    return {"AVISITN": number, "AVISIT": name, "ADT": iso(on), "ADY": study_day(on, start)}


def _changes(value: float, base: float | None, nadir: float | None) -> Row:
    row: Row = {"AVAL": value, "BASE": base, "NADIR": nadir}
    for of, change, percent in ((base, "CHG", "PCHG"), (nadir, "CHGNAD", "PCHGNAD")):
        if of is not None:
            row[change] = value - of
            row[percent] = 100 * (value / of - 1) if of > 0 else None
    return row
