"""Several curves fitted together: their costs add, and parameters of the same name are one parameter.

A kidney's washout shared between cycles, or the uptake of all lesions of a patient: each curve names its parameters, and what
two of them call the same is fitted once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy.optimize import least_squares
from scipy.stats import chi2

from lutra.core.curve import TimeActivityCurve
from lutra.core.errors import UsageError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.kinetics.observed import Points, decay_per_s, observed
from lutra.kinetics.phase_fit import LIMITS
from lutra.kinetics.phase_model import PhaseModel
from lutra.kinetics.propagation import linear_budget

Array = npt.NDArray[np.float64]

NEAR_BOUND = 1e-6


@frozen(eq=False)
class Cost:
    """Sum of squares of one curve under one model.

    Parameters
    ----------
    curve
        With the noise of every point evaluated. [Bq]
    model
        Phases of the curve.
    shared
        Names of the model's parameters -> names under which they are shared. What is not named here is the curve's own.
    """

    curve: TimeActivityCurve
    model: PhaseModel
    shared: FrozenMap[str, str] = field(factory=FrozenMap, converter=frozen_map)

    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the model."""
        own = (*self.model.amplitudes, *self.model.rates)
        return tuple(self.shared.get(name, f"{name}: {self.curve.region}") for name in own)


@frozen(eq=False)
class JointFit:
    """Fit of several curves.

    Parameters
    ----------
    parameters
        By name. Amplitudes [Bq], rates [/s]; each with what the noise of all points leaves open, source "joint fit".
    integrals
        Time-integrated activity of each curve, by region. [Bq.s]
    correlation
        Of the parameters, in the order of their names. (p, p)
    chi_square, degrees_of_freedom
        Of all points. [1]
    """

    parameters: FrozenMap[str, Estimate] = field(converter=frozen_map)
    integrals: FrozenMap[str, Estimate] = field(converter=frozen_map)
    correlation: Array
    chi_square: float
    degrees_of_freedom: int


@frozen(eq=False)
class _Problem:
    """All curves with one vector of parameters: scaled amplitudes and ln k."""

    costs: tuple[Cost, ...]
    points: tuple[Points, ...]
    names: tuple[str, ...]
    rates: npt.NDArray[np.bool_]
    scale: float

    def theta(self, cost: Cost, u: Array) -> Array:
        theta: Array = u[self.indices(cost)].copy()
        theta[: len(cost.model.amplitudes)] *= self.scale
        return theta

    def indices(self, cost: Cost) -> list[int]:
        return [self.names.index(name) for name in cost.names()]

    def sds(self, u: Array) -> list[Array]:
        return [
            points.sd_at(cost.model.activity(points.times_s, self.theta(cost, u)))
            for cost, points in zip(self.costs, self.points, strict=True)
        ]

    def residuals(self, u: Array, sds: list[Array]) -> Array:
        parts = [
            (points.activities_bq - cost.model.activity(points.times_s, self.theta(cost, u))) / sd
            for cost, points, sd in zip(self.costs, self.points, sds, strict=True)
        ]
        return np.concatenate(parts)

    def jacobian(self, u: Array, sds: list[Array]) -> Array:
        blocks = []
        for cost, points, sd in zip(self.costs, self.points, sds, strict=True):
            rows = cost.model.jacobian(points.times_s, self.theta(cost, u)) / sd[:, None]
            rows[:, : len(cost.model.amplitudes)] *= self.scale
            block = np.zeros((len(sd), len(self.names)))
            for column, index in enumerate(self.indices(cost)):
                block[:, index] += rows[:, column]
            blocks.append(block)
        return -np.vstack(blocks)


def fit_jointly(costs: Sequence[Cost], limits: Mapping[str, float] = LIMITS) -> Outcome[JointFit]:
    """Fit curves that share parameters.

    Raises
    ------
    UsageError
        If noise is not evaluated, a shared name is not a parameter or mixes amplitudes and rates, or regions repeat.
    """
    problem = _problem(tuple(costs))
    low, high, start = _bounds_and_start(problem)
    n = sum(len(points.times_s) for points in problem.points)
    if n <= len(start):
        text = f"{_regions(problem)}: {n} points for {len(start)} parameters of a joint fit; share more of them, or add scans"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "kinetics.not-identifiable", text),))
    sds = [points.sd_at(points.activities_bq) for points in problem.points]
    for _ in range(4):  # noise that is a share of the activity follows the curves
        found = least_squares(
            problem.residuals, start, problem.jacobian, (low, high), args=(sds,), xtol=1e-13, ftol=1e-13, gtol=1e-13
        )
        start, sds = np.clip(found.x, low + 1e-9, high - 1e-9), problem.sds(found.x)
    u, rows = found.x, problem.jacobian(found.x, sds)
    lengths = np.linalg.norm(rows, axis=0)
    scaled = rows / lengths
    chi_square, dof = float((problem.residuals(u, sds) ** 2).sum()), n - len(u)
    if found_bad := _refused(problem, u, (low, high), np.linalg.cond(scaled.T @ scaled), (chi_square, dof), limits):
        text = f"{_regions(problem)}: a joint fit is not identified: {found_bad}; share more parameters, or add scans"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "kinetics.not-identifiable", text),))
    covariance = np.linalg.inv(scaled.T @ scaled) / np.outer(lengths, lengths) * max(1.0, chi_square / dof)
    return Outcome(_describe(problem, u, covariance, rows, sds, (chi_square, dof)))


