"""How far from a point source of photons of one energy the energy stays, in an endless medium.

The first collision is exact; what scattered photons leave is drawn. Electrons set free stop where they are: below 300 keV that is
within a millimetre of tissue.
"""

from __future__ import annotations

from math import log, sqrt

import numba
import numpy as np
import numpy.typing as npt

from lutra.physics.compiled import compiled
from lutra.physics.directions import deflected
from lutra.physics.electron_kernel import BLOCKS, FIXED_POINT
from lutra.physics.photon_steps import STOP_KEV, compton, mean_transfer_kev, rayleigh
from lutra.physics.random_numbers import State, start, uniform
from lutra.physics.transport_tables import Array, Tables, at_energy


def radial_absorption(tables: Tables, medium: int, kev: float, edges: Array, histories: int, seed: int) -> Array:
    """Share of the energy absorbed in shells around the source.

    Parameters
    ----------
    edges
        Radii that bound the shells, from 0, times the density. [g/cm2] (n + 1)

    Returns
    -------
    numpy.ndarray
        Share of the energy of the photon. (n)
    """
    blocks = np.zeros((BLOCKS, edges.size), np.int64)
    _run(tables, medium, kev, edges, histories, seed, blocks)
    scattered = blocks.sum(axis=0)[:-1] / (FIXED_POINT * kev * (histories // BLOCKS * BLOCKS))
    absorbed, turned, kept = (
        at_energy(t, medium, kev) for t in (tables.photoelectric, tables.incoherent, tables.coherent)
    )
    whole = absorbed + turned + kept
    given = (absorbed + turned * mean_transfer_kev(tables, medium, kev) / kev) / whole
    return scattered - given * np.diff(np.exp(-whole * edges))


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _run(
    tables: Tables, medium: int, kev: float, edges: Array, histories: int, seed: int, blocks: npt.NDArray[np.int64]
) -> None:
    each = histories // BLOCKS
    for block in numba.prange(BLOCKS):
        state = np.empty(2, np.uint64)
        for n in range(each):
            start(state, seed, block * each + n)
            _history(tables, medium, kev, edges, blocks[block], state)


@compiled
def _history(
    tables: Tables, medium: int, kev: float, edges: Array, shells: npt.NDArray[np.int64], state: State
) -> None:
    x = y = z = u = v = 0.0
    w = 1.0
    first = True
    while True:
        absorbed = at_energy(tables.photoelectric, medium, kev)
        turned = at_energy(tables.incoherent, medium, kev)
        whole = absorbed + turned + at_energy(tables.coherent, medium, kev)
        way = -log(1.0 - uniform(state)) / whole
        x, y, z = x + u * way, y + v * way, z + w * way
        what = uniform(state) * whole
        if what < absorbed:
            if not first:
                _score(shells, edges, x, y, z, kev)
            return
        if what < absorbed + turned:
            after, cosine = compton(tables, medium, kev, state)
            if not first:
                _score(shells, edges, x, y, z, kev - after)
            kev = after
            if kev < STOP_KEV:
                _score(shells, edges, x, y, z, kev)
                return
        else:
            cosine = rayleigh(tables, medium, kev, state)
        u, v, w = deflected(u, v, w, cosine, state)
        first = False


@compiled
def _score(shells: npt.NDArray[np.int64], edges: Array, x: float, y: float, z: float, kev: float) -> None:
    r = sqrt(x * x + y * y + z * z)
    n = min(np.searchsorted(edges, r, side="right") - 1, shells.size - 1)
    shells[n] += np.int64(kev * FIXED_POINT + 0.5)
