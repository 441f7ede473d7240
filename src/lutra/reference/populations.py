"""How a quantity is distributed over patients, for use where a patient's own data do not determine it."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from attrs import frozen

from lutra.core.errors import OutsideValidity


@frozen
class HalfLifePopulation:
    """Effective half-lives of a tissue, lognormal over the population.

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


@cache
def half_life_population(tissue: str, nuclide: str) -> HalfLifePopulation:
    """Return the population of a tissue (`tumour`) and nuclide (`Lu-177`).

    Raises
    ------
    OutsideValidity
        If there is none.
    """
    tissues = tomllib.loads((files("lutra.reference") / "populations.toml").read_text("utf-8"))["half_life"]
    if nuclide not in tissues.get(tissue, {}):
        raise OutsideValidity(
            f"no population of effective half-lives for {tissue} and {nuclide}",
            where="reference/populations.toml",
            required="a published median and 95 % range",
            do="use a model that needs no population, or add one with its source",
        )
    return HalfLifePopulation(**tissues[tissue][nuclide])
