"""A body as voxels of media, and how deposited energy is counted in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64
from lutra.physics.compiled import compiled
from lutra.physics.random_numbers import State, uniform

FIXED_POINT = 1e5
"""Tallies count 1e-5 keV in whole numbers: sums of whole numbers do not depend on their order, so neither on the threads."""
BATCHES = 10
"""Independent parts of a run whose spread gives the uncertainty of every voxel."""


class Voxels(NamedTuple):
    """A body on a grid.

    Parameters
    ----------
    medium
        Row of the transport tables. (i, j, k)
    density
        [g/cm3] (i, j, k)
    edge_cm
        Voxel edges. [cm] (3)
    """

    medium: npt.NDArray[np.uint8]
    density: npt.NDArray[np.float32]
    edge_cm: npt.NDArray[np.float64]


@frozen(eq=False)
class EnergyMap:
    """Energy deposited in each voxel per decay of the whole source, and its standard error. [keV] (i, j, k)

    Parameters
    ----------
    escaped_kev
        Energy per decay that left the grid. [keV]
    """

    kev: npt.NDArray[np.float64] = field(converter=float64)
    sd_kev: npt.NDArray[np.float64] = field(converter=float64)
    escaped_kev: float


Run = Callable[[int, int, npt.NDArray[np.int64]], None]
"""Does the histories from a first to before a last one, and adds to tallies of shape (threads, voxels + 1)."""


def in_batches(run: Run, histories: int, shape: tuple[int, int, int], weight: float) -> EnergyMap:
    """Run a simulation in equal batches and gather means and standard errors.

    Parameters
    ----------
    weight
        What one history stands for, per decay: photons per decay, for instance. [1]
    """
    each = max(1, histories // BATCHES)
    voxels = int(np.prod(shape))
    total, squares = np.zeros(voxels + 1), np.zeros(voxels + 1)
    tally = np.zeros((numba.get_num_threads(), voxels + 1), np.int64)
    for batch in range(BATCHES):
        tally[:] = 0
        run(batch * each, (batch + 1) * each, tally)
        kev = tally.sum(axis=0) * (weight / (FIXED_POINT * each))
        total += kev
        squares += kev**2
    mean = total / BATCHES
    spread = np.sqrt(np.maximum(squares / BATCHES - mean**2, 0) / (BATCHES - 1))
    return EnergyMap(mean[:-1].reshape(shape), spread[:-1].reshape(shape), float(mean[-1]))


class Source(NamedTuple):
    """Where particles start, and with what energy.

    Parameters
    ----------
    voxel, voxel_share
        Flat indices of the voxels with activity, and the share of the decays in the voxels up to and including each.
        [1] (n)
    kev, kev_share
        Energies, and the share of the particles of the energies up to and including each. [keV, 1] (m)
    """

    voxel: npt.NDArray[np.int64]
    voxel_share: npt.NDArray[np.float64]
    kev: npt.NDArray[np.float64]
    kev_share: npt.NDArray[np.float64]


def source_of(
    activity: npt.NDArray[np.float64], kev: npt.NDArray[np.float64], numbers: npt.NDArray[np.float64]
) -> Source:
    """Take the decays of an image as a source of particles of these energies and numbers per decay.

    Raises
    ------
    OutsideValidity
        If a voxel is negative or not finite, or there is no activity at all.
    """
    flat = np.asarray(activity, np.float64).ravel()
    if not np.isfinite(flat).all() or flat.min() < 0 or flat.sum() <= 0:
        raise OutsideValidity(
            f"an activity map with minimum {flat.min():g} and sum {flat.sum():g} is no source",
            required="finite values, none below 0, not all 0",
        )
    voxel = np.flatnonzero(flat)
    decays, particles = np.cumsum(flat[voxel]), np.cumsum(numbers)
    return Source(voxel, decays / decays[-1], np.ascontiguousarray(kev), particles / particles[-1])


@compiled
def birth(source: Source, voxels: Voxels, share: float, state: State) -> tuple[float, float, float, float]:
    """Draw place [cm] and energy [keV] of a particle; its voxel is the one that holds a share of all decays."""
    n = min(np.searchsorted(source.voxel_share, share, side="right"), source.voxel.size - 1)
    flat = source.voxel[n]
    _, ny, nz = voxels.medium.shape
    edge = voxels.edge_cm
    x = (flat // (ny * nz) + uniform(state)) * edge[0]
    y = (flat // nz % ny + uniform(state)) * edge[1]
    z = (flat % nz + uniform(state)) * edge[2]
    m = min(np.searchsorted(source.kev_share, uniform(state), side="right"), source.kev.size - 1)
    return x, y, z, source.kev[m]


@compiled
def deposit(tally: npt.NDArray[np.int64], voxels: Voxels, i: int, j: int, k: int, kev: float) -> None:
    """Count energy in a voxel."""
    _, ny, nz = voxels.medium.shape
    tally[(i * ny + j) * nz + k] += np.int64(kev * FIXED_POINT + 0.5)


@compiled
def escape(tally: npt.NDArray[np.int64], kev: float) -> None:
    """Count energy that left the grid."""
    tally[tally.size - 1] += np.int64(kev * FIXED_POINT + 0.5)
