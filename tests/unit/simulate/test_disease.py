"""Lesions that grow together, fall apart, vanish and appear, on days that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.simulate.course import LesionCourse, course, courses
from lutra.simulate.disease import EventKind, disease_course
from lutra.simulate.lesion_places import surface_points
from lutra.simulate.lesions import DigitalLesion
from lutra.simulate.response import DAYS_PER_MONTH, Growth, TruthScenario
from lutra.simulate.shapes import Blob, volume_ml

STILL = Growth(0.02, 1e-12, 60.0, 0.0)
GROWING = Growth(0.02, 0.3, 60.0, 0.0)
DAYS = np.arange(-14, 1001.0)
CYCLES = (0.0, 84.0)


def ball(n: str, x_mm: float, radius_mm: float, growth: Growth, **changes: object) -> DigitalLesion:
    """A sphere in the liver, its name as a lesion's."""
    volume = 4 / 3 * np.pi * radius_mm**3 / 1000
    lesion = DigitalLesion(
        f"lesion {n}",
        f"lesion {n} liver segment 8",
        "liver",
        Blob(f"lesion {n}", (x_mm, 0, 0), radius_mm),
        None,
        1,
        volume,
        2 * radius_mm,
        2 * radius_mm,
        0.0,
        3.0,
        1.2e-3,
        0.3,
        5.0,
        growth,
    )
    return evolve(lesion, **changes)


def day_of_scale(scale: float, per_month: float) -> float:
    """Day on which an untreated lesion is so much larger."""
    return 3 * np.log(scale) / per_month * DAYS_PER_MONTH


def test_two_neighbours_become_one_when_they_touch() -> None:
    """Radii of 10 mm, centres 26 mm apart: at a scale of 1.3. Nothing of their volume is lost, and the parents are known."""
    disease = disease_course([ball("2", 0, 10, GROWING), ball("5", 26, 10, GROWING)], [], {}, (), DAYS)
    (event,) = disease.events
    assert (event.kind, event.before, event.after) == (EventKind.MERGED, ("lesion 2", "lesion 5"), ("lesion 2+5",))
    assert event.day == pytest.approx(day_of_scale(1.3, 0.3), abs=1)
    assert len(disease.seen(event.day - 1)) == 2
    (one,) = disease.seen(event.day + 60)
    assert (one.lesion_id, one.name) == ("lesion 2+5", "lesion 2+5 liver segment 8")
    assert (one.parts, one.parents) == (("lesion 2", "lesion 5"), ("lesion 2", "lesion 5"))
    of_parts = sum(c.at(c.volume_ml, event.day + 60) for c in disease.courses)
    assert volume_ml(one.shape, 100) == pytest.approx(of_parts, rel=0.01)
    assert one.size.longest_mm > 26 + 2 * 13
    assert one.shape.level_mm(np.array([13.0, 0, 0])) > 0  # one surface, without a gap between them
    assert disease.shape_at("lesion 5", event.day + 60) is not None


def test_a_lesion_of_two_lobes_falls_apart_when_it_shrinks() -> None:
    """Radii 12 and 10 mm, 19.8 mm apart, touch until both have shrunk to .9."""
    lobes = [ball("3a", 0, 12, STILL), ball("3b", 19.8, 10, STILL)]
    dose = {lobe.lesion_id: (40.0, 40.0) for lobe in lobes}
    disease = disease_course(lobes, [], dose, CYCLES, DAYS)
    (event,) = disease.events
    assert (event.kind, event.before, event.after) == (EventKind.SPLIT, ("lesion 3",), ("lesion 3a", "lesion 3b"))
    scales = [c.at(c.scale, event.day) for c in disease.courses]
    assert scales[0] == scales[1]
    assert scales[0] == pytest.approx(0.9, abs=0.01)
    (whole,) = disease.seen(0)
    assert (whole.lesion_id, whole.parents) == ("lesion 3", ())
    assert [seen.parents for seen in disease.seen(event.day)] == [("lesion 3",), ("lesion 3",)]


def test_what_is_smaller_than_can_be_seen_is_gone_and_may_come_back() -> None:
    sensitive = Growth(0.12, 0.25, 20.0, 0.0)
    disease = disease_course(
        [ball("1", 0, 10, sensitive), ball("2", 80, 10, STILL)], [], {"lesion 1": (40.0, 40.0)}, CYCLES, DAYS
    )
    gone, back = disease.events
    assert (gone.kind, gone.before, gone.after) == (EventKind.GONE, ("lesion 1",), ())
    assert (back.kind, back.after) == (EventKind.BACK, ("lesion 1",))
    diameter = disease.course("lesion 1")
    assert diameter.at(diameter.diameter_mm, gone.day - 1) >= 4 > diameter.at(diameter.diameter_mm, gone.day)
    assert disease.shape_at("lesion 1", gone.day) is None
    assert [seen.lesion_id for seen in disease.seen(gone.day)] == ["lesion 2"]


