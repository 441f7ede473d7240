"""What was done, with what, by which code: the line that makes a number auditable."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

from attrs import field, frozen

from lutra.core.digest import digest
from lutra.core.finding import Finding
from lutra.core.frozen import FrozenMap, frozen_map


@frozen
class StepKey:
    """Everything that determines the result of a step. Its digest is the cache key.

    Parameters
    ----------
    step
        Qualified name, `stage.what@version` or a plugin's name.
    inputs
        Digest of each input by argument name; of a source file, its SHA-256; of a value that no step made, its digest behind "=".
    settings
        Digest of the settings the step was given.
    code
        Digest of the program text the step can reach.
    seed
        Seed of its random numbers; None if it uses none.
    """

    step: str
    inputs: FrozenMap[str, tuple[str, ...]] = field(converter=frozen_map)
    settings: str
    code: str
    seed: int | None = None

    @cached_property
    def key(self) -> str:
        """Cache key. [hex]"""
        return digest(self)


@frozen
class Receipt:
    """A step that was done.

    Parameters
    ----------
    output
        Digest of the value; None if it could not be determined.
    protocol
        Digest of the whole protocol it was done under; empty of what no protocol governs.
    """

    made_by: StepKey
    output: str | None
    findings: tuple[Finding, ...]
    by: str
    at: datetime
    program: str
    protocol: str = ""
