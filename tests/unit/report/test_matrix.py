"""Where each picture of a lesion stands, and what stands where there is none."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

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


def test_the_ct_of_a_spect_has_no_place_of_its_own(factory: ModuleType) -> None:
    """Two CTs of the first cycle beside its SPECT: neither a column nor a picture, and no hole where they are not outlined."""
    subject = factory.full_subject()
    lesion = subject.lesions[0]
    at = factory.CYCLES[0] + timedelta(hours=25)
    ct = evolve(factory.observation("S-012", "L01", "ct", "CT 10 Mar 2026", at), beside_spect=True)
    images = tuple(evolve(factory.series("ct", f"CT {n}", at, "[hnsf'U]"), beside_spect=True) for n in range(2))
    more = evolve(lesion, observations=(*lesion.observations, ct))
    assert matrices(evolve(subject, series=(*subject.series, *images)), more, VIENNA) == matrices(
        subject, lesion, VIENNA
    )


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
