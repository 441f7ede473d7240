"""Outcome of single lesions, and how well readers agree."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from lutra.core.tumour import TumourCourse, TumourLesion, TumourReading, TumourVisit
from lutra.response.lesion_course import lesion_endpoints, reader_agreement

START = date(2026, 1, 1)


def course(*sizes: float | str | None, reader: str = "A", subject: str = "S", node: bool = False) -> TumourCourse:
    visits = []
    for n, size in enumerate(sizes):
        readings: tuple[TumourReading, ...] = ()
        if isinstance(size, str):
            readings = (TumourReading("T1", state=size),)
        elif size is not None:
            readings = (TumourReading("T1", size, size / 2),)
        visits.append(TumourVisit(n, f"visit {n}", START + timedelta(days=90 * n), readings))
    return TumourCourse(subject, reader, (TumourLesion("T1", "target", "liver", node),), tuple(visits))


@pytest.mark.parametrize(
    ("sizes", "best", "change", "days", "event"),
    [
        ((40.0, 30.0, 26.0), "PR", -0.35, 181, False),
        ((40.0, 38.0, 50.0), "SD", -0.05, 181, True),
        ((40.0, 50.0, 20.0), "PD", -0.5, 91, True),  # what comes after progression is no best response
        ((40.0, "absent"), "CR", -1.0, 91, False),
        ((40.0, "too small"), "PR", -0.875, 91, False),
        ((40.0, None, 39.0), "SD", -0.025, 181, False),
        ((40.0, "not evaluated", 39.0), "SD", -0.025, 181, False),
    ],
)
def test_outcome_of_a_lesion(
    sizes: tuple[float | str | None, ...], best: str, change: float, days: int, event: bool
) -> None:
    (found,) = lesion_endpoints(course(*sizes), START)
    assert (found.best, found.ttp_days, found.ttp_event) == (best, days, event)
    assert found.best_change == pytest.approx(change)


def test_a_node_counts_by_its_longest_diameter() -> None:
    (found,) = lesion_endpoints(course(30.0, 20.0, node=True), START)
    assert (found.baseline_mm, found.best_mm) == (30.0, 20.0)


@pytest.mark.parametrize("sizes", [(40.0,), (None, 40.0, 30.0), ("absent", 30.0)])
def test_without_a_baseline_or_a_follow_up_there_is_none(sizes: tuple[float | str | None, ...]) -> None:
    assert lesion_endpoints(course(*sizes), START) == ()


def test_without_a_start_nothing_is_dated() -> None:
    (found,) = lesion_endpoints(course(40.0, 30.0), None)
    assert found.ttp_days is None


def test_the_error_of_one_reading_is_found_from_pairs() -> None:
    rng = np.random.default_rng(4)
    courses = []
    for n, size in enumerate(rng.uniform(15, 60, 400)):
        for reader, bias in (("A", 0.0), ("B", 1.0)):
            courses.append(course(*(size + bias + rng.normal(0, 1.5, 2)), reader=reader, subject=f"S{n}"))
    (found,) = reader_agreement(courses)
    assert found.n == 800
    assert found.bias_mm == pytest.approx(-1.0, abs=0.25)
    assert found.reader_sd_mm == pytest.approx(1.5, rel=0.08)
    low, high = found.limits_mm
    assert high - low == pytest.approx(2 * 1.96 * 1.5 * 2**0.5, rel=0.08)


def test_one_reader_alone_has_no_agreement() -> None:
    assert reader_agreement([course(40.0, 30.0)]) == ()
