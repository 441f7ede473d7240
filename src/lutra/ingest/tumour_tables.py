"""Tumour readings from tables shaped as SDTM TU, TR, RS and DM."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from lutra.core.errors import InputError
from lutra.core.finding import Finding, Severity, few
from lutra.core.tumour import TumourCourse, TumourLesion, TumourReading, TumourVisit

Row = Mapping[str, str]
NOTHING = {"", "NA", "NAN", "."}
MM_PER = {"mm": 1.0, "cm": 10.0}
STATES = {
    "ABSENT": "absent",
    "PRESENT": "present",
    "UNEQUIVOCAL": "unequivocal",
    "EQUIVOCAL": "equivocal",
    "UNEQUIVOCAL PROGRESSION": "unequivocal progression",
    "INCREASED": "unequivocal progression",
    "TOO SMALL TO MEASURE": "too small",
    "NOT EVALUABLE": "not evaluated",
    "NE": "not evaluated",
    "NOT DONE": "not evaluated",
}
KINDS = {"TARGET": "target", "NON-TARGET": "non-target", "NEW": "new"}
NOT_CLASSIFIED = "NOT CLASSIFIED"
"""Kind of lesions that a program measured and nobody chose; they are not assessed."""
OF_OTHERS = {"TUSPLIT", "TUMERGE"}
"""Rows of TU that say what became of lesions which have rows of their own."""


def read_courses(tu: Path, tr: Path) -> tuple[tuple[TumourCourse, ...], tuple[Finding, ...]]:
    """Read every subject and reader of a pair of tables.

    Sizes in cm become mm. A reader is evaluator and, where given, evaluator's id.

    Raises
    ------
    InputError
        If a column is missing, or a size is no number above or equal to 0.
    """
    lesions: dict[tuple[str, str], dict[str, TumourLesion]] = defaultdict(dict)
    others: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in _rows(tu, ("USUBJID", "TULNKID", "TUSTRESC")):
        kind = KINDS.get(row["TUSTRESC"].upper())
        whose = row["USUBJID"], _reader(row, "TU")
        if row.get("TUTESTCD", "").upper() in OF_OTHERS:
            continue
        if row["TUSTRESC"].upper() == NOT_CLASSIFIED:
            others[whose].append(row["TULNKID"])
        elif kind:
            place = row.get("TULOC", "")
            found = TumourLesion(row["TULNKID"], kind, place, "LYMPH NODE" in place.upper())
            lesions[whose][found.lesion] = found
    visits: dict[tuple[str, str], dict[tuple[float, str], list[Row]]] = defaultdict(lambda: defaultdict(list))
    readings = _rows(tr, ("USUBJID", "TRLNKID", "TRTESTCD", "TRSTRESC", "VISIT"))
    flagged = any(row.get("TRACPTFL", "").upper() == "Y" for row in readings)
    for row in readings:
        whose = row["USUBJID"], _reader(row, "TR")
        if row["TRLNKID"] not in NOTHING and row["TRLNKID"] not in others.get(whose, ()):
            visits[whose][float(row.get("VISITNUM") or 0), row["VISIT"]].append(row)
    findings = [_unclassified(*whose, names) for whose, names in others.items()]
    courses = []
    for (subject, reader), of_visit in sorted(visits.items()):
        own = lesions.get((subject, reader), {})
        known = tuple(own.values())
        done = tuple(
            _visit(number, name, rows, f"{subject}, {reader}", findings, flagged=flagged)
            for (number, name), rows in sorted(of_visit.items())
        )
        courses.append(TumourCourse(subject, reader, known, done))
    return tuple(courses), tuple(findings)


def _unclassified(subject: str, reader: str, names: Sequence[str]) -> Finding:
    text = f"{subject}, {reader}: nobody chose {few(names)} as target or non-target; no response is assessed of what was measured"
    return Finding(Severity.INFO, "ingest.lesion-not-classified", text)


def read_responses(rs: Path) -> dict[tuple[str, str], list[tuple[date, str]]]:
    """Read overall responses by subject and reader; those without a whole date are left out."""
    found: dict[tuple[str, str], list[tuple[date, str]]] = defaultdict(list)
    for row in _rows(rs, ("USUBJID", "RSTESTCD", "RSSTRESC", "RSDTC")):
        on = whole_date(row["RSDTC"])
        if row["RSTESTCD"] == "OVRLRESP" and on is not None:
            found[row["USUBJID"], _reader(row, "RS")].append((on, row["RSSTRESC"]))
    return dict(found)


DATES = {
    "start": ("RFXSTDTC", "RFSTDTC"),
    "death": ("DTHDTC",),
    "therapy": ("NEWTXDTC", "NACTDTC", "NACTDT"),
    "alive": ("LSTALVDT", "LSTALVDTC", "RFPENDTC"),
}
"""Columns of a DM table that hold a date; the first that is whole counts. `alive`: last day known to be alive."""


def read_subjects(dm: Path) -> dict[str, dict[str, date | None]]:
    """Read the dates of :data:`DATES` by subject."""

    def first(row: Row, columns: Sequence[str]) -> date | None:
        return next((day for name in columns if (day := whole_date(row.get(name, "")))), None)

    return {
        row["USUBJID"]: {name: first(row, columns) for name, columns in DATES.items()}
        for row in _rows(dm, ("USUBJID",))
    }


def whole_date(text: str) -> date | None:
    """Day of an ISO date or time; None of a partial one, which is not completed."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _visit(
    number: float, name: str, rows: Sequence[Row], whose: str, findings: list[Finding], *, flagged: bool
) -> TumourVisit:
    """Gather a visit; `flagged`: the table says of some readings that they were accepted, so of the others that they were not."""
    written = sorted({row.get("TRDTC", "") for row in rows} - NOTHING)
    days = sorted(d for text in written if (d := whole_date(text)) is not None)
    if not days and written:
        text = f"{whose}: {name} is dated {written[0]}, which is no whole day; nothing is dated by it. Give the day"
        findings.append(Finding(Severity.WARNING, "ingest.partial-date", text))
    by_lesion: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_lesion[row["TRLNKID"]].append(row)
    flags = {row["TRACPTFL"].upper() for row in rows} if flagged else set()
    thickness = [row for row in rows if row["TRTESTCD"].upper() == "SLTHICK"]
    return TumourVisit(
        number,
        name,
        days[0] if days else None,
        tuple(_reading(lesion, of) for lesion, of in by_lesion.items()),
        flags == {"Y"} if flags else None,
        _mm(thickness[0]) if thickness else None,
    )


