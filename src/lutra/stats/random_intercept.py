r"""Binary and ordered outcomes with a random intercept per patient, by adaptive Gauss-Hermite quadrature.

The likelihood of a patient is the integral, over a normal intercept, of the product over its rows. The nodes are moved to the mode
and scaled to the width of each patient's integrand, so that few are needed (Liu and Pierce 1994; Pinheiro and Bates 1995).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy import optimize

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64
from lutra.stats.linear_mixed import hessian_of

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Terms = Callable[[Array, Array], tuple[Array, Array, Array]]
"""Parameters, shifts of each row (..., n) -> log likelihood of the rows, its first and second derivative by the shift."""
NEWTON_STEPS, NEWTON_STOPS = 100, 1e-12
LARGEST_COEFFICIENT = 30.0
"""Log odds per standard deviation of a predictor beyond which nothing but separation leads."""
GRADIENT_LIMIT = 1e-3
NODES_FOR_GRADIENT = 7
"""With fewer, the slope of the quadrature is not that of the integral."""


@frozen(eq=False)
class RandomInterceptFit:
    """A fitted model.

    Parameters
    ----------
    coefficients, covariance
        Of thresholds (ordered outcomes) and fixed effects. (q,), (q, q)
    sd_random
        Of the intercepts; its standard error beside it, None where it is zero.
    modes
        Most likely intercept of each group, in the order of codes.
    """

    coefficients: Array = field(converter=float64)
    covariance: Array = field(converter=float64)
    sd_random: float
    se_sd_random: float | None
    log_likelihood: float
    converged: bool
    modes: Array = field(converter=float64)

    @property
    def se(self) -> Array:
        """Standard errors; infinite where the data do not bound an effect. (q,)"""
        variances = np.diag(self.covariance)
        errors: Array = np.sqrt(np.where(variances > 0, variances, np.inf))
        return errors


def fit_logistic(x: Array, y: Array, groups: Codes, nodes: int = 25) -> RandomInterceptFit:
    """Fit the log odds of an outcome.

    Parameters
    ----------
    x
        Design with its intercept. (n, p)
    y
        0 or 1. (n,)
    groups
        Codes of the patients, from 0 on without gaps. (n,)
    nodes
        Of the quadrature; 1 is the Laplace approximation.

    Raises
    ------
    OutsideValidity
        If all outcomes are the same, a column is made up by the others, or there are fewer than two groups.
    """
    _check(x, groups, len(np.unique(y)))
    order = np.argsort(groups, kind="stable")
    x, y, groups = x[order], y[order], groups[order]
    terms = _log_odds(x, y)
    start = np.zeros(x.shape[1])
    start[0] = np.log(y.mean() / (1 - y.mean()))
    return _fit(terms, start, groups, nodes, x, 0, x)


def logistic_likelihood(x: Array, y: Array, groups: Codes, nodes: int = 25) -> Callable[[Array], float]:
    """Give the log likelihood as a function of the coefficients followed by the standard deviation of the intercepts. (p + 1,)

    Parameters are those of :func:`fit_logistic`.
    """
    order = np.argsort(groups, kind="stable")
    return _Likelihood(_log_odds(x[order], y[order]), groups[order], nodes)


def _log_odds(x: Array, y: Array) -> Terms:
    sign = 2 * y - 1

    def terms(b: Array, shift: Array) -> tuple[Array, Array, Array]:
        z = sign * (x @ b + shift)
        p = _expit(-z)
        return -np.logaddexp(0, -z), sign * p, -p * (1 - p)

    return terms


def fit_ordinal(x: Array, y: Codes, groups: Codes, nodes: int = 15) -> RandomInterceptFit:
    r"""Fit the cumulative log odds of an ordered outcome, :math:`logit P(Y \le j) = \theta_j - x\beta - u`.

    Parameters
    ----------
    x
        Design without an intercept. (n, p)
    y
        Categories from 0 on, none of them empty. (n,)

    Raises
    ------
    OutsideValidity
        If there are fewer than two categories or groups, or a column is constant or made up by the others.
    """
    order = np.argsort(groups, kind="stable")
    x, y, groups = x[order], y[order], groups[order]
    categories = int(y.max()) + 1
    _check(np.column_stack([np.ones(len(y)), x]), groups, categories)
    q = categories - 1

    def terms(b: Array, shift: Array) -> tuple[Array, Array, Array]:
        edges = np.concatenate([[-np.inf], b[:q], [np.inf]])
        eta = x @ b[q:] + shift
        upper, lower = edges[y + 1] - eta, edges[y] - eta
        cu, cl = _expit(upper), _expit(lower)
        du, dl = cu * (1 - cu), cl * (1 - cl)
        p = np.maximum(cu - cl, 1e-300)
        first = -(du - dl) / p
        second = (du * (1 - 2 * cu) - dl * (1 - 2 * cl)) / p - first**2
        return np.log(p), first, second

    shares = np.cumsum(np.bincount(y, minlength=categories))[:-1] / len(y)
    start = np.concatenate([np.log(shares / (1 - shares)), np.zeros(x.shape[1])])
    return _fit(terms, start, groups, nodes, x, q)


def _check(x: Array, groups: Codes, outcomes: int) -> None:
    if outcomes < 2:
        raise OutsideValidity("an outcome that never differs", required="at least two values of the outcome")
    if len(np.unique(groups)) < 2 or np.linalg.matrix_rank(x) < x.shape[1]:
        raise OutsideValidity(
            f"{len(np.unique(groups))} groups, {x.shape[1]} columns of rank {np.linalg.matrix_rank(x)}",
            required="two groups, no column that is constant or made up by the others",
        )


def _fit(
    terms: Terms, start: Array, groups: Codes, nodes: int, x: Array, thresholds: int, design: Array | None = None
) -> RandomInterceptFit:
    """Maximise over coefficients and the logarithm of the intercepts' standard deviation; zero is tried as well.

    With `design`, the shift of a row is linear in all coefficients, and the gradient is that of the integral; else by differences.
    """
    likelihood = _Likelihood(terms, groups, nodes)
    if design is not None and nodes >= NODES_FOR_GRADIENT:
        fixed = _maximise_by(lambda b: likelihood.with_gradient(np.append(b, 0.0), design), start)
        best = _maximise_by(lambda v: _by_log_sd(likelihood, v, design), np.append(fixed.x, np.log(0.5)))
    else:
        fixed = _maximise(lambda b: likelihood(np.append(b, 0.0)), start)
        best = _maximise(lambda v: likelihood(np.append(v[:-1], np.exp(v[-1]))), np.append(fixed.x, np.log(0.5)))
    at, sd = np.asarray(best.x[:-1]), float(np.exp(best.x[-1]))
    log_likelihood, converged = -float(best.fun), _settled(best)
    if -float(fixed.fun) >= log_likelihood - 1e-9:
        at, sd, log_likelihood, converged = np.asarray(fixed.x), 0.0, -float(fixed.fun), _settled(fixed)
    full = np.append(at, sd) if sd > 0 else at
    hessian = hessian_of(lambda v: -likelihood(v if sd > 0 else np.append(v, 0.0)), full)
    covariance = np.linalg.pinv(hessian)
    scale = np.std(x, axis=0)[-(len(at) - thresholds) :]
    separated = bool((np.abs(at[thresholds:]) * np.where(scale > 0, scale, 1.0) > LARGEST_COEFFICIENT).any())
    positive = bool((np.diag(covariance) > 0).all()) and bool((np.linalg.eigvalsh(hessian) > 0).all())
    q = len(at)
    return RandomInterceptFit(
        at,
        covariance[:q, :q],
        sd,
        float(np.sqrt(covariance[q, q])) if sd > 0 and covariance[q, q] > 0 else None,
        log_likelihood,
        converged and positive and not separated,
        likelihood.modes(at, sd) * sd,
    )


def _maximise(function: Callable[[Array], float], start: Array) -> optimize.OptimizeResult:
    """Quasi-Newton from the start, then Newton's steps on numerical second derivatives."""
    found = optimize.minimize(lambda v: -function(v), start, method="BFGS", options={"gtol": 1e-5})
    return optimize.minimize(lambda v: -function(v), found.x, method="BFGS", options={"gtol": 1e-6, "xrtol": 1e-9})


