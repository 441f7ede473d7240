"""What people changed: the last word holds, and every word can be taken back."""

from __future__ import annotations

from datetime import UTC, datetime

from lutra.core.edit import Edit, EditKind, in_force

AT = datetime(2026, 1, 2, tzinfo=UTC)


def edit(number: int, target: str = "A B", undoes: int | None = None) -> Edit:
    return Edit(number, "P1", EditKind.TRANSFORM, target, f"value {number}", "me", AT, "because", undoes)


def numbers(*edits: Edit) -> list[int]:
    return [e.number for e in in_force(edits)]


def test_the_last_of_a_target_holds() -> None:
    assert numbers(edit(1), edit(2, "C D"), edit(3)) == [2, 3]


def test_an_undo_brings_back_what_held_before() -> None:
    assert numbers(edit(1), edit(2), edit(3, undoes=2)) == [1]


def test_an_undo_can_be_undone() -> None:
    assert numbers(edit(1), edit(2, undoes=1), edit(3, undoes=2)) == [1]
    assert numbers(edit(1), edit(2, undoes=1), edit(3, undoes=2), edit(4, undoes=3)) == []
