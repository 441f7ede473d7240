"""What a person changed or decided: a recorded step like any other, that can be taken back and never disappears."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import field, frozen


class EditKind(StrEnum):
    """What an edit is about; its value is of the type named here."""

    LESION_LOCK = "lesion-lock"
    """A :class:`~lutra.core.lesion.Lock`; the target is `SERIES_UID REGION_NAME`."""
    TRANSFORM = "transform"
    """A :class:`~lutra.core.transform.Transform`; the target is `FIXED_FRAME MOVING_FRAME`."""
    DIAMETER = "diameter"
    """A :class:`~lutra.core.response.DiameterPair`; the target is `SERIES_UID LESION_ID`."""
    REGION = "region"
    """A :class:`~lutra.core.region.Region`; the target is `SERIES_UID REGION_NAME`, a region to replace or a new one."""


@frozen
class Edit:
    """One change by a person.

    Parameters
    ----------
    number
        Counted from 1 within the study, in the order made.
    target
        What it is about, in the words of its kind. A later edit of one kind and target stands in place of an earlier one.
    value
        Digest of what was set.
    by, at, reason
        Who, when and why.
    undoes
        Number of the edit that this one takes back; its own value is then empty.
    """

    number: int
    subject_id: str
    kind: EditKind = field(converter=EditKind)
    target: str
    value: str
    by: str
    at: datetime
    reason: str
    undoes: int | None = None


def in_force(edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Edits that hold now: not taken back, and the last of their kind and target. An undo can be undone.

    Parameters
    ----------
    edits
        Every edit of a subject, in the order made.
    """
    undone: set[int] = set()
    for edit in sorted(edits, key=lambda e: -e.number):
        if edit.undoes is not None and edit.number not in undone:
            undone.add(edit.undoes)
    standing: dict[tuple[Any, ...], Edit] = {}
    for edit in sorted(edits, key=lambda e: e.number):
        if edit.undoes is None and edit.number not in undone:
            standing[edit.subject_id, edit.kind, edit.target] = edit
    return tuple(sorted(standing.values(), key=lambda e: e.number))
