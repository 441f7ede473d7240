r"""Linear models with random intercepts of patients, and of lesions within patients, by restricted maximum likelihood.

:math:`y = X\beta + u_{patient} + w_{lesion} + e`. Both intercepts are nested, so that the inverse of the covariance follows from
sums over lesions and patients; an evaluation costs as much as a few matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy import optimize, stats

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64

Array = npt.NDArray[np.float64]
LARGEST_RATIO = 1e3
"""Of a standard deviation between groups to that within: beyond it the data do not tell it."""
STEP = 1e-4
"""Of numerical derivatives, relative."""


@frozen(eq=False)
class LinearMixedFit:
    """A fitted model.

    Parameters
    ----------
    coefficients, covariance
        Of the fixed effects. (p,), (p, p)
    df
        Degrees of freedom of each coefficient's t by Satterthwaite. (p,)
    sd_groups
        Standard deviations of the random intercepts, outermost first.
    told
        Which of them the rows tell from the level below. (levels,)
    sd_residual
        Within the innermost group.
    reml_criterion, log_likelihood
        Minus twice the restricted log likelihood, and its half with the sign changed.
    group_means
        Predicted intercepts of the outermost groups, in the order of their codes.
    """

    coefficients: Array = field(converter=float64)
    covariance: Array = field(converter=float64)
    df: Array = field(converter=float64)
    sd_groups: tuple[float, ...]
    told: tuple[bool, ...]
    sd_residual: float
    reml_criterion: float
    converged: bool
    group_means: Array = field(converter=float64)

    @property
    def log_likelihood(self) -> float:
        """Restricted log likelihood."""
        return -self.reml_criterion / 2

    @property
    def se(self) -> Array:
        """Standard errors. (p,)"""
        errors: Array = np.sqrt(np.diag(self.covariance))
        return errors


class _Sums:
    """Everything of the data that the likelihood needs, for the columns of X and y side by side."""

    def __init__(self, x: Array, y: Array, groups: Sequence[npt.NDArray[np.intp]]) -> None:
        self.both = np.column_stack([x, y])
        self.n, self.p = x.shape
        outer = groups[0]
        inner = groups[1] if len(groups) > 1 else np.arange(self.n)
        # Lesions are numbered within their patient: the same number in two patients is two lesions.
        pairs, lesion = np.unique(np.column_stack([outer, inner]), axis=0, return_inverse=True)
        self.nested = len(groups) > 1
        self.rows = np.bincount(lesion).astype(float)
        self.total = self.both.T @ self.both
        self.by_lesion = _summed(self.both, lesion, len(self.rows))
        _, self.patient_of = np.unique(pairs[:, 0], return_inverse=True)
        self.patients = int(self.patient_of.max()) + 1
        several = self.patients < self.n, self.patients < len(self.rows) < self.n
        self.told = np.array(several[: len(groups)])

    def products(self, ratios: Array) -> tuple[Array, float, Array, Array]:
        """Give M'V⁻¹M, log|V|, and what the predicted intercepts need, with V in units of the residual variance."""
        of_patient, of_lesion = float(ratios[0]) ** 2, float(ratios[1]) ** 2 if self.nested else 0.0
        shrunk = 1 + self.rows * of_lesion
        products = self.total - (self.by_lesion.T * (of_lesion / shrunk)) @ self.by_lesion
        sums = _summed(self.by_lesion / shrunk[:, None], self.patient_of, self.patients)
        sizes = np.bincount(self.patient_of, weights=self.rows / shrunk, minlength=self.patients)
        widened = 1 + of_patient * sizes
        products = products - (sums.T * (of_patient / widened)) @ sums
        weight = np.asarray(of_patient / widened, np.float64)
        return products, float(np.log(shrunk).sum() + np.log(widened).sum()), sums, weight


