"""Photons in a body of voxels, by Woodcock's method: no boundary is searched for, most voxels are flown through at once.

Electrons set free stop where they are, as in :mod:`lutra.physics.photon_kernel`.

References
----------
[woodcock] Woodcock et al., ANL-7050:557 (1965).
"""

from __future__ import annotations

from math import floor, log

import numba
import numpy as np
import numpy.typing as npt

from lutra.physics.compiled import compiled
from lutra.physics.directions import deflected, isotropic
from lutra.physics.photon_steps import STOP_KEV, compton, rayleigh
from lutra.physics.random_numbers import State, start, uniform
from lutra.physics.transport_tables import Array, Tables, at_energy
from lutra.physics.voxels import EnergyMap, Source, Voxels, birth, deposit, escape, in_batches, source_of


def photon_energy(
    tables: Tables, voxels: Voxels, activity: npt.NDArray[np.float64], lines: Array, histories: int, seed: int
) -> EnergyMap:
    """Energy that the photons of a source leave in each voxel, per decay.

    Parameters
    ----------
    activity
        Relative number of decays per voxel. (i, j, k)
    lines
        Energies and numbers per decay. [keV, 1] (2, n) Softer ones than 2 keV stay where they arise and are the caller's.
    histories
        Photons to follow.

    Raises
    ------
    OutsideValidity
        If the activity is no source.
    """
    source = source_of(activity, *lines)
    most = majorant(tables, voxels)

    def run(first: int, last: int, tally: npt.NDArray[np.int64]) -> None:
        _run(tables, voxels, source, most, first, last, seed, tally)

    return in_batches(run, histories, voxels.medium.shape, float(lines[1].sum()))


def majorant(tables: Tables, voxels: Voxels) -> Array:
    """Largest attenuation of any voxel, over energy. [1/cm] (1, energies)"""
    whole = tables.photoelectric + tables.incoherent + tables.coherent
    present = np.unique(voxels.medium)
    densest = [float(voxels.density[voxels.medium == n].max()) for n in present]
    most: Array = (whole[present] * np.array(densest)[:, None]).max(axis=0, keepdims=True)
    return most


@numba.njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def _run(
    tables: Tables,
    voxels: Voxels,
    source: Source,
    most: Array,
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
            # Decays are taken in order of the voxels: every batch samples the whole source evenly.
            share = (history - first + uniform(state)) / (last - first)
            x, y, z, kev = birth(source, voxels, share, state)
            photon(tables, voxels, most, x, y, z, kev, state, own)


@compiled
def photon(
    tables: Tables,
    voxels: Voxels,
    most: Array,
    x: float,
    y: float,
    z: float,
    kev: float,
    state: State,
    tally: npt.NDArray[np.int64],
) -> None:
    """Follow one photon from its birth until it is absorbed or leaves."""
    nx, ny, nz = voxels.medium.shape
    edge = voxels.edge_cm
    u, v, w = isotropic(state)
    while True:
        limit = at_energy(most, 0, kev)
        while True:
            way = -log(1.0 - uniform(state)) / limit
            x, y, z = x + u * way, y + v * way, z + w * way
            i, j, k = floor(x / edge[0]), floor(y / edge[1]), floor(z / edge[2])
            if i < 0 or j < 0 or k < 0 or i >= nx or j >= ny or k >= nz:
                escape(tally, kev)
                return
            medium, density = voxels.medium[i, j, k], voxels.density[i, j, k]
            absorbed = density * at_energy(tables.photoelectric, medium, kev)
            turned = density * at_energy(tables.incoherent, medium, kev)
            kept = density * at_energy(tables.coherent, medium, kev)
            what = uniform(state) * limit
            if what < absorbed + turned + kept:
                break
        if what < absorbed:
            deposit(tally, voxels, i, j, k, kev)
            return
        if what < absorbed + turned:
            after, cosine = compton(tables, medium, kev, state)
            deposit(tally, voxels, i, j, k, kev - after)
            kev = after
            if kev < STOP_KEV:
                deposit(tally, voxels, i, j, k, kev)
                return
        else:
            cosine = rayleigh(tables, medium, kev, state)
        u, v, w = deflected(u, v, w, cosine, state)
