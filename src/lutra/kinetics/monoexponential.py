"""Mono-exponential washout, where the points identify it."""

from __future__ import annotations

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.finding import Outcome
from lutra.kinetics.phase_fit import fit_phases
from lutra.kinetics.phase_model import MONOEXPONENTIAL
from lutra.ports import Settings


class Monoexponential:
    r"""Fit :math:`A(t) = A_0 e^{-kt}` by weighted least squares; `k` is at least the physical decay constant.

    The uptake before the first point is not modelled: the curve is extrapolated back to the start of the administration, which
    makes the integral too large by about the ratio of the half-lives of uptake and washout. Three points or more: two leave no
    degree of freedom to see a bad fit.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:  # noqa: ARG002 (the socket's)
        """Fit the curve, or say why its points do not identify it; see :func:`lutra.kinetics.phase_fit.fit_phases`."""
        return fit_phases(curve, MONOEXPONENTIAL, settings, minimum_points=3)
