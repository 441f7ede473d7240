"""How doses per activity change over the cycles of one patient."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from attrs import frozen


@frozen
class DoseTrend:
    """Change of the dose per activity from cycle to cycle; lognormal.

    Parameters
    ----------
    per_cycle
        Median factor from one cycle to the next. [1]
    patient_sd
        Standard deviation between patients of the logarithm of that factor. [1]
    between_cycles_sd
        Standard deviation of the logarithm of one cycle around the course of its patient. [1]
    source
        Where the numbers come from.
    """

    per_cycle: float
    patient_sd: float
    between_cycles_sd: float
    source: str


@cache
def dose_trend(tissue: str) -> DoseTrend:
    """Trend of a tissue, or what is assumed of any."""
    table = tomllib.loads((files("lutra.reference") / "dose_trends.toml").read_text("utf-8"))
    return DoseTrend(**table.get(tissue, table["any"]))
