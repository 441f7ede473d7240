"""How a quantity is distributed over patients, for use where a patient's own data do not determine it."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from attrs import frozen

from lutra.core.errors import OutsideValidity


@frozen
class HalfLifePopulation:
    """Half-lives of a tissue, lognormal over the population.

    Parameters
    ----------
    median_h
        Median. [h]
    low_h, high_h
        Central 95 % of the population. [h]
    confirmed
        Whether the numbers were read in their source.
    source
        Where they come from.
    """

    median_h: float
    low_h: float
    high_h: float
    confirmed: bool
    source: str


def half_life_population(tissue: str, nuclide: str) -> HalfLifePopulation:
    """Return the effective half-lives of a tissue (`tumour`, or `any`) and nuclide (`Lu-177`).

    Raises
    ------
    OutsideValidity
        If there are none.
    """
    return _population("half_life", "effective half-lives", tissue, nuclide)


def uptake_population(nuclide: str) -> HalfLifePopulation:
    """Return the half-times of uptake after a nuclide's carrier is given; the same for every tissue.

    Raises
    ------
    OutsideValidity
        If there are none.
    """
    return _population("uptake_half_time", "uptake half-times", "any", nuclide)


def tissues(nuclide: str) -> tuple[str, ...]:
    """Tissues whose effective half-lives are known for a nuclide."""
    return tuple(name for name, known in _table()["half_life"].items() if nuclide in known)


def _population(kind: str, title: str, tissue: str, nuclide: str) -> HalfLifePopulation:
    known = _table()[kind]
    if nuclide not in known.get(tissue, {}):
        raise OutsideValidity(
            f"no population of {title} for {tissue} and {nuclide}",
            where="reference/populations.toml",
            required="a published median and 95 % range",
            do="use a model that needs no population, or add one with its source",
        )
    return HalfLifePopulation(**known[tissue][nuclide])


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((files("lutra.reference") / "populations.toml").read_text("utf-8"))
