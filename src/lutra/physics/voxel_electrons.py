"""Electrons in a body of voxels: condensed histories that stop at every face, for verification and for steep borders."""

from __future__ import annotations

from math import floor

import numba
import numpy as np
import numpy.typing as npt

from lutra.physics.compiled import compiled
from lutra.physics.directions import deflected, isotropic
from lutra.physics.electron_steps import STOP_KEV, cosine_of_step, deposited_between, energy_after
from lutra.physics.random_numbers import State, start, uniform
from lutra.physics.transport_tables import Array, Tables, at_energy
from lutra.physics.voxels import EnergyMap, Source, Voxels, birth, deposit, escape, in_batches, source_of

STEP = 0.15
"""Share of the range left that one step takes at most. [1]"""
NUDGE_CM = 1e-7
"""How far behind a face a step ends that reaches it. [cm]"""


def electron_energy(
    tables: Tables,
    voxels: Voxels,
    activity: npt.NDArray[np.float64],
    spectrum: tuple[Array, Array],
    histories: int,
    seed: int,
) -> EnergyMap:
    """Energy that the electrons of a source leave in each voxel, per decay; bremsstrahlung counts as escaped.

    Parameters
    ----------
    spectrum
        Energies [keV] and numbers per decay.
    histories
        Electrons to follow.

    Raises
    ------
    OutsideValidity
        If the activity is no source.
    """
    source = source_of(activity, *spectrum)

    def run(first: int, last: int, tally: npt.NDArray[np.int64]) -> None:
        _run(tables, voxels, source, first, last, seed, tally)

    return in_batches(run, histories, voxels.medium.shape, float(spectrum[1].sum()))


@numba.njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def _run(
    tables: Tables,
    voxels: Voxels,
    source: Source,
    first: int,
    last: int,
    seed: int,
    tally: npt.NDArray[np.int64],
) -> None:
    chunks = 64
    for chunk in numba.prange(chunks):
        state = np.empty(2, np.uint64)
        own = tally[numba.get_thread_id()]
        for history in range(first + (last - first) * chunk // chunks, first + (last - first) * (chunk + 1) // chunks):
            start(state, seed, history)
            share = (history - first + uniform(state)) / (last - first)
            x, y, z, kev = birth(source, voxels, share, state)
            electron(tables, voxels, x, y, z, kev, state, own)


@compiled
def electron(
    tables: Tables, voxels: Voxels, x: float, y: float, z: float, kev: float, state: State, tally: npt.NDArray[np.int64]
) -> None:
    """Follow one electron until it stops, leaves, or can no longer leave its voxel."""
    nx, ny, nz = voxels.medium.shape
    edge = voxels.edge_cm
    u, v, w = isotropic(state)
    while True:
        i, j, k = floor(x / edge[0]), floor(y / edge[1]), floor(z / edge[2])
        if i < 0 or j < 0 or k < 0 or i >= nx or j >= ny or k >= nz:
            escape(tally, kev)
            return
        medium, density = voxels.medium[i, j, k], voxels.density[i, j, k]
        a, b, c = x - i * edge[0], y - j * edge[1], z - k * edge[2]
        room = min(a, edge[0] - a, b, edge[1] - b, c, edge[2] - c)
        left = at_energy(tables.range_g_per_cm2, medium, kev)
        if kev < STOP_KEV or left < room * density:
            given = deposited_between(tables, medium, kev, 0.0)
            deposit(tally, voxels, i, j, k, given)
            escape(tally, kev - given)
            return
        path = STEP * left / density
        face = min(_to_face(a, u, edge[0]), _to_face(b, v, edge[1]), _to_face(c, w, edge[2])) + NUDGE_CM
        hinge = path if face < path else uniform(state) * path
        path = min(path, face)
        hinge = min(hinge, path)
        after = energy_after(tables, medium, kev, path * density)
        given = deposited_between(tables, medium, kev, after)
        deposit(tally, voxels, i, j, k, given)
        escape(tally, kev - after - given)
        if after <= 0.0:
            return
        x, y, z = x + u * hinge, y + v * hinge, z + w * hinge
        cosine = cosine_of_step(tables, medium, path * density, 0.5 * (kev + after), state)
        u, v, w = deflected(u, v, w, cosine, state)
        rest = path - hinge
        x, y, z = x + u * rest, y + v * rest, z + w * rest
        kev = after


@compiled
def _to_face(at: float, direction: float, edge: float) -> float:
    """Way to the face ahead along one axis. [cm]"""
    if direction > 1e-12:
        return (edge - at) / direction
    return -at / direction if direction < -1e-12 else 1e9
