"""Lesions over several images: new, gone, back, out of field, fallen apart, grown together; by hand, so that the truth is plain."""

from __future__ import annotations

import pytest

from lutra.core.lesion import Sighting
from lutra.track.tracks import BY_NAME, BY_POSITION, BY_UID

from .scans import codes, covers, found, region, table

A, B, C, D = (0, 0, 0), (60, 0, 0), (0, 80, 20), (-70, -30, 100)


def test_place_and_size_tell_lesions_that_have_no_names() -> None:
    one, two = found(
        region(0, A, digest="a0"),
        region(0, B, digest="b0"),
        region(1, (2, 1, 0), digest="a1"),
        region(1, (62, 1, 1), digest="b1"),
    )
    assert {tuple(le.region for le in lesion.observations) for lesion in (one, two)} == {("a0", "a1"), ("b0", "b1")}
    assert one.observations[1].matched_by == BY_POSITION
    assert one.observations[1].confidence == pytest.approx(1, abs=0.01)


def test_a_lesion_that_comes_and_one_that_goes() -> None:
    images = tuple(covers(n) for n in range(3))
    lesions = found(
        region(0, A, digest="a0"), region(0, B, 3, digest="b0"), region(1, A, digest="a1"), region(2, A, digest="a2"),
        region(2, C, digest="c2"), images=images,
    )  # fmt: skip
    assert table(lesions) == {
        "L01": {0: "a0", 1: "a1", 2: "a2"},
        "L02": {0: "b0", 1: "not seen", 2: "not seen"},
        "L03": {0: "not seen", 1: "not seen", 2: "c2"},
    }


def test_a_lesion_that_comes_back_is_itself() -> None:
    lesions = found(
        region(0, A, digest="a0"), region(0, B, 3, digest="b0"), region(1, A, digest="a1"), region(2, A, digest="a2"),
        region(2, B, digest="b2"), images=tuple(covers(n) for n in range(3)),
    )  # fmt: skip
    assert table(lesions)["L02"] == {0: "b0", 1: "not seen", 2: "b2"}


def test_missing_is_three_different_things() -> None:
    """D lies 100 mm up: beyond a field that ends at 40 mm, in one that ends at 200, at the edge of one that ends at 101."""
    images = (
        covers(0),
        covers(1, (-400, 40)),
        covers(2, (-400, 200)),
        covers(3, (-400, 101)),
        covers(4, registered=False),
    )
    lesions = found(*(region(n, A, digest=f"a{n}") for n in range(4)), region(0, D, 2, digest="d0"), images=images)
    d = next(le for le in lesions if le.observations[0].region == "d0")
    assert [o.sighting for o in d.observations] == [
        Sighting.SEEN, Sighting.OUT_OF_FIELD, Sighting.NOT_SEEN, Sighting.NOT_ASSESSABLE, Sighting.NOT_ASSESSABLE,
    ]  # fmt: skip


def test_nothing_is_said_of_images_nobody_looked_at() -> None:
    assert table(found(region(0, A, digest="a0"), region(1, B, digest="b1")))["L01"] == {0: "a0"}


def test_a_lesion_falls_apart() -> None:
    """A ball of 8 mL, radius 12.4 mm, into halves 18 mm apart; then only one of them is left."""
    candidates = [
        region(0, A, 8, digest="a0"), region(0, B, digest="b0"), region(0, C, digest="c0"), region(1, B, digest="b1"),
        region(1, C, digest="c1"), region(1, (0, 0, 9), 4, digest="up"), region(1, (0, 0, -9), 3.5, digest="down"),
        region(2, B, digest="b2"), region(2, C, digest="c2"), region(2, (0, 1, 9), 3, digest="up2"),
    ]  # fmt: skip
    lesions = found(*candidates, images=tuple(covers(n) for n in range(3)))
    whole = next(le for le in lesions if le.observations[0].region == "a0")
    parts = [le for le in lesions if le.parents]
    assert [o.sighting.value for o in whole.observations] == ["seen", "split", "split"]
    assert [le.parents for le in parts] == [(whole.lesion_id,)] * 2
    assert sorted(table(parts).values(), key=str) == [
        {0: "not seen", 1: "down", 2: "not seen"}, {0: "not seen", 1: "up", 2: "up2"},
    ]  # fmt: skip
    assert "track.split" in codes(*candidates)


