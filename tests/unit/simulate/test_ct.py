"""CT, density and attenuation against the tissues they are made of and the conversion that the dose stage uses."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.estimate import Estimate
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.units import Unit
from lutra.dose.mass import mass_from_ct
from lutra.dose.settings import DoseSettings
from lutra.simulate.body import Body, regions_on, sample_body
from lutra.simulate.ct import SCANNERS, CtKind, attenuation_volume, density_volume, grains_of, hu_volume
from lutra.simulate.tissues import TISSUES, tissue_of

SOFT = sorted(set(TISSUES) - {"lung", "gas"})


def grid(spacing_mm: tuple[float, float, float] = (3, 3, 4), shape: tuple[int, int, int] = (112, 84, 50)) -> Grid:
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = [-s * (n - 1) / 2 for s, n in zip(spacing_mm, shape, strict=True)]
    affine[2, 3] += 30
    return Grid(shape, affine, "1.2")


@pytest.fixture(scope="module")
def body() -> Body:
    return sample_body(5)


@pytest.fixture(scope="module")
def regions(body: Body) -> tuple[Region, ...]:
    return regions_on(body, (), grid())


def inner_mean(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], regions: tuple[Region, ...], name: str
) -> float:
    region = next(r for r in regions if r.name == name)
    return float(values[region.box][region.fraction > 0.999].mean())


@pytest.mark.parametrize("name", SOFT)
def test_the_dose_stage_reads_the_right_density_from_the_ct_number(name: str) -> None:
    """Mass by dose/mass.py (Schneider 2000) from the tissue's CT number without contrast, against its density: within 2 %."""
    tissue = TISSUES[name]
    mass = mass_from_ct(Estimate(100, Unit.ML), Estimate(tissue.hu, Unit.HU), DoseSettings()).value
    assert mass is not None
    assert mass.value / 100 == pytest.approx(tissue.density_g_per_ml, rel=0.02)


@pytest.mark.parametrize("seed", range(8))
def test_also_in_people_who_differ(seed: int) -> None:
    for organ in sample_body(seed).organs:
        if organ.tissue.medium in {"soft", "bone"} and organ.name != "gas":
            mass = mass_from_ct(Estimate(100, Unit.ML), Estimate(organ.hu, Unit.HU), DoseSettings()).value
            assert mass is not None
            assert mass.value / 100 == pytest.approx(organ.density_g_per_ml, rel=0.025), organ.name


@pytest.mark.parametrize("kind", list(CtKind))
def test_ct_numbers_are_those_of_the_tissues(body: Body, regions: tuple[Region, ...], kind: CtKind) -> None:
    """Mean over the inner voxels; the noise of thousands of voxels averages out to 2 HU."""
    ct = hu_volume(regions, grid(), body, kind, 1)
    assert ct.unit == Unit.HU
    for name in ("liver", "spleen", "muscle"):
        tissue = body.tissue(name)
        expected = tissue.hu_portal if kind is CtKind.DIAGNOSTIC else tissue.hu
        assert inner_mean(ct.values, regions, name) == pytest.approx(expected, abs=3)
    assert ct.values[0, 0].mean() == pytest.approx(-1000, abs=5)


def test_contrast_medium_and_dose_differ_between_the_two(body: Body, regions: tuple[Region, ...]) -> None:
    """Kidneys and spleen enhance more than the liver, the liver more than muscle; the low-dose CT is noisier."""
    diagnostic, low = (hu_volume(regions, grid(), body, kind, 1).values for kind in ("diagnostic", "low-dose"))
    rise = {
        n: inner_mean(diagnostic, regions, n) - inner_mean(low, regions, n)
        for n in ("left kidney cortex", "spleen", "liver", "muscle")
    }
    assert list(rise.values()) == sorted(rise.values(), reverse=True)
    air = np.s_[:4, :4]
    for image, kind in ((diagnostic, CtKind.DIAGNOSTIC), (low, CtKind.LOW_DOSE)):
        noise = np.diff(image[air], axis=2)  # free of the air's own value
        assert 0.3 * SCANNERS[kind].noise_hu < noise.std() / np.sqrt(2) < 1.3 * SCANNERS[kind].noise_hu
    liver = next(r for r in regions if r.name == "liver")
    full = liver.fraction > 0.999
    assert low[liver.box][full].std() == pytest.approx(np.hypot(30, 6), rel=0.1)
    assert diagnostic[liver.box][full].std() == pytest.approx(np.hypot(12, 6), rel=0.15)


