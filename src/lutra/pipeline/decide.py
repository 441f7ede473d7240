"""The question of one cycle: rules and projections of a study, and the people who stand for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from attrs import evolve, field, frozen

from lutra.core.decision import Decision, Signature, Verdict
from lutra.core.errors import UsageError
from lutra.core.finding import Finding, Severity
from lutra.core.projection import Projection
from lutra.core.study import Subject
from lutra.pipeline.conduct import Conduct
from lutra.pipeline.conductor import Conductor, user
from lutra.pipeline.course_view import SIGNED, signatures, signed_digest
from lutra.pipeline.record import SubjectRecord
from lutra.pipeline.study import StudyFolder
from lutra.store import Seen

MEANING = "I have read every rule and what it saw, and stand for this answer"


@frozen
class Answer:
    """What the rules say of a cycle, and who signed.

    Parameters
    ----------
    projections
        Of all regions, from the cycles before this one.
    digest
        Of the decision; a signature under another one is of an earlier state. [hex]
    last_signed
        Number of the last signature in the audit trail, 0 for none.
    """

    decision: Decision
    projections: tuple[Projection, ...]
    findings: tuple[Finding, ...]
    digest: str
    signatures: tuple[tuple[Signature, str], ...] = field(factory=tuple)
    last_signed: int = 0


def answer(
    study: StudyFolder, subject_id: str, cycle: int, on: date | None = None, infusion_on: date | None = None
) -> Answer:
    """Ask whether to give a cycle.

    Parameters
    ----------
    on
        Nothing after this day is looked at; default: the day of the cycle if it was given, else the last day anything is known of.
    infusion_on
        Day the cycle is planned for.

    Raises
    ------
    UsageError
        If the study has no clinical tables of the subject, or there is no such cycle.
    """
    conduct = _conduct(study, subject_id)
    clinical = conduct.clinical
    assert clinical is not None  # noqa: S101  (_conduct refuses what has none)
    if cycle < 1:
        raise UsageError(f"cycle {cycle}", required="a cycle from 1 on")
    given_on = clinical.given_on(cycle)
    day = on or given_on or conduct.last_day
    if day is None:
        raise UsageError(
            f"nothing of {subject_id} has a day",
            where=str(study.root),
            do="bring in labs and administrations, or give --on",
        )
    made = conduct.decision(cycle, day, infusion_on or (given_on if day == given_on else None))
    conductor = conduct.conductor
    decision: Decision = conductor.value(made)
    known = signed_digest(decision)
    decision = evolve(decision, protocol_digest=conduct.protocol.digest)
    projections = tuple(conductor.value(m) for m in conduct.projections(cycle))
    findings = [*conductor.findings(conductor.receipts), *_doubts(projections)]
    audit = [e for e in study.ledger.audit_trail() if e["action"] == SIGNED and e["detail"]["cycle"] == cycle]
    signed = tuple((s, of) for _, s, of in signatures(audit, subject_id))
    last = max((e["number"] for e in audit if e["detail"]["subject"] == subject_id), default=0)
    return Answer(decision, projections, tuple(findings), known, signed, last)


def sign(
    study: StudyFolder, found: Answer, by: str, verdict: Verdict | None = None, reason: str = "", meaning: str = MEANING
) -> Signature:
    """Write down that a person stands for an answer: that of the rules, or another with a reason.

    Raises
    ------
    UsageError
        If nobody signs, or another verdict has no reason.
    StoreError
        If somebody signed this cycle since the answer was read.
    """
    own = found.decision.verdict if verdict is None else verdict
    if not by.strip():
        raise UsageError("a signature without a name", required="the name of the person who decides")
    if own is not found.decision.verdict and not reason.strip():
        raise UsageError(
            f"{own} in place of {found.decision.verdict} without a reason", required="a reason", do="add --reason TEXT"
        )
    signature = Signature(by.strip(), datetime.now(UTC), meaning, own, reason.strip())
    detail = {
        "subject": found.decision.subject_id,
        "cycle": found.decision.cycle,
        "by": signature.by,
        "account": user(),
        "at": signature.at.isoformat(),
        "meaning": meaning,
        "rules_say": found.decision.verdict,
        "verdict": own,
        "reason": signature.reason,
        "decision": found.digest,
    }
    cycle: dict[str, str | int] = {"subject": found.decision.subject_id, "cycle": found.decision.cycle}
    study.log(SIGNED, detail, Seen((SIGNED,), cycle, found.last_signed))
    return signature


def as_json(found: Answer) -> dict[str, Any]:
    """Plain data of an answer."""
    d = found.decision
    return {
        "subject": d.subject_id,
        "cycle": d.cycle,
        "on": d.decided_on.isoformat(),
        "verdict": d.verdict,
        "activity_gbq": None if d.activity_bq is None else d.activity_bq / 1e9,
        "earliest": d.earliest_on.isoformat() if d.earliest_on else None,
        "latest": d.latest_on.isoformat() if d.latest_on else None,
        "rules": [
            {
                "rule": r.rule,
                "verdict": r.verdict,
                "saw": r.saw,
                "says": r.says,
                "source": r.source,
                "advisory": r.advisory,
            }
            for r in d.reasons
        ],
        "missing": list(d.missing),
        "projection": [_projection_json(p) for p in found.projections],
        "protocol": d.protocol_digest,
        "decision": found.digest,
        "signatures": [
            {
                "by": s.by,
                "at": s.at.isoformat(),
                "meaning": s.meaning,
                "verdict": s.verdict,
                "reason": s.reason,
                "of_this_state": of == found.digest,
            }
            for s, of in found.signatures
        ],
    }


def _projection_json(p: Projection) -> dict[str, Any]:
    return {
        "region": p.region,
        "tissue": p.tissue,
        "per_gbq_gy": _quantiles(p.per_gbq_gy),
        "cycles": [
            {"cycle": c.cycle, "given": c.given, "activity_gbq": c.activity_bq / 1e9, "dose_gy": _quantiles(c.dose_gy)}
            for c in p.cycles
        ],
        "limits": [
            {
                "limit": h.limit.name,
                "limit_gy": h.limit.limit_gy,
                "so_far_gy": _quantiles(h.so_far_gy),
                "after_next_gy": _quantiles(h.after_next_gy),
                "after_all_gy": _quantiles(h.after_all_gy),
                "probability_exceeded_so_far": h.exceeded_so_far,
                "probability_exceeded_next": h.exceeded_next,
                "probability_exceeded_all": h.exceeded_all,
                "further_cycles": h.further_cycles,
                "fitting_activity_gbq": h.fitting_activity_bq / 1e9,
            }
            for h in p.limits
        ],
        "trend": p.trend,
        "not_evaluated": list(p.not_evaluated),
    }


def _quantiles(q: Any) -> dict[str, float] | None:
    return None if q is None else {"median": q.median, "low": q.low, "high": q.high}


def _conduct(study: StudyFolder, subject_id: str) -> Conduct:
    inputs = study.run_inputs
    clinical = inputs.clinical.get(subject_id)
    if clinical is None:
        known = ", ".join(sorted(inputs.clinical)) or "nobody"
        raise UsageError(
            f"no clinical record of {subject_id!r}",
            where=str(study.root / "clinical"),
            required=f"one of: {known}",
            do=f"bring tables in with: lutra study tables {study.root} FOLDER",
        )
    stored = study.ledger.current_records().get(subject_id)
    conductor = Conductor(study.store, study.ledger, protocol=inputs.protocol.digest)
    if stored is None:
        return Conduct(
            conductor, inputs.protocol, inputs.table, Subject(subject_id, clinical.sex, (), ()), clinical, {}
        )
    record: SubjectRecord = study.store.get(stored)
    regions = {le.lesion_id: le.dosimetry for le in record.lesions} | {r.name: r for r in record.dosimetry}
    return Conduct(conductor, inputs.protocol, inputs.table, record.subject, clinical, regions, record.course.marrow)


def _doubts(projections: tuple[Projection, ...]) -> Iterator[Finding]:
    for projection in projections:
        if projection.limits and projection.not_evaluated:
            text = (
                f"{projection.region}: {', '.join(projection.not_evaluated)} is in no budget, so that the intervals of the "
                "projection are too narrow and its probabilities too sure"
            )
            yield Finding(Severity.WARNING, "safety.not-evaluated", text)
