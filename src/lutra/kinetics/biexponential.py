"""Two exponentials: uptake and washout of a region that starts empty, or two washouts of blood and the whole body."""

from __future__ import annotations

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.finding import Outcome
from lutra.kinetics.phase_fit import fit_phases
from lutra.kinetics.phase_model import BIEXPONENTIAL, TWO_PHASE_WASHOUT
from lutra.ports import Settings


class Biexponential:
    r"""Fit :math:`A(t) = a\,(e^{-kt} - e^{-\kappa t})` with :math:`\kappa > k \ge` physical decay, from four points on.

    At least one point must lie before the fitted peak and one after it: without an early one nothing is known of the uptake.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:  # noqa: ARG002 (the socket's)
        """Fit the curve, or say why its points do not identify it; see :func:`lutra.kinetics.phase_fit.fit_phases`."""
        return fit_phases(curve, BIEXPONENTIAL, settings, minimum_points=4)


class TwoPhaseWashout:
    r"""Fit :math:`A(t) = a_1 e^{-k_1 t} + a_2 e^{-k_2 t}` with positive amplitudes, from five points on.

    For what is fullest at the start: blood, whose integral the marrow dose needs, and the whole body. Blood samples are entered as
    the activity of one millilitre, and their integral is then that of one millilitre.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:  # noqa: ARG002 (the socket's)
        """Fit the curve, or say why its points do not identify it; see :func:`lutra.kinetics.phase_fit.fit_phases`."""
        return fit_phases(curve, TWO_PHASE_WASHOUT, settings, minimum_points=5)
