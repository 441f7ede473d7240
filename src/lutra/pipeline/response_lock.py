"""Locking the response of a subject: from then on a reader's measurements stand, and dosimetry may be shown to the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lutra.core.errors import UsageError
from lutra.store import Seen

if TYPE_CHECKING:
    from lutra.pipeline.study import StudyFolder

LOCKED, UNLOCKED = "response locked", "response unlocked"
Audit = Sequence[Mapping[str, Any]]


def locks(audit: Audit) -> set[tuple[str, str]]:
    """Subjects whose response is locked, each with the person who locked it."""
    found: dict[str, str] = {}
    for entry in audit:
        if entry["action"] == LOCKED:
            found[entry["detail"]["subject"]] = entry["detail"]["by"]
        elif entry["action"] == UNLOCKED:
            found.pop(entry["detail"]["subject"], None)
    return set(found.items())


def lock_response(study: StudyFolder, subject: str, by: str, *, unlock: bool = False, reason: str = "") -> None:
    """Lock a subject's response, or unlock it with a reason; both stay in the audit trail.

    Raises
    ------
    UsageError
        If nobody is named, the subject is not known, it is locked (or not) already, or an unlocking has no reason.
    StoreError
        If somebody else did so at this moment.
    """
    known = {*study.clinical, *study.ledger.subject_ids()}
    if subject not in known:
        raise UsageError(
            f"no subject {subject!r} in this study", required=f"one of: {', '.join(sorted(known)) or 'none yet'}"
        )
    if not by.strip():
        raise UsageError("nobody is named", required="the name of the person who locks", do="add --by NAME")
    audit = study.ledger.audit_trail()
    is_locked = subject in {s for s, _ in locks(audit)}
    if is_locked is not unlock:
        state = "locked already" if is_locked else "not locked"
        raise UsageError(f"the response of {subject} is {state}", required="the other state")
    if unlock and not reason.strip():
        raise UsageError("unlocking without a reason", required="a reason", do="add --reason TEXT")
    before = [e["number"] for e in audit if e["action"] in (LOCKED, UNLOCKED) and e["detail"]["subject"] == subject]
    seen = Seen((LOCKED, UNLOCKED), {"subject": subject}, max(before, default=0))
    study.log(UNLOCKED if unlock else LOCKED, {"subject": subject, "by": by.strip(), "reason": reason.strip()}, seen)
