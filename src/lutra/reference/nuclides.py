"""Nuclides: half-life and energy per decay, with their source."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from attrs import frozen

from lutra.core.errors import UsageError


@frozen
class Nuclide:
    """A radionuclide.

    Parameters
    ----------
    half_life_s
        Physical half-life. [s]
    electron_kev_per_decay, photon_kev_per_decay
        Mean energy emitted per decay; None where dose is not computed for this nuclide. [keV]
    """

    name: str
    half_life_s: float
    source: str
    electron_kev_per_decay: float | None = None
    photon_kev_per_decay: float | None = None


@cache
def nuclides() -> dict[str, Nuclide]:
    """Every known nuclide, by name."""
    table = tomllib.loads((files("lutra.reference") / "nuclides.toml").read_text("utf-8"))
    return {name: Nuclide(name, **row) for name, row in table.items()}


def nuclide(name: str) -> Nuclide:
    """Look up a nuclide such as `Lu-177`.

    Raises
    ------
    UsageError
        If it is not known; lists those that are.
    """
    known = nuclides()
    if name not in known:
        raise UsageError(f"nuclide {name!r} is not known", required=f"one of: {', '.join(known)}")
    return known[name]