def fit_linear_mixed(x: Array, y: Array, groups: Sequence[npt.NDArray[np.intp]]) -> LinearMixedFit:
    """Fit by restricted maximum likelihood.

    A level that the rows do not tell from the next, as with one row per patient or one lesion per patient, has a spread of 0: it
    is part of the next.

    Parameters
    ----------
    x
        Design with its intercept. (n, p)
    y
        Outcome. (n,)
    groups
        Codes of the patient of each row, and, for three levels, of the lesion within the patient. (n,) each

    Raises
    ------
    OutsideValidity
        If there are fewer than two groups, not more rows than coefficients, or a column that the others make up.

    References
    ----------
    [bates2015] Bates et al., J Stat Softw 67:1, for the profiled criterion; [kuznetsova2017] Kuznetsova et al., J Stat Softw 82:13,
    for the degrees of freedom.
    """
    sums = _Sums(x, y, groups)
    if sums.patients < 2 or sums.n <= sums.p or np.linalg.matrix_rank(x) < sums.p:
        raise OutsideValidity(
            f"{sums.n} rows, {sums.p} coefficients, {sums.patients} groups",
            required="two groups, more rows than coefficients, no column that the others make up",
        )
    best, converged = _best_ratios(sums)
    products, _, by_patient, weight = sums.products(best)
    solved, rest = _solve(products, sums.p)
    variance = rest / (sums.n - sums.p)
    covariance = variance * np.linalg.inv(products[: sums.p, : sums.p])
    residual_sums = by_patient[:, -1] - by_patient[:, :-1] @ solved
    sd = float(np.sqrt(variance))
    return LinearMixedFit(
        solved,
        covariance,
        _satterthwaite(sums, best, sd, covariance),
        tuple(float(r) * sd for r in best),
        tuple(bool(t) for t in sums.told),
        sd,
        _criterion(sums, best),
        converged,
        weight * residual_sums,
    )


def robust_covariance(x: Array, y: Array, groups: Sequence[npt.NDArray[np.intp]], fit: LinearMixedFit) -> Array:
    """Covariance of the coefficients that holds if the variances of the model do not: a jackknife of whole patients. (p, p)

    Reader error makes small lesions, and those that shrink most, vary more in the logarithm of their ratio than the model knows.

    References
    ----------
    [bell2002] Bell and McCaffrey, Surv Methodol 28:169: the third of their corrections; with weights as in clubSandwich.
    """
    outer, sd = groups[0], fit.sd_groups
    bread = fit.covariance / fit.sd_residual**2
    total = np.zeros((x.shape[1], x.shape[1]))
    for patient in np.unique(outer):
        own = np.flatnonzero(outer == patient)
        variance = np.eye(len(own)) + (sd[0] / fit.sd_residual) ** 2
        if len(groups) > 1:
            same = groups[1][own][:, None] == groups[1][own][None, :]
            variance = variance + (sd[1] / fit.sd_residual) ** 2 * same
        weighted = np.linalg.solve(variance, x[own])
        residual = y[own] - x[own] @ fit.coefficients
        left_out = np.linalg.solve(np.eye(len(own)) - x[own] @ bread @ weighted.T, residual)
        score = weighted.T @ left_out
        total += np.outer(score, score)
    found: Array = bread @ total @ bread
    return found


def t_interval(estimate: Array, se: Array, df: Array, level: float = 0.95) -> tuple[Array, Array, Array]:
    """Give lower and upper ends of the interval and the p value of each coefficient."""
    half = stats.t.ppf((1 + level) / 2, df) * se
    return estimate - half, estimate + half, 2 * stats.t.sf(np.abs(estimate / se), df)


def _summed(values: Array, codes: npt.NDArray[np.intp], n: int) -> Array:
    return np.column_stack([np.bincount(codes, weights=column, minlength=n) for column in values.T])


def _solve(products: Array, p: int) -> tuple[Array, float]:
    """Coefficients and the weighted sum of squares that is left."""
    solved = np.asarray(np.linalg.solve(products[:p, :p], products[:p, p]), np.float64)
    return solved, float(products[p, p] - products[:p, p] @ solved)


def _criterion(sums: _Sums, ratios: Array) -> float:
    """Minus twice the restricted log likelihood, at the best coefficients and residual variance for these ratios."""
    products, log_det, _, _ = sums.products(ratios)
    _, rest = _solve(products, sums.p)
    free = sums.n - sums.p
    _, log_det_x = np.linalg.slogdet(products[: sums.p, : sums.p])
    return float(log_det + log_det_x + free * (1 + np.log(2 * np.pi * rest / free)))


