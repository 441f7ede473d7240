"""A value with its uncertainty, kept by named source.

A source is one thing that could be wrong: a camera calibration, the volume of one lesion, a population half-life. Each
contributes a *signed* standard deviation, so that the same source met twice adds linearly (and may cancel), while
different sources add in quadrature. A source nobody evaluated is kept as None: the total is then unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import erf, hypot, isfinite, pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from lutra.core.errors import SharedSource, UnitMismatch
from lutra.core.frozen import FrozenMap, float64, frozen_map
from lutra.core.units import Unit

__all__ = ["Draws", "Estimate", "Unit"]

K_95 = 1.959963984540054
"""Half-width of a central 95 % normal interval, in standard deviations."""


def _sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


@frozen(eq=False)
class Draws:
    """Equally likely values of an estimate when only the named sources vary; for steps that are not linear.

    Parameters
    ----------
    sources
        Names of the sources the draws carry.
    values
        Draws, in the unit of the estimate. (n,)
    """

    sources: tuple[str, ...] = field(converter=_sorted_names)
    values: npt.NDArray[np.float64] = field(converter=float64)


@frozen(eq=False)
class Estimate:
    """A number, its unit and what is known of its uncertainty.

    Parameters
    ----------
    value
        Best value. [unit]
    unit
        UCUM unit of value and budget.
    budget
        Signed standard uncertainty (k = 1) per source. [unit] None: this source matters and was not evaluated.
    draws
        Samples for the sources whose effect is not linear; their spread also stands in `budget`.
    """

    value: float = field(converter=float)
    unit: Unit = field(converter=Unit)
    budget: FrozenMap[str, float | None] = field(factory=FrozenMap, converter=frozen_map)
    draws: Draws | None = None

    # ---- reading ----
    @property
    def sd(self) -> float | None:
        """Standard uncertainty; None if nothing, or not everything, was evaluated. [unit]"""
        return self.evaluated_sd if self.budget and not self.not_evaluated else None

    @property
    def evaluated_sd(self) -> float:
        """Quadrature of the evaluated sources: a lower bound when some are not. [unit]"""
        return hypot(*(sd for sd in self.budget.values() if sd is not None))

    @property
    def least_sd(self) -> float | None:
        """Standard uncertainty from the evaluated sources, a lower bound when some are not; None if none was. [unit]"""
        return self.evaluated_sd if any(sd is not None for sd in self.budget.values()) else None

    @property
    def not_evaluated(self) -> tuple[str, ...]:
        """Sources that matter and were not evaluated."""
        return tuple(name for name, sd in self.budget.items() if sd is None)

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Central interval; None unless every source was evaluated. [unit]"""
        return None if self.sd is None else self.evaluated_interval(level)

    def evaluated_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Central interval from the evaluated sources alone. [unit]

        Draws are smoothed with the normal spread of the sources they do not carry.
        """
        tails = ((1 - level) / 2, (1 + level) / 2)
        if self.draws is None:
            half = self.evaluated_sd * _normal_quantile(tails[1])
            return self.value - half, self.value + half
        carried = self.draws.sources
        rest = hypot(*(sd for name, sd in self.budget.items() if sd is not None and name not in carried))
        low, high = (_smoothed_quantile(self.draws.values, rest, tail) for tail in tails)
        return low, high

    def share(self) -> dict[str, float]:
        """Share of each evaluated source in the evaluated variance, largest first. [1]"""
        total = self.evaluated_sd**2
        if total == 0:
            return {}
        shares = {name: sd**2 / total for name, sd in self.budget.items() if sd is not None}
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    # ---- propagating ----
    def scaled(self, factor: float, unit: Unit | None = None) -> Estimate:
        """Multiply by an exact factor, which may change the unit."""
        return Estimate(
            self.value * factor,
            self.unit if unit is None else unit,
            FrozenMap({name: None if sd is None else sd * factor for name, sd in self.budget.items()}),
            None if self.draws is None else evolve(self.draws, values=self.draws.values * factor),
        )

    def relative(self, sensitivity: float = 1.0) -> dict[str, float | None]:
        """Relative budget times d ln(y)/d ln(x): what this input adds to a result it enters with that power. [1]

        Raises
        ------
        SharedSource
            If the estimate carries draws, whose shape a relative budget would lose.
        """
        if self.draws is not None:
            raise SharedSource("draws cannot be written as relative contributions; use times()")
        return {name: None if sd is None else sensitivity * sd / self.value for name, sd in self.budget.items()}

    def with_sources(self, relative: Mapping[str, float | None]) -> Estimate:
        """Add relative contributions by name; a source already present adds linearly, with its sign."""
        self.refuse_carried(relative)
        absolute = {name: None if part is None else part * self.value for name, part in relative.items()}
        return evolve(self, budget=_sum_budgets(self.budget, absolute))

    def times(self, other: Estimate, unit: Unit) -> Estimate:
        """Multiply by another estimate, to first order in the uncertainties `other` does not carry as draws."""
        if other.draws is not None:
            return other.times(self, unit) if self.draws is None else _product_of_draws(self, other, unit)
        return self.scaled(other.value, unit).with_sources(other.relative())

    def over(self, other: Estimate, unit: Unit) -> Estimate:
        """Divide by another estimate without draws, to first order."""
        return self.scaled(1 / other.value, unit).with_sources(other.relative(sensitivity=-1.0))

    def __add__(self, other: Estimate) -> Estimate:
        if self.unit is not other.unit:
            raise UnitMismatch(f"cannot add {other.unit} to {self.unit}", do="convert one of them first")
        return Estimate(
            self.value + other.value,
            self.unit,
            _sum_budgets(self.budget, other.budget),
            _sum_draws(self, other),
        )

    def __sub__(self, other: Estimate) -> Estimate:
        return self + other.scaled(-1.0)

    def __repr__(self) -> str:
        doubt = "u not evaluated" if self.sd is None else f"± {self.sd:.3g}"
        return f"Estimate({self.value:.6g} {doubt} {self.unit.value})"

    def refuse_carried(self, names: Mapping[str, Any]) -> None:
        """Raise SharedSource if a source would be counted both as draws and linearly."""
        shared = set(self.draws.sources) & set(names) if self.draws else set()
        if shared:
            raise SharedSource(
                f"{', '.join(sorted(shared))} would be counted twice: once as draws, once linearly",
                do="apply this source before drawing, or give it another name if it really is independent",
            )


def _sum_budgets(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> FrozenMap[str, float | None]:
    total = dict(one)
    for name, sd in other.items():
        known = total.get(name, 0.0)
        total[name] = None if known is None or sd is None else known + sd
    return FrozenMap(total)


def _sum_draws(one: Estimate, other: Estimate) -> Draws | None:
    if one.draws is None and other.draws is None:
        return None
    if one.draws is None or other.draws is None:
        drawn, fixed = (one, other) if one.draws is not None else (other, one)
        drawn.refuse_carried(fixed.budget)
        assert drawn.draws is not None  # noqa: S101  (narrowed two lines above)
        return evolve(drawn.draws, values=drawn.draws.values + fixed.value)
    one.refuse_carried({name: 0 for name in other.budget if name not in other.draws.sources})
    other.refuse_carried({name: 0 for name in one.budget if name not in one.draws.sources})
    return _combine_draws(one.draws, other.draws, np.add)


def _product_of_draws(one: Estimate, other: Estimate, unit: Unit) -> Estimate:
    """Multiply two drawn estimates: draws together, the linear rest to first order."""
    assert one.draws is not None and other.draws is not None  # noqa: S101, PT018  (the caller's branch)
    draws = _combine_draws(one.draws, other.draws, np.multiply)
    rest: FrozenMap[str, float | None] = FrozenMap()
    for factor, weight in ((one, other.value), (other, one.value)):
        linear = {n: None if sd is None else sd * weight for n, sd in factor.budget.items() if n not in draws.sources}
        rest = _sum_budgets(rest, linear)
    # The spread of the drawn part stands in the budget once, under one name for all it carries.
    spread = {" × ".join(draws.sources): float(np.std(draws.values))}
    drawn = Draws((" × ".join(draws.sources),), draws.values)
    return Estimate(one.value * other.value, unit, _sum_budgets(rest, spread), drawn)


def _combine_draws(one: Draws, other: Draws, operation: Callable[..., Any]) -> Draws:
    """Combine draw by draw: either independent sources, or the very same ones drawn together."""
    same = one.sources == other.sources
    if not same and set(one.sources) & set(other.sources):
        raise SharedSource(
            f"draws share {', '.join(sorted(set(one.sources) & set(other.sources)))} only in part",
            do="draw both from one set of samples",
        )
    if one.values.shape != other.values.shape:
        raise SharedSource(
            f"{one.values.size} and {other.values.size} draws cannot be combined", do="draw the same number"
        )
    return Draws(tuple({*one.sources, *other.sources}), operation(one.values, other.values))


def _normal_quantile(p: float) -> float:
    return K_95 if isfinite(p) and abs(p - 0.975) < 1e-12 else _smoothed_quantile(np.zeros(1), 1.0, p)


def _smoothed_quantile(values: npt.NDArray[np.float64], spread: float, p: float) -> float:
    """Quantile of draws convolved with a normal of standard deviation `spread`: Newton's steps, halved where they would leave."""
    if spread == 0:
        return float(np.quantile(values, p))
    low, high = float(values.min()) - 9 * spread, float(values.max()) + 9 * spread
    guess = float(np.quantile(values, p))
    while high - low > (tolerance := 1e-9 * max(abs(guess), spread)):
        z = (guess - values) / spread
        below = sum(map(erf, (z / sqrt(2)).tolist())) / (2 * values.size) + 0.5 - p
        low, high = (guess, high) if below < 0 else (low, guess)
        slope = float(np.exp(-0.5 * z * z).mean()) / (spread * sqrt(2 * pi))
        step = below / slope if slope > 0 else np.inf
        if abs(step) < tolerance:
            return guess
        guess = guess - step if low < guess - step < high else (low + high) / 2
    return guess
