"""What transport looks up: properties of media over energy, on one logarithmic grid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import exp, log
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lutra.physics.compiled import compiled
from lutra.physics.materials import Material, material, mixed
from lutra.physics.stopping import collision_stopping, csda_range, first_transport, radiative_stopping
from lutra.reference.interactions import elements

LOWEST_KEV, HIGHEST_KEV, ENERGIES = 1.0, 3000.0, 601
HC_KEV_ANGSTROM = 12.39842
MOMENTA = 1024
Array = npt.NDArray[np.float64]


class Tables(NamedTuple):
    """Media over energy. Rows are media, columns energies of :func:`energy_grid_kev` unless said otherwise.

    Parameters
    ----------
    range_g_per_cm2
        Range of electrons. [g/cm2]
    radiated
        Energy an electron loses as bremsstrahlung on its way to rest. [keV]
    transport_cm2_per_g
        Inverse first transport mean free path of electrons. [cm2/g]
    photoelectric, incoherent, coherent
        Attenuation of photons by process. [cm2/g]
    scattering
        Incoherent scattering function per electron, over momentum transfer in steps of `momentum_step`. [1]
    momentum_step
        In the square root of sin(theta/2)/wavelength. [1/A^1/2]
    form_squared
        Square of the coherent form factor, integrated up to the square of the momentum transfer.
    momentum_squared
        Squares of momentum transfer of `form_squared`. [1/A2]
    hinge
        Logarithm of the screening of a Rutherford law whose mean of 1-cos is that of the column, see `hinge_column`.
    """

    range_g_per_cm2: Array
    radiated: Array
    transport_cm2_per_g: Array
    photoelectric: Array
    incoherent: Array
    coherent: Array
    scattering: Array
    momentum_step: float
    form_squared: Array
    momentum_squared: Array
    hinge: Array


def energy_grid_kev() -> Array:
    """Energies of the columns. [keV] (ENERGIES)"""
    return np.geomspace(LOWEST_KEV, HIGHEST_KEV, ENERGIES)


LOG_LOWEST = log(LOWEST_KEV)
LOG_STEP = log(HIGHEST_KEV / LOWEST_KEV) / (ENERGIES - 1)
HINGE_LOWEST, HINGE_COLUMNS = -18.0, 2048
"""Natural logarithm of the least mean of 1-cos that is told from none."""


@compiled
def at_energy(table: Array, medium: int, kev: float) -> float:
    """Interpolate a row, linear in the logarithm of the energy."""
    x = max(0.0, (log(kev) - LOG_LOWEST) / LOG_STEP)
    n = min(int(x), ENERGIES - 2)
    return float(table[medium, n] + (x - n) * (table[medium, n + 1] - table[medium, n]))


@compiled
def energy_of_range(ranges: Array, medium: int, range_g_per_cm2: float) -> float:
    """Energy of an electron that has this range left. [keV]"""
    row = ranges[medium]
    if range_g_per_cm2 <= row[0]:
        return float(LOWEST_KEV * range_g_per_cm2 / row[0])
    low, high = 0, ENERGIES - 1
    while high - low > 1:
        middle = (low + high) // 2
        if row[middle] > range_g_per_cm2:
            high = middle
        else:
            low = middle
    share = (range_g_per_cm2 - row[low]) / (row[low + 1] - row[low])
    return exp(LOG_LOWEST + LOG_STEP * (low + share))


@lru_cache(maxsize=8)
def tables(names: tuple[str, ...]) -> Tables:
    """Build the tables of some media, in this order.

    Parameters
    ----------
    names
        Of :data:`lutra.physics.materials.MATERIALS`.
    """
    media = [material(name) for name in names]
    kev = energy_grid_kev()
    known = elements()

    def photons(by_element: Array) -> Array:
        rows = [np.interp(np.log(kev), np.log(known.energy_kev), np.log(mixed(m, by_element))) for m in media]
        return np.exp(rows)

    root = np.linspace(0, np.sqrt(known.momentum_per_angstrom[-1]), MOMENTA)
    squares = (np.linspace(0, 1, MOMENTA) ** 3) * 30.0**2
    return Tables(
        range_g_per_cm2=_each(media, lambda m: csda_range(kev, _stopping(m, kev))),
        radiated=_each(media, lambda m: _radiated(m, kev)),
        transport_cm2_per_g=_each(media, lambda m: first_transport(m, kev)),
        photoelectric=photons(known.photoelectric_cm2_per_g),
        incoherent=photons(known.incoherent_cm2_per_g),
        coherent=photons(known.coherent_cm2_per_g),
        scattering=_each(media, lambda m: _scattering(m, root**2)),
        momentum_step=float(root[1]),
        form_squared=_each(media, lambda m: _form_squared(m, squares)),
        momentum_squared=squares,
        hinge=_hinge(),
    )


def _each(media: Sequence[Material], function) -> Array:  # type: ignore[no-untyped-def]
    return np.ascontiguousarray([function(m) for m in media], np.float64)


def _stopping(medium: Material, kev: Array) -> Array:
    return collision_stopping(medium, kev) + radiative_stopping(medium, kev)


def _radiated(medium: Material, kev: Array) -> Array:
    share = radiative_stopping(medium, kev) / _stopping(medium, kev) * kev
    step = np.log(kev[1] / kev[0])
    return np.concatenate([[0.0], np.cumsum(0.5 * (share[1:] + share[:-1]) * step)])


def _per_atom(by_element: Array) -> Array:
    return by_element / elements().atomic_weight[:, None]


def _scattering(medium: Material, momentum: Array) -> Array:
    known = elements()
    per_mass = mixed(medium, _per_atom(known.scattering_function))
    return np.interp(momentum, known.momentum_per_angstrom, per_mass) / medium.electrons_per_mass


def _form_squared(medium: Material, squares: Array) -> Array:
    known = elements()
    per_mass = mixed(medium, _per_atom(known.form_factor**2))
    density = np.interp(np.sqrt(squares), known.momentum_per_angstrom, per_mass)
    return np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(squares))])


def _hinge() -> Array:
    """Screening over the logarithm of the mean of 1-cos it gives. (HINGE_COLUMNS)"""
    screening = np.exp(np.linspace(-27, 12, 6000))
    mean = 2 * screening * ((1 + screening) * np.log1p(1 / screening) - 1)
    return np.interp(np.linspace(HINGE_LOWEST, 0, HINGE_COLUMNS), np.log(mean), np.log(screening))
