"""Radioactive decay."""

from __future__ import annotations

from math import exp, expm1, log


def decay_constant_per_s(half_life_s: float) -> float:
    """Decay constant ln 2 / T. [1/s]"""
    return log(2) / half_life_s


def decay_factor(elapsed_s: float, half_life_s: float) -> float:
    """Activity after `elapsed_s` over activity before; above 1 for negative times. [1]"""
    return exp(-decay_constant_per_s(half_life_s) * elapsed_s)


def mean_activity_time_s(duration_s: float, half_life_s: float) -> float:
    r"""Time after the start of a frame at which the activity equals its mean over the frame; a little before the middle. [s]

    .. math:: t = \frac1\lambda \ln\frac{\lambda d}{1 - e^{-\lambda d}}
    """
    rate = decay_constant_per_s(half_life_s)
    return log(rate * duration_s / -expm1(-rate * duration_s)) / rate
