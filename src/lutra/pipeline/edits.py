"""What people change in a study: made, listed and taken back, and what of it holds now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lutra.core.edit import Edit, EditKind, in_force
from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.core.lesion import Lock
from lutra.core.region import Region
from lutra.core.response import DiameterPair
from lutra.core.study import SeriesHeader
from lutra.core.transform import Transform
from lutra.pipeline.conductor import user
from lutra.pipeline.contained import Contained, contained
from lutra.store import ArtifactStore, Ledger

if TYPE_CHECKING:
    from lutra.pipeline.study import StudyFolder

Value = Lock | Transform | DiameterPair | Region

VALUE_TYPE: dict[EditKind, type[Value]] = {
    EditKind.LESION_LOCK: Lock,
    EditKind.TRANSFORM: Transform,
    EditKind.DIAMETER: DiameterPair,
    EditKind.REGION: Region,
}


def make_edit(
    study: StudyFolder,
    subject_id: str,
    kind: EditKind,
    target: str,
    value: Value,
    reason: str,
    *,
    expected: int | None = None,
    by: str | None = None,
) -> Edit:
    """Record what a person sets, in place of an earlier edit of the same kind and target.

    Parameters
    ----------
    target
        In the words of the kind, see :class:`~lutra.core.edit.EditKind`.
    expected
        Number of the last edit of this subject that the person saw, 0 for none; None does not ask.
    by
        The person; default: the account that runs this.

    Raises
    ------
    UsageError
        If the target is not in the subject's last run, the value does not belong to it, or no reason is given.
    StoreError
        If somebody edited the subject after `expected`.
    """
    there = contained(study.ledger, study.store, subject_id)
    _require_belonging(kind, target, value, there)
    edit = Edit(0, subject_id, kind, target, study.store.put(value), by or user(), datetime.now(UTC), _given(reason))
    return study.ledger.add_edit(edit, expected, user())


def undo_edit(
    study: StudyFolder, number: int, reason: str, *, expected: int | None = None, by: str | None = None
) -> Edit:
    """Take an edit back; what held before it holds again. An undo is an edit, so it can be taken back as well.

    Raises
    ------
    UsageError
        If there is no such edit, or it is taken back already.
    StoreError
        If somebody edited the subject after `expected`.
    """
    edits = edits_of(study)
    by_number = {edit.number: edit for edit in edits}
    if number not in by_number:
        raise UsageError(
            f"no edit {number}", where=str(study.root), required=_numbers(edits), do="lutra edits list shows them"
        )
    later = taken_back(edits).get(number)
    if later is not None:
        raise UsageError(f"edit {number} is taken back already, by edit {later}", do=f"undo {later} to have it again")
    old = by_number[number]
    now = datetime.now(UTC)
    edit = Edit(0, old.subject_id, old.kind, old.target, "", by or user(), now, _given(reason), undoes=number)
    return study.ledger.add_edit(edit, expected, user())


def edits_of(study: StudyFolder, subject_id: str | None = None) -> tuple[Edit, ...]:
    """Every edit of a subject, or of all of them, in the order made."""
    subjects = study.ledger.subject_ids() if subject_id is None else (subject_id,)
    return tuple(sorted((e for s in subjects for e in study.ledger.edits(s)), key=lambda edit: edit.number))


def taken_back(edits: tuple[Edit, ...]) -> dict[int, int]:
    """Edits that do not count, and for each the edit that took it back."""
    undone: dict[int, int] = {}
    for edit in sorted(edits, key=lambda e: -e.number):
        if edit.undoes is not None and edit.number not in undone:
            undone.setdefault(edit.undoes, edit.number)
    return undone


def state_of(edit: Edit, edits: tuple[Edit, ...]) -> str:
    """Say whether an edit holds, in words: `in force`, `replaced by 7`, `taken back by 9`."""
    by = taken_back(edits).get(edit.number)
    if by is not None:
        return f"taken back by {by}"
    if edit.undoes is not None:
        return f"undoes {edit.undoes}"
    about = edit.subject_id, edit.kind, edit.target
    (holding,) = (e for e in in_force(edits) if (e.subject_id, e.kind, e.target) == about)
    return "in force" if holding.number == edit.number else f"replaced by {holding.number}"


def active(ledger: Ledger, store: ArtifactStore, subject_id: str) -> FrozenMap[EditKind, FrozenMap[str, Value]]:
    """Values that hold now, by kind and target; a kind that nobody edited is an empty map.

    A run takes each value as an input of the steps it bears on, so that a changed edit makes exactly these run again.
    """
    standing = in_force(ledger.edits(subject_id))
    return FrozenMap(
        {kind: FrozenMap({e.target: store.get(e.value) for e in standing if e.kind is kind}) for kind in EditKind}
    )


def transforms_of(study: StudyFolder, subject_id: str) -> tuple[Transform, ...]:
    """Return every transform known of a subject: those of its last run, and in their place those set by people."""
    record = study.ledger.current_records().get(subject_id)
    made = [r.transform.output for r in study.store.get(record).transforms] if record else []
    known: dict[frozenset[str], Transform] = {}
    by_hand = active(study.ledger, study.store, subject_id)[EditKind.TRANSFORM].values()
    for transform in (*(study.store.get(output) for output in made if output), *by_hand):
        known[frozenset((transform.fixed_frame, transform.moving_frame))] = transform
    return tuple(known.values())


def lock_target(lock: Lock) -> str:
    """Target of an edit that sets this lock."""
    return f"{lock.series_uid} {lock.region_name}"


def transform_target(transform: Transform) -> str:
    """Target of an edit that sets this transform."""
    return f"{transform.fixed_frame} {transform.moving_frame}"


def region_target(region: Region) -> str:
    """Target of an edit that sets this region on the series it was drawn on."""
    return f"{region.referenced_series_uid} {region.name}"


def require_frame(region: Region, header: SeriesHeader) -> None:
    """Raise unless a region is in the frame of reference of a series.

    Raises
    ------
    UsageError
        If it is not, or the series has none.
    """
    if not header.frame_of_reference or region.grid.frame_of_reference != header.frame_of_reference:
        raise UsageError(
            f"region {region.name!r} is in frame {region.grid.frame_of_reference or 'unknown'}",
            where=header.series_uid,
            required=f"the frame of the series, {header.frame_of_reference or 'which has none'}",
            do="draw it on this image, or on another of its frame",
        )


def _require_belonging(kind: EditKind, target: str, value: Value, there: Contained) -> None:
    """Raise unless the target is in the subject and the value is about it."""
    first, _, second = target.partition(" ")
    if not isinstance(value, VALUE_TYPE[kind]) or not first or not second:
        required = f"{VALUE_TYPE[kind].__name__} for a target of two words"
        raise UsageError(f"an edit of kind {kind.value} with {type(value).__name__} for {target!r}", required=required)
    match value:
        case Lock():
            there.require_region(first, second)
            if value.lesion_id is not None:
                there.require_lesion(value.lesion_id)
            named = lock_target(value)
        case Transform():
            there.frame(first), there.frame(second)
            named = transform_target(value)
            if first == second:
                raise UsageError(
                    f"fixed and moving are in one frame of reference, {first}",
                    required="two frames: their images move with their frame as a whole",
                )
        case DiameterPair():
            there.header(first)
            there.require_lesion(second)
            named = target
        case Region():
            require_frame(value, there.header(first))
            named = region_target(value)
    if named != target:
        raise UsageError(f"the value is about {named}", where=target, required="the same")


def _given(reason: str) -> str:
    if not reason.strip():
        raise UsageError("no reason is given", required="why, in a few words", do="add --reason")
    return reason.strip()


def _numbers(edits: tuple[Edit, ...]) -> str:
    return f"a number from 1 to {edits[-1].number}" if edits else "an edit; nothing was edited yet"
