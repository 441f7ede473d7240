"""Uptake and a washout of two phases."""

from __future__ import annotations

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.finding import Outcome
from lutra.kinetics.phase_fit import fit_phases
from lutra.kinetics.phase_model import TRIEXPONENTIAL
from lutra.ports import Settings


class Triexponential:
    r"""Fit :math:`A(t) = a_1 e^{-k_1 t} + a_2 e^{-k_2 t} - (a_1 + a_2)\, e^{-\kappa t}` from six points on.

    Amplitudes are positive. Bound to zero at the start, so that five parameters remain of six.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:  # noqa: ARG002 (the socket's)
        """Fit the curve, or say why its points do not identify it; see :func:`lutra.kinetics.phase_fit.fit_phases`."""
        return fit_phases(curve, TRIEXPONENTIAL, settings, minimum_points=6)
