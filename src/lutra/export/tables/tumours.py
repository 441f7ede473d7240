"""Rows of the SDTM domains of tumours: lesions (TU), their sizes and states (TR), and responses (RS).

Names of tests are those of the controlled terminology of CDISC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from lutra.core.tumour import ReaderResponse, RecistTimepoint, TumourCourse, TumourReading, TumourVisit
from lutra.export.tables.domain import Row, iso, keys, number_text, numbered, study_day

INVESTIGATOR = "INVESTIGATOR"
EVALUATORS = (INVESTIGATOR, "INDEPENDENT ASSESSOR", "ADJUDICATOR", "ADJUDICATION COMMITTEE", "COMPUTER PROGRAM")
"""Roles of readers; all but the last are of the controlled terminology, which lets sponsors add their own. A reader of whom nothing
else is known is the investigator's."""
STATES = {"too small": "TOO SMALL TO MEASURE", "not evaluated": "NOT EVALUABLE"}
"""States that are called otherwise in tables; the others are only written in capitals."""
AXES = (("LDIAM", "Longest Diameter"), ("LPERP", "Longest Perpendicular"))
CRITERION = "RECIST 1.1"
NOT_ALL = "NOT ALL TARGETS EVALUATED"
PART = re.compile(r"(?:[.-]\w+|[a-z])$")
"""What a part has behind the name of the lesion that split: `T01.1`, `T01-2`, `T01a`."""

VisitNumbers = Mapping[tuple[str, str, str], float]
"""Number of a visit by subject, reader and name."""


def visit_numbers(courses: Iterable[TumourCourse]) -> VisitNumbers:
    """Say which number the visits have in the readings: responses must carry the same."""
    return {(c.subject, c.reader, v.name): v.number for c in courses for v in c.visits}


def tu_rows(study: str, courses: Iterable[TumourCourse], start: date | None) -> list[Row]:
    """One row per lesion and reader, at the visit that has it first; then parts and masses of lesions that split and merged."""
    rows: list[Row] = []
    for course in courses:
        places = {lesion.lesion: _place(lesion.location, node=lesion.node) for lesion in course.lesions}
        for lesion in course.lesions:
            first = next((v for v in course.visits if any(r.lesion == lesion.lesion for r in v.readings)), None)
            identified = ("TUMIDENT", "Tumor Identification", lesion.kind.upper())
            rows.append(_lesion(study, course, lesion.lesion, identified, places[lesion.lesion], first, start))
        for name, visit in _others(course).items():
            parents = [part if part in places else PART.sub("", part) for part in name.split("/")]
            kind = next((le.kind for le in course.lesions if le.lesion in parents), "new").upper()
            result = ("TUMERGE", "Tumor Merged", kind) if "/" in name else ("TUSPLIT", "Tumor Split", kind)
            if kind == "NEW":
                result = ("TUMIDENT", "Tumor Identification", kind)
            rows.append(_lesion(study, course, name, result, places.get(parents[0], ""), visit, start))
    return numbered(rows, "TUSEQ")


def _others(course: TumourCourse) -> dict[str, TumourVisit]:
    """Find readings of what has no lesion of its own, with the visit that has it first."""
    known = {lesion.lesion for lesion in course.lesions}
    found: dict[str, TumourVisit] = {}
    for visit in course.visits:
        for reading in visit.readings:
            if reading.lesion not in known:
                found.setdefault(reading.lesion, visit)
    return found


def _lesion(
    study: str,
    course: TumourCourse,
    name: str,
    result: tuple[str, str, str],
    place: str,
    visit: TumourVisit | None,
    start: date | None,
) -> Row:
    code, test, kind = result
    return {
        **keys(study, "TU", course.subject),
        "TULNKID": name,
        "TUTESTCD": code,
        "TUTEST": test,
        "TUORRES": kind,
        "TUSTRESC": kind,
        "TULOC": place,
        **_reader("TU", course.reader),
        **(_visit("TU", visit, start) if visit else {}),
    }


def tr_rows(
    study: str, courses: Iterable[TumourCourse], start: date | None, responses: Iterable[ReaderResponse] = ()
) -> list[Row]:
    """One row per diameter or state, lesion, visit and reader; with responses, the sum of the targets at each visit as well."""
    courses = tuple(courses)
    rows: list[Row] = []
    for course in courses:
        kinds = {lesion.lesion: lesion.kind for lesion in course.lesions}
        for visit in course.visits:
            for reading in visit.readings:
                names = [reading.lesion, *(PART.sub("", part) for part in reading.lesion.split("/"))]
                kind = next((kinds[name] for name in names if name in kinds), "new")
                link: Row = {"TRGRPID": kind.upper(), "TRLNKID": reading.lesion}
                rows += [
                    {**_of_visit(study, course, visit, start), **link, **found}
                    for found in _reading(reading, visit, kind)
                ]
    by_reader = {(c.subject, c.reader): c for c in courses}
    for response in responses:
        rows += _sums(study, response, by_reader.get((response.subject, response.reader)), start)
    return numbered(rows, "TRSEQ")


def _of_visit(study: str, course: TumourCourse, visit: TumourVisit, start: date | None) -> Row:
    return {
        **keys(study, "TR", course.subject),
        **_reader("TR", course.reader),
        **_visit("TR", visit, start),
        "TRACPTFL": "Y" if visit.accepted else "",
    }


