"""Directions of flight."""

from __future__ import annotations

from math import cos, pi, sin, sqrt

from lutra.physics.compiled import compiled
from lutra.physics.random_numbers import State, uniform

Direction = tuple[float, float, float]


@compiled
def isotropic(state: State) -> Direction:
    """Draw a direction, every one alike."""
    w = 2.0 * uniform(state) - 1.0
    turn = 2.0 * pi * uniform(state)
    q = sqrt(1.0 - w * w)
    return q * cos(turn), q * sin(turn), w


@compiled
def deflected(u: float, v: float, w: float, cosine: float, state: State) -> Direction:
    """Turn a direction by an angle of given cosine, to any side alike."""
    turn = 2.0 * pi * uniform(state)
    sine = sqrt(max(0.0, 1.0 - cosine * cosine))
    a, b = sine * cos(turn), sine * sin(turn)
    q2 = 1.0 - w * w
    if q2 < 1e-10:  # along z: any two axes across will do
        sign = 1.0 if w > 0 else -1.0
        return a, b * sign, cosine * sign
    q = sqrt(q2)
    u2, v2, w2 = (
        u * cosine + (u * w * a - v * b) / q,
        v * cosine + (v * w * a + u * b) / q,
        w * cosine - q * a,
    )
    length = sqrt(u2 * u2 + v2 * v2 + w2 * w2)
    return u2 / length, v2 / length, w2 / length
