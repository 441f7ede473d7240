"""Nuclides: half-life and energy per decay, with their source."""

from __future__ import annotations

from functools import cache

from attrs import frozen

from lutra.core.errors import UsageError
from lutra.reference.emissions import emissions


@frozen
class Nuclide:
    """A radionuclide.

    Parameters
    ----------
    half_life_s
        Physical half-life. [s]
    electron_kev_per_decay, photon_kev_per_decay
        Mean energy emitted per decay. [keV]
    """

    name: str
    half_life_s: float
    source: str
    electron_kev_per_decay: float
    photon_kev_per_decay: float


@cache
def nuclides() -> dict[str, Nuclide]:
    """Every known nuclide, by name."""
    return {
        name: Nuclide(name, e.half_life_s, "ICRP Publication 107", e.electron_kev, e.photon_kev)
        for name, e in emissions().items()
    }


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
