"""Decay against hand calculation."""

from __future__ import annotations

import pytest

from lutra.core.units import DAY_S, HOUR_S
from lutra.physics.decay import decay_constant_per_s, decay_factor


def test_lutetium_by_hand() -> None:
    """6.647 d: lambda = ln 2 / 159.528 h = 0.00434499 /h."""
    assert decay_constant_per_s(6.647 * DAY_S) * HOUR_S == pytest.approx(0.00434499, abs=5e-9)


def test_forward_halves_and_backward_doubles() -> None:
    assert decay_factor(100, 100) == pytest.approx(0.5)
    assert decay_factor(-100, 100) == pytest.approx(2)
    assert decay_factor(0, 100) == 1
