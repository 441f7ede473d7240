"""RECIST 1.1 of a pair of tables, without a study."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from lutra.core.finding import Finding
from lutra.core.tumour import RecistTimepoint
from lutra.ingest.tumour_tables import read_courses, read_responses, read_subjects
from lutra.response.recist import Endpoints, EndpointSettings, assess_course, endpoints


@frozen
class RecistTables:
    """Responses and endpoints of every subject and reader."""

    timepoints: tuple[RecistTimepoint, ...]
    endpoints: tuple[Endpoints, ...]
    findings: tuple[Finding, ...]

    def timepoint_rows(self) -> list[dict[str, Any]]:
        """Plain data, one row per visit; categories as in the controlled terminology of CDISC, in capitals."""
        return [
            {
                "subject": t.subject,
                "reader": t.reader,
                "visit": t.visit,
                "date": None if t.on is None else t.on.isoformat(),
                "target": t.target,
                "non_target": None if t.non_target is None else t.non_target.upper(),
                "new_lesion": t.new_lesion,
                "overall": t.overall.upper(),
                "sum_mm": t.sum_mm,
                "nadir_mm": t.nadir_mm,
                "rule": t.rule,
            }
            for t in self.timepoints
        ]

    def endpoint_rows(self) -> list[dict[str, Any]]:
        """Plain data, one row per subject and reader."""
        return [asdict(e) for e in self.endpoints]


def assess_tables(
    tu: Path, tr: Path, settings: EndpointSettings, rs: Path | None = None, dm: Path | None = None
) -> RecistTables:
    """Assess every subject of the tables.

    Parameters
    ----------
    rs
        Overall responses that the endpoints come from, in place of those assessed.
    dm
        Start of treatment and death; without one, the day of the baseline is the start.

    Raises
    ------
    InputError
        If a table cannot be read.
    """
    courses, findings = read_courses(tu, tr)
    given = None if rs is None else read_responses(rs)
    subjects = {} if dm is None else read_subjects(dm)
    timepoints: list[RecistTimepoint] = []
    ends = []
    said = list(findings)
    for course in courses:
        outcome = assess_course(course)
        said += outcome.findings
        timepoints += outcome.value or ()
        if given is None:
            visits = [(t.on, t.overall) for t in outcome.value or () if t.on is not None]
        else:
            visits = list(given.get((course.subject, course.reader), ()))
        start, death = _dates(subjects, course.subject, course.visits[0].on if course.visits else None)
        ends.append(endpoints(course.subject, course.reader, visits, start, settings, death))
    return RecistTables(tuple(timepoints), tuple(ends), tuple(said))


def _dates(
    subjects: dict[str, tuple[date | None, date | None]], subject: str, baseline: date | None
) -> tuple[date | None, date | None]:
    start, death = subjects.get(subject, (None, None))
    return start or baseline, death
