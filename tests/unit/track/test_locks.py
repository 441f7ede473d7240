"""What people say holds, changes no more than it must, and leaves no trace when it is taken back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lutra.core.lesion import Lesion, Lock
from lutra.track.tracks import BY_EDIT

from .scans import codes, covers, found, owners, region, table

A, NEAR, C, D = (0, 0, 0), (9, 0, 0), (0, 80, 20), (-70, -30, 100)
"""A and NEAR are small, so that they neither overlap nor merge."""
SCANS = [
    region(0, A, 0.3, "ROI 1", "a0"), region(0, C, 4, "ROI 2", "c0"), region(0, D, 4, "ROI 3", "d0"),
    region(1, (2, 0, 0), 0.3, "ROI 1", "a1"), region(1, C, 4, "ROI 2", "c1"), region(1, D, 4, "ROI 3", "d1"),
    region(2, (2, 1, 0), 0.3, "ROI 1", "a2"), region(2, C, 4, "ROI 2", "c2"), region(2, D, 4, "ROI 3", "d2"),
]  # fmt: skip
FREE = found(*SCANS)


def of(lesions: Sequence[Lesion], digest: str) -> str:
    return next(lesion for (_, region), lesion in owners(lesions).items() if region == digest)


def test_without_edits() -> None:
    assert sorted("".join(sorted(str(o.region) for o in le.observations)) for le in FREE) == [
        "a0a1a2",
        "c0c1c2",
        "d0d1d2",
    ]


def test_it_is_that_lesion() -> None:
    """Against all evidence, and the lesion that had the region before makes do with what is left."""
    lesions = found(*SCANS, locks=(Lock("series 1", "ROI 2", of(FREE, "d0")),))
    assert of(lesions, "c1") == of(lesions, "d0")
    assert of(lesions, "d1") not in {of(lesions, "c0"), of(lesions, "d0")}
    assert next(o for le in lesions for o in le.observations if o.region == "c1").matched_by == BY_EDIT


def test_it_is_not_that_lesion() -> None:
    lesions = found(*SCANS, locks=(Lock("series 1", "ROI 1", of(FREE, "a0"), same=False),))
    assert of(lesions, "a1") != of(lesions, "a0")


def test_it_is_a_new_lesion_and_later_images_follow() -> None:
    """The region of the last image lies nearer to the one that is new than to the one before."""
    lesions = found(*SCANS, locks=(Lock("series 1", "ROI 1", None),), images=tuple(covers(n) for n in range(3)))
    assert of(lesions, "a1") == of(lesions, "a2") == "L04"
    assert table(lesions)[of(lesions, "a0")] == {0: "a0", 1: "not seen", 2: "not seen"}


def test_a_lock_that_says_what_is_so_anyway_changes_nothing_else() -> None:
    lesions = found(*SCANS, locks=(Lock("series 1", "ROI 1", of(FREE, "a0")),))
    assert owners(lesions) == owners(FREE)


LOCKS = {
    "is": Lock("series 1", "ROI 2", of(FREE, "d0")),
    "is not": Lock("series 1", "ROI 1", of(FREE, "a0"), same=False),
    "new": Lock("series 1", "ROI 1", None),
    "as it is": Lock("series 2", "ROI 3", of(FREE, "d0")),
}


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS.keys())
def test_undo(lock: Lock) -> None:
    """Matched again without the edit, with what the edit had made being known: as if it had never been."""
    edited = found(*SCANS, locks=(lock,))
    undone = found(*SCANS, known=edited)
    assert owners(undone) == owners(FREE)
    assert table(undone[: len(FREE)]) == table(FREE)
    assert [le.name for le in undone[: len(FREE)]] == [le.name for le in FREE]
    assert all(not lesion.observations for lesion in undone[len(FREE) :])


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS.keys())
def test_an_edit_holds_when_images_are_added(lock: Lock) -> None:
    edited = found(*SCANS, locks=(lock,))
    more = [region(3, C, 4, "ROI 2", "c3"), region(3, D, 4, "ROI 3", "d3")]
    later = owners(found(*SCANS, *more, known=edited, locks=(lock,)))
    assert {key: later[key] for key in owners(edited)} == owners(edited)


def test_of_two_that_contradict_each_other_the_later_holds() -> None:
    locks = (Lock("series 1", "ROI 2", of(FREE, "d0")), Lock("series 1", "ROI 2", of(FREE, "c0")))
    assert owners(found(*SCANS, locks=locks)) == owners(FREE)
    assert of(found(*SCANS, locks=locks[::-1]), "c1") == of(FREE, "d0")
    assert "track.locks-contradict" in codes(*SCANS, locks=locks)
    assert "track.locks-contradict" not in codes(*SCANS, locks=locks[:1])


def test_a_lesion_has_one_region_in_an_image() -> None:
    locks = (Lock("series 1", "ROI 2", of(FREE, "a0")), Lock("series 1", "ROI 3", of(FREE, "a0")))
    lesions = found(*SCANS, locks=locks)
    assert of(lesions, "d1") == of(FREE, "a0") != of(lesions, "c1")
    assert "track.locks-contradict" in codes(*SCANS, locks=locks)


@pytest.mark.parametrize(
    "lock",
    [
        Lock("series 9", "ROI 1", "L01"),
        Lock("series 1", "ROI 9", "L01"),
        Lock("series 1", "ROI 1", "L99"),
        Lock("series 1", "ROI 1", None, same=False),
    ],
)
def test_an_edit_about_something_that_is_not_there(lock: Lock) -> None:
    assert found(*SCANS, locks=(lock,)) == FREE
    assert "track.lock-unusable" in codes(*SCANS, locks=(lock,))
