"""Who stands for numbers: what was signed later, earlier, under other rules, or unlocked again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lutra.core.decision import Decision, Verdict
from lutra.core.study import Role, Subject, Timepoint
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.course_view import SIGNED, signed_digest
from lutra.pipeline.record import CourseRecord, SubjectRecord
from lutra.pipeline.response_lock import LOCKED, UNLOCKED
from lutra.pipeline.signed import Signatures

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DOSE, ASKED = Made("dose", "r1"), Made("decision", "r2")
DECISION = Decision("P", 2, date(2026, 3, 1), Verdict.PROCEED, ())


def signature(cycle: int, at: datetime, of: str, by: str = "A. Meyer", subject: str = "P") -> dict[str, Any]:
    detail = {
        "subject": subject, "cycle": cycle, "by": by, "at": at.isoformat(), "meaning": "", "verdict": "PROCEED", "reason": "",
        "decision": of,
    }  # fmt: skip
    return {"action": SIGNED, "at": at.isoformat(), "detail": detail}


def lock(action: str, at: datetime, by: str = "R. Eader") -> dict[str, Any]:
    return {"action": action, "at": at.isoformat(), "detail": {"subject": "P", "by": by}}


def signatures(*audit: dict[str, Any]) -> Signatures:
    """Of a subject whose dose of cycle 1 was made at noon, with a decision on cycle 2."""
    ledger = SimpleNamespace(
        receipt_of_output=lambda digest: SimpleNamespace(at=NOON) if digest == "dose" else None,
    )
    conductor = SimpleNamespace(ledger=ledger, value=lambda made: {"decision": DECISION}[made.output])
    points = (
        Timepoint("spect", Role.THERAPY_SPECT, "cycle 1, 24 h", 1, None, None),
        Timepoint("ct", Role.CT, "CT", 1, None, None),
    )
    record = SubjectRecord(Subject("P", "F", (), points), (), (), (), (), course=CourseRecord(decisions=(ASKED,)))
    return Signatures(cast("Conductor", conductor), record, audit)


NOW = signed_digest(DECISION)


@pytest.mark.parametrize(
    ("entry", "by"),
    [
        (signature(2, NOON + HOUR, NOW), "A. Meyer"),
        (signature(2, NOON - HOUR, NOW), None),  # before the dose was known
        (signature(2, NOON + HOUR, "of an earlier state"), None),
        (signature(1, NOON + HOUR, NOW), None),  # the decision on this cycle does not rest on its dose
        (signature(3, NOON + HOUR, "asked by hand"), "A. Meyer"),
        (signature(2, NOON + HOUR, NOW, subject="Q"), None),
    ],
)
def test_a_dose_is_of_who_signed_for_a_later_cycle(entry: dict[str, Any], by: str | None) -> None:
    for found in (signatures(entry).on_doses(1, [DOSE]), signatures(entry).on_image("spect", [DOSE])):
        assert (found.by if found else None) == by


def test_the_first_signature_counts() -> None:
    one, other = signature(2, NOON + 2 * HOUR, NOW, "B"), signature(2, NOON + HOUR, NOW, "A")
    found = signatures(one, other).on_doses(1, [DOSE])
    assert found is not None
    assert (found.by, found.at) == ("A", NOON + HOUR)


@pytest.mark.parametrize(
    ("entries", "by"),
    [
        ([lock(LOCKED, NOON + HOUR)], "R. Eader"),
        ([lock(LOCKED, NOON - HOUR)], None),
        ([lock(LOCKED, NOON + HOUR), lock(UNLOCKED, NOON + 2 * HOUR)], None),
        ([lock(LOCKED, NOON - HOUR), lock(UNLOCKED, NOON), lock(LOCKED, NOON + HOUR, "B")], "B"),
        ([], None),
    ],
)
def test_response_is_of_who_locked_it(entries: list[dict[str, Any]], by: str | None) -> None:
    found = signatures(*entries).on_image("ct", [DOSE])
    assert (found.by if found else None) == by


def test_nobody_stands_for_nothing() -> None:
    of = signatures(signature(2, NOON + HOUR, NOW), lock(LOCKED, NOON + HOUR))
    assert of.on_doses(1, []) is None
    assert of.on_response([Made("unknown", "r9")]) is None
