"""What happens to a photon where it interacts.

References
----------
[klein-nishina] Klein and Nishina, Z Phys 52:853; [waller-hartree] Waller and Hartree, Proc R Soc A 124:119: binding by the
incoherent scattering function; [egs4] Nelson et al., SLAC-265: drawing of the scattered energy.
"""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from lutra.physics.compiled import compiled
from lutra.physics.random_numbers import State, uniform
from lutra.physics.stopping import ELECTRON_KEV
from lutra.physics.transport_tables import HC_KEV_ANGSTROM, Array, Tables

STOP_KEV = 2.0
"""A photon of less energy is absorbed where it is: its mean free path in water is under 20 um."""


@compiled
def compton(tables: Tables, medium: int, kev: float, state: State) -> tuple[float, float]:
    """Draw an incoherent scattering.

    Returns
    -------
    tuple
        Energy of the scattered photon [keV], and cosine of its deflection.
    """
    alpha = kev / ELECTRON_KEV
    least = 1.0 / (1.0 + 2.0 * alpha)
    one, two = -log(least), 0.5 * (1.0 - least * least)
    while True:
        if uniform(state) * (one + two) < one:
            kept = exp(-one * uniform(state))
        else:
            kept = sqrt(least * least + (1.0 - least * least) * uniform(state))
        turned = (1.0 - kept) / (alpha * kept)  # 1 - cos
        if uniform(state) > 1.0 - kept * turned * (2.0 - turned) / (1.0 + kept * kept):
            continue
        momentum = kev / HC_KEV_ANGSTROM * sqrt(max(0.0, 0.5 * turned))
        if uniform(state) <= scattering_at(tables.scattering, medium, momentum, tables.momentum_step):
            return kev * kept, 1.0 - turned


@compiled
def scattering_at(scattering: Array, medium: int, momentum: float, step: float) -> float:
    """Incoherent scattering function per electron; 1 where electrons are as good as free."""
    x = sqrt(momentum) / step
    n = int(x)
    if n > scattering.shape[1] - 2:
        return 1.0
    return float(scattering[medium, n] + (x - n) * (scattering[medium, n + 1] - scattering[medium, n]))


@compiled
def rayleigh(tables: Tables, medium: int, kev: float, state: State) -> float:
    """Draw the cosine of a coherent scattering."""
    momentum = kev / HC_KEV_ANGSTROM
    most = momentum * momentum
    squares, cumulated = tables.momentum_squared, tables.form_squared[medium]
    whole = np.interp(most, squares, cumulated)
    while True:
        square = np.interp(uniform(state) * whole, cumulated, squares)
        cosine = 1.0 - 2.0 * square / most
        if uniform(state) < 0.5 * (1.0 + cosine * cosine):
            return float(cosine)


def mean_transfer_kev(tables: Tables, medium: int, kev: float) -> float:
    """Mean energy a photon of one energy gives to an electron by incoherent scattering. [keV]"""
    turned = (np.arange(4000) + 0.5) / 2000.0
    kept = 1.0 / (1.0 + kev / ELECTRON_KEV * turned)
    momentum = kev / HC_KEV_ANGSTROM * np.sqrt(0.5 * turned)
    column = np.sqrt(momentum) / tables.momentum_step
    bound = np.interp(column, np.arange(tables.scattering.shape[1]), tables.scattering[medium], right=1.0)
    weight = kept**2 * (kept + 1 / kept - turned * (2 - turned)) * bound
    return float(kev * ((1 - kept) * weight).sum() / weight.sum())
