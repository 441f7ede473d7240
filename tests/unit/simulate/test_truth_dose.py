"""Sphere doses of kinetic patients against hand calculations and our own sphere model."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import UsageError
from lutra.dose.region_means import self_dose
from lutra.simulate.pbpk_cohort import typical_patient
from lutra.simulate.pbpk_population import LesionKineticInput, sample_kinetics
from lutra.simulate.truth_dose import bone_disease_dose_gy, doses_gy, marrow_dose_gy, self_dose_gy
from lutra.simulate.uptake import curves


def test_lesion_and_kidney_pair_agree_with_the_sphere_model() -> None:
    """Within the scatter of the published table that the fit is of; each kidney holds half."""
    lu = curves(typical_patient(), "Lu-177", 1, 7.4e9, 200.0)
    for region, pieces in (("L1", 1), ("kidneys", 2), ("spleen", 1)):
        s = self_dose("Lu-177", lu.mass_g(region) / pieces, 1.03)
        by_kernel = lu.time_integrated_bq_s(region) / pieces * (s.electrons + s.photons)
        assert self_dose_gy(lu, region) == pytest.approx(by_kernel, rel=0.015)


def test_liver_is_electrons_and_a_few_per_cent_of_photons() -> None:
    """147.92 keV of electrons per decay stay in 1.8 kg, and .1 to .3 of the 35 keV of photons."""
    lu = curves(typical_patient(), "Lu-177", 1, 1e9, 200.0)
    electrons = lu.time_integrated_bq_s("liver") * 147.92e3 * 1.602176634e-19 / (lu.mass_g("liver") * 1e-3)
    assert 1 + 0.1 * 35.1 / 147.92 < self_dose_gy(lu, "liver") / electrons < 1 + 0.3 * 35.1 / 147.92


def test_marrow_gets_photons_of_the_body_and_bone_lesions_add() -> None:
    """Bone disease adds nothing without bone lesions, .02 Gy/GBq with the usual ones, more with more."""
    plain = typical_patient()
    lu = curves(plain, "Lu-177", 1, 1e9, 200.0)
    body = sum(lu.time_integrated_bq_s(r) for r in lu.regions)
    by_hand = self_dose_gy(lu, "marrow") + body * 0.0123e6 * 1.602176634e-19 / 72.0
    assert marrow_dose_gy(lu, plain) == pytest.approx(by_hand)
    added = []
    for ml in (5.0, 45.0, 400.0):
        p = sample_kinetics(85.0, 72.0, 1.85, "M", [LesionKineticInput("B", ml, 1, "bone")], 1)
        added.append(bone_disease_dose_gy(curves(p, "Lu-177", 1, 1e9, 200.0), p))
    assert np.all(np.diff(added) > 0)
    assert 0.005 < added[1] < 0.06


def test_every_organ_and_lesion_has_a_dose_and_other_nuclides_have_none() -> None:
    p = typical_patient()
    lu = curves(p, "Lu-177", 1, 1e9, 200.0)
    assert set(doses_gy(lu, p)) == set(lu.parameters.names)
    with pytest.raises(UsageError, match="Ga-68"):
        self_dose_gy(curves(p, "Ga-68", 1, 1e9, 20.0), "liver")
