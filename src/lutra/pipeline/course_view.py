"""What the report shows of the course of treatment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve

from lutra.core.decision import Decision, Signature, Verdict
from lutra.core.digest import digest
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.record import SubjectRecord
from lutra.report.course import CourseView

SIGNED = "decision signed"
"""Action in the audit trail."""


def course_view(conductor: Conductor, record: SubjectRecord, audit: Sequence[Mapping[str, Any]]) -> CourseView:
    """Gather decisions, projections and deviations of a subject, and who signed."""
    course = record.course
    decisions: tuple[Decision, ...] = tuple(conductor.value(made) for made in course.decisions if made)
    shown = {d.cycle: signed_digest(d) for d in decisions}
    return CourseView(
        decisions,
        tuple(conductor.value(made) for made in course.projections),
        conductor.value(course.deviations) if course.deviations else (),
        tuple(
            (cycle, signature, shown.get(cycle) == of)
            for cycle, signature, of in signatures(audit, record.subject.subject_id)
        ),
        conductor.value(course.responses) if course.responses else (),
        tuple((cycle, conductor.value(made)) for cycle, made in course.marrow),
    )


def signatures(audit: Sequence[Mapping[str, Any]], subject_id: str) -> Iterator[tuple[int, Signature, str]]:
    """Read the signatures of a subject: cycle, signature, and the digest of the decision it is of."""
    for entry in audit:
        if entry["action"] == SIGNED and entry["detail"]["subject"] == subject_id:
            yield _signature(entry["detail"])


def signed_digest(decision: Decision) -> str:
    """Digest a signature refers to: of what the rules say, under whatever protocol they stand. [hex]"""
    return digest(evolve(decision, protocol_digest=""))


def is_signed(decision: Decision, audit: Sequence[Mapping[str, Any]]) -> bool:
    """Whether somebody has signed what the rules say now."""
    now = signed_digest(decision)
    return any(c == decision.cycle and of == now for c, _, of in signatures(audit, decision.subject_id))


def _signature(detail: Mapping[str, Any]) -> tuple[int, Signature, str]:
    at = datetime.fromisoformat(detail["at"])
    signature = Signature(detail["by"], at, detail["meaning"], Verdict(detail["verdict"]), detail["reason"])
    return int(detail["cycle"]), signature, str(detail["decision"])
