"""Local deposition: every electron stays in the voxel it is born in."""

from __future__ import annotations

import numpy as np

from lutra.core.curve import TacFit
from lutra.core.dose import DoseResult, Dvh
from lutra.core.errors import OutsideValidity, UnitMismatch
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.dose.settings import refuse_options
from lutra.imaging.dvh import histogram
from lutra.physics.sphere_dose import sphere_s_value
from lutra.ports import Settings
from lutra.reference.nuclides import nuclide
from lutra.reference.sphere_s import sphere_table

GY_G_PER_KEV = 1.602176634e-13
"""Dose of one keV in one gram. [Gy g/keV] From the exact SI value of the electronvolt."""


class LocalDeposition:
    """Energy of the electrons over the mass, distributed over the voxels as the activity is."""

    def dose(
        self, fit: TacFit, region: Region, image: Volume, mass: Estimate, settings: Settings
    ) -> Outcome[DoseResult]:
        r"""Divide: :math:`D = \tilde A\,E_e/m`.

        Photons are not counted, and no electron leaves. The distribution assumes that every voxel washes out as the region
        does, so it shows the resolution of the image as much as the dose.

        Parameters
        ----------
        fit
            With the time-integrated activity of the region. [Bq.s]
        region, image
            Where the region is, and the activity at one time on the same grid. [Bq/mL]
        mass
            Mass of the region. [g]

        Raises
        ------
        GridMismatch, UnitMismatch
            If image and region do not share a grid, or the image is not in Bq/mL.

        Returns
        -------
        Outcome
            Mean absorbed dose [Gy] with the dose-volume histogram.
        """
        refuse_options(settings, "local")
        if image.unit is not Unit.BQ_PER_ML:
            raise UnitMismatch(f"an image in {image.unit.value} shows no activity", required="Bq/mL")
        image.grid.require_match(region.grid, f"dose of {region.name}")
        name, electrons_kev = fit.curve.region, nuclide(fit.curve.nuclide).electron_kev_per_decay
        if electrons_kev is None:
            text = f"{name}: no electron energy of {fit.curve.nuclide} is known; required: a value in reference/nuclides.toml"
            return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.no-electron-energy", text),))
        if mass.value <= 0:
            text = f"{name}: a mass of {mass.value:g} g takes up no energy; check the region"
            return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.no-mass", text),))
        dose = fit.time_integrated_activity.scaled(GY_G_PER_KEV * electrons_kev).over(mass, Unit.GY)
        dvh = _dvh(region, image, dose.value)
        findings = [_photons(fit, mass.value, electrons_kev)]
        if dvh is None:
            text = (
                f"{name}: the image shows no activity in the region, so its dose has no distribution; the mean is given"
            )
            findings.append(Finding(Severity.WARNING, "dose.no-distribution", text))
        return Outcome(DoseResult(name, "local", dose, mass, dvh), tuple(findings))


def _dvh(region: Region, image: Volume, mean_gy: float) -> Dvh | None:
    share = region.fraction.astype(np.float64).ravel()
    inside = share > 0
    share, activity = share[inside], image.values[region.box].astype(np.float64).ravel()[inside]
    total = share @ activity
    if total <= 0:
        return None
    dose = mean_gy * activity * share.sum() / total
    return histogram(dose, share)


def _photons(fit: TacFit, mass_g: float, electrons_kev: float) -> Finding:
    try:
        s_gy_per_bq_s, _ = sphere_s_value(mass_g, sphere_table(fit.curve.nuclide))
        ratio = s_gy_per_bq_s * mass_g / (GY_G_PER_KEV * electrons_kev)
        size = f"a sphere of this mass, {mass_g:.3g} g, that counts both receives {ratio - 1:+.1%}"
    except OutsideValidity as error:
        size = f"how much that is cannot be said from the sphere table: {error}"
    text = f"{fit.curve.region}: photons and the escape of electrons are not counted; {size}; the sphere model includes photons"
    return Finding(Severity.INFO, "dose.photons-not-counted", text)
