"""Energy around a point of decay in a homogeneous medium. Sums over tables: nothing is drawn, no energy is lost."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import float64
from lutra.physics.materials import material
from lutra.physics.stopping import collision_stopping, radiative_stopping
from lutra.physics.transport_tables import energy_grid_kev, tables
from lutra.reference.emissions import Emission, emission
from lutra.reference.point_kernels import kernel_tables

Array = npt.NDArray[np.float64]
EDGES_G_PER_CM2 = np.concatenate([[0.0], np.geomspace(1e-5, 200.0, 600)])
"""Distances times density that bound the shells. [g/cm2] (601)"""
BREMSSTRAHLUNG_LINES = 30
"""Energies that stand for the spectrum of bremsstrahlung."""


@frozen(eq=False)
class PointKernel:
    """Energy per decay that stays in shells around the point, in an endless medium.

    Parameters
    ----------
    electron_kev
        Of electrons of every kind, in the shells of :data:`EDGES_G_PER_CM2`; alpha particles and their recoils stay in the
        first. [keV] (600)
    photon_kev
        Of photons, bremsstrahlung among them. [keV] (600)
    emitted_photon_kev
        Energy of all photons, bremsstrahlung among them, however far they get. [keV]
    """

    nuclide: str
    material: str
    electron_kev: Array = field(converter=float64)
    photon_kev: Array = field(converter=float64)
    emitted_photon_kev: float


@lru_cache(maxsize=64)
def point_kernel(nuclide: str, medium: str) -> PointKernel:
    """Sum the kernels of everything a decay emits; daughters are not included.

    Validity: electrons from 2.5 keV and photons from 2 keV to 3 MeV; what is softer is treated as that.

    Raises
    ------
    UsageError
        If nuclide or medium is not known.
    """
    emitted = emission(nuclide)
    energies, numbers = electron_spectrum(emitted)
    electrons = _electrons(energies, numbers, medium)
    radiated = float(energies @ numbers - electrons[-1])
    lines = np.concatenate([emitted.photons, bremsstrahlung(energies, numbers, medium, radiated)], axis=1)
    per_shell = np.diff(electrons)
    per_shell[0] += emitted.alpha_kev
    return PointKernel(nuclide, medium, per_shell, np.diff(_photons(lines, medium)), emitted.photon_kev + radiated)


def electron_spectrum(emitted: Emission) -> tuple[Array, Array]:
    """Energies [keV] and numbers per decay of all electrons; a beta spectrum stands as energies of equal probability."""
    share = np.full(emitted.beta_kev.size, emitted.betas / max(emitted.beta_kev.size, 1))
    return np.concatenate([emitted.beta_kev, emitted.electrons[0]]), np.concatenate([share, emitted.electrons[1]])


def bremsstrahlung(energies: Array, numbers: Array, medium: str, radiated_kev: float) -> Array:
    """Photons that electrons emit while they slow down, as lines. [keV, 1] (2, n)

    Each step of the slowing down radiates alike into every energy up to the electron's own (Kramers), which is rough;
    the energy in all is that of the stopping powers.
    """
    if radiated_kev <= 0:
        return np.empty((2, 0))
    kev = energy_grid_kev()
    above = np.array([numbers[energies > e].sum() for e in kev])
    what = material(medium)
    radiative = radiative_stopping(what, kev)
    density = above * radiative / (radiative + collision_stopping(what, kev))  # per keV of slowing down
    edges = np.geomspace(kev[0], max(float(energies.max()), 2 * kev[0]), BREMSSTRAHLUNG_LINES + 1)
    low, high = edges[:-1], edges[1:]
    reach = np.clip(kev[None] - low[:, None], 0, (high - low)[:, None]) / kev
    power = np.trapezoid(density * reach, kev, axis=1)
    lines = np.sqrt(low * high)
    return np.array([lines, power / power.sum() * radiated_kev / lines])


def _electrons(energies: Array, numbers: Array, medium: str) -> Array:
    """Energy of electrons that stays within each edge. [keV] (601)"""
    known = kernel_tables()
    cumulated = known.electron_cumulated[known.medium(medium)]
    ranges = np.exp(
        np.interp(np.log(energies), np.log(energy_grid_kev()), np.log(tables((medium,)).range_g_per_cm2[0]))
    )
    low, share = _between(energies, known.electron_kev)
    steps = np.linspace(0, 1, cumulated.shape[1] + 1)
    within = np.zeros(EDGES_G_PER_CM2.size)
    for e, n, r, row, part in zip(energies, numbers, ranges, low, share, strict=True):
        of_energy = cumulated[row] + part * (cumulated[row + 1] - cumulated[row])
        within += e * n * np.interp(EDGES_G_PER_CM2 / r, steps, np.concatenate([[0.0], of_energy]))
    return within


def _photons(lines: Array, medium: str) -> Array:
    """Energy of photons that stays within each edge. [keV] (601)"""
    known = kernel_tables()
    cumulated = known.photon_cumulated[known.medium(medium)]
    low, share = _between(lines[0], known.photon_kev)
    of_energy = cumulated[low] + share[:, None] * (cumulated[low + 1] - cumulated[low])
    weights = lines[0] * lines[1]
    return np.interp(EDGES_G_PER_CM2, known.photon_edges_g_per_cm2, np.concatenate([[0.0], weights @ of_energy]))


def _between(energies: Array, grid: Array) -> tuple[npt.NDArray[np.intp], Array]:
    """Row below each energy and how far it lies on the way to the next, in logarithm; within the grid."""
    x = np.clip(np.interp(np.log(energies), np.log(grid), np.arange(grid.size)), 0, grid.size - 1)
    low = np.minimum(x.astype(np.intp), grid.size - 2)
    return low, x - low