def test_same_seed_same_scan(body: Body, regions: tuple[Region, ...]) -> None:
    one, again, other = (hu_volume(regions, grid(), body, "low-dose", seed).values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.9


def test_a_lesion_is_seen_with_the_number_given(body: Body) -> None:
    on = grid((4, 4, 4), (20, 20, 20))
    lesion = Region("met", RegionKind.LESION, on, (5, 5, 5), np.ones((8, 8, 8)), None, RegionOrigin.ALGEBRA, "test")
    plain = hu_volume((lesion,), on, body, "low-dose", 1).values[6:12, 6:12, 6:12].mean()
    given = hu_volume((lesion,), on, body, "low-dose", 1, hu_of={"met": 144}).values[6:12, 6:12, 6:12].mean()
    assert given - plain == pytest.approx(100, abs=0.5)  # TISSUES["lesion"] is 44 HU; texture and noise are the same


def test_the_table_lies_under_the_back_and_nowhere_else(body: Body, regions: tuple[Region, ...]) -> None:
    plain, table = (hu_volume(regions, grid(), body, "low-dose", 1, table_below_mm=y).values for y in (None, 116.0))
    y = grid().to_lps_mm((0, 84 - 1, 0))[1]
    assert y > 118
    changed = np.abs(table - plain) > 50
    assert changed[:, -4:].any()
    assert not changed[:, :60].any()


def test_density_and_attenuation_of_whole_voxels(body: Body, regions: tuple[Region, ...]) -> None:
    """Liver: 1.06 g/mL; at 208 keV 1.06 x 0.1342 cm2/g = 0.01422 /mm; bone more, lung less, air next to nothing."""
    density = density_volume(regions, grid())
    mu = attenuation_volume(regions, grid(), 208.4)
    assert (density.unit, mu.unit) == (Unit.G_PER_ML, Unit.PER_MM)
    assert inner_mean(density.values, regions, "liver") == pytest.approx(1.06, abs=1e-4)
    assert inner_mean(mu.values, regions, "liver") == pytest.approx(0.01422, rel=0.005)
    assert inner_mean(mu.values, regions, "right lung") < 0.005
    assert float(mu.values.min()) < 2e-5
    own = density_volume(regions, grid(), body)
    assert inner_mean(own.values, regions, "liver") == pytest.approx(body.tissue("liver").density_g_per_ml, abs=1e-4)


def test_attenuation_falls_with_energy(regions: tuple[Region, ...]) -> None:
    images = [attenuation_volume(regions, grid(), kev).values for kev in (113, 208, 511)]
    assert images[0].mean() > images[1].mean() > images[2].mean()


def test_mass_of_the_image_is_the_mass_of_the_regions(regions: tuple[Region, ...]) -> None:
    """Sum of density times volume, less the air around, is the sum over regions of volume times their density."""
    density = density_volume(regions, grid())
    by_region = sum(r.volume_ml * tissue_of(r.name).density_g_per_ml for r in regions)
    air_ml = density.grid.voxel_volume_ml * np.prod(density.grid.shape) - sum(r.volume_ml for r in regions)
    assert density.integral() == pytest.approx(by_region + 0.0012 * air_ml, rel=1e-5)


def test_texture_has_the_width_asked_for() -> None:
    """Correlation of a field blurred to a FWHM of 12 mm falls to exp(-d^2 / 4 s^2): 0.5 at 12/sqrt(2) mm."""
    on = grid((2, 2, 2), (64, 64, 64))
    field = grains_of(np.random.default_rng(0).standard_normal(on.shape, np.float32), on, 12)
    assert (field.mean(), field.std()) == (pytest.approx(0, abs=0.1), pytest.approx(1, abs=1e-3))
    lag = 4  # 8 mm: exp(-64 / (4 x 5.096^2)) = 0.540
    assert np.mean(field[lag:] * field[:-lag]) == pytest.approx(0.540, abs=0.06)


@pytest.mark.parametrize(
    ("name", "tissue"),
    [
        ("left kidney cortex", "kidney cortex"),
        ("kidney_right", "kidney cortex"),
        ("lung_upper_lobe_left", "lung"),
        ("vertebrae_L3", "cortical bone"),
        ("marrow L3", "marrow"),
        ("urinary_bladder", "bladder"),
        ("gallbladder", "gallbladder"),
        ("iliopsoas_left", "muscle"),
        ("iliac_artery_left", "vessel"),
        ("colon", "bowel"),
        ("something new", "lesion"),
    ],
)
def test_tissue_of_a_name(name: str, tissue: str) -> None:
    assert tissue_of(name) is TISSUES[tissue]


def test_a_lesion_named_after_an_organ_is_a_lesion() -> None:
    assert tissue_of("liver 3", is_lesion=True) is TISSUES["lesion"]
    assert tissue_of("liver 3 core", is_lesion=True) is TISSUES["necrosis"]