def _reading(lesion: str, rows: Sequence[Row]) -> TumourReading:
    size: dict[str, float] = {}
    state = ""
    for row in rows:
        test, value = row["TRTESTCD"].upper(), row["TRSTRESC"]
        if test in {"LDIAM", "DIAMETER", "LPERP"} and value.upper() not in NOTHING:
            if value.upper() in STATES:
                state = STATES[value.upper()]
                continue
            size[test] = _mm(row)
        elif test in {"TUMSTATE", "TUMERGE", "LESFAIL"}:
            state = STATES.get(value.upper(), state or value.casefold())
    return TumourReading(lesion, size.get("LDIAM", size.get("DIAMETER")), size.get("LPERP"), state)


def _mm(row: Row) -> float:
    unit = row.get("TRSTRESU", "mm") or "mm"
    text = row["TRSTRESN"] if row.get("TRSTRESN", "") not in NOTHING else row["TRSTRESC"]
    try:
        value = float(text) * MM_PER[unit]
    except (ValueError, KeyError):
        value = -1.0
    if value < 0:
        raise InputError(
            f"{row['TRTESTCD']} of {row['TRLNKID']} at {row['VISIT']} is {text!r} {unit}",
            where=row["USUBJID"],
            required="a number of mm or cm, 0 or more",
        )
    return value


def _reader(row: Row, domain: str) -> str:
    parts = [row.get(f"{domain}EVAL", ""), row.get(f"{domain}EVALID", "")]
    return ", ".join(part for part in parts if part.upper() not in NOTHING) or "reader"


def _rows(path: Path, required: Sequence[str]) -> list[Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [name for name in required if name not in (rows.fieldnames or ())]
            if missing:
                raise InputError(
                    f"no column {', '.join(missing)}",
                    where=str(path),
                    required=", ".join(required),
                    do="correct the head",
                )
            return [{k: (v or "").strip() for k, v in row.items() if k} for row in rows]
    except OSError as error:
        raise InputError(f"cannot be read: {error}", where=str(path), do="check the path") from error
