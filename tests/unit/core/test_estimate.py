"""Uncertainty budgets against hand calculation."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import SharedSource, UnitMismatch
from lutra.core.estimate import Draws, Estimate, Unit
from lutra.core.frozen import FrozenMap


def estimate(value: float, **budget: float | None) -> Estimate:
    return Estimate(value, Unit.BQ, FrozenMap(budget))


def test_different_sources_add_in_quadrature() -> None:
    assert estimate(100, a=3, b=4).sd == pytest.approx(5)


def test_the_same_source_adds_linearly_and_may_cancel() -> None:
    one = estimate(100, camera=3)
    assert (one + one).sd == pytest.approx(6)
    assert (one - one).sd == 0
    assert (estimate(100, a=3) + estimate(100, b=3)).sd == pytest.approx(np.hypot(3, 3))


def test_not_evaluated_is_unknown_and_never_zero() -> None:
    assert estimate(100).sd is None
    half = estimate(100, a=3, recovery=None)
    assert half.sd is None
    assert half.interval() is None
    assert half.evaluated_sd == 3
    assert half.not_evaluated == ("recovery",)
    assert (half + estimate(1, recovery=1)).sd is None


def test_product_adds_relative_uncertainties_by_name() -> None:
    """2 % of one shared source in both factors is 4 % of the product."""
    product = estimate(50, camera=1).times(estimate(10, camera=0.2), Unit.BQ_S)
    assert product.value == 500
    assert product.sd == pytest.approx(0.04 * 500)
    assert product.over(estimate(10, camera=0.2), Unit.BQ).sd == pytest.approx(0.02 * 50)


def test_interval_of_a_normal_estimate() -> None:
    low, high = estimate(0, a=1).interval() or (0, 0)
    assert (low, high) == (pytest.approx(-1.959964, abs=1e-6), pytest.approx(1.959964, abs=1e-6))


def test_interval_of_draws_follows_their_shape_and_the_rest() -> None:
    """Log-normal draws: without other sources the interval is their quantiles; with a normal source it widens."""
    draws = np.exp(np.random.default_rng(1).normal(0, 0.5, 4000))
    drawn = Estimate(1, Unit.BQ, FrozenMap({"tail": float(draws.std())}), Draws(("tail",), draws))
    low, high = drawn.evaluated_interval()
    assert (low, high) == (pytest.approx(np.quantile(draws, 0.025)), pytest.approx(np.quantile(draws, 0.975)))
    wide = drawn.with_sources({"camera": 0.3}).evaluated_interval()
    mixed = draws + np.random.default_rng(2).normal(0, 0.3, draws.size)
    assert wide[0] == pytest.approx(np.quantile(mixed, 0.025), abs=0.05)
    assert wide[1] == pytest.approx(np.quantile(mixed, 0.975), abs=0.15)


def test_draws_scale_with_the_value() -> None:
    drawn = Estimate(1, Unit.BQ, FrozenMap({"tail": 0.1}), Draws(("tail",), np.array([0.9, 1.1])))
    scaled = drawn.scaled(10, Unit.GY)
    assert scaled.unit is Unit.GY
    assert scaled.draws is not None
    assert scaled.draws.values.tolist() == [9, 11]


def test_a_source_cannot_be_drawn_and_linear_at_once() -> None:
    drawn = Estimate(1, Unit.BQ, FrozenMap({"tail": 0.1}), Draws(("tail",), np.array([0.9, 1.1])))
    with pytest.raises(SharedSource, match="tail"):
        drawn.with_sources({"tail": 0.1})
    with pytest.raises(SharedSource):
        drawn.relative()
    with pytest.raises(SharedSource):
        _ = drawn + estimate(1, tail=0.1)


def test_units_do_not_mix() -> None:
    with pytest.raises(UnitMismatch):
        _ = Estimate(1, Unit.BQ) + Estimate(1, Unit.GY)


def test_share_of_the_variance() -> None:
    assert estimate(100, a=3, b=-4).share() == {"b": pytest.approx(0.64), "a": pytest.approx(0.36)}
