"""What a rule of the way to SUVbw is; the rules themselves are in `suv_cases`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Generic, TypeVar

from attrs import frozen

from lutra.core.study import SeriesHeader

T = TypeVar("T")


class Part(StrEnum):
    """The three questions a factor answers."""

    UNIT = "stored unit"
    ACTIVITY = "administered activity"
    INSTANT = "decay reference"


@frozen
class Refusal:
    """Why there is no number, with the tags."""

    why: str


@frozen
class Scale:
    """What a rescaled stored value is multiplied by to give SUVbw, or else Bq/mL."""

    factor: float
    gives_suv: bool


@frozen
class Case(Generic[T]):
    """One rule.

    Parameters
    ----------
    when, used
        Condition and consequence in words.
    source
        Whose rule it is.
    find
        What the rule gives for a header; None if it does not apply.
    """

    name: str
    part: Part
    when: str
    used: str
    source: str
    find: Callable[[SeriesHeader], T | Refusal | None]


def first_of(cases: Sequence[Case[T]], header: SeriesHeader) -> tuple[Case[T], T | Refusal]:
    """Find the case that applies; the last one of every part always does."""
    found = ((case, case.find(header)) for case in cases)
    return next((case, value) for case, value in found if value is not None)
