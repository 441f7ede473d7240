"""Where each picture of a lesion stands, and what stands where there is none."""

from __future__ import annotations

from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

from lutra.report.matrix import NO_IMAGE, NOT_OUTLINED, Cell, Matrix, matrices

VIENNA = ZoneInfo("Europe/Vienna")


@pytest.fixture(scope="module")
def parts(factory: ModuleType) -> tuple[Matrix, ...]:
    subject = factory.full_subject()
    return matrices(subject, subject.lesions[0], VIENNA)


def row(matrix: Matrix, name: str) -> tuple[Cell, ...]:
    (found,) = (r for r in matrix.rows if r.name == name)
    return found.cells


def test_course_stands_by_phase_and_spect_by_scan(parts: tuple[Matrix, ...]) -> None:
    course, spect = parts
    assert course.heads == ("Baseline", "After cycle 2")
    assert [r.name for r in course.rows] == ["CT", "FDG", "ADC"]
    assert spect.heads == ("Scan 1", "Scan 2", "Scan 3", "Scan 4")
    assert [r.name for r in spect.rows] == ["SPECT cycle 1", "SPECT cycle 2"]


def test_hole_tells_an_image_without_outline_from_no_image(parts: tuple[Matrix, ...]) -> None:
    """The second FDG PET exists but has no region of this lesion; a second ADC was not made."""
    assert row(parts[0], "FDG")[1].hole == NOT_OUTLINED
    assert row(parts[0], "ADC")[1].hole == NO_IMAGE


def test_change_is_from_the_first_image_of_the_row(parts: tuple[Matrix, ...]) -> None:
    baseline, later = row(parts[0], "CT")
    assert baseline.change is None
    assert later.change == pytest.approx(22 / 34 - 1)


def test_unseen_scans_of_a_cycle_are_holes(factory: ModuleType) -> None:
    subject = factory.full_subject()
    spect = matrices(subject, subject.lesions[1], VIENNA)[1]
    assert [c.hole is not None for c in row(spect, "SPECT cycle 1")] == [True, False, True, True]


def test_every_observation_is_shown_exactly_once(factory: ModuleType) -> None:
    for subject in factory.study().subjects:
        for lesion in subject.lesions:
            shown = [
                c.observation.series_label
                for m in matrices(subject, lesion, VIENNA)
                for r in m.rows
                for c in r.cells
                if c.observation
            ]
            assert sorted(shown) == sorted(o.series_label for o in lesion.observations)