def _maximise_by(function: Callable[[Array], tuple[float, Array]], start: Array) -> optimize.OptimizeResult:
    """Quasi-Newton with the gradient."""

    def down(v: Array) -> tuple[float, Array]:
        value, gradient = function(v)
        return -value, -gradient[: len(v)]

    return optimize.minimize(down, start, jac=True, method="BFGS", options={"gtol": 1e-7, "xrtol": 1e-10})


def _by_log_sd(likelihood: _Likelihood, parameters: Array, design: Array) -> tuple[float, Array]:
    sd = float(np.exp(parameters[-1]))
    value, gradient = likelihood.with_gradient(np.append(parameters[:-1], sd), design)
    return value, np.append(gradient[:-1], gradient[-1] * sd)


def _settled(found: optimize.OptimizeResult) -> bool:
    """Whether the gradient is flat; rounding may stop the search before it believes so."""
    return bool(np.abs(found.jac).max() < GRADIENT_LIMIT)


class _Likelihood:
    """Log likelihood of coefficients and standard deviation, of rows sorted by group.

    Modes of the call before are where the next one starts.
    """

    def __init__(self, terms: Terms, groups: Codes, nodes: int) -> None:
        self._terms, self._groups = terms, groups
        self._n = int(groups.max()) + 1
        points, weights = np.polynomial.hermite_e.hermegauss(nodes)
        self._points, self._log_weights = points, np.log(weights) + points**2 / 2
        self._start = np.zeros(self._n)
        self._first_rows = np.searchsorted(groups, np.arange(self._n))

    def __call__(self, parameters: Array) -> float:
        return self._integrals(parameters)[0]

    def with_gradient(self, parameters: Array, design: Array) -> tuple[float, Array]:
        """Give the value and its slopes: the mean slope of the rows over each group's intercept, given its outcomes.

        Parameters
        ----------
        design
            Slope of each row's shift by the coefficients. (n, p)
        """
        total, share, slopes, v = self._integrals(parameters)
        of_rows = share[:, self._groups] * slopes
        return total, np.append(of_rows.sum(axis=0) @ design, (of_rows * v[:, self._groups]).sum())

    def _integrals(self, parameters: Array) -> tuple[float, Array, Array, Array]:
        """Sum of the logarithms; share of each node in its group, slope of each row there, and where the nodes are."""
        b, sd = parameters[:-1], float(parameters[-1])
        if sd == 0:
            values, slopes, _ = self._terms(b, np.zeros((1, len(self._groups))))
            return float(values.sum()), np.ones((1, self._n)), slopes, np.zeros((1, self._n))
        mode, width = self._modes(b, sd)
        v = mode + width * self._points[:, None]
        rows, slopes, _ = self._terms(b, sd * v[:, self._groups])
        logs = self._by_group(rows) - v**2 / 2 + self._log_weights[:, None]
        top = logs.max(axis=0)
        weights = np.exp(logs - top)
        sums = weights.sum(axis=0)
        total = float((np.log(sums) + top + np.log(width) - 0.5 * np.log(2 * np.pi)).sum())
        return total if np.isfinite(total) else -1e300, weights / sums, slopes, v

    def modes(self, b: Array, sd: float) -> Array:
        """Most likely intercept of each group, in standard deviations."""
        return self._modes(b, sd)[0] if sd > 0 else np.zeros(self._n)

    def _modes(self, b: Array, sd: float) -> tuple[Array, Array]:
        v = self._start.copy()
        for _ in range(NEWTON_STEPS):
            _, first, second = self._terms(b, sd * v[self._groups])
            slope = sd * self._by_group(first) - v
            curve = 1 - sd**2 * self._by_group(second)
            step = np.clip(slope / curve, -2, 2)
            v = v + step
            if np.abs(step).max() < NEWTON_STOPS:
                break
        self._start = v
        _, _, second = self._terms(b, sd * v[self._groups])
        return v, 1 / np.sqrt(1 - sd**2 * self._by_group(second))

    def _by_group(self, values: Array) -> Array:
        summed: Array = np.add.reduceat(values, self._first_rows, axis=-1)
        return summed


def _expit(z: Array) -> Array:
    found: Array = 0.5 * (1 + np.tanh(z / 2))
    return found
