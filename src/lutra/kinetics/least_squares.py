"""Least squares of sums of exponentials for any number of curves at once: bounded Levenberg-Marquardt from a grid of starts."""

from __future__ import annotations

from math import exp
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from attrs import frozen

Array = npt.NDArray[np.float64]

ROUNDS = 400
STARTS = 16
"""Rates tried per phase before descending; they are spread evenly in ln k."""
LAST_STEP = 1e-9


@frozen(eq=False)
class Solutions:
    """Sums of exponentials, one per curve.

    Parameters
    ----------
    parameters
        Free amplitudes, then logarithms of the rates. (curves, p)
    chi_square
        [1] (curves,)
    converged
        Whether the last step was negligible. (curves,)
    """

    parameters: Array
    chi_square: Array
    converged: npt.NDArray[np.bool_]


def fit_exponentials(
    times: npt.ArrayLike,
    activities: npt.ArrayLike,
    sds: npt.ArrayLike,
    binding: Array,
    log_rates: tuple[Array, Array],
    lowest_amplitude: float = -np.inf,
) -> Solutions:
    r"""Fit :math:`A(t) = \sum_j b_j e^{-k_j t}`, :math:`b = C a`, to every curve by bounded Levenberg-Marquardt.

    Starts from the best of a grid of rates with the amplitudes solved for, so that no starting values are needed.

    Parameters
    ----------
    times
        (n,)
    activities, sds
        (n, curves)
    binding
        How the amplitudes :math:`b` of the phases follow from the free ones :math:`a`. (phases, m)
    log_rates
        Lowest and highest ln k of each phase; equal: fixed. (phases,) each
    lowest_amplitude
        Lower bound of the free amplitudes: 0 or none. [activity]
    """
    t, y, sd = (np.ascontiguousarray(x, dtype=np.float64) for x in (times, activities, sds))
    low, high = log_rates
    m = binding.shape[1]
    bounds = np.array([np.r_[np.full(m, lowest_amplitude), low], np.r_[np.full(m, np.inf), high]])
    nodes = np.linspace(low, high, STARTS)
    parameters = np.empty((y.shape[1], m + len(low)))
    chi_square, converged = np.empty(y.shape[1]), np.empty(y.shape[1], dtype=np.bool_)
    _each_sum(t, y, 1 / sd, np.ascontiguousarray(binding), nodes, bounds, parameters, chi_square, converged)
    return Solutions(parameters, chi_square, converged)


def _weighted(t: Array, y: Array, v: Array, binding: Array, p: Array, residuals: Array, rows: Array) -> float:
    """Half the sum of squares at `p`; fills the weighted residuals and the rows of the Jacobian of the curve."""
    phases, m = binding.shape
    total = 0.0
    for i in range(len(t)):
        value = 0.0
        for q in range(m):
            rows[i, q] = 0.0
        for j in range(phases):
            rate = exp(p[m + j])
            shape = exp(-rate * t[i]) * v[i]
            b = 0.0
            for q in range(m):
                b += binding[j, q] * p[q]
                rows[i, q] += binding[j, q] * shape
            value += b * shape
            rows[i, m + j] = -b * rate * t[i] * shape
        residuals[i] = y[i] * v[i] - value
        total += residuals[i] ** 2
    return total / 2


def _solve(matrix: Array, right: Array, size: int) -> bool:
    """Solve a symmetric positive system in place by Cholesky; False where it is singular."""
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for q in range(j):
                total -= matrix[i, q] * matrix[j, q]
            if i == j:
                if total <= 1e-15 * matrix[i, i] or not total > 0:
                    return False
                matrix[i, i] = total**0.5
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(size):
        for q in range(i):
            right[i] -= matrix[i, q] * right[q]
        right[i] /= matrix[i, i]
    for i in range(size - 1, -1, -1):
        for q in range(i + 1, size):
            right[i] -= matrix[q, i] * right[q]
        right[i] /= matrix[i, i]
    return True


