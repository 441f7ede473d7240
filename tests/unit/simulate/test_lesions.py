"""Lesions against the organs they must lie in, each other, and what is measured on them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from attrs import evolve, frozen

from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.diameters import longest_axial_diameter
from lutra.reference.region_names import look_up
from lutra.simulate.body import sample_body
from lutra.simulate.combine import Union
from lutra.simulate.lesion_places import APART_MM, surface_points, touching
from lutra.simulate.lesion_population import Draws, LesionSettings, sample_disease
from lutra.simulate.lesion_size import size_of
from lutra.simulate.lesions import DigitalLesion, sample_lesions, sample_new_lesions
from lutra.simulate.liver_segments import liver_segment
from lutra.simulate.paint import regions_on
from lutra.simulate.shapes import Blob, Ellipsoid, Shape

SEEDS = range(1, 13)


@frozen(eq=False)
class Organ:
    name: str
    shape: Shape


@frozen(eq=False)
class PlainBody:
    """As much anatomy as lesions need."""

    organs: tuple[Organ, ...]


def organ(name: str, centre: tuple[float, float, float], half: tuple[float, float, float]) -> Organ:
    return Organ(name, Ellipsoid(name, centre, half))


BODY = PlainBody(
    (
        organ("fat", (0, 0, 0), (180, 120, 300)),
        organ("liver", (-65, -5, 70), (85, 70, 70)),
        organ("pancreas", (10, -5, 0), (60, 14, 18)),
        organ("left kidney cortex", (75, 50, 0), (28, 25, 55)),
        *(organ(f"marrow L{n}", (0, 60, 60 - 35 * n), (22, 17, 13)) for n in range(1, 6)),
    )
)
PATIENTS = {seed: sample_lesions(BODY, seed) for seed in SEEDS}


def painted(lesion: DigitalLesion, step_mm: float) -> Region:
    """Share of voxels inside, by 4 x 4 x 4 points in each."""
    low, high = lesion.shape.bounds_lps_mm
    shape = np.ceil((high - low) / step_mm).astype(int) + 3
    affine = np.diag([step_mm, step_mm, step_mm, 1.0])
    affine[:3, 3] = low - step_mm
    grid = Grid(tuple(shape), affine)
    index = np.stack(np.meshgrid(*((np.arange(4 * n) + 0.5) / 4 - 0.5 for n in shape), indexing="ij"), axis=-1)
    inside = (lesion.shape.level_mm(grid.to_lps_mm(index)) > 0).astype(np.float32)
    fraction = inside.reshape(shape[0], 4, shape[1], 4, shape[2], 4).mean(axis=(1, 3, 5))
    return Region("x", RegionKind.LESION, grid, (0, 0, 0), fraction, None, RegionOrigin.ALGEBRA, "test")


def test_size_of_a_sphere_and_an_ellipsoid() -> None:
    sphere = size_of(Blob("s", (1, 2, 3), 13.0))
    assert (sphere.longest_mm, sphere.short_mm) == (pytest.approx(26, rel=3e-3), pytest.approx(26, rel=3e-3))
    assert sphere.volume_ml == pytest.approx(9.203, rel=3e-3)
    long = size_of(Ellipsoid("e", (0, 0, 0), (20, 12, 30)))  # the 60 mm along z are not axial
    assert (long.longest_mm, long.short_mm) == (pytest.approx(40, rel=1e-2), pytest.approx(24, rel=1e-2))
    assert size_of(Union("u", (Blob("", (-10, 0, 0), 10), Blob("", (10, 0, 0), 10)))).longest_mm == pytest.approx(
        40, rel=5e-3
    )


@pytest.mark.parametrize("seed", [1, 9])
def test_stated_sizes_are_those_of_the_painted_lesion(seed: int) -> None:
    """Painted at a 25th of its size: the volume to 1 %, the diameter to a third of a voxel: its best slice may lie between two."""
    for lesion in PATIENTS[seed]:
        step_mm = lesion.longest_axial_diameter_mm / 25
        region = painted(lesion, step_mm)
        assert region.volume_ml == pytest.approx(lesion.volume_ml, rel=0.01)
        found = longest_axial_diameter(region)
        assert found.long_mm == pytest.approx(lesion.longest_axial_diameter_mm, abs=step_mm / 3)
        assert lesion.short_axis_mm <= lesion.longest_axial_diameter_mm * 1.001


def test_every_name_is_read_as_a_lesion_and_once_only() -> None:
    for lesions in PATIENTS.values():
        for lesion in lesions:
            for text in (lesion.name, lesion.lesion_id):
                found = look_up(text)
                assert found is not None
                assert found.kind is RegionKind.LESION
        assert max(Counter(lesion.lesion_id for lesion in lesions).values()) == 1


def test_lesions_lie_in_their_organs_and_not_in_each_other() -> None:
    organs = {organ.name: organ.shape for organ in BODY.organs}
    for lesions in PATIENTS.values():
        for n, lesion in enumerate(lesions):
            points = surface_points(lesion.shape, 2000)
            if lesion.site == "liver":
                assert organs["liver"].level_mm(points).min() > 0
            if lesion.site == "bone":
                assert max(organs[f"marrow L{k}"].level_mm(lesion.shape.centre_lps_mm) for k in range(1, 6)) > 0
            if lesion.site == "node":
                assert organs["liver"].level_mm(points).max() < 0.5  # found with fewer points
                assert organs["left kidney cortex"].level_mm(points).max() < 0.5
            for other in lesions[n + 1 :]:
                if other.stem != lesion.stem:
                    assert other.shape.level_mm(points).max() < 0.5


def test_counts_sizes_and_grades_are_those_of_the_settings() -> None:
    for lesions in PATIENTS.values():
        assert 3 <= len({lesion.stem for lesion in lesions}) <= 8
        assert len({lesion.grade for lesion in lesions}) == 1
        diameters = [lesion.longest_axial_diameter_mm for lesion in lesions if lesion.stem == lesion.lesion_id]
        assert min(diameters) > 10 * 0.85**3  # one that found no room was made smaller
        assert all(lesion.core is None for lesion in lesions if lesion.longest_axial_diameter_mm < 30)


def test_a_necrotic_core_has_its_share_of_the_volume() -> None:
    settings = LesionSettings(
        core_probability=1.0, diameter_mm=45.0, site_shares={"liver": 1.0}, bone_disease=0, count=(3, 3)
    )
    cored = [le for seed in (3, 4) for le in sample_lesions(BODY, seed, settings) if le.core]
    assert cored
    for lesion in cored:
        assert lesion.core is not None
        assert lesion.core.volume_ml / lesion.shape.volume_ml == pytest.approx(lesion.core_share, rel=1e-9)
        assert 0.1 <= lesion.core_share <= 0.4
        assert lesion.shape.level_mm(surface_points(lesion.core)).min() > 0
        assert lesion.viable_fraction == 1 - lesion.core_share


def test_the_same_seed_gives_the_same_lesions_and_another_grade_changes_no_size() -> None:
    again = sample_lesions(BODY, 7)
    assert [le.name for le in again] == [le.name for le in PATIENTS[7]]
    np.testing.assert_array_equal(
        [le.shape.centre_lps_mm for le in again], [le.shape.centre_lps_mm for le in PATIENTS[7]]
    )
    other = sample_lesions(BODY, 7, grade=3)
    assert {le.grade for le in other} == {3}
    assert [le.volume_ml for le in other] == [le.volume_ml for le in PATIENTS[7]]
    assert max(le.fdg_suv_max for le in other) > max(le.fdg_suv_max for le in PATIENTS[7])


def test_lobes_overlap_and_neighbours_nearly_touch() -> None:
    only_liver = LesionSettings(site_shares={"liver": 1.0}, bone_disease=0, diameter_mm=24, count=(3, 4))
    split = sample_lesions(BODY, 2, evolve(only_liver, split_probability=1.0))
    pairs = [(a, b) for a in split for b in split if a.lesion_id == f"{a.stem}a" and b.lesion_id == f"{a.stem}b"]
    assert pairs
    for a, b in pairs:
        assert touching(a.shape, b.shape)
        assert (a.growth, a.adc_mm2_per_s) == (b.growth, b.adc_mm2_per_s)
    near = sample_lesions(BODY, 2, evolve(only_liver, split_probability=0.0, neighbour_probability=1.0))
    gaps = [-max(b.shape.level_mm(surface_points(a.shape)).max() for b in near if b is not a) for a in near]
    assert 0 < min(gaps) < APART_MM


def test_new_lesions_are_numbered_on_and_keep_off_the_old_ones() -> None:
    new = sample_new_lesions(BODY, 4, PATIENTS[4], 9000)
    assert len(new) > 2
    numbers = [int(le.stem.split()[-1]) for le in (*PATIENTS[4], *new)]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    days = [le.appears_day for le in new]
    assert days == sorted(days)
    for lesion in new:
        assert all(old.shape.level_mm(surface_points(lesion.shape)).max() < 0 for old in PATIENTS[4])
    assert sample_new_lesions(BODY, 4, PATIENTS[4], 0.0) == ()


def test_new_lesions_come_at_the_largest_rate_there_is() -> None:
    """Poisson, 0.8 per year over 20 years of 12 patients: 192 +- 14."""
    counts = [len(sample_new_lesions(BODY, seed, PATIENTS[seed][:3], 20 * 365.25)) for seed in (1, 2, 3)]
    assert sum(counts) == pytest.approx(48, abs=3 * 48**0.5)


def test_segments_of_the_liver() -> None:
    """Right and left, front and back, head and foot of an ellipsoid about (-65, -5, 70)."""
    liver = BODY.organs[1].shape
    places = {6: (-115, 25, 40), 7: (-115, 20, 100), 8: (-100, -35, 100), 5: (-100, -35, 40), 4: (-38, -20, 70)}
    places |= {1: (-38, 55, 70), 2: (5, -5, 90), 3: (5, -5, 50)}
    assert {number: liver_segment(at, liver) for number, at in places.items()} == {n: n for n in places}


def test_a_body_without_liver_is_refused() -> None:
    with pytest.raises(UsageError, match="no liver"):
        sample_lesions(evolve(BODY, organs=()), 4, LesionSettings(site_shares={"liver": 1.0}, bone_disease=0))


def test_an_unknown_grade_is_refused() -> None:
    with pytest.raises(UsageError, match="grade 4"):
        sample_lesions(BODY, 1, grade=4)


def test_population_medians() -> None:
    """1500 lesions of 300 patients; a median of log-SD .45 with an intraclass correlation of .66 has a standard error of .024."""
    settings = LesionSettings()
    diameters, fdg, adc, grades = [], [], [], []
    for seed in range(300):
        draws = Draws(seed, sample_disease(seed, settings), settings)
        grades.append(draws.disease.grade)
        for n in range(5):
            diameters.append(draws.diameter_mm(f"lesion {n}"))
            fdg.append(draws.fdg_suv_max(f"lesion {n}"))
            adc.append(draws.adc_mm2_per_s(f"lesion {n}"))
    assert np.log(np.median(diameters) / 26) == pytest.approx(0, abs=0.075)
    assert np.std(np.log(diameters)) == pytest.approx(0.45, abs=0.05)
    assert grades.count(2) / 300 == pytest.approx(0.44, abs=3 * (0.44 * 0.56 / 300) ** 0.5)
    of_grade = {g: [v for v, grade in zip(fdg, np.repeat(grades, 5), strict=True) if grade == g] for g in (1, 2)}
    assert np.median(of_grade[1]) == pytest.approx(2.2, rel=0.10)
    assert np.median(of_grade[2]) == pytest.approx(3.5, rel=0.15)
    assert 1.2e-3 < np.mean(adc) < 1.5e-3


def test_lesions_of_a_whole_body_are_painted_with_their_volume() -> None:
    """Voxels of 3 x 3 x 3 mm, shares to an eighth of the radius: 2 % of the volume."""
    body = sample_body(3)
    lesions = sample_lesions(body, 3)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (-180, -130, -180)
    regions = {region.name: region for region in regions_on(body, lesions, Grid((120, 87, 120), affine))}
    for lesion in lesions:
        painted_ml = regions[lesion.lesion_id].volume_ml
        if lesion.core is not None:
            painted_ml += regions[f"{lesion.lesion_id} core"].volume_ml
        if lesion.stem == lesion.lesion_id:  # lobes share what overlaps
            assert painted_ml == pytest.approx(lesion.volume_ml, rel=0.02)
