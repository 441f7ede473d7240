"""RECIST 1.1 of a pair of tables, without a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from lutra.core.finding import Finding
from lutra.core.tumour import RecistTimepoint
from lutra.ingest.data_table import read_data_table
from lutra.ingest.tumour_tables import read_courses, read_responses, read_subjects
from lutra.response.recist import (
    Endpoints,
    EndpointSettings,
    Known,
    adjudicated,
    assess_course,
    disagreements,
    endpoints,
)


@frozen
class RecistTables:
    """Responses and endpoints of every subject and reader."""

    timepoints: tuple[RecistTimepoint, ...]
    endpoints: tuple[Endpoints, ...]
    findings: tuple[Finding, ...]
    adjudicated: tuple[Endpoints, ...] = ()

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
                "accepted": t.accepted,
            }
            for t in self.timepoints
        ]

    def endpoint_rows(self) -> list[dict[str, Any]]:
        """Plain data, one row per subject and reader."""
        return [asdict(e) for e in self.endpoints]


def assess_tables(
    tu: Path,
    tr: Path,
    settings: EndpointSettings,
    rs: Path | None = None,
    dm: Path | None = None,
    adjudication: Path | None = None,
) -> RecistTables:
    """Assess every subject of the tables.

    Parameters
    ----------
    rs
        Overall responses that the endpoints come from, in place of those assessed.
    dm
        Start of treatment, death, another anticancer therapy and the last day known to be alive; without a start, the day of the
        baseline is.
    adjudication
        Table with `subject` and `reader`: whose reading is taken.

    Raises
    ------
    InputError
        If a table cannot be read, or with `adjudication` readers of a subject differ and nobody chose.
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
        known = Known(**subjects.get(course.subject, {}))
        if known.start is None and course.visits:
            known = evolve(known, start=course.visits[0].on)
        ends.append(endpoints(course.subject, course.reader, visits, known, settings))
    taken: tuple[Endpoints, ...] = ()
    if adjudication is not None:
        chosen = read_data_table(adjudication)
        taken = adjudicated(ends, dict(zip(chosen.text("subject"), chosen.text("reader"), strict=True)))
    return RecistTables(tuple(timepoints), tuple(ends), (*said, *disagreements(ends)), taken)