def _problem(costs: tuple[Cost, ...]) -> _Problem:
    regions = [cost.curve.region for cost in costs]
    if len(set(regions)) < len(regions):
        raise UsageError(f"regions {', '.join(regions)}", required="one name for each curve, as “kidney, cycle 2”")
    names: dict[str, bool] = {}
    for cost in costs:
        own = (*cost.model.amplitudes, *cost.model.rates)
        unknown = sorted(set(cost.shared) - set(own))
        if unknown:
            raise UsageError(f"{', '.join(unknown)} of {cost.curve.region}", required=f"one of: {', '.join(own)}")
        for name, is_rate in zip(cost.names(), (n in cost.model.rates for n in own), strict=True):
            if names.setdefault(name, is_rate) is not is_rate:
                raise UsageError(f"{name} is an amplitude in one curve and a rate in another", do="rename one of them")
    points = tuple(observed(cost.curve) for cost in costs)
    missing = [cost.curve.region for cost, p in zip(costs, points, strict=True) if p.sd_bq is None]
    if missing:
        raise UsageError(
            f"the noise of {', '.join(missing)} is not evaluated", required="a standard deviation of every point"
        )
    scale = max(float(np.abs(p.activities_bq).max()) for p in points)
    return _Problem(costs, points, tuple(names), np.array(list(names.values())), scale)


def _bounds_and_start(problem: _Problem) -> tuple[Array, Array, Array]:
    low, high = np.full(len(problem.names), 0.0), np.full(len(problem.names), np.inf)
    start = np.zeros(len(problem.names))
    low[problem.rates], high[problem.rates] = -np.inf, np.inf
    for cost, points in zip(problem.costs, problem.points, strict=True):
        m = len(cost.model.amplitudes)
        lowest, highest = cost.model.log_rates(decay_per_s(cost.curve))
        for column, index in enumerate(problem.indices(cost)):
            if column < m:
                start[index] = float(np.abs(points.activities_bq).max()) / problem.scale
            else:
                j = column - m
                low[index], high[index] = max(low[index], lowest[j]), min(high[index], highest[j])
                typical = log(log(2) / (70 * 3600.0)) if j == 0 else (lowest[j] + highest[j]) / 2
                start[index] = min(max(typical, low[index] + 1e-3), high[index] - 1e-3)
    return low, high, start


def _refused(
    problem: _Problem,
    u: Array,
    bounds: tuple[Array, Array],
    condition: float,
    misfit: tuple[float, int],
    limits: Mapping[str, float],
) -> str:
    low, high = bounds
    met = [
        name
        for name, value, a, b in zip(problem.names, u, low, high, strict=True)
        if value < a + NEAR_BOUND or value > b - NEAR_BOUND
    ]
    if met:
        return f"{', '.join(met)} at the end of what is possible"
    if condition > limits["condition_limit"]:
        return f"parameters that cannot be told apart (condition {condition:.1e})"
    if chi2.sf(*misfit) < limits["misfit_probability"]:
        return f"chi-square {misfit[0]:.3g} with {misfit[1]} degrees of freedom"
    return ""


def _describe(
    problem: _Problem, u: Array, covariance: Array, rows: Array, sds: list[Array], misfit: tuple[float, int]
) -> JointFit:
    response = -(covariance @ rows.T) / np.concatenate(sds)
    activities = tuple(a for cost in problem.costs for a in cost.curve.activities)
    by_u = np.where(problem.rates, np.exp(np.where(problem.rates, u, 0)), problem.scale)
    values = np.where(problem.rates, by_u, u * problem.scale)

    def estimate(value: float, gradient: Array, unit: Unit) -> Estimate:
        budget = linear_budget(gradient @ response, activities, noise=False)
        budget["joint fit"] = float(np.sqrt(gradient @ covariance @ gradient))
        return Estimate(value, unit, FrozenMap(budget))

    parameters = {}
    for i, name in enumerate(problem.names):
        along = np.zeros(len(u))
        along[i] = by_u[i]
        parameters[name] = estimate(values[i], along, Unit.PER_S if problem.rates[i] else Unit.BQ)
    integrals = {}
    for cost in problem.costs:
        tia, by_theta = cost.model.integral(problem.theta(cost, u))
        by_theta[: len(cost.model.amplitudes)] *= problem.scale
        gradient = np.zeros(len(u))
        np.add.at(gradient, problem.indices(cost), by_theta)
        integrals[cost.curve.region] = estimate(tia, gradient, Unit.BQ_S)
    sd = np.sqrt(np.diag(covariance))
    return JointFit(FrozenMap(parameters), FrozenMap(integrals), covariance / np.outer(sd, sd), *misfit)


def _regions(problem: _Problem) -> str:
    return ", ".join(cost.curve.region for cost in problem.costs)
