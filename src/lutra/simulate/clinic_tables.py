"""The clinic's tables of a simulated study: subjects, administrations, labs, events, measurements, and their dictionary.

Long format as REDCap exports it: a record, an event, a repeated instrument and its instance, then the fields. The tables hold what
a study would know, measured and with gaps; the truth is kept elsewhere. The same patients give the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from attrs import frozen

from lutra.core.errors import UsageError
from lutra.reference.data_dictionary import KEYS, REPEAT_KEYS, TABLES, Field
from lutra.simulate.clinic import TreatmentCourse, Verdict
from lutra.simulate.labs import LabSample, LabValue, Person, analytes
from lutra.simulate.missing import Missing
from lutra.simulate.progression import Progression
from lutra.simulate.reads import ReadCourse, Reading, VisitRead
from lutra.simulate.toxicity import toxicities

Cell = str | int | float | bool | datetime | None
Row = dict[str, Cell]

BASELINE, FOLLOW_UP = "baseline", "follow_up"
CYCLE_LASTS_D = 91
"""Later than this after the last cycle is follow-up. [d]"""


@frozen
class BloodDraw:
    """A sample of blood after an infusion. [kBq/mL]"""

    cycle: int
    at: datetime
    measured_kbq_per_ml: float
    sd_kbq_per_ml: float


@frozen
class ClinicRecord:
    """All the clinic knows of one patient.

    Parameters
    ----------
    first_day
        Midnight of the day of cycle 1, aware.
    grade, primary_site
        Of the tumour.
    samples
        In order of days.
    reads
        One course per reader.
    visit_days
        Planned CT visits, by number. [d]
    progression
        As the study records it.
    myelodysplasia_day, death_day
        None if not within the study. [d]
    blood
        For the dose of marrow.
    missing
        What was not obtained; items of kind `lab` are named `ANALYTE day DAY`, those of kind `ct` `visit NUMBER`.
    """

    subject: str
    person: Person
    height_m: float
    grade: int
    primary_site: str
    first_day: datetime
    course: TreatmentCourse
    samples: tuple[LabSample, ...]
    reads: tuple[ReadCourse, ...]
    visit_days: tuple[int, ...]
    progression: Progression
    myelodysplasia_day: float | None = None
    death_day: float | None = None
    missing: tuple[Missing, ...] = ()
    blood: tuple[BloodDraw, ...] = ()

    def reason(self, kind: str, item: str) -> str | None:
        """Why an item is missing; None if it is there."""
        return next((m.reason for m in self.missing if (m.kind, m.item) == (kind, item)), None)

    def event(self, day: float) -> str:
        """Name of the event a day belongs to."""
        given = [a for a in self.course.administrations if a.day <= day]
        if not given:
            return BASELINE
        return FOLLOW_UP if day - self.course.cycle_days[-1] > CYCLE_LASTS_D else f"cycle_{given[-1].cycle}"

    def date(self, day: float) -> str:
        """Calendar date of a day."""
        return (self.first_day + timedelta(days=day)).date().isoformat()


def write_tables(folder: Path, records: Sequence[ClinicRecord]) -> tuple[Path, ...]:
    """Write the tables and `dictionary.csv` into a folder.

    Raises
    ------
    UsageError
        If two records have one subject.
    """
    twice = [s for s, n in Counter(r.subject for r in records).items() if n > 1]
    if twice:
        raise UsageError(f"subject {twice[0]} more than once", required="one record per subject")
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "subjects": [_subject(r) for r in records],
        "administrations": [row for r in records for row in _administrations(r)],
        "labs": [row for r in records for row in _labs(r)],
        "blood": [row for r in records for row in _blood(r)],
        "events": [row for r in records for row in _events(r)],
        "measurements": [row for r in records for row in _measurements(r)],
    }
    paths = []
    for name, fields in TABLES.items():
        columns = KEYS if name == "subjects" else (*KEYS, *REPEAT_KEYS)
        cells = rows[name] if name == "subjects" else _with_instances(name, rows[name])
        paths.append(_write(folder / f"{name}.csv", (*columns, *fields), cells))
    return (*paths, _write(folder / "dictionary.csv", DICTIONARY, _dictionary()))


DICTIONARY = tuple(Field(n, n) for n in ("table", "name", "label", "unit", "type", "codes"))


def _dictionary() -> list[Row]:
    rows: list[Row] = []
    for table, fields in TABLES.items():
        for f in (*KEYS, *(() if table == "subjects" else REPEAT_KEYS), *fields):
            codes = " | ".join(f"{code}, {label}" for code, label in f.codes.items())
            rows.append(
                {"table": table, "name": f.name, "label": f.label, "unit": f.unit, "type": f.type, "codes": codes}
            )
    return rows


def _keys(r: ClinicRecord, day: float) -> Row:
    return {"record_id": r.subject, "redcap_event_name": f"{r.event(day)}_arm_1"}


def _subject(r: ClinicRecord) -> Row:
    return {
        "record_id": r.subject,
        "redcap_event_name": f"{BASELINE}_arm_1",
        "sex": r.person.sex,
        "age": r.person.age_y,
        "height": r.height_m,
        "weight": r.person.weight_kg,
        "grade": r.grade,
        "primary_site": r.primary_site,
        "hypertension": r.person.hypertension,
        "diabetes": r.person.diabetes,
        "prior_chemotherapy": r.person.chemotherapy_before,
        "first_treatment": r.date(0),
        "cycles_given": len(r.course.administrations),
        "stop_date": None if r.course.stop_day is None else r.date(r.course.stop_day),
        "stop_cause": r.course.stop_cause,
        "pfs_days": round(r.progression.day),
        "pfs_event": r.progression.event,
        "pfs_cause": r.progression.cause,
    }


def _administrations(r: ClinicRecord) -> Iterator[Row]:
    for a in r.course.administrations:
        yield _keys(r, a.day) | {
            "cycle": a.cycle,
            "prescribed_activity": a.prescribed_bq / 1e6,
            "measured_activity": a.measured_bq / 1e6,
            "residual_activity": a.measured_residual_bq / 1e6,
            "premedication": "; ".join(f"{drug} {at:%H:%M}" for drug, at in a.premedication),
            "amino_acids_start": a.amino_acids_from,
            "infusion_start": a.infusion_from,
            "infusion_end": a.infusion_to,
            "amino_acids_end": a.amino_acids_to,
        }


def _labs(r: ClinicRecord) -> Iterator[Row]:
    table = {a.name: a for a in analytes()}
    for sample in r.samples:
        for value in sample.values:
            a = table[value.analyte]
            reason = r.reason("lab", f"{value.analyte} day {sample.day}")
            yield _keys(r, sample.day) | {
                "lab_date": r.date(sample.day),
                "lab_test": value.analyte,
                "lab_value": None if reason else value.measured,
                "lab_unit": a.unit,
                "lab_low": a.lln.get(r.person.sex),
                "lab_high": a.uln.get(r.person.sex),
                "lab_grade": None if reason else value.grade_measured,
                "missing_reason": reason,
            }


def _blood(r: ClinicRecord) -> Iterator[Row]:
    for draw in r.blood:
        yield _keys(r, (draw.at - r.first_day).days) | {
            "cycle": draw.cycle,
            "sampled_at": draw.at,
            "concentration": draw.measured_kbq_per_ml,
            "concentration_sd": draw.sd_kbq_per_ml,
        }


def _events(r: ClinicRecord) -> Iterator[Row]:
    found: list[tuple[float, Row]] = []
    for d in r.course.decisions:
        if d.verdict is not Verdict.PROCEED:
            why = "; ".join(f"{s.rule} {s.saw:.4g}" for s in d.reasons if s.wait)
            found.append(
                (d.day, {"event_kind": "decision", "event_term": f"cycle {d.cycle}: {d.verdict}", "event_detail": why})
            )
    if r.course.stop_day is not None:
        found.append((r.course.stop_day, {"event_kind": "stop", "event_term": r.course.stop_cause}))
    for t in toxicities(_without_missing(r)):
        end = None if t.to_day is None else r.date(t.to_day)
        found.append(
            (t.from_day, {"event_kind": "toxicity", "event_term": t.analyte, "event_grade": t.grade, "event_end": end})
        )
    if r.progression.event and r.progression.cause != "death":
        found.append((r.progression.day, {"event_kind": "progression", "event_term": r.progression.cause}))
    if r.myelodysplasia_day is not None:
        found.append((r.myelodysplasia_day, {"event_kind": "toxicity", "event_term": "myelodysplasia"}))
    if r.death_day is not None:
        found.append((r.death_day, {"event_kind": "death", "event_term": "death"}))
    for day, row in sorted(found, key=lambda x: x[0]):
        yield _keys(r, day) | {"event_date": r.date(day)} | row


def _measurements(r: ClinicRecord) -> Iterator[Row]:
    for number, day in enumerate(r.visit_days):
        reason = r.reason("ct", f"visit {number}")
        if reason:
            yield _keys(r, day) | {
                "visit": number,
                "visit_date": r.date(day),
                "quantity": "scan",
                "missing_reason": reason,
            }
    for course in r.reads:
        for visit in course.visits:
            yield from _visit(r, visit)


def _visit(r: ClinicRecord, visit: VisitRead) -> Iterator[Row]:
    keys = _keys(r, visit.day) | {"visit": visit.visit, "visit_date": r.date(visit.day), "reader": visit.reader}
    for reading in visit.readings:
        yield from (keys | row for row in _reading(reading))
    yield keys | {"quantity": "sum", "value": visit.sum_mm, "unit": "mm"}
    for quantity, text in (("target response", visit.target), ("non-target response", visit.non_target)):
        if text is not None:
            yield keys | {"quantity": quantity, "text": text}
    if visit.visit > 0:
        yield keys | {"quantity": "overall response", "text": visit.overall}


def _reading(reading: Reading) -> Iterator[Row]:
    row: Row = {
        "lesion": reading.lesion_id,
        "organ": reading.organ,
        "lesion_kind": reading.kind,
        "lesion_state": reading.state,
    }
    if reading.long_mm is None:
        yield row | {"quantity": "long axis", "unit": "mm", "missing_reason": "not evaluable"}
        return
    yield row | {"quantity": "long axis", "value": reading.long_mm, "unit": "mm"}
    yield row | {"quantity": "short axis", "value": reading.short_mm, "unit": "mm"}


def _without_missing(r: ClinicRecord) -> tuple[LabSample, ...]:
    def there(sample: LabSample, value: LabValue) -> bool:
        return r.reason("lab", f"{value.analyte} day {sample.day}") is None

    return tuple(LabSample(s.day, tuple(v for v in s.values if there(s, v))) for s in r.samples)


def _with_instances(table: str, rows: Iterable[Row]) -> Iterator[Row]:
    seen: Counter[tuple[Cell, Cell]] = Counter()
    for row in rows:
        key = row["record_id"], row["redcap_event_name"]
        seen[key] += 1
        yield row | {"redcap_repeat_instrument": table, "redcap_repeat_instance": seen[key]}


def _write(path: Path, fields: Sequence[Field], rows: Iterable[Row]) -> Path:
    text = io.StringIO(newline="")
    names = [f.name for f in fields]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        unknown = set(row) - set(names)
        if unknown:
            raise UsageError(f"fields {', '.join(sorted(unknown))} are not in the dictionary", where=path.name)
        writer.writerow([_cell(row.get(name)) for name in names])
    path.write_bytes(text.getvalue().encode())
    return path


def _cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case float():
            return f"{value:.5g}" if abs(value) < 1e5 else f"{value:.0f}"
        case datetime():
            return value.isoformat(timespec="minutes")
        case _:
            return str(value)