def _best_ratios(sums: _Sums) -> tuple[Array, bool]:
    """Search the ratios of the levels that the rows tell apart; the others are zero."""
    levels = int(sums.told.sum())

    def placed(searched: Array) -> Array:
        ratios = np.zeros(len(sums.told))
        ratios[sums.told] = searched
        return ratios

    if levels == 0:
        return placed(np.empty(0)), True
    best, converged = _minimise(lambda searched: _criterion(sums, placed(searched)), levels)
    return placed(best), converged


def _minimise(criterion: Callable[[Array], float], levels: int) -> tuple[Array, bool]:
    """Find the ratios of standard deviations; zero is allowed."""
    grid = np.array([0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0])
    starts = np.array(np.meshgrid(*[grid] * levels)).reshape(levels, -1).T
    start = min(starts, key=criterion)
    bounds = [(0.0, LARGEST_RATIO)] * levels
    if levels == 1:
        low, high = max(start[0] / 4 - 0.05, 0.0), 4 * start[0] + 0.2
        found = optimize.minimize_scalar(
            lambda r: criterion(np.array([r])), bounds=(low, high), method="bounded", options={"xatol": 1e-10}
        )
        best = np.array([found.x])
    else:
        rough = optimize.minimize(criterion, start, method="L-BFGS-B", bounds=bounds)
        found = optimize.minimize(
            criterion,
            rough.x,
            method="Nelder-Mead",
            bounds=bounds,
            options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 2000},
        )
        best = np.asarray(found.x)
    for level in range(levels):
        without = best.copy()
        without[level] = 0.0
        if criterion(without) <= criterion(best):
            best = without
    return best, bool(found.success) and bool((best < LARGEST_RATIO).all())


def _satterthwaite(sums: _Sums, ratios: Array, sd: float, covariance: Array) -> Array:
    """Degrees of freedom from how the variance of each coefficient moves with the variance parameters."""
    inside = ratios > 0
    at = np.append(ratios[inside], sd)

    def spread(values: Array) -> tuple[Array, float]:
        full = np.zeros_like(ratios)
        full[inside] = values[:-1]
        return full, float(values[-1])

    def deviance(values: Array) -> float:
        full, own_sd = spread(values)
        products, log_det, _, _ = sums.products(full)
        _, rest = _solve(products, sums.p)
        _, log_det_x = np.linalg.slogdet(products[: sums.p, : sums.p])
        return float((sums.n - sums.p) * np.log(2 * np.pi * own_sd**2) + log_det + log_det_x + rest / own_sd**2)

    def variances(values: Array) -> Array:
        full, own_sd = spread(values)
        products, _, _, _ = sums.products(full)
        return own_sd**2 * np.diag(np.linalg.inv(products[: sums.p, : sums.p]))

    gradient = gradient_of(variances, at)
    spread_of_parameters = 2 * np.linalg.pinv(hessian_of(deviance, at))
    moved = np.einsum("ki,ij,kj->k", gradient, spread_of_parameters, gradient)
    free: Array = np.where(moved > 0, 2 * np.diag(covariance) ** 2 / np.maximum(moved, 1e-300), np.inf)
    return np.minimum(free, float(sums.n))


def gradient_of(function: Callable[[Array], Array], at: Array) -> Array:
    """Central differences. (k values, m parameters)"""
    steps = STEP * np.maximum(np.abs(at), 1e-2)
    columns = []
    for i, step in enumerate(steps):
        move = np.zeros_like(at)
        move[i] = step
        columns.append((np.atleast_1d(function(at + move)) - np.atleast_1d(function(at - move))) / (2 * step))
    return np.column_stack(columns)


def hessian_of(function: Callable[[Array], float], at: Array) -> Array:
    """Second central differences of a number. (m, m)"""
    steps = 10 * STEP * np.maximum(np.abs(at), 1e-2)
    m = at.size
    found = np.empty((m, m))
    for i in range(m):
        for j in range(i, m):
            a, b = np.zeros(m), np.zeros(m)
            a[i], b[j] = steps[i], steps[j]
            value = function(at + a + b) - function(at + a - b) - function(at - a + b) + function(at - a - b)
            found[i, j] = found[j, i] = value / (4 * steps[i] * steps[j])
    return found
