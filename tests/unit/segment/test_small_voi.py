"""Small spheres in a painted kidney: where they may lie, and what they read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.calibration import Calibration
from lutra.core.errors import GridMismatch, UnitMismatch
from lutra.core.estimate import Estimate
from lutra.core.finding import Outcome
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import ConceptCode, Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, measure_small_vois
from lutra.segment import SegmentSettings, small_vois

GRID = Grid((34, 34, 40), np.diag([4.0, 4.0, 4.0, 1.0]), "frame")
POINTS = GRID.to_lps_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))
MIDDLE = np.array([68.0, 68.0, 80.0])
HALF = np.array([28.0, 24.0, 55.0])
"""An ellipsoid of 155 mL."""
RADIUS_MM = 7.816
HOT = 2e5


def region(level_mm: npt.NDArray[np.float64], name: str, code: str = "", kind: str = "organ") -> Region:
    share = np.clip(level_mm / 4.0 + 0.5, 0, 1)
    coded = ConceptCode(code, "SCT", name) if code else None
    return Region(name, RegionKind(kind), GRID, (0, 0, 0), share, coded, RegionOrigin.IMPORTED, "painted")


def ball(
    centre: tuple[float, float, float], radius_mm: float, name: str, code: str = "", kind: str = "organ"
) -> Region:
    return region(radius_mm - np.linalg.norm(POINTS - centre, axis=-1), name, code, kind)


KIDNEY = region((1 - np.linalg.norm((POINTS - MIDDLE) / HALF, axis=-1)) * 24.0, "left kidney", "18639004")
PELVIS = ball((54.0, 68.0, 80.0), 14.0, "pelvis", "25990002")
SPLEEN = ball((68.0, 68.0, 158.0), 28.0, "spleen", "78961009")
LESION = ball((68.0, 68.0, 45.0), 8.0, "metastasis", kind="lesion")


def image(*parts: tuple[Region, float]) -> Volume:
    values = np.zeros(GRID.shape, np.float32)
    for part, concentration in parts:
        values[part.box] += part.fraction * np.float32(concentration)
    return Volume(values, GRID, Unit.BQ_PER_ML)


FLAT = Volume(np.full(GRID.shape, HOT, np.float32), GRID, Unit.BQ_PER_ML)


def whole(part: Region) -> npt.NDArray[np.float64]:
    share = np.zeros(GRID.shape)
    share[part.box] = part.fraction
    return share


def centre_mm(part: Region) -> npt.NDArray[np.float64]:
    return part.centroid_lps_mm


def codes(outcome: Outcome[tuple[Region, ...]]) -> list[str]:
    return [finding.code for finding in outcome.findings]


@pytest.mark.parametrize("placement", ["spread", "highest"])
def test_spheres_of_two_millilitres_lie_apart_in_the_kidney(placement: str) -> None:
    """2 mL each to 1 %, 95 % inside, no voxel shared beyond its whole, centres two radii apart."""
    outcome = small_vois(FLAT, KIDNEY, (), SegmentSettings(small_voi_placement=placement))
    spheres = outcome.value or ()
    assert len(spheres) == 5
    for sphere in spheres:
        assert sphere.volume_ml == pytest.approx(2.0, rel=0.01)
        assert np.minimum(whole(sphere), whole(KIDNEY)).sum() * 0.064 > 0.9 * 2
    assert sum(whole(sphere) for sphere in spheres).max() <= 1.0 + 1e-6
    centres = [centre_mm(sphere) for sphere in spheres]
    apart = [np.linalg.norm(a - b) for n, a in enumerate(centres) for b in centres[:n]]
    assert min(apart) >= 2 * RADIUS_MM - 1e-6
    assert spheres[0].source.startswith(f"sphere 1 of 2 mL, {placement} in “left kidney”; left kidney ")


def test_they_keep_away_from_lesions_organs_and_the_pelvis() -> None:
    """The nearest part of a sphere is the margin away from the lesion and the spleen, and outside the pelvis."""
    outcome = small_vois(FLAT, KIDNEY, (KIDNEY, PELVIS, SPLEEN, LESION), SegmentSettings(small_voi_count=3))
    spheres = outcome.value or ()
    assert len(spheres) >= 2
    for sphere in spheres:
        at = centre_mm(sphere)
        for middle, radius_mm, margin_mm in (((68, 68, 45), 8, 10), ((68, 68, 158), 28, 10), ((54, 68, 80), 14, 0)):
            assert np.linalg.norm(at - middle) > radius_mm + margin_mm + RADIUS_MM - 2.0  # half a voxel


def test_a_cold_neighbour_takes_no_room() -> None:
    """A muscle along the whole kidney changes nothing, be it drawn or not; a liver in its place does."""
    beside = region((POINTS[..., 0] - 98.0), "beside", "10200004")
    alone = small_vois(image((KIDNEY, HOT)), KIDNEY, (), SegmentSettings()).value or ()
    cold = small_vois(image((KIDNEY, HOT), (beside, 0.05 * HOT)), KIDNEY, (beside,), SegmentSettings()).value or ()
    warm = small_vois(image((KIDNEY, HOT), (beside, 0.8 * HOT)), KIDNEY, (beside,), SegmentSettings()).value or ()
    assert [sphere.start_ijk for sphere in cold] == [sphere.start_ijk for sphere in alone]
    assert max(sphere.centroid_lps_mm[0] for sphere in warm) < 98 - 10 - RADIUS_MM + 2.0


def test_highest_goes_where_it_is_hottest_and_spread_does_not_look() -> None:
    """Two hot spots in a kidney of noise: they are the first two centres, to a voxel; the other rule ignores the image."""
    spots = ((60.0, 68.0, 60.0), (76.0, 68.0, 104.0))
    hot = image((KIDNEY, HOT), *((ball(spot, 9.0, "spot"), HOT) for spot in spots))
    spheres = small_vois(hot, KIDNEY, (), SegmentSettings(small_voi_placement="highest")).value or ()
    for spot in spots:
        assert min(np.linalg.norm(centre_mm(sphere) - spot) for sphere in spheres[:2]) < 4.0
    one, other = (small_vois(volume, KIDNEY, (), SegmentSettings()).value or () for volume in (hot, FLAT))
    assert [sphere.start_ijk for sphere in one] == [sphere.start_ijk for sphere in other]


def test_noise_makes_the_highest_read_high_and_the_spread_read_right() -> None:
    """White noise of 20 % in a voxel, 3.6 % in a sphere: over 6 images the spread is right to 1.5 %, the highest 4 to 8 % high."""
    rng = np.random.default_rng(4)
    found: dict[str, list[float]] = {"spread": [], "highest": []}
    for _ in range(6):
        noisy = Volume(FLAT.values * (1 + 0.2 * rng.standard_normal(GRID.shape)), GRID, Unit.BQ_PER_ML)
        for placement, means in found.items():
            spheres = small_vois(noisy, KIDNEY, (), SegmentSettings(small_voi_placement=placement)).value or ()
            means.append(float(np.mean([np.average(noisy.values[s.box], weights=s.fraction) for s in spheres])) / HOT)
    assert np.mean(found["spread"]) == pytest.approx(1.0, abs=0.015)
    assert 1.04 < np.mean(found["highest"]) < 1.08


def test_too_little_room_says_so() -> None:
    small = ball((68.0, 68.0, 80.0), 11.0, "kidney")
    none = small_vois(FLAT, small, (), SegmentSettings())
    assert none.value is None
    assert codes(none) == ["segment.small-voi-too-few"]
    few = small_vois(image((KIDNEY, HOT)), KIDNEY, (LESION,), SegmentSettings(small_voi_count=40))
    assert codes(few) == ["segment.small-voi-few"]


def test_something_hot_beside_it_is_told_unless_it_is_drawn() -> None:
    """A spleen hotter than the kidney, 3 mm from its pole: once it is a region, the spheres keep away and nothing is said."""
    hot = image((KIDNEY, HOT), (ball((68.0, 68.0, 168.0), 30.0, "spleen"), 3 * HOT))
    assert codes(small_vois(hot, KIDNEY, (), SegmentSettings())) == ["segment.small-voi-spill-in"]
    spleen = ball((68.0, 68.0, 168.0), 30.0, "spleen", "78961009")
    assert codes(small_vois(hot, KIDNEY, (spleen,), SegmentSettings())) == []


def test_other_grids_are_refused() -> None:
    with pytest.raises(GridMismatch):
        small_vois(
            Volume(np.zeros((3, 3, 3)), Grid((3, 3, 3), np.eye(4)), Unit.BQ_PER_ML), KIDNEY, (), SegmentSettings()
        )


# ---- what they read ----
def test_their_mean_stands_for_the_kidney() -> None:
    """Spheres of 1, 2 and 3 kBq/mL in a kidney of 150(3) mL, recovery 0.91(3): 2 / 0.91 kBq/mL, spread 1 / sqrt 3 of 2."""
    parts = [ball((68.0, 68.0, z), 10.0, f"kidney VOI {n}") for n, z in enumerate((40.0, 80.0, 120.0))]
    volume = image(*((part, 1000.0 * n) for n, part in enumerate(parts, start=1)))
    inner = [ball((68.0, 68.0, z), 5.0, f"kidney VOI {n}") for n, z in enumerate((40.0, 80.0, 120.0))]
    size = Estimate(150.0, Unit.ML, FrozenMap({"volume: K": 3.0}))
    settings = QuantifySettings(small_voi_recovery=0.91, camera_calibration_relative_sd=0.02)
    outcome = measure_small_vois(volume, tuple(inner), size, "K", "1.2", settings, Calibration())
    assert outcome.value is not None
    concentration, activity = outcome.value.values["concentration"], outcome.value.values["activity"]
    assert concentration.value == pytest.approx(2000 / 0.91)
    assert activity.value == pytest.approx(150 * 2000 / 0.91)
    relative = {"spheres: K 1.2": 3**-0.5 / 2, "recovery: small VOI": 0.03 / 0.91, "camera calibration": 0.02}
    assert {k: v / concentration.value for k, v in concentration.budget.items() if v} == pytest.approx(relative)
    assert activity.budget["volume: K"] == pytest.approx(0.02 * activity.value)


def test_without_a_recovery_it_is_not_evaluated_and_one_sphere_is_none() -> None:
    spheres = small_vois(FLAT, KIDNEY, (), SegmentSettings()).value or ()
    size = Estimate(150.0, Unit.ML)
    outcome = measure_small_vois(FLAT, spheres, size, "K", "1.2", QuantifySettings())
    assert outcome.value is not None
    assert outcome.value.values["concentration"].value == pytest.approx(HOT)
    assert "recovery: small VOI" in outcome.value.values["concentration"].not_evaluated
    alone = measure_small_vois(FLAT, spheres[:1], size, "K", "1.2", QuantifySettings())
    assert alone.value is None
    assert [finding.code for finding in alone.findings] == ["quantify.no-small-voi"]
    with pytest.raises(UnitMismatch):
        measure_small_vois(Volume(FLAT.values, GRID, Unit.HU), spheres, size, "K", "1.2", QuantifySettings())
