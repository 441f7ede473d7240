"""Identities: issued once, kept, never reused, and doubted where they should be."""

from __future__ import annotations

from itertools import permutations

import pytest

from lutra.core.lesion import Lesion
from lutra.track import Candidate, TrackSettings, identify

SETTINGS = TrackSettings()


def seen(
    name: str, order: int, digest: str = "", volume_ml: float = 10, x_mm: float = 0, frame: str | None = None
) -> Candidate:
    return Candidate(
        f"series {order}",
        order,
        digest or f"{name} {order}",
        name,
        volume_ml,
        (x_mm, 0.0, 0.0),
        frame or f"frame {order}",
    )


def lesions(*candidates: Candidate, known: tuple[Lesion, ...] = ()) -> tuple[Lesion, ...]:
    return identify(candidates, known, SETTINGS).value


def codes(*candidates: Candidate, known: tuple[Lesion, ...] = ()) -> list[str]:
    return [finding.code for finding in identify(candidates, known, SETTINGS).findings]


def regions(lesion: Lesion) -> list[str | None]:
    return [observation.region for observation in lesion.observations]


def test_two_scans_two_lesions() -> None:
    """As in the 177Lu SPECT patient: two names, both in both scans, two frames of reference."""
    one, two = lesions(seen("liver R", 0), seen("liver L", 0), seen("liver R", 1), seen("liver L", 1))
    assert [(one.lesion_id, one.name), (two.lesion_id, two.name)] == [("L01", "liver L"), ("L02", "liver R")]
    assert [o.series_uid for o in one.observations] == ["series 0", "series 1"]


@pytest.mark.parametrize("spelling", ["Liver-R", "LIVER  r", "liver_R."])
def test_spelling_does_not_split_a_lesion(spelling: str) -> None:
    (lesion,) = lesions(seen("liver R", 0), seen(spelling, 1))
    assert lesion.name == "liver R"


def test_the_order_of_the_input_does_not_matter() -> None:
    candidates = (seen("b", 1), seen("a", 1), seen("b", 0), seen("b", 0, "twin", 3), seen("c", 0))
    results = {identify(order, (), SETTINGS) for order in permutations(candidates)}
    assert len(results) == 1


def test_ids_follow_first_appearance() -> None:
    issued = [(lesion.lesion_id, lesion.name) for lesion in lesions(seen("a", 1), seen("z", 0))]
    assert issued == [("L01", "z"), ("L02", "a")]


def test_an_earlier_scan_added_later_keeps_the_ids() -> None:
    known = lesions(seen("b", 5), seen("c", 5))
    later = lesions(seen("a", 1), seen("c", 1), seen("b", 5), seen("c", 5), known=known)
    assert {lesion.name: lesion.lesion_id for lesion in later} == {"b": "L01", "c": "L02", "a": "L03"}


def test_an_id_is_not_reused_when_its_lesion_is_gone() -> None:
    known = lesions(seen("a", 0))
    gone, new = lesions(seen("b", 0), known=known)
    assert (gone.lesion_id, gone.name, gone.observations) == ("L01", "a", ())
    assert (new.lesion_id, new.name) == ("L02", "b")


def test_identifying_again_changes_nothing() -> None:
    candidates = (seen("a", 0), seen("a", 0, "twin", 3), seen("a", 1), seen("b", 1))
    known = lesions(*candidates)
    assert lesions(*candidates, known=known) == known


def test_one_name_twice_in_a_scan_is_two_lesions() -> None:
    large, small = lesions(seen("a", 0, "small", 2), seen("a", 0, "large", 9), seen("a", 1, "later", 8))
    assert (regions(large), regions(small)) == (["large", "later"], ["small"])
    assert "track.same-name-twice" in codes(seen("a", 0, "small", 2), seen("a", 0, "large", 9))


def test_twins_keep_their_ids_when_their_sizes_swap() -> None:
    """A region once seen stays with its lesion even if a redrawn twin is now larger."""
    known = lesions(seen("a", 0, "first", 9), seen("a", 0, "second", 5))
    one, two = lesions(seen("a", 0, "redrawn", 12), seen("a", 0, "second", 5), known=known)
    assert (regions(one), regions(two)) == (["redrawn"], ["second"])


def test_a_match_by_name_is_said() -> None:
    assert codes(seen("a", 0), seen("a", 1)) == ["track.matched-by-name"]
    assert codes(seen("a", 0), seen("b", 1)) == []


@pytest.mark.parametrize(("volume_ml", "doubted"), [(29, False), (31, True), (3.4, False), (3.3, True)])
def test_volume_jump(volume_ml: float, doubted: bool) -> None:
    """10 mL before; threefold either way is the limit."""
    assert ("track.volume-jump" in codes(seen("a", 0), seen("a", 1, volume_ml=volume_ml))) is doubted


def test_position_is_compared_in_one_frame_only() -> None:
    here, there = seen("a", 0, frame="one"), seen("a", 1, x_mm=25, frame="one")
    assert "track.centroid-jump" in codes(here, there)
    assert "track.centroid-jump" not in codes(here, seen("a", 1, x_mm=15, frame="one"))
    assert "track.centroid-jump" not in codes(here, seen("a", 1, x_mm=250, frame="two"))


def test_nothing_seen() -> None:
    assert lesions() == ()
