"""Who stands for numbers that leave the study, and for which of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from lutra.core.decision import Decision
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.course_view import signatures, signed_digest
from lutra.pipeline.record import SubjectRecord
from lutra.pipeline.response_lock import LOCKED, UNLOCKED
from lutra.store import Ledger

Audit = Sequence[Mapping[str, Any]]


@frozen
class Signed:
    """A person, and when they signed or locked."""

    by: str
    at: datetime

    def covers(self, ledger: Ledger, values: Iterable[Made]) -> bool:
        """Whether every one of these values was there at that time: nobody stands for what came later."""
        first = (ledger.receipt_of_output(made.output) for made in values if made.output is not None)
        return all(receipt is not None and receipt.at <= self.at for receipt in first)


def response_locked(audit: Audit, subject_id: str) -> Signed | None:
    """Who locked the response of a subject, if it is locked."""
    found = None
    for entry in audit:
        if entry["action"] in (LOCKED, UNLOCKED) and entry["detail"]["subject"] == subject_id:
            locked = entry["action"] == LOCKED
            found = Signed(entry["detail"]["by"], datetime.fromisoformat(entry["at"])) if locked else None
    return found


def decided_after(conductor: Conductor, record: SubjectRecord, audit: Audit, cycle: int) -> Signed | None:
    """Who first signed a decision for a later cycle, as the rules say it now: it rests on the doses of this one."""
    now = set()
    for made in record.course.decisions:
        if made:
            decision: Decision = conductor.value(made)
            now.add((decision.cycle, signed_digest(decision)))
    found = [
        Signed(signature.by, signature.at)
        for of, signature, digest in signatures(audit, record.subject.subject_id)
        if of > cycle and (of, digest) in now
    ]
    return min(found, key=lambda signed: signed.at, default=None)
