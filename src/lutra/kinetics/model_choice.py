r"""Which of several models: the one of lowest AICc, or all of them averaged by Akaike weights.

.. math:: \mathrm{AICc} = \chi^2 + 2p + \frac{2p(p+1)}{n-p-1}, \qquad w_m \propto e^{-\mathrm{AICc}_m/2}

Where the noise is not known, :math:`\chi^2` is replaced by :math:`n \ln(\mathrm{RSS}/n)` and the noise is one more parameter.
"""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.kinetics.observed import observed, refusal
from lutra.kinetics.phase_fit import LIMITS, TAILS, fit_phases
from lutra.kinetics.phase_model import BIEXPONENTIAL, MONOEXPONENTIAL, TRIEXPONENTIAL
from lutra.kinetics.settings import numbers, word
from lutra.ports import Settings

CANDIDATES = (MONOEXPONENTIAL, BIEXPONENTIAL, TRIEXPONENTIAL)
METHODS = ("choose", "average")
NEGLIGIBLE_WEIGHT = 0.01


class Akaike:
    r"""Fit one, two and three exponentials and let the points decide between those they identify.

    A model with :math:`n \le p + 1` has no AICc and is not asked: four points never show three parameters and a bad fit.

    References
    ----------
    [burnham2002] Burnham and Anderson, Model selection and multimodel inference, 2nd ed.
    [glatting2007] Glatting et al., Med Phys 34:4285, for time-activity curves.
    """

    def fit(self, curve: TimeActivityCurve, settings: Settings, seed: int) -> Outcome[TacFit]:  # noqa: ARG002 (the socket's)
        """Fit the curve.

        Parameters
        ----------
        settings
            `method` (:data:`METHODS`); `tail` and the limits of the models of phases, which apply to each.
        """
        method = word(settings, "method", METHODS, "akaike")
        word(settings, "tail", TAILS, "akaike")
        numbers(settings, LIMITS, "akaike", words=("method", "tail"))
        passed = FrozenMap({name: value for name, value in settings.items() if name != "method"})
        identified, reasons = [], []
        for model in CANDIDATES:
            outcome = fit_phases(curve, model, passed, minimum_points=model.parameters + 1)
            criterion = aicc(curve, outcome.value) if outcome.value is not None else None
            if outcome.value is not None and criterion is not None:
                identified.append((criterion, outcome.value, outcome.findings))
            elif outcome.value is None:
                reasons.append(outcome.findings[0].text.partition(": ")[2])
        if not identified:
            found = "; ".join(reasons) or "too few points for an AICc of any model"
            return Outcome(None, (refusal(curve, "one of mono-, bi- and tri-exponential", found, "add scans"),))
        identified.sort(key=lambda item: item[0])
        best = identified[0]
        weights = np.exp(-0.5 * (np.array([item[0] for item in identified]) - best[0]))
        weights /= weights.sum()
        said = ", ".join(f"{fit.model} {w:.0%}" for w, (_, fit, _) in zip(weights, identified, strict=True))
        text = f"{curve.region}: Akaike weights of the models the points identify: {said}; " + (
            "their average is given" if method == "average" else f"{best[1].model} is used"
        )
        chosen = Finding(Severity.INFO, "kinetics.akaike", text)
        fit = _average([fit for _, fit, _ in identified], weights) if method == "average" else best[1]
        return Outcome(fit, (chosen, *best[2]))


def aicc(curve: TimeActivityCurve, fit: TacFit) -> float | None:
    """Corrected Akaike information criterion of a fit by phases; None if there are too few points for it."""
    points, n, p = observed(curve), len(curve.times_s), len(fit.parameters)
    best = np.array([sum(q.amplitude_bq * np.exp(-q.rate_per_s * t) for q in fit.phases) for t in points.times_s])
    squares = float((((points.activities_bq - best) / points.sd_at(best)) ** 2).sum())
    if points.sd_bq is None:
        squares, p = n * log(max(squares, 1e-30) / n), p + 1
    return squares + 2 * p + 2 * p * (p + 1) / (n - p - 1) if n > p + 1 else None


def _average(fits: list[TacFit], weights: npt.NDArray[np.float64]) -> TacFit:
    """Average integrals and half-lives; how far the models are apart is a source of its own. Parameters are the best model's."""
    best = fits[0]
    source = f"choice of the curve: {best.curve.region}"

    def averaged(estimates: list[Estimate]) -> Estimate:
        total = estimates[0].scaled(float(weights[0]))
        for estimate, weight in zip(estimates[1:], weights[1:], strict=True):
            total += estimate.scaled(float(weight))
        values = np.array([e.value for e in estimates])
        apart = float(np.sqrt(weights @ (values - total.value) ** 2))
        return evolve(total, budget=FrozenMap({**total.budget, source: apart}))

    half_life = averaged([fit.effective_half_life for fit in fits])
    band = [
        np.tensordot(weights, [getattr(fit.band, name) for fit in fits], 1)
        for name in ("activity_bq", "low_bq", "high_bq")
    ]
    heavy = [(w, fit) for w, fit in zip(weights, fits, strict=True) if w > NEGLIGIBLE_WEIGHT]
    return evolve(
        best,
        time_integrated_activity=averaged([fit.time_integrated_activity for fit in fits]),
        effective_half_life=half_life,
        extrapolated_fraction=float(weights @ [fit.extrapolated_fraction for fit in fits]),
        identifiable=all(fit.identifiable for _, fit in heavy),
        band=CurveBand(best.band.times_s, *band),
        phases=tuple(
            evolve(q, amplitude_bq=float(w) * q.amplitude_bq)
            for w, fit in zip(weights, fits, strict=True)
            for q in fit.phases
        ),
    )
