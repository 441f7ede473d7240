"""Curves of an administration: accounting, integrals, blood and urine."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import UsageError
from lutra.core.units import HOUR_S
from lutra.simulate.pbpk_cohort import cohort_patient, typical_patient
from lutra.simulate.pbpk_population import KineticSettings
from lutra.simulate.uptake import UptakeCurves, curves

PATIENT = cohort_patient(5)


@pytest.fixture(scope="module", params=["ode", "fast"])
def therapy(request: pytest.FixtureRequest) -> UptakeCurves:
    return curves(PATIENT, "Lu-177", 1, 7.4e9, 200.0, form=request.param)


def test_activity_is_in_the_regions_or_has_been_voided(therapy: UptakeCurves) -> None:
    """All regions and the urine ever passed hold the dose, decay removed."""
    t = np.array([1.0, 4.0, 24.0, 96.0, 168.0, 400.0]) * HOUR_S
    held = sum(therapy.fraction(r, t) for r in therapy.regions if r != "bladder") + therapy.urine_fraction(t)
    np.testing.assert_allclose(held, 1, atol=2e-3 if therapy.valid_from_s else 1e-6)
    assert (therapy.fraction("bladder", t) <= therapy.urine_fraction(t) + 1e-12).all()


def test_integral_is_that_of_the_activity(therapy: UptakeCurves) -> None:
    """Against the trapezoidal rule on 200 000 points to 3000 h, for every region."""
    t = np.r_[0, np.geomspace(1e-3, 3000, 200_000)] * HOUR_S
    for region in therapy.regions:
        by_hand = np.trapezoid(therapy.activity_bq(region, t), t)
        assert therapy.time_integrated_bq_s(region) == pytest.approx(by_hand, rel=1e-3)


def test_half_life_is_that_between_one_day_and_seven(therapy: UptakeCurves) -> None:
    early, late = therapy.activity_bq("liver", np.array([24.0, 168.0]) * HOUR_S)
    assert early * 2 ** (-144 * HOUR_S / therapy.half_life_eff_s("liver")) == pytest.approx(late)
    assert therapy.half_life_eff_s("liver") < 574300.8  # not slower than decay


def test_twice_the_activity_with_the_same_peptide_is_twice_everything(therapy: UptakeCurves) -> None:
    form = "fast" if therapy.valid_from_s else "ode"
    twice = curves(PATIENT, "Lu-177", 1, 14.8e9, 200.0, form=form)
    for region in therapy.regions:
        assert twice.time_integrated_bq_s(region) == pytest.approx(2 * therapy.time_integrated_bq_s(region), rel=1e-12)
    assert twice.blood_bq_per_ml(3e4) == pytest.approx(2 * therapy.blood_bq_per_ml(3e4), rel=1e-12)


def test_concentration_is_activity_over_volume(therapy: UptakeCurves) -> None:
    """A lesion of V mL that lives by half holds its activity in V/2."""
    lesion = therapy.lesions[0]
    given = PATIENT.lesion(lesion)
    assert therapy.volume_ml(lesion) == pytest.approx(given.volume_ml * given.viable_fraction)
    held = therapy.activity_bq(lesion, 9e4)
    assert therapy.concentration(lesion, 9e4) * therapy.volume_ml(lesion) == pytest.approx(held)


def test_the_bladder_is_emptied_on_time() -> None:
    """Every two hours to a tenth; without emptying it holds all that has passed."""
    settings = KineticSettings(spread=0, visit_spread=0, void_interval_h=2.0, void_residual=0.1)
    c = curves(typical_patient(settings), "Lu-177", 1, 1e9, 200.0)
    before, after = c.fraction("bladder", np.array([4 - 1e-6, 4.0]) * HOUR_S)
    assert after == pytest.approx(0.1 * before, rel=1e-4)
    held = KineticSettings(spread=0, visit_spread=0, void_residual=1.0)
    t = np.array([2.0, 7.0, 50.0]) * HOUR_S
    full = curves(typical_patient(held), "Lu-177", 1, 1e9, 200.0)
    np.testing.assert_allclose(full.fraction("bladder", t), full.urine_fraction(t), rtol=1e-9)


def test_urine_only_rises_and_blood_is_plasma_without_cells(therapy: UptakeCurves) -> None:
    t = np.linspace(1, 900, 2000) * HOUR_S
    assert np.diff(therapy.urine_fraction(t)).min() > -1e-9
    assert therapy.urine_fraction(5e3 * HOUR_S) <= 1
    ratio = therapy.blood_bq_per_ml(t) / therapy.plasma_bq_per_ml(t)
    np.testing.assert_allclose(ratio, 1 - therapy.parameters.haematocrit)
    share = therapy.intact_fraction(t)
    assert share.min() >= 0
    assert share.max() <= 1


def test_before_and_at_the_start_there_is_nothing() -> None:
    c = curves(PATIENT, "Ga-68", 1, 1.5e8, 20.0)
    assert c.activity_bq("liver", 0.0) == 0
    assert c.activity_bq("liver", -5.0) == 0
    assert np.isnan(c.intact_fraction(0.0))


def test_what_does_not_exist_is_named() -> None:
    c = curves(PATIENT, "Ga-68", 1, 1.5e8, 20.0)
    with pytest.raises(UsageError, match="no region 'heart'"):
        c.activity_bq("heart", 1.0)
    with pytest.raises(UsageError, match="has no mass"):
        c.mass_g("bladder")
    with pytest.raises(UsageError, match="Y-90"):
        curves(PATIENT, "Y-90", 1, 1e9, 100.0)
