"""Self-dose by the sphere model."""

from __future__ import annotations

from lutra.core.curve import TacFit
from lutra.core.dose import DoseResult
from lutra.core.errors import OutsideValidity
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.dose.settings import refuse_options
from lutra.physics.sphere_dose import sphere_s_value
from lutra.ports import Settings
from lutra.reference.sphere_s import sphere_table

S_VALUE_SOURCE = "S value"


class SphereModel:
    """Dose of a region to itself, as if it were a uniform sphere of its mass in soft tissue.

    Electrons and photons, with what escapes from the sphere. What other regions send is not included.
    """

    def dose(
        self,
        fit: TacFit,
        region: Region,  # noqa: ARG002  (the socket's)
        image: Volume,  # noqa: ARG002
        mass: Estimate,
        settings: Settings,
    ) -> Outcome[DoseResult]:
        r"""Multiply: :math:`D = \tilde A\,S(m)`, `S` interpolated log-log in a published table.

        Parameters
        ----------
        fit
            With the time-integrated activity of the region. [Bq.s]
        region, image
            Not used: a sphere has no shape and no distribution.
        mass
            Mass of the region. [g] Its sources enter with :math:`d\ln S/d\ln m \approx -1`, by name: a volume source it
            shares with the activity cancels as far as it should.

        Returns
        -------
        Outcome
            Mean absorbed dose [Gy]; or none and `dose.sphere-not-tabulated` for another nuclide or a mass outside the table.

        References
        ----------
        [bolch1999] MIRD pamphlet 17, J Nucl Med 40:11S, for the formalism; the table's own source is in
        :mod:`lutra.reference.sphere_s`.
        """
        refuse_options(settings, "sphere")
        try:
            table = sphere_table(fit.curve.nuclide)
            s_gy_per_bq_s, slope = sphere_s_value(mass.value, table)
        except OutsideValidity as error:
            text = f"{fit.curve.region}: no dose by the sphere model: {error}"
            return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.sphere-not-tabulated", text),))
        s_value = Estimate(s_gy_per_bq_s, Unit.GY_PER_BQ_S).with_sources(
            FrozenMap({**mass.relative(sensitivity=slope), S_VALUE_SOURCE: table.relative_sd})
        )
        dose = fit.time_integrated_activity.times(s_value, Unit.GY)
        return Outcome(DoseResult(fit.curve.region, "sphere", dose, mass))
