"""The points of a curve as a fit sees them: values, and how far each can be off on its own."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.curve import TimeActivityCurve
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.propagation import noise_sd_bq
from lutra.reference.nuclides import nuclide

Array = npt.NDArray[np.float64]

SAME_RELATIVE = 0.02
"""Relative noises that differ by less are one; stated ones are rounded."""


@frozen(eq=False)
class Points:
    """Points of a curve.

    Parameters
    ----------
    times_s
        [s] (n,)
    activities_bq
        [Bq] (n,)
    sd_bq
        Counting noise; None where not every point has one. [Bq] (n,)
    relative_sd
        Noise that is one share of the activity at every point: it then goes with the curve, not with the measured value, or
        points that came out low by chance would count more. None: it is not such noise, or not known. [1]
    """

    times_s: Array
    activities_bq: Array
    sd_bq: Array | None
    relative_sd: float | None

    @property
    def proportional(self) -> bool:
        """Whether the noise is a share of the activity, known or not."""
        return self.sd_bq is None or self.relative_sd is not None

    def sd_at(self, curve_bq: Array) -> Array:
        """Noise where the curve has these values; 1 of it where nothing is known of the noise. [Bq] (n,)"""
        if self.sd_bq is not None and self.relative_sd is None:
            return self.sd_bq
        return np.abs(curve_bq) * (self.relative_sd or 1.0)


def observed(curve: TimeActivityCurve) -> Points:
    """Gather the points of a curve."""
    y = curve.activities_bq
    known = [sd for sd in map(noise_sd_bq, curve.activities) if sd]
    if len(known) < len(y):
        return Points(curve.times_s, y, None, None)
    sd = np.array(known)
    shares = sd / np.abs(y) if np.all(y != 0) else np.array([0.0, np.inf])
    common = float(np.mean(shares)) if np.ptp(shares) <= SAME_RELATIVE * shares.min() else None
    return Points(curve.times_s, y, sd, common)


def decay_per_s(curve: TimeActivityCurve) -> float:
    """Physical decay constant: no effective rate is below it. [/s]"""
    return log(2) / nuclide(curve.nuclide).half_life_s


def fit_source(curve: TimeActivityCurve) -> str:
    """Name of what the noise of the points and the choice of the curve leave open."""
    return f"fit: {curve.region}"


def refusal(curve: TimeActivityCurve, title: str, found: str, do: str) -> Finding:
    """Say why the points do not identify a model."""
    times = ", ".join(f"{time / HOUR_S:.2f}" for time in curve.times_s)
    text = f"{curve.region}: {title} is not identified: {found}; {do}"
    return Finding(Severity.UNDETERMINED, "kinetics.not-identifiable", text, FrozenMap({"times_h": times}))