def test_new_lesions_come_by_the_rate_of_their_day() -> None:
    """Rate .06 per year before progression, .8 after: a chance of .5 is too high before, low enough after."""
    old = ball("1", 0, 10, GROWING)
    early, late, lucky = (
        ball(n, x, 4, GROWING, appears_day=day, chance=chance)
        for n, x, day, chance in (("2", 600, 50.0, 0.5), ("3", 900, 400.5, 0.5), ("4", 1200, 60.0, 0.05))
    )
    alone = disease_course([old], [early, late], {}, (), DAYS)
    assert alone.progressed_day == pytest.approx(day_of_scale(1.25, 0.3), abs=1)  # 5 mm of 20 is more than a fifth
    assert [lesion.lesion_id for lesion in alone.lesions] == ["lesion 1", "lesion 3"]
    assert [(e.kind, e.day) for e in alone.events] == [(EventKind.NEW, 401.0)]
    assert alone.seen(400)[-1].lesion_id == "lesion 1"
    both = disease_course([old], [lucky], {}, (), DAYS)
    assert both.progressed_day == 60.0


def test_a_new_lesion_is_reached_by_later_cycles_only() -> None:
    new = ball("7", 0, 8, STILL, appears_day=50.0)
    treated = course(new, (40.0, 0.0), CYCLES, DAYS)
    assert treated.volume_ml[DAYS < 50].max() == 0
    assert treated.at(treated.volume_ml, 900) == pytest.approx(new.volume_ml, rel=1e-6)
    later = course(new, (0.0, 40.0), CYCLES, DAYS)
    assert later.at(later.live_ml, 900) < 0.6 * new.volume_ml
    assert treated.shape_at(20.0) is None


def test_uptake_and_diffusion_follow_what_lives() -> None:
    lesion = ball("1", 0, 10, evolve(STILL, inert_share=0.2))
    treated = course(lesion, (40.0, 40.0), CYCLES, DAYS)
    assert treated.live_factor_at(0) == pytest.approx(1)
    assert treated.uptake_volume_ml(150) == pytest.approx(treated.at(treated.live_ml, 150) / 0.8, rel=1e-12)
    assert treated.live_factor_at(150) < 1
    assert treated.adc_at(0) == pytest.approx(1.2e-3)
    assert 1.25e-3 < treated.adc_at(100) < 1.5e-3


def test_one_lesion_and_many_agree() -> None:
    lesions = [ball("1", 0, 10, GROWING), ball("2", 60, 12, STILL), ball("3", 90, 5, GROWING, appears_day=100.0)]
    doses = {"lesion 1": (30.0, 20.0), "lesion 2": (10.0, 5.0), "lesion 3": (0.0, 9.0)}
    together = courses(lesions, doses, CYCLES, DAYS, TruthScenario.WEAK, {"lesion 2": 60.0})
    for lesion, one in zip(lesions, together, strict=True):
        known = 60.0 if lesion.lesion_id == "lesion 2" else None
        alone = course(lesion, doses[lesion.lesion_id], CYCLES, DAYS, TruthScenario.WEAK, known)
        np.testing.assert_array_equal(one.volume_ml, alone.volume_ml)


def test_the_shape_of_a_day_has_the_volume_and_diameter_of_that_day() -> None:
    one: LesionCourse = course(ball("1", 5, 10, GROWING), (), (), DAYS)
    shape = one.shape_at(500.5)
    assert shape is not None
    assert shape.volume_ml == pytest.approx(one.at(one.volume_ml, 500.5), rel=1e-3)
    width = np.ptp(surface_points(shape, 4000)[:, 0])
    assert width == pytest.approx(one.at(one.diameter_mm, 500.5), rel=2e-3)


def test_a_day_or_lesion_that_is_not_there_is_refused() -> None:
    disease = disease_course([ball("1", 0, 10, STILL)], [], {}, (), DAYS)
    with pytest.raises(UsageError, match="day 2000"):
        disease.seen(2000)
    with pytest.raises(UsageError, match="lesion 9"):
        disease.course("lesion 9")
