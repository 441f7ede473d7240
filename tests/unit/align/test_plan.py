"""Which frames are registered with which."""

from __future__ import annotations

from lutra.align.plan import FrameImage, Plan, plan_links
from lutra.core.study import Role

DAY = 86400.0


def image(frame: str, role: Role, day: float, study: str = "", extent_ml: float = 1.0) -> FrameImage:
    return FrameImage(f"{frame} {role.value}", frame, role, study or frame, day * DAY, extent_ml)


def ways(plan: Plan | None) -> dict[str, str]:
    assert plan is not None
    return {frame: link.moving.frame for frame, link in plan.links.items()}


def test_the_reference_is_the_earliest_ct_with_regions() -> None:
    images = [image("a", Role.SSTR_PET, 0), image("b", Role.CT, 1), image("c", Role.CT, 2), image("d", Role.CT, 3)]
    plan = plan_links(images, {"a", "c", "d"}, {})
    assert plan is not None
    assert plan.reference == "c"
    assert ways(plan) == {"a": "c", "b": "c", "d": "c"}


def test_a_spect_goes_by_its_own_ct() -> None:
    images = [
        image("ref", Role.CT, 0),
        image("spect", Role.THERAPY_SPECT, 7, "visit"),
        image("ct", Role.CT, 7, "visit"),
    ]
    plan = plan_links(images, {"ref"}, {})
    assert plan is not None
    assert ways(plan) == {"spect": "ct", "ct": "ref"}
    assert [link.moving.frame for link in plan.path("spect")] == ["ct", "ref"]
    assert [link.moving.frame for link in plan.path("spect", "ct")] == ["ct"]


def test_the_ct_that_shares_the_frame_is_what_is_registered() -> None:
    images = [image("ref", Role.CT, 0), image("both", Role.THERAPY_SPECT, 7), image("both", Role.CT, 7)]
    plan = plan_links(images, {"ref"}, {})
    assert plan is not None
    assert plan.links["both"].fixed.role is Role.CT


def test_regions_come_from_the_scan_nearest_in_time() -> None:
    images = [
        image("base", Role.CT, 0),
        image("c2", Role.CT, 84),
        image("now", Role.CT, 88),
        image("early", Role.CT, 5),
    ]
    assert ways(plan_links(images, {"base", "c2"}, {})) == {"c2": "base", "now": "c2", "early": "base"}


def test_without_any_ct_like_goes_with_like() -> None:
    images = [
        image("s1", Role.THERAPY_SPECT, 1),
        image("p", Role.SSTR_PET, 4),
        image("s2", Role.THERAPY_SPECT, 5),
    ]
    assert ways(plan_links(images, {"s1", "p"}, {})) == {"p": "s1", "s2": "s1"}


def test_a_map_by_hand_comes_first_and_rings_are_opened() -> None:
    images = [image(f, Role.CT, n) for n, f in enumerate("abcd")]
    assert ways(plan_links(images, {"a", "b"}, {"d": "c"}))["d"] == "c"
    plan = plan_links(images, {"a"}, {"c": "d", "d": "c"})
    assert plan is not None
    assert all(plan.path(frame)[-1].moving.frame == "a" for frame in "bcd")


def test_nothing_to_plan() -> None:
    assert plan_links([image("", Role.CT, 0)], set(), {}) is None
    alone = plan_links([image("a", Role.CT, 0)], set(), {})
    assert alone is not None
    assert alone.path("a") == ()
