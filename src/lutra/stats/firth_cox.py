"""Proportional hazards with Firth's penalty: effects stay finite where few events are separated by a predictor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from lutra.core.frozen import float64

Array = npt.NDArray[np.float64]
HALF_95 = float(chi2.ppf(0.95, 1)) / 2
GRADIENT = 1e-6
IMPOSSIBLE = -1e12
"""In place of minus infinity, which a search cannot take differences of."""
FARTHEST = 30.0
"""Of an effect per standard deviation of its predictor; an end of an interval beyond it is infinite."""


@frozen(eq=False)
class FirthCoxFit:
    """A penalised fit.

    Parameters
    ----------
    coefficients
        Log hazard ratios. (p,)
    se
        By the information at the maximum. (p,)
    ci95
        By the profile of the penalised likelihood; infinite where it does not end. (p, 2)
    p
        By penalised likelihood ratios. (p,)
    log_likelihood
        Penalised.
    """

    coefficients: Array = field(converter=float64)
    se: Array = field(converter=float64)
    ci95: Array = field(converter=float64)
    p: Array = field(converter=float64)
    log_likelihood: float
    converged: bool


def fit_firth_cox(x: Array, time: Array, event: Array, start: Array | None = None) -> FirthCoxFit:
    """Maximise the partial likelihood (ties by Breslow) plus half the logarithm of the determinant of its information.

    Parameters
    ----------
    x
        (n, p)
    time, event
        End of each row's time, and whether the event came then. (n,)
    start
        Begin of each row's time; None: 0. (n,)

    References
    ----------
    [heinze2001] Heinze and Schemper, Biometrics 57:114; [firth1993] Biometrika 80:27.
    """
    spread = x.std(axis=0)
    z = (x - x.mean(axis=0)) / spread
    risk = _risk_sets(z, time, event, start)

    def penalised(b: Array) -> float:
        value, information = _likelihood(b, *risk)
        sign, log_det = np.linalg.slogdet(information)
        return value + 0.5 * log_det if sign > 0 else IMPOSSIBLE

    best, top, converged = _maximum(penalised, np.zeros(z.shape[1]))
    information = _likelihood(best, *risk)[1]
    ends, p = [], []
    for k in range(len(best)):
        profile = _profile(penalised, best, k)
        p.append(float(chi2.sf(max(2 * (top - profile(0.0)), 0.0), 1)))
        ends.append([_end(profile, float(best[k]), top, side) for side in (-1, 1)])
    se = np.sqrt(np.diag(np.linalg.inv(information)))
    return FirthCoxFit(best / spread, se / spread, np.array(ends) / spread[:, None], np.array(p), top, converged)


def _risk_sets(
    z: Array, time: Array, event: Array, start: Array | None
) -> tuple[Array, Array, npt.NDArray[np.bool_], Array]:
    """Give predictors, sums of those with events at each time, who is at risk then, and how many events there are."""
    begin = np.zeros(len(time)) if start is None else start
    times = np.unique(time[event == 1])
    at_risk = (time[None, :] >= times[:, None]) & (begin[None, :] < times[:, None])
    happened = (time[None, :] == times[:, None]) & (event[None, :] == 1)
    return z, happened.astype(float) @ z, at_risk, happened.sum(axis=1).astype(float)


def _likelihood(b: Array, z: Array, sums: Array, at_risk: npt.NDArray[np.bool_], events: Array) -> tuple[float, Array]:
    eta = z @ b
    shift = eta.max()
    weight = np.exp(eta - shift)
    s0 = at_risk @ weight
    s1 = at_risk @ (weight[:, None] * z)
    s2 = np.einsum("ti,i,ij,ik->tjk", at_risk.astype(float), weight, z, z, optimize=True)
    mean = s1 / s0[:, None]
    information = np.einsum("t,tjk->jk", events, s2 / s0[:, None, None] - mean[:, :, None] * mean[:, None, :])
    value = float(np.sum(sums @ b) - events @ (np.log(s0) + shift))
    return value, np.asarray(information)


def _maximum(function: Callable[[Array], float], first: Array) -> tuple[Array, float, bool]:
    if first.size == 0:
        return first, function(first), True
    found = minimize(lambda b: -function(b), first, method="BFGS", jac="3-point", options={"gtol": GRADIENT})
    # The search ends where the numbers do, at times a little before the gradient it was asked for.
    settled = bool(np.isfinite(found.fun) and np.abs(found.jac).max() < 100 * GRADIENT)
    return found.x, -float(found.fun), settled


def _profile(function: Callable[[Array], float], best: Array, k: int) -> Callable[[float], float]:
    """Largest penalised likelihood with one coefficient held."""
    others = np.delete(best, k)

    def at(value: float) -> float:
        return _maximum(lambda rest: function(np.insert(rest, k, value)), others)[1]

    return at


def _end(profile: Callable[[float], float], best: float, top: float, side: int) -> float:
    """Where the profile falls by the 95 % of chi-squared, on one side."""

    def above(value: float) -> float:
        return profile(value) - (top - HALF_95)

    step, far = 0.5, best
    while above(far) > 0:
        far += side * step
        step *= 2
        if abs(far) > FARTHEST:
            return side * np.inf
    return float(brentq(above, best, far, xtol=1e-7))
