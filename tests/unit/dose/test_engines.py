"""Dose engines against hand calculation, and what they share and do not share."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid

from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.dose import DoseResult
from lutra.core.errors import GridMismatch, OutsideValidity, ProtocolError, UnitMismatch
from lutra.core.estimate import Draws, Estimate, Unit
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.volume import Volume
from lutra.dose import LocalDeposition, SphereModel, compare_engines
from lutra.physics.sphere_dose import sphere_s_value
from lutra.reference.sphere_s import sphere_table

NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()
GRID = Grid((4, 3, 2), np.diag([5.0, 5.0, 5.0, 1.0]), "1.2.3")
FRACTION = np.array([[[1.0], [0.5]], [[1.0], [0.25]]])
REGION = Region("L1", RegionKind.LESION, GRID, (1, 1, 0), FRACTION, None, RegionOrigin.DRAWN, "")
ACTIVITY = np.arange(24.0).reshape(4, 3, 2)
IMAGE = Volume(ACTIVITY, GRID, Unit.BQ_PER_ML)
BAND = CurveBand([0, 1], [1, 1], [1, 1], [1, 1])


def fit(tia: Estimate, nuclide: str = "Lu-177") -> TacFit:
    curve = TimeActivityCurve("L1", nuclide, [3600.0], (Estimate(1e6, Unit.BQ),))
    return TacFit(curve, "test", {}, tia, Estimate(1e5, Unit.S), 0.0, identifiable=True, band=BAND)


def tia(value: float = 3.6e12, draws: Draws | None = None, **budget: float) -> Estimate:
    return Estimate(value, Unit.BQ_S, {k.replace("_", " "): v * value for k, v in budget.items()}, draws)


def grams(value: float, **relative: float) -> Estimate:
    return Estimate(value, Unit.G, {k.replace("_", " "): v * value for k, v in relative.items()})


def sphere(t: Estimate, mass: Estimate) -> DoseResult:
    value = SphereModel().dose(fit(t), REGION, IMAGE, mass, NO_SETTINGS).value
    assert value is not None
    return value


def local(t: Estimate, mass: Estimate) -> DoseResult:
    value = LocalDeposition().dose(fit(t), REGION, IMAGE, mass, NO_SETTINGS).value
    assert value is not None
    return value


# ---- sphere ----
def test_sphere_at_a_published_mass() -> None:
    """1000 MBq h = 3.6e12 Bq s in 14.6 g, S = 1.63e-12 Gy/(Bq s): 5.868 Gy."""
    assert sphere(tia(), grams(14.6)).absorbed_dose.value == pytest.approx(5.868, rel=1e-12)


def test_sphere_between_masses_by_hand() -> None:
    """Half way in logarithms between 4.31 g and 14.6 g lies the geometric mean of both S values."""
    s, slope = sphere_s_value(np.sqrt(4.31 * 14.6), sphere_table("Lu-177"))
    assert s == pytest.approx(np.sqrt(5.46e-12 * 1.63e-12), rel=1e-12)
    assert slope == pytest.approx(np.log(1.63e-12 / 5.46e-12) / np.log(14.6 / 4.31), rel=1e-12)


@pytest.mark.parametrize("mass_g", [0.0345, 932.0])
def test_the_ends_of_the_table_are_inside(mass_g: float) -> None:
    table = sphere_table("Lu-177")
    assert sphere_s_value(mass_g, table)[0] == pytest.approx(table.s_gy_per_bq_s[0 if mass_g < 1 else -1], rel=1e-12)


def test_a_volume_shared_by_activity_and_mass_cancels() -> None:
    """10 % more volume is 10 % more activity and 10 % more mass: of the dose only 1 + d ln S/d ln m, about 1 %, is left."""
    dose = sphere(tia(volume_L1=0.1), grams(20.0, volume_L1=0.1, tissue_density=0.03)).absorbed_dose
    slope = np.log(6.93e-13 / 1.63e-12) / np.log(34.5 / 14.6)
    assert dose.budget["volume L1"] == pytest.approx((1 + slope) * 0.1 * dose.value, rel=1e-9)
    assert dose.budget["tissue density"] == pytest.approx(slope * 0.03 * dose.value, rel=1e-9)
    assert dose.budget["S value"] == pytest.approx(0.015 * dose.value, rel=1e-9)


def test_draws_reach_the_dose() -> None:
    values = np.array([2e12, 4e12, 6e12])
    drawn = Estimate(4e12, Unit.BQ_S, {"tail half-life: L1": values.std()}, Draws(("tail half-life: L1",), values))
    dose = sphere(drawn, grams(14.6)).absorbed_dose
    assert dose.draws is not None
    assert dose.draws.values == pytest.approx(values * 1.63e-12)


@pytest.mark.parametrize(("mass_g", "nuclide"), [(0.03, "Lu-177"), (1000.0, "Lu-177"), (0.0, "Lu-177"), (10, "Ga-68")])
def test_outside_the_table_there_is_no_dose(mass_g: float, nuclide: str) -> None:
    outcome = SphereModel().dose(fit(tia(), nuclide), REGION, IMAGE, grams(mass_g), NO_SETTINGS)
    assert outcome.value is None
    assert [(f.severity, f.code) for f in outcome.findings] == [(Severity.UNDETERMINED, "dose.sphere-not-tabulated")]


def test_outside_the_table_the_kit_raises() -> None:
    with pytest.raises(OutsideValidity, match=r"0\.0345 g to 932 g"):
        sphere_s_value(0.01, sphere_table("Lu-177"))


# ---- local ----
def test_local_deposition_by_hand() -> None:
    """0.08532 Gy g per MBq h of electrons: 1000 MBq h in 10 g give 8.532 Gy."""
    assert local(tia(), grams(10)).absorbed_dose.value == pytest.approx(8.532, rel=1e-4)


def test_local_volume_cancels_exactly() -> None:
    dose = local(tia(volume_L1=0.1), grams(20.0, volume_L1=0.1)).absorbed_dose
    assert dose.budget["volume L1"] == pytest.approx(0, abs=1e-12)


def test_dvh_of_partial_voxels() -> None:
    """Four voxels of weight 1, .5, 1, .25 holding 8, 10, 14, 16 Bq/mL: their dose is proportional to it."""
    result = local(tia(), grams(10))
    dvh, mean = result.dvh, result.absorbed_dose.value
    assert dvh is not None
    weights, activity = np.array([1, 0.5, 1, 0.25]), np.array([8.0, 10.0, 14.0, 16.0])
    dose = mean * activity * weights.sum() / (weights @ activity)
    step = dvh.dose_gy[1]
    assert dvh.dose_gy[-1] == pytest.approx(dose.max())
    assert dvh.volume_fraction[0] == 1
    assert dvh.volume_fraction[-1] == pytest.approx(0.25 / 2.75)
    assert np.interp((dose[0] + dose[1]) / 2, dvh.dose_gy, dvh.volume_fraction) == pytest.approx(1.75 / 2.75)
    # A histogram knows the dose of a voxel to one level.
    assert trapezoid(dvh.volume_fraction, dvh.dose_gy) + dvh.dose_gy[0] == pytest.approx(mean, abs=step)
    assert dvh.d_percent(98) == pytest.approx(dose[0], abs=step)


def test_a_uniform_region_has_one_dose() -> None:
    image = Volume(np.full((4, 3, 2), 7.0), GRID, Unit.BQ_PER_ML)
    value = LocalDeposition().dose(fit(tia()), REGION, image, grams(10), NO_SETTINGS).value
    assert value is not None
    assert value.dvh is not None
    assert value.dvh.d_percent(98) == pytest.approx(value.absorbed_dose.value)
    assert value.dvh.d_percent(50) == pytest.approx(value.absorbed_dose.value)


def test_an_empty_image_gives_the_mean_and_says_there_is_no_distribution() -> None:
    image = Volume(np.zeros((4, 3, 2)), GRID, Unit.BQ_PER_ML)
    outcome = LocalDeposition().dose(fit(tia()), REGION, image, grams(10), NO_SETTINGS)
    assert outcome.value is not None
    assert outcome.value.dvh is None
    assert [f.code for f in outcome.findings] == ["dose.photons-not-counted", "dose.no-distribution"]


def test_photons_are_named_with_their_size() -> None:
    """276 g: S m / Delta = 8.81e-14 x 276 / (147.92 keV x 1.602176634e-13) = 1.0260."""
    findings = LocalDeposition().dose(fit(tia()), REGION, IMAGE, grams(276), NO_SETTINGS).findings
    assert "+2.6%" in findings[0].text
    assert findings[0].severity is Severity.INFO


def test_wrong_image_or_options_are_refused() -> None:
    moved = Grid((4, 3, 2), np.diag([5.0, 5.0, 6.0, 1.0]), "1.2.3")
    with pytest.raises(GridMismatch):
        LocalDeposition().dose(fit(tia()), REGION, Volume(ACTIVITY, moved, Unit.BQ_PER_ML), grams(10), NO_SETTINGS)
    with pytest.raises(UnitMismatch):
        LocalDeposition().dose(fit(tia()), REGION, Volume(ACTIVITY, GRID, Unit.STORED), grams(10), NO_SETTINGS)
    with pytest.raises(ProtocolError, match="photons"):
        LocalDeposition().dose(fit(tia()), REGION, IMAGE, grams(10), FrozenMap({"photons": True}))
    assert LocalDeposition().dose(fit(tia()), REGION, IMAGE, grams(0), NO_SETTINGS).value is None


# ---- both ----
def test_engines_that_agree_within_what_is_their_own_are_silent() -> None:
    """At 34.5 g: local .08532/34.5 = 2.473e-3, sphere 6.93e-13 x 3.6e9 = 2.495e-3 Gy/(MBq h): 0.9 % < 1.96 x 1.5 %."""
    t, mass = tia(camera_calibration=0.3), grams(34.5, volume=0.2)
    assert compare_engines((sphere(t, mass), local(t, mass))) == ()


def test_a_shared_error_does_not_excuse_a_difference() -> None:
    """At 0.0345 g 7 % of the electron energy escapes; 30 % of camera doubt is common to both and excuses nothing."""
    t, mass = tia(camera_calibration=0.3), grams(0.0345)
    findings = compare_engines((sphere(t, mass), local(t, mass)))
    assert [f.code for f in findings] == ["dose.engines-differ"]
