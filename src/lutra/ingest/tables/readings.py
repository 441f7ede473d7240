"""Readings of tumours, from the table of measurements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from lutra.core.tumour import TumourCourse, TumourLesion, TumourReading, TumourVisit
from lutra.ingest.tables.read import TableRow

NODE = "node"
"""Organ of all lymph nodes in the table."""
MM_PER = {"mm": 1.0, "cm": 10.0}
AXES = {"long axis": "long_mm", "short axis": "short_mm"}


def tumour_courses(subject: str, rows: Sequence[TableRow]) -> tuple[TumourCourse, ...]:
    """Gather the readings of one subject by reader and visit; a visit that nobody read is none."""
    readers: dict[str, dict[int, list[TableRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        visit, reader = row.cells.get("visit"), row.cells.get("reader")
        if isinstance(visit, int) and isinstance(reader, str):
            readers[reader][visit].append(row)
    return tuple(_course(subject, reader, visits) for reader, visits in sorted(readers.items()))


def _course(subject: str, reader: str, visits: dict[int, list[TableRow]]) -> TumourCourse:
    lesions: dict[str, TumourLesion] = {}
    for number in sorted(visits):
        for row in visits[number]:
            name, kind = row.cells.get("lesion"), row.cells.get("lesion_kind")
            if isinstance(name, str) and isinstance(kind, str) and name not in lesions:
                organ = str(row.cells.get("organ") or "")
                lesions[name] = TumourLesion(name, kind, organ, organ == NODE)
    done = tuple(_visit(number, visits[number], lesions) for number in sorted(visits))
    return TumourCourse(subject, reader, tuple(lesions.values()), done)


def _visit(number: int, rows: Sequence[TableRow], lesions: dict[str, TumourLesion]) -> TumourVisit:
    days = sorted(day for row in rows if isinstance(day := row.cells.get("visit_date"), date))
    of_lesion: dict[str, list[TableRow]] = defaultdict(list)
    for row in rows:
        if isinstance(name := row.cells.get("lesion"), str):
            of_lesion[name].append(row)
    worse = any(row.cells.get("quantity") == "non-target response" and row.cells.get("text") == "PD" for row in rows)
    readings = [_reading(name, own) for name, own in of_lesion.items()]
    if worse:
        # The table says of all non-targets together that they progressed, not which of them.
        others = [n for n, r in enumerate(readings) if lesions[r.lesion].kind == "non-target"]
        for n in others[:1]:
            readings[n] = TumourReading(readings[n].lesion, state="unequivocal progression")
    return TumourVisit(number, f"visit {number}", days[0] if days else None, tuple(readings))


def _reading(name: str, rows: Sequence[TableRow]) -> TumourReading:
    state = next((str(s) for row in rows if (s := row.cells.get("lesion_state"))), "")
    sizes: dict[str, float] = {}
    for row in rows:
        axis, value, unit = row.cells.get("quantity"), row.cells.get("value"), str(row.cells.get("unit") or "mm")
        if isinstance(value, float) and axis in AXES and unit in MM_PER:
            sizes[AXES[str(axis)]] = value * MM_PER[unit]
    return TumourReading(name, sizes.get("long_mm"), sizes.get("short_mm"), "" if state == "measured" else state)
