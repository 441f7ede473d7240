r"""Curves made of exponential phases: what binds them, their integral, and how both change with the parameters.

.. math:: A(t) = \sum_j b_j e^{-k_j t}, \qquad b = C a

The free amplitudes :math:`a` and the logarithms of the rates are the parameters. Where a curve starts at zero, the amplitude of
the uptake is minus the sum of the others, which is what the last row of :math:`C` says.
"""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.curve import Phase
from lutra.core.frozen import float64
from lutra.core.units import HOUR_S

Array = npt.NDArray[np.float64]


@frozen(eq=False)
class PhaseModel:
    """How many phases, and what binds them.

    Parameters
    ----------
    name
        Short name of the model.
    title
        With its article, for sentences.
    amplitudes
        Names of the free amplitudes.
    rates
        Names of the rates: washout from slow to fast, then uptake if there is one.
    binding
        Amplitude of each phase from the free ones. (phases, amplitudes)
    half_lives_h
        Shortest and longest effective half-life of each phase; the longest is also cut at the physical one. [h] (phases, 2)
    """

    name: str
    title: str
    amplitudes: tuple[str, ...]
    rates: tuple[str, ...]
    binding: Array = field(converter=float64)
    half_lives_h: Array = field(converter=float64)

    @property
    def parameters(self) -> int:
        """Number of free parameters."""
        return len(self.amplitudes) + len(self.rates)

    @property
    def starts_at_zero(self) -> bool:
        """Whether the curve rises from zero."""
        return bool(self.binding.sum() == 0)

    def log_rates(self, decay_per_s: float) -> tuple[Array, Array]:
        """Lowest and highest ln k of each phase, never below physical decay. [ln /s] (phases,) each"""
        shortest, longest = self.half_lives_h.T * HOUR_S
        return np.log(np.maximum(log(2) / longest, decay_per_s)), np.log(log(2) / shortest)

    def phases(self, theta: Array) -> tuple[Phase, ...]:
        """Amplitude and rate of each phase."""
        amplitudes, rates = self.split(theta)
        return tuple(Phase(float(b), float(k)) for b, k in zip(amplitudes, rates, strict=True))

    def split(self, theta: Array) -> tuple[Array, Array]:
        """Amplitudes [Bq] and rates [/s] of the phases. (phases,) each"""
        m = len(self.amplitudes)
        return self.binding @ theta[:m], np.exp(theta[m:])

    def activity(self, times_s: Array, theta: Array) -> Array:
        """Evaluate the curve. [Bq] (n,)"""
        amplitudes, rates = self.split(theta)
        value: Array = np.exp(-np.outer(times_s, rates)) @ amplitudes
        return value

    def jacobian(self, times_s: Array, theta: Array) -> Array:
        """Differentiate the curve by each parameter. [Bq/parameter] (n, p)"""
        amplitudes, rates = self.split(theta)
        shapes = np.exp(-np.outer(times_s, rates))
        return np.hstack((shapes @ self.binding, -amplitudes * rates * times_s[:, None] * shapes))

    def integral(self, theta: Array, physical_from: tuple[float, float] | None = None) -> tuple[float, Array]:
        """Integrate from zero to infinity. [Bq.s], and its derivative by each parameter (p,)

        Parameters
        ----------
        physical_from
            Time [s] from which on only physical decay takes activity away, and its constant [/s]; None: the fit goes on.
        """
        amplitudes, rates = self.split(theta)
        each, by_log_rate = 1 / rates, -1 / rates
        if physical_from is not None:
            time, decay = physical_from
            left = np.exp(-rates * time)
            each = (1 - left) / rates + left / decay
            by_log_rate = -(1 - left) / rates + time * left - time * rates * left / decay
        return float(amplitudes @ each), np.r_[self.binding.T @ each, amplitudes * by_log_rate]

    def between(self, theta: Array, first_s: float, last_s: float) -> float:
        """Integrate between two times. [Bq.s]"""
        amplitudes, rates = self.split(theta)
        return float(amplitudes @ ((np.exp(-rates * first_s) - np.exp(-rates * last_s)) / rates))

    def peak_s(self, theta: Array) -> float:
        """Time of the highest activity; 0 for a curve that only falls. [s]"""
        _, rates = self.split(theta)
        times = np.r_[0.0, np.geomspace(0.01 / rates.max(), 10 / rates.min(), 400)]
        return float(times[np.argmax(self.activity(times, theta))])


MONOEXPONENTIAL = PhaseModel(
    "monoexponential", "a mono-exponential", ("activity_at_start",), ("washout_rate",), [[1.0]], [[0.02, np.inf]]
)
BIEXPONENTIAL = PhaseModel(
    "biexponential",
    "a bi-exponential with uptake",
    ("amplitude",),
    ("washout_rate", "uptake_rate"),
    [[1.0], [-1.0]],
    [[3.0, np.inf], [0.05, 24.0]],
)
TWO_PHASE_WASHOUT = PhaseModel(
    "two-phase-washout",
    "a washout of two phases",
    ("slow_amplitude", "fast_amplitude"),
    ("washout_rate", "fast_washout_rate"),
    np.eye(2),
    [[3.0, np.inf], [0.05, 24.0]],
)
TRIEXPONENTIAL = PhaseModel(
    "triexponential",
    "a tri-exponential with uptake",
    ("slow_amplitude", "fast_amplitude"),
    ("washout_rate", "fast_washout_rate", "uptake_rate"),
    [[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]],
    [[10.0, np.inf], [2.0, 40.0], [0.05, 12.0]],
)
