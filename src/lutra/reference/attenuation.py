"""How strongly tissues attenuate photons, per mass."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import numpy as np
from scipy.interpolate import CubicSpline

from lutra.core.errors import OutsideValidity, UsageError

VALID_KEV = (40.0, 700.0)
"""The table reaches a little further on either side, so that the spline is as good at its ends."""


@cache
def _tables() -> tuple[tuple[float, ...], dict[str, tuple[float, ...]]]:
    found = tomllib.loads((files("lutra.reference") / "attenuation.toml").read_text("utf-8"))
    return tuple(found["kev"]), {medium: tuple(row) for medium, row in found["cm2_per_g"].items()}


@cache
def mass_attenuation_cm2_per_g(medium: str, kev: float) -> float:
    """Mass attenuation coefficient, coherent scattering included. [cm2/g]

    A cubic spline on log-log axes through the tabulated energies.

    Parameters
    ----------
    medium
        `soft`, `adipose`, `bone`, `lung`, `air` or `water`.
    kev
        Photon energy, 40 to 700 keV. [keV]

    Raises
    ------
    UsageError
        If the medium is not known.
    OutsideValidity
        If the energy is outside the table.

    References
    ----------
    [nist5632] Hubbell and Seltzer, NISTIR 5632.
    """
    energies, media = _tables()
    if medium not in media:
        raise UsageError(f"medium {medium!r} is not known", required=f"one of: {', '.join(media)}")
    low, high = VALID_KEV
    if not low <= kev <= high:
        raise OutsideValidity(f"photons of {kev:g} keV", required=f"{low:g} to {high:g} keV")
    return float(np.exp(CubicSpline(np.log(energies), np.log(media[medium]))(np.log(kev))))
