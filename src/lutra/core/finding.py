"""A doubt that reaches the report, and the value that may come with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Generic, TypeVar

from attrs import field, frozen

from lutra.core.frozen import FrozenMap, frozen_map

T_co = TypeVar("T_co", covariant=True)


class Severity(StrEnum):
    """How much a Finding matters to the reader."""

    INFO = "info"
    """Worth knowing; changes no number."""
    WARNING = "warning"
    """A number rests on something that could be wrong. `lutra run` exits with 3."""
    UNDETERMINED = "undetermined"
    """Something asked for could not be concluded. `lutra run` exits with 4."""
    ERROR = "error"
    """An input was refused. The rest was processed. `lutra run` exits with 3."""


@frozen
class Finding:
    """One doubt, in words a physicist can act on.

    Parameters
    ----------
    severity
        How much it matters.
    code
        `stage.what-happened`, stable, listed in docs/findings.md.
    text
        What was found, where, what is required, what to do.
    evidence
        The facts behind it: files, tags, values, as text.
    """

    severity: Severity
    code: str
    text: str
    evidence: FrozenMap[str, str] = field(factory=FrozenMap, converter=frozen_map)


def _findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(findings)


@frozen
class Outcome(Generic[T_co]):
    """What a stage returns: a value, or none because it cannot be determined, and the doubts met on the way.

    A missing value always comes with a Finding that says why.
    """

    value: T_co | None
    findings: tuple[Finding, ...] = field(default=(), converter=_findings)

    def __attrs_post_init__(self) -> None:
        if self.value is None and not self.findings:
            raise ValueError("an outcome without a value needs a Finding that says why")


def worst(findings: Iterable[Finding]) -> Severity | None:
    """Return the gravest severity, or None if there is no Finding."""
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=None)


def few(names: Sequence[str], n: int = 5) -> str:
    """Name the first of many, and say how many more there are."""
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")
