"""Single exponentials through any number of curves at once: one region, or every voxel of an image.

The same compiled loop serves both; each curve is fitted on its own, so that the answer depends neither on how many there are nor
on the number of threads.
"""

from __future__ import annotations

from math import exp, log
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from attrs import frozen

Array = npt.NDArray[np.float64]

ROUNDS = 60
BLOCK = 1024
LAST_STEP = (
    1e-5  # relative; Newton steps converge quadratically: what is left after this one is of the order of its square
)


@frozen(eq=False)
class Washouts:
    r"""Exponentials :math:`a e^{-kt}`, one per curve.

    Parameters
    ----------
    amplitudes
        At time zero. [activity] (curves,)
    rates
        [1/time] (curves,)
    chi_square
        Sum of squared residuals over their variances. [1] (curves,)
    covariance
        Of amplitude and rate: var(a), cov(a, k), var(k), for the standard deviations given. (3, curves)
    """

    amplitudes: Array
    rates: Array
    chi_square: Array
    covariance: Array


def fit_washouts(
    times: npt.ArrayLike, activities: npt.ArrayLike, sds: npt.ArrayLike | None, slowest: float, fastest: float = np.inf
) -> Washouts:
    r"""Fit a single exponential to every curve, with :math:`k` between `slowest` and `fastest`.

    The amplitude is eliminated (variable projection), which leaves one unknown and an exact Newton step for it, halved whenever
    the sum of squares would rise.

    Parameters
    ----------
    times
        (n,)
    activities
        May be zero or negative, as voxels of an image are. A curve without a positive weighted mean has amplitude 0 and NaN
        elsewhere. (n, curves)
    sds
        Standard deviations; None: all one. (n, curves) or (n, 1)
    slowest
        Lower bound of the rates: physical decay. [1/time]

    References
    ----------
    [golub1973] Golub and Pereyra, SIAM J Numer Anal 10:413.
    """
    t = np.ascontiguousarray(times, dtype=np.float64)
    y = np.ascontiguousarray(activities, dtype=np.float64)
    weights = np.ones((len(t), 1)) if sds is None else np.ascontiguousarray(1 / np.square(sds), dtype=np.float64)
    amplitudes, rates, chi_square = np.empty((3, y.shape[1]))
    covariance = np.empty((3, y.shape[1]))
    _each_washout(t, y, weights, slowest, min(fastest, 700 / t[0]), amplitudes, rates, chi_square, covariance)
    return Washouts(amplitudes, rates, chi_square, covariance)


def _washout(t: Array, y: Array, w: Array, slowest: float, fastest: float) -> tuple[float, float]:
    """Amplitude and rate of one curve; amplitude 0 where nothing is there."""
    n = len(t)
    k = _log_linear_rate(t, y, w, slowest, fastest)
    best_k, best_a, best_gain, step = k, 0.0, -1.0, 0.0
    for _ in range(ROUNDS):
        fy = ff = tfy = tff = ttfy = ttff = 0.0
        for i in range(n):
            f = exp(-k * t[i])
            wf = w[i] * f
            fy += wf * y[i]
            ff += wf * f
            tfy += wf * y[i] * t[i]
            tff += wf * f * t[i]
            ttfy += wf * y[i] * t[i] * t[i]
            ttff += wf * f * t[i] * t[i]
        if fy <= 0 and best_gain < 0:
            return 0.0, np.nan
        a = fy / ff
        gain = fy * a  # what the fit takes off the sum of squares: to be made as large as possible
        if fy <= 0 or gain < best_gain * (1 - 1e-14):
            step /= 2
            k = best_k + step
            if abs(step) < 1e-12 * best_k:
                break
            continue
        slope_a = (2 * a * tff - tfy) / ff
        gradient = a * (tfy - a * tff)
        curvature = slope_a * (tfy - 2 * a * tff) + a * (2 * a * ttff - ttfy)
        if curvature <= 0:
            curvature = a * a * (ttff - tff * tff / ff)
        best_k, best_a, best_gain = k, a, gain
        moved = min(max(k - gradient / curvature, slowest, k / 3), fastest, 3 * k) if curvature > 0 else k
        step = moved - k
        k = moved
        if (
            abs(step) <= LAST_STEP * k
        ):  # the amplitude follows to first order; what is left is of the order of the step squared
            return a + slope_a * step, k
    return best_a, best_k


def _log_linear_rate(t: Array, y: Array, w: Array, slowest: float, fastest: float) -> float:
    """Slope of ln y, each point weighted with its squared relative precision."""
    s = st = stt = sl = stl = 0.0
    for i in range(len(t)):
        if y[i] > 0:
            weight = w[i] * y[i] * y[i]
            logarithm = log(y[i])
            s += weight
            st += weight * t[i]
            stt += weight * t[i] * t[i]
            sl += weight * logarithm
            stl += weight * t[i] * logarithm
    spread = s * stt - st * st
    if spread <= 1e-12 * s * stt:
        return max(slowest, float(1 / t[len(t) - 1]))
    return float(min(max((st * sl - s * stl) / spread, slowest), fastest))


def _washouts(
    t: Array,
    y: Array,
    weights: Array,
    slowest: float,
    fastest: float,
    a: Array,
    k: Array,
    chi_square: Array,
    cov: Array,
) -> None:
    n, m = y.shape
    shared = weights.shape[1] == 1
    for block in numba.prange((m + BLOCK - 1) // BLOCK):
        one, w = np.empty(n), np.empty(n)
        for c in range(block * BLOCK, min(m, (block + 1) * BLOCK)):
            for i in range(n):
                one[i] = y[i, c]
                w[i] = weights[i, 0 if shared else c]
            a[c], k[c] = _compiled_washout(t, one, w, slowest, fastest)
            ff = tff = ttff = left = 0.0
            for i in range(n):
                f = exp(-k[c] * t[i])
                ff += w[i] * f * f
                tff += w[i] * f * f * t[i]
                ttff += w[i] * f * f * t[i] * t[i]
                left += w[i] * (one[i] - a[c] * f) ** 2
            chi_square[c] = left
            determinant = a[c] * a[c] * (ff * ttff - tff * tff)
            cov[0, c] = a[c] * a[c] * ttff / determinant
            cov[1, c] = a[c] * tff / determinant
            cov[2, c] = ff / determinant


_jit: Any = numba.njit(nogil=True, cache=True, error_model="numpy")
_log_linear_rate = _jit(_log_linear_rate)
_compiled_washout: Any = _jit(_washout)
_each_washout: Any = numba.njit(nogil=True, cache=True, error_model="numpy", parallel=True)(_washouts)