def _reading(reading: TumourReading, visit: TumourVisit, kind: str) -> Iterator[Row]:
    if reading.state == "not evaluated" and kind == "target":
        yield {**_test(*AXES[0]), "TRSTAT": "NOT DONE", "TRREASND": STATES["not evaluated"]}
    for (code, name), size in zip(AXES, (reading.long_mm, reading.short_mm), strict=True):
        if size is not None and reading.state != "not evaluated":
            yield _length(code, name, size)
    if reading.state:
        state = STATES.get(reading.state, reading.state.upper())
        yield {**_test("TUMSTATE", "Tumor State"), "TRORRES": state, "TRSTRESC": state}
    if visit.slice_mm is not None:
        yield _length("SLTHICK", "Slice Thickness", visit.slice_mm)


def _length(code: str, name: str, size_mm: float) -> Row:
    text = number_text(size_mm)
    original: Row = {"TRORRES": text, "TRORRESU": "mm"}
    return {**_test(code, name), **original, "TRSTRESC": text, "TRSTRESN": size_mm, "TRSTRESU": "mm"}


def _test(code: str, name: str) -> Row:
    return {"TRTESTCD": code, "TRTEST": name}


def _sums(study: str, response: ReaderResponse, course: TumourCourse | None, start: date | None) -> Iterator[Row]:
    """Sum of the targets at every visit, the baseline first; it is derived, so that it has no original result."""
    visits = {visit.name: visit for visit in course.visits} if course else {}
    sums = {t.visit: (t.sum_mm if t.complete else None) for t in response.timepoints if t.target is not None}
    if course and sums:
        sums = {course.visits[0].name: baseline_sum_mm(response.timepoints), **sums}
    for name, total in sums.items():
        if course is None or name not in visits:
            continue
        keyed: Row = {**_of_visit(study, course, visits[name], start), "TRGRPID": "TARGET", "TRDRVFL": "Y"}
        row = {**keyed, **_test("SUMDIAM", "Sum of Diameter")}
        if total is None:
            yield {**row, "TRDRVFL": "", "TRSTAT": "NOT DONE", "TRREASND": NOT_ALL}
        else:
            yield {**row, "TRSTRESC": number_text(total), "TRSTRESN": total, "TRSTRESU": "mm"}


def baseline_sum_mm(timepoints: Iterable[RecistTimepoint]) -> float | None:
    """Sum of the targets at the baseline: before the first visit after it nothing else can be the nadir. [mm]"""
    return next((t.nadir_mm for t in timepoints), None)


def rs_rows(
    study: str, responses: Iterable[ReaderResponse], start: date | None, numbers: VisitNumbers | None = None
) -> list[Row]:
    """Target, non-target, new-lesion and overall response of each visit, then the best response.

    Parameters
    ----------
    numbers
        Of the visits, as the readings have them; a visit without one has no number here either.
    """
    rows: list[Row] = []
    for response in responses:
        common: Row = {
            **keys(study, "RS", response.subject),
            "RSCAT": CRITERION,
            **_reader("RS", response.reader),
        }
        for t in response.timepoints:
            at: Row = {
                **common,
                "RSACPTFL": "Y" if t.accepted else "",
                "VISITNUM": (numbers or {}).get((response.subject, response.reader, t.visit)),
                "VISIT": t.visit.upper(),
                "RSDTC": iso(t.on),
                "RSDY": study_day(t.on, start),
            }
            rows += [{**at, **found} for found in _responses(t)]
        if response.endpoints.bor != "MISSING":
            rows.append({**common, **_response("BESTRESP", "Best Response", response.endpoints.bor)})
    return numbered(rows, "RSSEQ")


def _responses(t: RecistTimepoint) -> Iterator[Row]:
    for code, name, result in (
        ("TRGRESP", "Target Response", t.target),
        ("NTRGRESP", "Non-target Response", t.non_target),
        ("NEWLIND", "New Lesion Indicator", "Y" if t.new_lesion else "N"),
        ("OVRLRESP", "Overall Response", t.overall),
    ):
        if result is not None:
            yield _response(code, name, result)


def _response(code: str, name: str, result: str) -> Row:
    return {"RSTESTCD": code, "RSTEST": name, "RSORRES": result.upper(), "RSSTRESC": result.upper()}


def _place(location: str, *, node: bool) -> str:
    place = location.upper()
    return "LYMPH NODE" if node and "LYMPH NODE" not in place else place


def _reader(prefix: str, reader: str) -> Row:
    """Role and identity of a reader: `INDEPENDENT ASSESSOR, RADIOLOGIST 1` has both, `reader 1` an identity alone."""
    role, _, name = reader.partition(", ")
    if role.upper() in EVALUATORS:
        return {f"{prefix}EVAL": role.upper(), f"{prefix}EVALID": name}
    return {f"{prefix}EVAL": INVESTIGATOR, f"{prefix}EVALID": reader}


def _visit(prefix: str, visit: TumourVisit, start: date | None) -> Row:
    return {
        "VISITNUM": visit.number,
        "VISIT": visit.name.upper(),
        f"{prefix}DTC": iso(visit.on),
        f"{prefix}DY": study_day(visit.on, start),
    }
