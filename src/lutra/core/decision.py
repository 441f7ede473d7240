"""Answers to a question of treatment, with every rule that was asked."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from attrs import frozen


class Verdict(StrEnum):
    """What to do with the next cycle. The gravest that any rule asks for wins, in this order.

    UNDETERMINED stands above REDUCE: nothing is given, not even half, while something that had to be known is not. What is known to
    be bad enough to wait or stop for needs nothing else.
    """

    PROCEED = "PROCEED"
    REDUCE = "REDUCE"
    UNDETERMINED = "UNDETERMINED"
    DELAY = "DELAY"
    STOP = "STOP"


@frozen
class Reason:
    """One rule and what it saw.

    Parameters
    ----------
    rule
        Its name in the table.
    verdict
        What it asks for.
    saw
        The facts it looked at, with units and days, in words; what was missing, by name.
    says
        The rule in words.
    source
        Where the rule comes from.
    advisory
        Shown beside the others, and does not decide.
    """

    rule: str
    verdict: Verdict
    saw: str
    says: str
    source: str
    advisory: bool = False


@frozen
class Signature:
    """A person stands for a decision.

    Parameters
    ----------
    verdict
        Theirs: the same, or another with a reason.
    """

    by: str
    at: datetime
    meaning: str
    verdict: Verdict
    reason: str = ""


@frozen
class Decision:
    """The answer for one cycle of one subject. Research use only: a person decides.

    Parameters
    ----------
    decided_on
        Day whose knowledge it rests on.
    earliest_on, latest_on
        Days between which the protocol plans the cycle; None for the first.
    activity_bq
        What the rules would have given; None where they say not to, or cannot tell. [Bq]
    reasons
        Every rule of the table, in its order.
    missing
        What would have to be known, by name.
    """

    subject_id: str
    cycle: int
    decided_on: date
    verdict: Verdict
    reasons: tuple[Reason, ...]
    activity_bq: float | None = None
    missing: tuple[str, ...] = ()
    earliest_on: date | None = None
    latest_on: date | None = None
    protocol_digest: str = ""
    signature: Signature | None = None
