"""Who stands for numbers that leave the study, and for which of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from attrs import frozen

from lutra.core.decision import Decision
from lutra.core.study import Role
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.course_view import signatures, signed_digest
from lutra.pipeline.record import SubjectRecord
from lutra.pipeline.response_lock import LOCKED, UNLOCKED


@frozen
class Signed:
    """A person, and when they signed or locked."""

    by: str
    at: datetime


@frozen(eq=False)
class Signatures:
    """Signatures and the lock of a subject.

    Numbers of therapy SPECT and of doses are those of who signed the decision on a later cycle, which rests on them; all others
    those of who locked the response. Nobody stands for a number that came later.

    Parameters
    ----------
    audit
        The audit trail.
    """

    conductor: Conductor
    record: SubjectRecord
    audit: Sequence[Mapping[str, Any]]

    def on_doses(self, cycle: int, values: Iterable[Made]) -> Signed | None:
        """Who first signed for these numbers of a cycle; None while nobody has."""
        there = self._there_since(values)
        later = (signed for of, signed in self._decided if of > cycle and there and there <= signed.at)
        return min(later, key=lambda signed: signed.at, default=None)

    def on_response(self, values: Iterable[Made]) -> Signed | None:
        """Who locked the response with these numbers; None while nobody has."""
        there = self._there_since(values)
        return self._locked if self._locked and there and there <= self._locked.at else None

    def on_image(self, series_uid: str, values: Iterable[Made]) -> Signed | None:
        """Who stands for these numbers of an image."""
        for t in self.record.subject.timepoints:
            if t.series_uid == series_uid and t.role is Role.THERAPY_SPECT and t.cycle is not None:
                return self.on_doses(t.cycle, values)
        return self.on_response(values)

    def _there_since(self, values: Iterable[Made]) -> datetime | None:
        """When the last of these values was made first; None without any."""
        receipts = [self.conductor.ledger.receipt_of_output(made.output) for made in values if made.output is not None]
        return max((receipt.at for receipt in receipts if receipt is not None), default=None)

    @cached_property
    def _locked(self) -> Signed | None:
        found = None
        for entry in self.audit:
            if entry["action"] in {LOCKED, UNLOCKED} and entry["detail"]["subject"] == self.record.subject.subject_id:
                locked = entry["action"] == LOCKED
                found = Signed(entry["detail"]["by"], datetime.fromisoformat(entry["at"])) if locked else None
        return found

    @cached_property
    def _decided(self) -> tuple[tuple[int, Signed], ...]:
        """Signatures under what the rules say now, or on a cycle that the run did not ask about."""
        now = {d.cycle: signed_digest(d) for d in self._decisions()}
        return tuple(
            (cycle, Signed(signature.by, signature.at))
            for cycle, signature, digest in signatures(self.audit, self.record.subject.subject_id)
            if now.get(cycle, digest) == digest
        )

    def _decisions(self) -> Iterator[Decision]:
        yield from (self.conductor.value(made) for made in self.record.course.decisions if made)
