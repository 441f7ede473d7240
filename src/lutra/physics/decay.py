"""Radioactive decay."""

from __future__ import annotations

from math import exp, log


def decay_constant_per_s(half_life_s: float) -> float:
    """Decay constant ln 2 / T. [1/s]"""
    return log(2) / half_life_s


def decay_factor(elapsed_s: float, half_life_s: float) -> float:
    """Activity after `elapsed_s` over activity before; above 1 for negative times. [1]"""
    return exp(-decay_constant_per_s(half_life_s) * elapsed_s)
