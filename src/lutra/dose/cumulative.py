"""Doses of several cycles added."""

from __future__ import annotations

from functools import reduce
from zlib import crc32

import numpy as np
from attrs import evolve

from lutra.core.curve import TacFit
from lutra.core.dose import CumulativeDose, DoseResult
from lutra.core.estimate import Draws, Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.dose.region_means import HISTORIES

OF_FIT = ("fit: ", "tail half-life: ", "uptake phase")
"""Sources that a fit brings of its own."""


def cumulative_dose(
    doses: tuple[DoseResult, ...], fits: tuple[TacFit, ...], cycles: tuple[int, ...], given: tuple[int, ...]
) -> Outcome[CumulativeDose]:
    """Add the doses of a region over cycles.

    A source met in several cycles is one error and adds linearly: camera, volume, density. What a fit brings of its own is
    independent where the points of each cycle determined it. Where a population did, the patient's deviation from it is the same in
    every cycle, so that these errors add as well, quantile by quantile.

    Parameters
    ----------
    cycles, given
        Cycles of the doses, and every cycle that was given.
    """
    own = [by_cycle(dose.absorbed_dose, fit, cycle) for dose, fit, cycle in zip(doses, fits, cycles, strict=True)]
    total = reduce(added, own)
    missing = tuple(sorted(set(given) - set(cycles)))
    findings = []
    if missing:
        text = (
            f"{doses[0].region}: the dose of cycle {', '.join(map(str, missing))} is not known, so the sum over cycles "
            f"{', '.join(map(str, cycles))} is a lower bound"
        )
        findings.append(Finding(Severity.WARNING, "dose.cycles-missing", text))
    return Outcome(CumulativeDose(doses[0].region, doses[0].engine, total, cycles, missing), findings)


def by_cycle(dose: Estimate, fit: TacFit, cycle: int) -> Estimate:
    """Give sources that are a cycle's own the name of the cycle."""

    def name(source: str) -> str:
        own = source.startswith(HISTORIES) or (fit.identifiable and source.startswith(OF_FIT))
        return f"{source}, cycle {cycle}" if own else source

    budget = FrozenMap({name(source): sd for source, sd in dose.budget.items()})
    draws = dose.draws
    if draws is not None:
        draws = Draws(tuple(name(s) for s in draws.sources), np.sort(draws.values))
    return evolve(dose, budget=budget, draws=draws)


def added(one: Estimate, other: Estimate) -> Estimate:
    """Add; draws of one source rank by rank, of different ones in an order that has nothing in common."""
    if one.draws is None or other.draws is None or one.draws.sources == other.draws.sources:
        return one + other
    if set(one.draws.sources) & set(other.draws.sources):
        # Of the same patient and partly the same unknown: as if wholly, which is the larger sum.
        names = tuple({*one.draws.sources, *other.draws.sources})
        one = evolve(one, draws=Draws(names, one.draws.values))
        return one + evolve(other, draws=Draws(names, other.draws.values))
    order = np.random.default_rng(crc32("; ".join(other.draws.sources).encode()))
    shuffled = order.permutation(other.draws.values)
    return one + evolve(other, draws=Draws(other.draws.sources, shuffled))
