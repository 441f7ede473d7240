"""Within which limits a repeated measurement agrees with the first; the table is repeatability.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from math import exp, log, sqrt
from typing import Any

from attrs import field, frozen

from lutra.reference.region_names import simplified

RC_PER_SD = 1.96 * sqrt(2)
"""Repeatability coefficient over within-subject standard deviation, 2.77: 95 % of differences of two measurements lie within."""
ANY_TISSUE = "any"


@frozen
class RepeatabilityLimits:
    """Relative changes between which nothing is known to have changed.

    Parameters
    ----------
    lower, upper
        Relative change from the first measurement, `lower` negative. [1]
    tissue
        Where it holds, `any` if everywhere.
    confirmed
        Whether the number was read in its source.
    diameter_mm
        Sizes of lesions it holds for, from and below; None for all. [mm]
    """

    lower: float
    upper: float
    tissue: str
    confirmed: bool
    source: str
    diameter_mm: tuple[float, float] | None = field(default=None)

    def holds_for(self, tissue: str | None, diameter_mm: float | None) -> bool:
        """Tell whether these are the limits of such a lesion."""
        if self.tissue not in {ANY_TISSUE, tissue}:
            return False
        if self.diameter_mm is None:
            return True
        low, high = self.diameter_mm
        return diameter_mm is not None and low <= diameter_mm < high


def limits_of_wcv(wcv: float) -> tuple[float, float]:
    r"""Relative limits of change that follow from a within-subject coefficient of variation. [1]

    Errors of an SUV multiply, so that its logarithm is what varies evenly: the limits are :math:`e^{\pm 2.77 s} - 1` with
    :math:`s^2 = \ln(1 + \mathrm{wCV}^2)`, further away upwards than downwards.
    """
    distance = RC_PER_SD * sqrt(log(1 + wcv**2))
    return exp(-distance) - 1, exp(distance) - 1


@cache
def published_limits() -> Mapping[str, tuple[RepeatabilityLimits, ...]]:
    """Every published limit, by role and quantity (`fdg-pet.suv_max`)."""
    found: dict[str, tuple[RepeatabilityLimits, ...]] = {}
    for row in _table()["limit"]:
        lower, upper = limits_of_wcv(row["wcv"]) if "wcv" in row else (-row["relative"], row["relative"])
        size = tuple(row["diameter_mm"]) if "diameter_mm" in row else None
        limits = RepeatabilityLimits(lower, upper, row["tissue"], row["confirmed"], row["source"], size)
        for quantity in row["quantities"]:
            found[quantity] = (*found.get(quantity, ()), limits)
    return found


def tissue_in_name(name: str) -> str | None:
    """Tissue that a lesion's name says it lies in; None if it says none, or several."""
    text = simplified(name)
    named = [tissue for tissue, pattern in _table()["tissue"].items() if re.search(pattern, text)]
    return named[0] if len(named) == 1 else None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((files("lutra.reference") / "repeatability.toml").read_text("utf-8"))
