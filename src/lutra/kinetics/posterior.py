r"""What a few points and a population together say of a curve with uptake and washout.

.. math:: A(t) = a\,\bigl(2^{-t/T} - 2^{-t/T_u}\bigr), \qquad \tilde A = a\,\frac{T - T_u}{\ln 2}

:math:`T` and :math:`T_u` are lognormal over the population, :math:`T` never longer than the physical half-life; of the size
:math:`a` nothing is assumed (uniform in :math:`\ln a`). The size is integrated analytically, the rest by a grid that closes in on
where the posterior is, so that nothing here is random until draws are asked for.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.special import ndtri

from lutra.core.estimate import K_95

Array = npt.NDArray[np.float64]

CELLS = (48, 24)
"""Of the grid in ln T and ln T_u."""
NOISE_CELLS = 9
ROUNDS = 12
NEGLIGIBLE = 18.0
"""Cells whose ln posterior lies lower than the highest by more than this are left out when the grid closes in."""
SEPARATION = 1.5
"""Washout is slower than uptake by at least this factor; nearer, they cannot be told apart."""


@frozen
class Lognormal:
    """A lognormal population.

    Parameters
    ----------
    median_s
        [s]
    log_sd
        Standard deviation of the logarithm. [1]
    """

    median_s: float
    log_sd: float

    @classmethod
    def of_range(cls, median_s: float, low_s: float, high_s: float) -> Lognormal:
        """Make the population whose central 95 % has this ratio."""
        return cls(median_s, log(high_s / low_s) / (2 * K_95))

    def log_density(self, log_s: Array) -> Array:
        """Logarithm of the density in ln s, up to a constant."""
        return -0.5 * ((log_s - log(self.median_s)) / self.log_sd) ** 2


@frozen
class Prior:
    """What is known before the points.

    Parameters
    ----------
    half_life
        Effective half-life of the washout.
    uptake
        Half-time of the uptake.
    noise
        Relative noise of a point where it is not given: median and sd of its logarithm, as a population without unit. [1]
    physical_s
        Physical half-life. [s]
    """

    half_life: Lognormal
    uptake: Lognormal
    noise: Lognormal
    physical_s: float


@frozen(eq=False)
class Posterior:
    """Weights on a grid, and the size in each cell.

    Parameters
    ----------
    half_life_s, uptake_s, noise
        Middles of the cells. [s] (x,), (u,), [1] (s,)
    weight
        Sums to one. (x, u, s)
    size, size_sd
        Of ln a [ln Bq] where `log_size`, else of a [Bq]. (x, u, s)
    misfit
        Smallest sum of squared residuals, each over its variance; of relative residuals where the noise is not known. [1]
    """

    half_life_s: Array
    uptake_s: Array
    noise: Array
    weight: Array
    size: Array
    size_sd: Array
    log_size: bool
    misfit: float

    def mean_integral(self) -> float:
        """Mean of the time-integrated activity. [Bq.s]"""
        x, u, s = np.nonzero(self.weight)
        size, spread = self.size[x, u, s], self.size_sd[x, u, s]
        mean = np.exp(size + spread**2 / 2) if self.log_size else size
        return float(self.weight[x, u, s] @ (mean * (self.half_life_s[x] - self.uptake_s[u]))) / log(2)

    def mean_half_lives(self) -> tuple[float, float]:
        """Means of the effective half-life and of the half-time of uptake. [s]"""
        return float(self.weight.sum(axis=(1, 2)) @ self.half_life_s), float(
            self.weight.sum(axis=(0, 2)) @ self.uptake_s
        )

    def log_half_life(self) -> tuple[float, float]:
        """Mean and standard deviation of ln T. [ln s]"""
        return _moments(np.log(self.half_life_s), self.weight.sum(axis=(1, 2)))

    def log_uptake(self) -> tuple[float, float]:
        """Mean and standard deviation of ln T_u. [ln s]"""
        return _moments(np.log(self.uptake_s), self.weight.sum(axis=(0, 2)))

    def log_noise(self) -> float:
        """Mean of the logarithm of the relative noise. [1]"""
        return float(self.weight.sum(axis=(0, 1)) @ np.log(self.noise))

    def draws(self, n: int, seed: int) -> tuple[Array, Array, Array]:
        """Draw sizes [Bq], half-lives [s] and uptake half-times [s]: one from each of n equally likely strata. (n,) each"""
        random = np.random.default_rng(seed)
        edges = np.cumsum(self.weight.ravel())
        strata = (np.arange(n) + random.random(n)) / n * edges[-1]
        cell = np.minimum(np.searchsorted(edges, strata), edges.size - 1)
        x, u, s = np.unravel_index(cell, self.weight.shape)
        normal = ndtri(random.permutation((np.arange(n) + random.random(n)) / n))
        size = self.size[x, u, s] + self.size_sd[x, u, s] * normal
        size = np.exp(size) if self.log_size else np.maximum(size, 0)
        order = random.permutation(n)
        return size[order], self.half_life_s[x[order]], self.uptake_s[u[order]]


def posterior(
    times_s: Array, activities_bq: Array, sd_bq: Array | None, relative_sd: float | None, prior: Prior
) -> Posterior:
    """Weigh every curve by points and population.

    Parameters
    ----------
    activities_bq
        Positive. [Bq] (n,)
    sd_bq
        Noise; None where it is not known. [Bq] (n,)
    relative_sd
        Where the noise is one share of the activity at every point; else None. [1]
    """
    reach = 6.0
    lows = [log(prior.half_life.median_s) - reach, log(prior.uptake.median_s) - reach * prior.uptake.log_sd]
    highs = [log(prior.physical_s), log(prior.uptake.median_s) + reach * prior.uptake.log_sd]
    proportional = sd_bq is None or relative_sd is not None
    if sd_bq is None:
        centre, spread = log(prior.noise.median_s), 3 * prior.noise.log_sd
        log_noise = np.linspace(centre - spread, centre + spread, NOISE_CELLS)
    else:
        log_noise = np.array([log(relative_sd) if relative_sd else 0.0])
    for _ in range(ROUNDS):
        log_x, log_u = (_middles(low, high, cells) for low, high, cells in zip(lows, highs, CELLS, strict=True))
        shapes = _shapes(times_s, np.exp(log_x), np.exp(log_u))
        if proportional:
            size, size_sd, log_likelihood, chi = _proportional(activities_bq, shapes, np.exp(log_noise))
        else:
            assert sd_bq is not None  # noqa: S101  (the branch above)
            size, size_sd, log_likelihood, chi = _absolute(activities_bq, shapes, sd_bq)
        log_weight = log_likelihood + prior.half_life.log_density(log_x)[:, None, None]
        log_weight += prior.uptake.log_density(log_u)[:, None]
        if sd_bq is None:
            log_weight += prior.noise.log_density(log_noise)
        log_weight[~(np.exp(log_x)[:, None] > SEPARATION * np.exp(log_u))] = -np.inf
        log_weight -= log_weight.max()
        near = log_weight.max(axis=2) > -NEGLIGIBLE
        smaller = [
            _closed_in(low, high, near.any(axis=1 - axis))
            for axis, (low, high) in enumerate(zip(lows, highs, strict=True))
        ]
        shrunk = min((b - a) / (high - low) for (a, b), low, high in zip(smaller, lows, highs, strict=True))
        if shrunk > 0.75:
            break
        lows, highs = [a for a, _ in smaller], [b for _, b in smaller]
    weight = np.exp(log_weight)
    return Posterior(
        np.exp(log_x),
        np.exp(log_u),
        np.exp(log_noise),
        weight / weight.sum(),
        size,
        size_sd,
        proportional,
        float(chi.min()) * (1.0 if sd_bq is not None else float(np.exp(2 * log_noise[-1]))),
    )


def _shapes(times_s: Array, half_life_s: Array, uptake_s: Array) -> Array:
    """Curve of size one for every cell; a small positive number where uptake is not faster than washout. (x, u, n)"""
    shapes = np.exp2(-times_s / half_life_s[:, None])[:, None, :] - np.exp2(-times_s / uptake_s[:, None])
    above_zero: Array = np.maximum(shapes, 1e-300)
    return above_zero


def _proportional(y: Array, shapes: Array, noise: Array) -> tuple[Array, Array, Array, Array]:
    """Points that are off by a share of the curve; to second order in it a lognormal error of mean one."""
    n = len(y)
    logs = np.log(y) - np.log(shapes)
    mean = logs.mean(axis=2)
    chi = ((logs - mean[:, :, None]) ** 2).sum(axis=2)[:, :, None] / noise**2
    size = mean[:, :, None] + noise**2 / 2
    log_likelihood = -chi / 2 - (n - 1) * np.log(noise)
    return size, np.broadcast_to(noise / sqrt(n), size.shape), log_likelihood, chi


def _absolute(y: Array, shapes: Array, sd: Array) -> tuple[Array, Array, Array, Array]:
    """Points with normal errors of known size."""
    v, z = shapes / sd, y / sd
    ff, fy = (v * v).sum(axis=2), (v * z).sum(axis=2)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        size = np.where(ff > 0, fy / ff, 0)
        size_sd = np.where(ff > 0, 1 / np.sqrt(ff), 0)
        chi = ((z - size[:, :, None] * v) ** 2).sum(axis=2)
        log_likelihood = np.where(ff > 0, -chi / 2 + np.log(size_sd / size), -np.inf)
    return size[:, :, None], size_sd[:, :, None], log_likelihood[:, :, None], chi[:, :, None]


def _middles(low: float, high: float, cells: int) -> Array:
    return low + (np.arange(cells) + 0.5) / cells * (high - low)


def _closed_in(low: float, high: float, near: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Keep the cells that count and one on either side."""
    cells, width = np.flatnonzero(near), (high - low) / len(near)
    return low + max(int(cells[0]) - 1, 0) * width, low + min(int(cells[-1]) + 2, len(near)) * width


def _moments(values: Array, weight: Array) -> tuple[float, float]:
    mean = float(weight @ values)
    return mean, sqrt(max(float(weight @ (values - mean) ** 2), 0.0))
