"""Contours against the shapes they follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from lutra.core.grid import Grid
from lutra.core.region import ContourSet
from lutra.core.study import SeriesHeader
from lutra.segment import regions_from_contours
from lutra.segment.settings import SegmentSettings
from lutra.simulate.drawn import Hand, drawn_lesions, drawn_organs, lesion_regions, organ_regions
from lutra.simulate.images import scene_for
from lutra.simulate.patient import DigitalPatient
from lutra.simulate.scene import Scene
from lutra.simulate.sizes import SMALL
from lutra.simulate.visits import Kind, planned_scans


@pytest.fixture(scope="module")
def scene(digital: DigitalPatient) -> Scene:
    scan = next(s for s in planned_scans(digital) if s.kind is Kind.CT)
    return scene_for(digital, scan, SMALL, "1.2.3")


def volumes_ml(scene: Scene, drawn: Sequence[ContourSet]) -> dict[str, float]:
    """Volume of each contour set as the study itself reads it."""
    series_uid = drawn[0].referenced_series_uid or ""
    regions = regions_from_contours(tuple(drawn), scene.grid, SegmentSettings(), series_uid).value
    assert regions is not None
    return {region.name: region.volume_ml for region in regions}


def test_contours_of_a_lesion_hold_its_volume(scene: Scene, plain_header: Callable[[Grid], SeriesHeader]) -> None:
    """Slices of 4 mm of lesions of 20 mm and more: a stack of cross-sections has the volume of the body within a few percent."""
    drawn = drawn_lesions(scene, plain_header(scene.grid), "ct", Hand(), "1.2.9")
    assert [c.name for c in drawn] == [lesion.name for lesion in scene.seen]
    found = volumes_ml(scene, drawn)
    for lesion in scene.seen:
        small = lesion.size.longest_mm < 20
        assert found[lesion.name] == pytest.approx(lesion.size.volume_ml, rel=0.2 if small else 0.05)


def test_contours_of_organs_hold_their_volume_without_the_lesions(
    scene: Scene, plain_header: Callable[[Grid], SeriesHeader]
) -> None:
    found = volumes_ml(scene, drawn_organs(scene, plain_header(scene.grid), "1.2.9"))
    assert set(found) == {"liver", "spleen", "left kidney", "right kidney"}
    for region in organ_regions(scene):
        assert found[region.name] == pytest.approx(region.volume_ml, rel=0.03)


def test_a_reader_who_errs_draws_a_border_at_a_distance(
    scene: Scene, plain_header: Callable[[Grid], SeriesHeader]
) -> None:
    """Along the surface the area between two borders is their distance times the surface: d(volume) = area x distance."""
    seed, name = scene.patient.seed, "ct"
    header = plain_header(scene.grid)
    exact = volumes_ml(scene, drawn_lesions(scene, header, name, Hand(), "1"))
    erring = volumes_ml(scene, drawn_lesions(scene, header, name, Hand(1.0), "1"))
    lesion = max(scene.seen, key=lambda le: le.size.volume_ml)
    offset_mm = Hand(1.0).offset_mm(seed, name, lesion.lesion_id)
    assert offset_mm != Hand(1.0).offset_mm(seed, "another scan", lesion.lesion_id)
    radius_mm = (3 * lesion.size.volume_ml * 1000 / (4 * np.pi)) ** (1 / 3)
    expected = ((radius_mm + offset_mm) / radius_mm) ** 3
    assert erring[lesion.name] / exact[lesion.name] == pytest.approx(expected, rel=0.05)


def test_a_lesion_has_one_tracking_identifier_in_all_images(scene: Scene) -> None:
    one, other = lesion_regions(scene, "root"), lesion_regions(scene, "root")
    assert [r.tracking_uid for r in one] == [r.tracking_uid for r in other]
    assert len({r.tracking_uid for r in one}) == len(one)
    assert [r.tracking_uid for r in one] != [r.tracking_uid for r in lesion_regions(scene, "another")]
