"""The digital adult against its population, and its painted regions against fine grids and the laws of sharing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from attrs import frozen

from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind
from lutra.simulate.body import Body, mean_regions, regions_on, sample_body
from lutra.simulate.motion import Motion, breathing_phases, sample_motion
from lutra.simulate.paint import _Canvas, _Layer
from lutra.simulate.shapes import Ellipsoid, Shape, irregular_blob

FIELD_MM = ((-186, 186), (-146, 146), (-84, 168))
NAMES = [
    "liver",
    "spleen",
    "pancreas",
    "stomach",
    "bowel",
    "adrenals",
    "muscle",
    "fat",
    "body remainder",
    "left lung",
    "right lung",
]
NAMES += [f"{side} kidney {part}" for side in ("left", "right") for part in ("cortex", "medulla", "pelvis")]
NAMES += [f"{what} {n}" for n in ("T10", "T11", "T12", "L1", "L2", "L3") for what in ("vertebra", "marrow")]


@frozen(eq=False)
class Lesion:
    lesion_id: str
    shape: Shape
    core: Shape | None = None


LESIONS = (
    Lesion("sphere", Ellipsoid("", (-80.7, -20.3, 62.1), (5, 5, 5))),
    Lesion(
        "irregular",
        irregular_blob("", (-70, 20, 100), 20, np.random.default_rng(1)),
        Ellipsoid("", (-70, 20, 100), (8, 8, 8)),
    ),
)


def grid(spacing_mm: float | tuple[float, float, float], shift_mm: float = 0.0) -> Grid:
    spacing = np.broadcast_to(spacing_mm, 3)
    shape = [round((high - low) / s) for (low, high), s in zip(FIELD_MM, spacing, strict=True)]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [low + s / 2 + shift_mm for (low, _), s in zip(FIELD_MM, spacing, strict=True)]
    return Grid(shape, affine, "1.2")


def volumes(regions: tuple[Region, ...]) -> dict[str, float]:
    return {region.name: region.volume_ml for region in regions}


def total(regions: tuple[Region, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    image = np.zeros(regions[0].grid.shape)
    for region in regions:
        image[region.box] += region.fraction
    return image


@pytest.fixture(scope="module")
def body() -> Body:
    return sample_body(11)


@pytest.fixture(scope="module")
def motion() -> Motion:
    return sample_motion(11, "cycle 1", "spect")


@pytest.fixture(scope="module")
def truth(body: Body) -> dict[str, float]:
    """Volumes on a fine grid, in the reference posture."""
    return volumes(regions_on(body, LESIONS, grid(1.5)))


# ---- population ----
def test_organ_masses_of_a_population() -> None:
    """Medians 310, 180, 1800 g and spreads 0.13, 0.40, 0.18 once body surface and filtration are divided out."""
    bodies = [sample_body(seed) for seed in range(400)]
    size = np.array([b.bsa_m2 / 1.85 for b in bodies])
    filtration = np.array([(b.gfr_ml_per_min / 85) ** 0.25 for b in bodies])
    for organ, median_g, log_sd, by in (
        ("kidneys", 310, 0.13, size * filtration),
        ("spleen", 180, 0.4, size),
        ("liver", 1800, 0.18, size),
    ):
        relative = np.log([b.masses_g[organ] for b in bodies]) - np.log(by)
        assert np.exp(np.median(relative)) == pytest.approx(median_g, rel=0.06)  # spleen: 0.4 / sqrt(400) x 1.25 x 2
        assert relative.std() == pytest.approx(log_sd, rel=0.1)
    assert 0.42 < np.mean([b.sex == "F" for b in bodies]) < 0.58
    assert np.median([b.weight_kg for b in bodies]) == pytest.approx(72, rel=0.04)
    assert np.log([b.weight_kg for b in bodies]).std() == pytest.approx(0.17, abs=0.03)
    gfr = np.array([b.gfr_ml_per_min for b in bodies])
    assert np.median(gfr) == pytest.approx(85, abs=3)
    assert 35 <= gfr.min() < gfr.max() <= 130


@pytest.mark.parametrize("seed", range(6))
def test_painted_organs_have_the_masses_drawn(seed: int) -> None:
    """What other organs cover of them is small: within 2.5 %."""
    body = sample_body(seed)
    found = volumes(regions_on(body, (), grid((4, 4, 4))))
    kidneys = sum(found[f"{side} kidney {part}"] for side in ("left", "right") for part in ("cortex", "medulla"))
    assert kidneys * 1.05 == pytest.approx(body.masses_g["kidneys"], rel=0.02)
    assert found["spleen"] * 1.06 == pytest.approx(body.masses_g["spleen"], rel=0.025)
    assert found["liver"] * 1.06 == pytest.approx(body.masses_g["liver"], rel=0.025)


def test_same_seed_same_body_whatever_is_asked_first() -> None:
    one, again = sample_body(3), sample_body(3)
    assert one.masses_g == again.masses_g
    points = np.random.default_rng(0).uniform(-150, 150, (500, 3))
    for a, b in zip(one.organs, again.organs, strict=True):
        np.testing.assert_array_equal(a.shape.level_mm(points), b.shape.level_mm(points))
        assert a.tissue == b.tissue
    assert sample_body(4).masses_g != one.masses_g


def test_what_is_given_is_kept_and_the_rest_is_as_drawn() -> None:
    body = sample_body(3, "F", 1.60, 60)
    assert (body.sex, body.height_m, body.weight_kg) == ("F", 1.60, 60)
    assert body.age_y == sample_body(3).age_y
    with pytest.raises(UsageError, match="BMI"):
        sample_body(3, "F", 1.60, 200)
    with pytest.raises(UsageError, match="F or M"):
        sample_body(3, "X")


# ---- painting ----
def test_every_organ_is_there(truth: dict[str, float]) -> None:
    missing = [name for name in [*NAMES, "sphere", "irregular", "irregular core"] if not truth.get(name, 0) > 0]
    assert not missing


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("spacing_mm", [2.0, 4.0, 6.0, (6.0, 6.0, 4.0)])
def test_regions_share_the_body_exactly(body: Body, motion: Motion, spacing_mm: float, moved: bool) -> None:
    """Shares of all regions add up to the share of the outline alone, in every voxel."""
    on, posture = grid(spacing_mm), motion if moved else Motion()
    regions = regions_on(body, LESIONS, on, posture)
    outline = _Canvas(on, posture, [_Layer("fat", RegionKind.ORGAN, (body.organs[0].shape,))]).paint()["fat"][0][1]
    np.testing.assert_allclose(total(regions), outline, atol=1e-5)
    assert all(region.fraction.min() >= 0 and region.fraction.max() <= 1 for region in regions)
    assert len({region.name for region in regions}) == len(regions)


@pytest.mark.parametrize("shift_mm", [0.0, 1.7])
@pytest.mark.parametrize("spacing_mm", [2.0, 4.0, 6.0, (6.0, 6.0, 4.0)])
def test_volumes_do_not_depend_on_the_grid(
    body: Body, truth: dict[str, float], spacing_mm: float, shift_mm: float
) -> None:
    """Liver within 0.5 %, kidneys 1 %, a 10 mm lesion 3 % of the fine grid, wherever the voxels lie."""
    found = volumes(regions_on(body, LESIONS, grid(spacing_mm, shift_mm)))
    assert found["liver"] == pytest.approx(truth["liver"], rel=0.005)
    assert found["spleen"] == pytest.approx(truth["spleen"], rel=0.01)
    for side in ("left", "right"):
        whole = [sum(v[f"{side} kidney {part}"] for part in ("cortex", "medulla", "pelvis")) for v in (found, truth)]
        assert whole[0] == pytest.approx(whole[1], rel=0.01)
    assert found["sphere"] == pytest.approx(4 / 3 * np.pi * 0.125, rel=0.03)
    assert found["irregular"] + found["irregular core"] == pytest.approx(20, rel=0.01)


def test_a_lesion_takes_its_place_from_the_organ_it_lies_in(body: Body) -> None:
    on = grid(4.0)
    without, with_ = volumes(regions_on(body, (), on)), volumes(regions_on(body, LESIONS, on))
    taken = without["liver"] - with_["liver"]
    assert taken == pytest.approx(with_["sphere"] + with_["irregular"] + with_["irregular core"], rel=1e-4)
    kinds = {region.name: region.kind for region in regions_on(body, LESIONS, on)}
    assert {name for name, kind in kinds.items() if kind is RegionKind.LESION} == {
        "sphere",
        "irregular",
        "irregular core",
    }


def test_organs_change_volume_by_the_jacobian(body: Body, truth: dict[str, float]) -> None:
    """Volume in the scan is the sum over reference voxels of the organ divided by the Jacobian there: nothing is made or lost."""
    motion = Motion(18.0, (4, -3, 2), (1, 2, -2), (8, 5), body.spine_centre_lps_mm)
    found = volumes(regions_on(body, LESIONS, grid((3, 3, 3)), motion))
    fine = grid(3.0)
    for region in regions_on(body, LESIONS, fine):
        if region.name in {"liver", "spleen", "left kidney cortex"}:
            inside = np.argwhere(region.fraction > 0) + region.start_ijk
            at_scan = motion.scan_from_reference(fine.to_lps_mm(inside))
            share = region.fraction[region.fraction > 0]
            expected = float((share / motion.jacobian(at_scan)).sum()) * fine.voxel_volume_ml
            assert found[region.name] == pytest.approx(expected, rel=0.01)
            assert found[region.name] == pytest.approx(truth[region.name], rel=0.12)


def test_laying_the_patient_and_the_scanner_elsewhere_changes_nothing(body: Body, motion: Motion) -> None:
    on = grid(5.0)
    by = np.array([12.5, -7.25, 31.0])
    affine = np.array(on.affine_lps_mm)
    affine[:3, 3] += by
    here = regions_on(body, LESIONS, on, motion)
    there = regions_on(body, LESIONS, Grid(on.shape, affine, "1.3"), motion.translated(by))
    for one, other in zip(here, there, strict=True):
        assert (one.name, one.start_ijk) == (other.name, other.start_ijk)
        np.testing.assert_allclose(one.fraction, other.fraction, atol=2e-3)  # single precision coordinates


def test_the_average_of_breathing_keeps_every_voxel_full(body: Body) -> None:
    states = [regions_on(body, LESIONS, grid(6.0), phase) for phase in breathing_phases(Motion(6.0), 3)]
    blurred = mean_regions(states)
    np.testing.assert_allclose(total(blurred), np.mean([total(s) for s in states], axis=0), atol=1e-5)
    liver = [next(r for r in s if r.name == "liver") for s in (*states, blurred)]
    assert liver[-1].volume_ml == pytest.approx(np.mean([r.volume_ml for r in liver[:3]]), rel=1e-5)
    assert liver[-1].fraction.shape[2] >= max(r.fraction.shape[2] for r in liver[:3])


def test_outside_the_field_there_is_nothing(body: Body) -> None:
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = 900
    assert regions_on(body, LESIONS, Grid((6, 5, 4), affine)) == ()


# ---- anatomy ----
def test_organs_lie_where_they_belong(body: Body) -> None:
    """Liver right, spleen left, right kidney lower; kidneys beside the spine; vertebrae in order; marrow inside its bone."""
    at = {region.name: region.centroid_lps_mm for region in regions_on(body, (), grid((4, 4, 4)))}
    assert at["liver"][0] < -20 < 60 < at["spleen"][0]
    assert at["right kidney cortex"][2] < at["left kidney cortex"][2] < at["liver"][2]
    assert at["right kidney cortex"][0] < at["vertebra L1"][0] < at["left kidney cortex"][0]
    assert abs(at["marrow L1"][0]) < 0.5
    heights = [at[f"marrow {n}"][2] for n in ("L3", "L2", "L1", "T12", "T11", "T10", "T9")]
    assert all(15 < upper - lower < 45 for lower, upper in pairwise(heights))
    for side in ("left", "right"):  # the pelvis is nearer to the spine than the cortex, and before it
        assert abs(at[f"{side} kidney pelvis"][0]) < abs(at[f"{side} kidney cortex"][0]) - 4


def test_kidneys_are_mostly_cortex(truth: dict[str, float]) -> None:
    """Cortex 60 to 80 % of cortex and medulla, in adults [ICRP 89 gives 70 %]."""
    for side in ("left", "right"):
        cortex, medulla = truth[f"{side} kidney cortex"], truth[f"{side} kidney medulla"]
        assert 0.6 < cortex / (cortex + medulla) < 0.82