def test_lesions_grow_together_and_come_apart_again() -> None:
    near = (22, 0, 0)
    candidates = [
        region(0, A, 4, digest="a0"), region(0, near, 3, digest="n0"), region(0, C, digest="c0"), region(0, D, digest="d0"),
        region(1, (9.5, 0, 0), 8, digest="mass"), region(1, C, digest="c1"), region(1, D, digest="d1"),
        region(2, (9, 1, 0), 9, digest="mass2"), region(2, C, digest="c2"), region(2, D, digest="d2"),
        region(3, (-1, 0, 0), 4, digest="a3"), region(3, (23, 0, 0), 3, digest="n3"), region(3, C, digest="c3"),
        region(3, D, digest="d3"),
    ]  # fmt: skip
    lesions = found(*candidates)
    a, n = (next(le for le in lesions if le.observations[0].region == digest) for digest in ("a0", "n0"))
    assert [o.region for o in a.observations] == ["a0", "mass", "mass2", "a3"]
    assert [(o.region, o.merged_into) for o in n.observations] == [
        ("n0", None), (None, a.lesion_id), (None, a.lesion_id), ("n3", None),
    ]  # fmt: skip
    assert not any(le.parents for le in lesions)
    assert codes(*candidates).count("track.merged") == 1


def test_parts_that_grow_together_are_the_whole_again() -> None:
    still = [region(n, place, digest=f"{name}{n}") for n in range(3) for name, place in (("b", B), ("c", C), ("d", D))]
    lesions = found(
        region(0, A, 8, digest="a0"), region(1, (0, 0, 9), 4, digest="up"), region(1, (0, 0, -9), 4, digest="down"),
        region(2, A, 8, digest="a2"), *still,
    )  # fmt: skip
    whole = next(le for le in lesions if le.observations[0].region == "a0")
    assert [o.region or o.sighting.value for o in whole.observations] == ["a0", "split", "a2"]
    assert [[o.sighting.value for o in le.observations] for le in lesions if le.parents] == [["seen", "merged"]] * 2


def test_a_tracking_uid_is_believed_before_place_and_name() -> None:
    lesions = found(
        region(0, A, digest="a0", uid="1.2.3", name="left"), region(0, B, digest="b0", name="right"),
        region(1, B, digest="b1", uid="1.2.3", name="right"), region(1, A, digest="a1", name="left"),
    )  # fmt: skip
    by_digest = {o.region: (le.lesion_id, o.matched_by) for le in lesions for o in le.observations}
    assert by_digest["b1"] == (by_digest["a0"][0], BY_UID)


def test_a_name_is_believed_before_place_and_the_contradiction_is_said() -> None:
    candidates = [
        region(0, A, digest="a0", name="segment 2"), region(0, B, digest="b0", name="liver dome"),
        region(1, B, digest="wrong", name="segment II left"), region(1, A, digest="far", name="liver dome"),
    ]  # fmt: skip
    by_digest = {o.region: (le.lesion_id, o.matched_by) for le in found(*candidates) for o in le.observations}
    assert by_digest["far"] == (by_digest["b0"][0], BY_NAME)
    assert "track.name-against-position" in codes(*candidates)
    assert "track.name-against-position" not in codes(*candidates[:2], region(1, B, name="liver dome"))


@pytest.mark.parametrize("name", ["ROI", "GTV", "Lesion"])
def test_generic_names_leave_it_to_place(name: str) -> None:
    lesions = found(region(0, A, digest="a0", name=name), region(1, D, digest="d1", name=name))
    assert len(lesions) == 2


def test_images_of_one_frame_are_compared_without_registration() -> None:
    def own(order: int, place: tuple[float, float, float], digest: str):  # type: ignore[no-untyped-def]
        from attrs import evolve

        return evolve(region(order, place, digest=digest, frame="shared"), position_mm=None, position_error_mm=None)

    lesions = found(own(0, A, "a0"), own(0, B, "b0"), own(1, (61, 1, 0), "b1"), own(1, (1, 1, 0), "a1"))
    assert {tuple(o.region for o in le.observations) for le in lesions} == {("a0", "a1"), ("b0", "b1")}


def test_an_even_match_is_doubted_and_both_alternatives_named() -> None:
    """A contour halfway between two equal lesions that are too far apart to have grown together."""
    from lutra.track import TrackSettings, identify

    candidates = (
        region(0, (-18, 0, 0), 2, digest="one"), region(0, (18, 0, 0), 2, digest="other"),
        region(1, A, 2, digest="between", error_mm=17),
    )  # fmt: skip
    findings = [f for f in identify(candidates, (), TrackSettings()).findings if f.code == "track.uncertain-match"]
    assert len(findings) == 1
    assert "L01" in findings[0].text
    assert "L02" in findings[0].text


def test_what_was_new_only_because_nothing_was_registered_is_looked_at_again() -> None:
    from attrs import evolve

    blind = (region(0, A, digest="a0"), evolve(region(1, A, digest="a1"), position_mm=None, region_name="GTV"))
    before = found(*blind)
    assert [le.lesion_id for le in before] == ["L01", "L02"]
    after = found(blind[0], evolve(blind[1], position_mm=(1.0, 0, 0), position_error_mm=2.0), known=before)
    assert table(after) == {"L01": {0: "a0", 1: "a1"}, "L02": {}}
