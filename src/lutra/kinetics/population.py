"""Which population stands in for what the points of a curve leave open, and how a Finding names it."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.special import ndtr, ndtri

from lutra.core.curve import TimeActivityCurve
from lutra.core.errors import ProtocolError
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.posterior import Lognormal
from lutra.kinetics.settings import numbers
from lutra.ports import Settings
from lutra.reference.nuclides import nuclide
from lutra.reference.populations import half_life_population

Array = npt.NDArray[np.float64]

FEW = {1: "kinetics.one-point-does-not-identify-a-curve", 2: "kinetics.two-points-do-not-identify-a-curve"}
"""Findings of so many points, whatever the model."""

RANGE = ("half_life_median_h", "half_life_low_h", "half_life_high_h")


@frozen
class TailPopulation:
    """Effective half-lives a region's own are taken from.

    Parameters
    ----------
    median_h, low_h, high_h
        Median and central 95 %. [h]
    tissue
        Whose they are.
    source
        Where they come from.
    own
        Whether the protocol of the study states them.
    """

    median_h: float
    low_h: float
    high_h: float
    tissue: str
    source: str
    own: bool

    @property
    def lognormal(self) -> Lognormal:
        """As a distribution."""
        return Lognormal.of_range(self.median_h * HOUR_S, self.low_h * HOUR_S, self.high_h * HOUR_S)

    def draw(self, physical_s: float, n: int, seed: int) -> Array:
        """Draw effective half-lives below the physical one, one from each of n equally likely strata. [s] (n,)"""
        known = self.lognormal
        random = np.random.default_rng(seed)
        strata = random.permutation((np.arange(n) + random.random(n)) / n)
        below_physical = ndtr(log(physical_s / known.median_s) / known.log_sd)
        drawn: Array = known.median_s * np.exp(known.log_sd * ndtri(strata * below_physical))
        return drawn


def tail_population(
    curve: TimeActivityCurve, settings: Settings, model: str, others: dict[str, float]
) -> tuple[TailPopulation, dict[str, float]]:
    """Read the population of a model's options, and its `others` with their defaults.

    The numbers of the options come first, then the tissue they name (`population`), then that of the curve, then `any`.

    Raises
    ------
    ProtocolError
        If an option is unknown or impossible.
    OutsideValidity
        If there is no such population.
    """
    tissue = str(settings.get("population", curve.tissue or "any"))
    known = half_life_population(tissue, curve.nuclide)
    shipped = dict(zip(RANGE, (known.median_h, known.low_h, known.high_h), strict=True))
    options = numbers(settings, {**shipped, **others}, model, words=("population",))
    median_h, low_h, high_h = (options[name] for name in RANGE)
    physical_h = nuclide(curve.nuclide).half_life_s / HOUR_S
    if not (0 < low_h < median_h < high_h and median_h < physical_h):
        raise ProtocolError(
            f"half-lives {low_h:g}, {median_h:g}, {high_h:g} h",
            where=f"kinetics.options.{model}",
            required=f"0 < low < median < high, median below {physical_h:.1f} h (physical)",
            do="correct these settings",
        )
    own = any(name in settings for name in RANGE)
    source = "the protocol of this study" if own else known.source
    return TailPopulation(median_h, low_h, high_h, tissue, source, own), options


def population_used(curve: TimeActivityCurve, population: TailPopulation, model: str, what: str) -> Finding:
    """Say that a population stands in, which, and whose; a warning unless the protocol states it."""
    text = (
        f"{curve.region}: {what} from a population, median {population.median_h:g} h, 95 % between {population.low_h:g} and "
        f"{population.high_h:g} h (lognormal, cut at the physical half-life); source: {population.source}"
    )
    if not population.own:
        text += (
            f"; give your own as half_life_median_h, half_life_low_h and half_life_high_h in kinetics.options.{model}"
        )
    severity = Severity.INFO if population.own else Severity.WARNING
    evidence = {"source": population.source, "population": population.tissue}
    return Finding(severity, "kinetics.population-half-life", text, FrozenMap(evidence))
