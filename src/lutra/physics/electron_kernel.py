"""How far from a point source of electrons of one energy the energy stays, in an endless medium."""

from __future__ import annotations

from math import sqrt

import numba
import numpy as np
import numpy.typing as npt

from lutra.physics.compiled import compiled
from lutra.physics.directions import deflected
from lutra.physics.electron_steps import (
    STOP_KEV,
    cosine_of_step,
    deposited_between,
    energy_after,
)
from lutra.physics.random_numbers import State, start, uniform
from lutra.physics.transport_tables import Tables, at_energy

STEP = 0.1
"""Share of the range left that one step takes. [1]"""
FIXED_POINT = 1e6
"""Tallies count millionths of a keV in whole numbers, so that the sum does not depend on the order."""
BLOCKS = 256
"""Histories are shared among threads in this many blocks, whatever the number of threads."""


def radial_deposit(
    tables: Tables, medium: int, kev: float, bins: int, histories: int, seed: int
) -> npt.NDArray[np.float64]:
    """Share of the energy deposited in shells around the source, by distance over the range.

    Parameters
    ----------
    bins
        Shells of equal thickness from 0 to the range at `kev`.

    Returns
    -------
    numpy.ndarray
        Share of the energy of the electron; what is missing to 1 left as bremsstrahlung. (bins)
    """
    blocks = np.zeros((BLOCKS, bins), np.int64)
    _run(tables, medium, kev, histories, seed, blocks)
    return blocks.sum(axis=0) / (FIXED_POINT * kev * (histories // BLOCKS * BLOCKS))


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _run(tables: Tables, medium: int, kev: float, histories: int, seed: int, blocks: npt.NDArray[np.int64]) -> None:
    each = histories // BLOCKS
    for block in numba.prange(BLOCKS):
        state = np.empty(2, np.uint64)
        for n in range(each):
            start(state, seed, block * each + n)
            _history(tables, medium, kev, blocks[block], state)


@compiled
def _history(tables: Tables, medium: int, kev: float, shells: npt.NDArray[np.int64], state: State) -> None:
    x = y = z = u = v = 0.0
    w = 1.0
    whole = at_energy(tables.range_g_per_cm2, medium, kev)
    per_bin = shells.size / whole
    while kev > STOP_KEV:
        left = at_energy(tables.range_g_per_cm2, medium, kev)
        path = STEP * left
        after = energy_after(tables, medium, kev, path)
        at = uniform(state) * path
        _score(shells, x + u * at, y + v * at, z + w * at, per_bin, deposited_between(tables, medium, kev, after))
        hinge = uniform(state) * path
        x, y, z = x + u * hinge, y + v * hinge, z + w * hinge
        cosine = cosine_of_step(tables, medium, path, 0.5 * (kev + after), state)
        u, v, w = deflected(u, v, w, cosine, state)
        rest = path - hinge
        x, y, z = x + u * rest, y + v * rest, z + w * rest
        kev = after
    _score(shells, x, y, z, per_bin, kev)


@compiled
def _score(shells: npt.NDArray[np.int64], x: float, y: float, z: float, per_bin: float, kev: float) -> None:
    n = min(int(sqrt(x * x + y * y + z * z) * per_bin), shells.size - 1)
    shells[n] += np.int64(kev * FIXED_POINT + 0.5)
