"""Absorbed dose of a kinetic patient by region, to compare with published Gy/GBq.

A region is a sphere of its mass that irradiates itself; marrow gets photons of the whole body and of bone lesions besides.
This is what published organ doses are like. The truth of a digital patient's images is a dose *distribution*, computed from
the painted activity, not this.
"""

from __future__ import annotations

from lutra.core.errors import UsageError
from lutra.core.units import HOUR_S
from lutra.simulate.pbpk_population import KineticPatient
from lutra.simulate.uptake import UptakeCurves

SPHERE_GY_G_PER_BQ_S, SPHERE_EXPONENT = 2.3206e-11, -0.99149
"""S = a m^b (m in g): fit to sphere self-dose of 177Lu, 1.03 g/mL, from .5 g up within .6 %; organ S values within 1 %."""
MARROW_PHOTON_MEV = 0.0123
"""Photon energy per decay anywhere in the body that marrow absorbs, as if spread evenly over the body."""
J_PER_MEV = 1.602176634e-13
BONE_GY_PER_GBQ, BONE_RESIDENCE_H, BONE_EXPONENT = 0.02, 1.5, 0.6
"""Marrow dose of bone lesions: its median, at the median time integral of all bone lesions over the activity, and the power
it follows, which gives a log-SD of .8 [T to .01-.06 Gy/GBq]. Below one, since large lesions absorb most of what they emit."""


def self_dose_gy(curves: UptakeCurves, region: str) -> float:
    """Dose of a region to itself, electrons and photons, as a sphere of its mass; a kidney pair is two. [Gy]

    Raises
    ------
    UsageError
        For another nuclide than 177Lu.
    """
    if curves.nuclide != "Lu-177":
        raise UsageError(f"dose of {curves.nuclide}", required="Lu-177, for which S is tabulated")
    pieces = 2 if region == "kidneys" else 1
    s: float = SPHERE_GY_G_PER_BQ_S * (curves.mass_g(region) / pieces) ** SPHERE_EXPONENT
    return curves.time_integrated_bq_s(region) / pieces * s


def marrow_dose_gy(curves: UptakeCurves, patient: KineticPatient) -> float:
    """Marrow: itself, photons of the whole body, and bone lesions. [Gy]"""
    body = sum(curves.time_integrated_bq_s(region) for region in curves.regions)
    photons = body * MARROW_PHOTON_MEV * J_PER_MEV / patient.weight_kg
    return self_dose_gy(curves, "marrow") + photons + bone_disease_dose_gy(curves, patient)


def bone_disease_dose_gy(curves: UptakeCurves, patient: KineticPatient) -> float:
    """Marrow dose that bone lesions add. [Gy]"""
    bone = [le.lesion_id for le in patient.lesions if le.site == "bone" and le.lesion_id in curves.lesions]
    given = curves.administered_bq
    if not bone or given == 0:
        return 0.0
    residence_h = sum(curves.time_integrated_bq_s(x) for x in bone) / given / HOUR_S
    return float(BONE_GY_PER_GBQ * given * 1e-9 * (residence_h / BONE_RESIDENCE_H) ** BONE_EXPONENT)


def doses_gy(curves: UptakeCurves, patient: KineticPatient) -> dict[str, float]:
    """Dose of every organ and lesion. [Gy]"""
    doses = {region: self_dose_gy(curves, region) for region in curves.parameters.names}
    return doses | {"marrow": marrow_dose_gy(curves, patient)}