def _start(t: Array, y: Array, v: Array, binding: Array, nodes: Array, lower: Array, p: Array) -> None:
    """Put into `p` the best of all ordered choices of rates, slow phases first, with their least-squares amplitudes."""
    n = len(t)
    phases, m = binding.shape
    residuals, rows = np.empty(n), np.empty((n, m + phases))
    trial, normal, right = np.empty(m + phases), np.empty((m, m)), np.empty(m)
    best = np.inf
    for choice in range(len(nodes) ** phases):
        rest, ordered = choice, True
        for j in range(phases):
            trial[m + j] = nodes[rest % len(nodes), j]
            rest //= len(nodes)
            if j > 0 and trial[m + j] <= trial[m + j - 1] + 1e-3:
                ordered = False
        if not ordered:
            continue
        trial[:m] = 0.0
        _compiled_weighted(t, y, v, binding, trial, residuals, rows)
        for q in range(m):
            right[q] = 0.0
            for i in range(n):
                right[q] += rows[i, q] * y[i] * v[i]
            for s in range(m):
                normal[q, s] = 0.0
                for i in range(n):
                    normal[q, s] += rows[i, q] * rows[i, s]
        if not _compiled_solve(normal, right, m):
            continue
        for q in range(m):
            trial[q] = max(right[q], lower[q])
        cost = _compiled_weighted(t, y, v, binding, trial, residuals, rows)
        if cost < best:
            best = cost
            p[:] = trial


def _descend(t: Array, y: Array, v: Array, binding: Array, bounds: Array, p: Array) -> tuple[float, bool]:
    """Levenberg-Marquardt from `p`, within bounds; a parameter that is pushed out of its bound rests there."""
    lower, upper = bounds[0], bounds[1]
    n, size = len(t), len(p)
    m = binding.shape[1]
    residuals, rows, other, unused = np.empty(n), np.empty((n, size)), np.empty(n), np.empty((n, size))
    matrix, right, trial = np.empty((size, size)), np.empty(size), np.empty(size)
    free = np.empty(size, dtype=np.int64)
    damping = 1e-3
    cost = _compiled_weighted(t, y, v, binding, p, residuals, rows)
    for _ in range(ROUNDS):
        count = 0
        for q in range(size):
            slope = 0.0
            for i in range(n):
                slope += rows[i, q] * residuals[i]
            outwards = (p[q] <= lower[q] and slope <= 0) or (p[q] >= upper[q] and slope >= 0)
            if not outwards and lower[q] < upper[q]:
                free[count] = q
                right[count] = slope
                count += 1
        for f in range(count):
            for g in range(f + 1):
                matrix[f, g] = 0.0
                for i in range(n):
                    matrix[f, g] += rows[i, free[f]] * rows[i, free[g]]
            matrix[f, f] *= 1 + damping
        if not _compiled_solve(matrix, right, count):
            damping = max(10 * damping, 1e-6)
            if damping > 1e12:
                return cost, False
            continue
        trial[:] = p
        moved, amplitude = 0.0, 0.0
        for q in range(m):
            amplitude = max(amplitude, abs(p[q]))
        for f in range(count):
            q = free[f]
            step = right[f] if q < m else min(max(right[f], -1.0), 1.0)
            trial[q] = min(max(p[q] + step, lower[q]), upper[q])
            moved = max(moved, abs(trial[q] - p[q]) / (amplitude if q < m else 1.0))
        tried = _compiled_weighted(t, y, v, binding, trial, other, unused)
        if tried <= cost:
            p[:] = trial
            cost = _compiled_weighted(t, y, v, binding, p, residuals, rows)
            damping = max(damping / 10, 1e-15)
        else:
            damping *= 5
        if moved < LAST_STEP:
            return cost, True
    return cost, False


def _sums(
    t: Array, y: Array, inverse_sd: Array, binding: Array, nodes: Array, bounds: Array,
    parameters: Array, chi_square: Array, converged: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    for c in range(y.shape[1]):
        one, v = y[:, c].copy(), inverse_sd[:, c].copy()
        _compiled_start(t, one, v, binding, nodes, bounds[0], parameters[c])
        cost, good = _compiled_descend(t, one, v, binding, bounds, parameters[c])
        chi_square[c] = 2 * cost
        converged[c] = good


_jit: Any = numba.njit(nogil=True, cache=True, error_model="numpy")
_compiled_weighted: Any = _jit(_weighted)
_compiled_solve: Any = _jit(_solve)
_compiled_start: Any = _jit(_start)
_compiled_descend: Any = _jit(_descend)
_each_sum: Any = _jit(_sums)
