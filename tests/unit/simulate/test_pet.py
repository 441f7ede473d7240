"""The PET scanner against closed forms: blur, noise and its grain, decay, and what a header says of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import UsageError
from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate.pet import SCANNERS, HeaderWay, PetScan, calibration_of, liver_cv, pet_header, simulate_pet
from lutra.simulate.point_spread import blurred, grains

ZONE = ZoneInfo("Europe/Brussels")
AT = datetime(2026, 3, 3, 9, 15, tzinfo=ZONE)
MCT = SCANNERS["Biograph mCT Flow"]
FDG = PetScan("F-18", "FDG", 210e6, AT, AT + timedelta(minutes=60), 70.0)
SSTR = PetScan("Ga-68", "DOTATATE", 150e6, AT, AT + timedelta(minutes=60), 70.0, bed_s=180.0)
QUIET = evolve(FDG, bed_s=1e12)
"""So long a bed that no noise is left."""


def grid(n: int = 40, step_mm: float = 4.0) -> Grid:
    return Grid((n, n, n), np.diag([step_mm, step_mm, step_mm, 1.0]), "1.2")


def uniform(suv: float, g: Grid) -> Volume:
    return Volume(np.full(g.shape, suv), g, Unit.SUV_BW)


@pytest.mark.parametrize("fwhm_mm", [3.0, 6.0, 11.0])
def test_a_point_becomes_a_gaussian_of_the_stated_width(fwhm_mm: float) -> None:
    """Variance of the blurred point: (FWHM / 2.3548)^2; at 3 mm on voxels of 4 mm what lies beyond their frequencies costs .3 %."""
    point = np.zeros((41, 41, 41))
    point[20, 20, 20] = 1
    seen = blurred(point, (fwhm_mm,) * 3, (4.0, 4.0, 4.0)).astype(float)
    assert seen.sum() == pytest.approx(1, rel=1e-5)
    x = (np.arange(41) - 20) * 4.0
    variance = (seen.sum(axis=(1, 2)) * x**2).sum()
    assert variance == pytest.approx((fwhm_mm / 2.354820045) ** 2, rel=5e-3)


def test_the_edge_of_the_image_loses_nothing() -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(0, 5, (20, 21, 22))
    assert blurred(values, (8, 8, 8), (4, 4, 4)).sum() == pytest.approx(values.sum(), rel=1e-5)
    np.testing.assert_allclose(blurred(np.full((9, 9, 9), 3.0), (8, 8, 8), (4, 4, 4)), 3.0, rtol=1e-5)


def test_grains_have_unit_variance_and_the_correlation_of_a_blur() -> None:
    """White noise blurred by a Gaussian correlates as exp(-d^2 / 4 sigma^2): 1/4 at a distance of one FWHM."""
    noise = grains((64, 64, 64), (8.0, 8.0, 8.0), (4.0, 4.0, 4.0), np.random.default_rng(3)).astype(float)
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert (noise[2:] * noise[:-2]).mean() == pytest.approx(0.25, abs=0.02)
    assert (noise[:, 8:] * noise[:, :-8]).mean() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(("scan", "suv", "cv"), [(FDG, 2.2, (0.08, 0.12)), (SSTR, 5.7, (0.12, 0.18))])
def test_the_liver_is_as_noisy_as_quality_programmes_find(scan: PetScan, suv: float, cv: tuple[float, float]) -> None:
    image = simulate_pet(uniform(suv, grid(48)), MCT, scan, seed=1)
    found = image.values.std() / image.values.mean()
    assert found == pytest.approx(liver_cv(MCT, scan), rel=0.03)
    assert cv[0] < found < cv[1]
    assert image.values.mean() / scan.bq_per_ml_per_suv == pytest.approx(suv, rel=0.01)


def test_noise_falls_with_the_root_of_what_is_counted() -> None:
    usual = liver_cv(MCT, FDG)
    assert liver_cv(MCT, evolve(FDG, activity_bq=4 * FDG.activity_bq)) == pytest.approx(usual / 2)
    assert liver_cv(MCT, evolve(FDG, bed_s=4 * FDG.bed_s)) == pytest.approx(usual / 2)
    assert liver_cv(MCT, evolve(FDG, weight_kg=110.0)) == pytest.approx(usual * np.exp(0.2))
    later = evolve(FDG, started_at=FDG.started_at + timedelta(seconds=2 * FDG.half_life_s))
    assert liver_cv(MCT, later) == pytest.approx(2 * usual, rel=1e-6)


def test_activity_is_stated_for_the_start_or_the_administration() -> None:
    """210 MBq in 70 kg, after 60 min of 109.8 min: 3000 Bq/mL x .6846 per SUV; undone for ADMIN."""
    start = simulate_pet(uniform(2.0, grid(12)), MCT, QUIET, seed=1)
    assert start.values.mean() == pytest.approx(2 * 3000 * 2 ** (-60 / 109.77), rel=1e-3)
    assert start.decay_referenced_to == FDG.started_at
    admin = simulate_pet(uniform(2.0, grid(12)), MCT, evolve(QUIET, correction=DecayCorrection.ADMIN), seed=1)
    assert admin.values.mean() == pytest.approx(2 * 3000, rel=1e-5)
    assert admin.decay_referenced_to == FDG.administered_at


def test_a_truth_in_becquerel_is_brought_to_the_start_of_the_scan() -> None:
    truth = Volume(np.full((12, 12, 12), 6000.0), grid(12), Unit.BQ_PER_ML, decay_referenced_to=AT)
    of_suv = simulate_pet(uniform(2.0, grid(12)), MCT, QUIET, seed=1)
    np.testing.assert_allclose(simulate_pet(truth, MCT, QUIET, seed=1).values, of_suv.values, rtol=1e-5)
    with pytest.raises(UsageError, match="a truth in"):
        simulate_pet(Volume(truth.values, truth.grid, Unit.HU), MCT, QUIET, seed=1)


def test_a_small_lesion_loses_to_its_surroundings_what_a_gaussian_takes() -> None:
    """Centre of a sphere of radius R: erf(R/(sigma sqrt 2)) - sqrt(2/pi) R/sigma exp(-R^2/2 sigma^2)."""
    from math import erf, exp, pi, sqrt

    g = grid(61, 1.5)
    r = np.linalg.norm(g.to_lps_mm(np.stack(np.indices(g.shape), axis=-1)) - 45.0, axis=-1)
    truth = Volume(10 * np.clip((6.0 - r) / 1.5 + 0.5, 0, 1), g, Unit.SUV_BW)
    u = 6.0 / (MCT.fwhm_mm / 2.354820045)
    recovered = erf(u / sqrt(2)) - sqrt(2 / pi) * u * exp(-(u**2) / 2)
    seen = simulate_pet(truth, MCT, QUIET, seed=1)
    assert seen.values[30, 30, 30] / (10 * FDG.bq_per_ml_per_suv) == pytest.approx(recovered, rel=0.01)


def test_gallium_is_blurred_more_and_images_differ_by_seed_only() -> None:
    assert MCT.resolution_mm("Ga-68") == MCT.resolution_mm("F-18") + 1
    a, b, c = (simulate_pet(uniform(2.0, grid(10)), MCT, FDG, seed).values for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_calibration_errors_of_sites_and_days() -> None:
    """3 % between sites and 2 % between days: 3.6 % together, 2 % within a site."""
    all_ = np.log([[calibration_of(site, f"2026-03-{day:02d}") for day in range(1, 29)] for site in range(150)])
    assert all_.std() == pytest.approx(0.036, rel=0.12)
    assert all_.std(axis=1).mean() == pytest.approx(0.02, rel=0.06)


def test_impossible_scans_are_refused() -> None:
    with pytest.raises(UsageError, match="Lu-177"):
        evolve(FDG, nuclide="Lu-177")
    with pytest.raises(UsageError, match="after the administration"):
        evolve(FDG, started_at=AT - timedelta(minutes=1))


def test_beds_have_their_own_times_or_the_one_of_the_scan(plain_header) -> None:  # type: ignore[no-untyped-def]
    """320 mm in beds of 150 mm: three of them, the feet first, also where the slices run from the head down."""
    down = np.diag([5.0, 5.0, -5.0, 1.0])
    g = Grid((4, 4, 64), down, "1.2")
    siemens = pet_header(plain_header(g), g, MCT, FDG)
    assert len(set(siemens.slice_acquired_at)) == 3
    assert siemens.slice_acquired_at[-1] == FDG.started_at
    assert siemens.slice_acquired_at[0] == FDG.started_at + timedelta(seconds=2 * 150)
    ge = pet_header(plain_header(g), g, SCANNERS["Discovery MI"], FDG)
    assert SCANNERS["Discovery MI"].way is HeaderWay.GE
    assert set(ge.slice_acquired_at) == {FDG.started_at}
    assert set(ge.slice_frame_reference_s) == {0.0, 150.0, 300.0}
