"""A random number depends on seed, history and place in the history alone."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from scipy import stats

from lutra.physics.random_numbers import start, uniform
from lutra.physics.transport_tables import tables
from lutra.physics.voxel_electrons import electron_energy
from lutra.physics.voxel_photons import photon_energy
from lutra.physics.voxels import EnergyMap, Voxels
from lutra.reference.emissions import emission


def numbers(seed: int, history: int, n: int) -> list[float]:
    state = np.empty(2, np.uint64)
    start(state, seed, history)
    return [uniform(state) for _ in range(n)]


def test_histories_repeat_and_differ() -> None:
    assert numbers(1, 2, 5) == numbers(1, 2, 5)
    assert numbers(1, 2, 5) != numbers(1, 3, 5)
    assert numbers(1, 2, 5) != numbers(2, 2, 5)


@pytest.mark.parametrize("along", ["within a history", "over histories", "over seeds"])
def test_numbers_are_even_and_independent(along: str) -> None:
    n = 20_000
    if along == "within a history":
        drawn = np.array(numbers(7, 11, n))
    else:
        drawn = np.array([numbers(7, h, 1)[0] if along == "over histories" else numbers(h, 7, 1)[0] for h in range(n)])
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 4 / np.sqrt(n)


def runs(threads: int) -> tuple[EnergyMap, EnergyMap]:
    rng = np.random.default_rng(3)
    voxels = Voxels(
        rng.integers(0, 2, (6, 5, 4)).astype(np.uint8), np.full((6, 5, 4), 1.1, np.float32), np.full(3, 0.4)
    )
    source, found, lutetium = rng.random((6, 5, 4)), tables(("soft_tissue", "bone")), emission("Lu-177")
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        beta = lutetium.beta_kev, np.ones(lutetium.beta_kev.size)
        photons = photon_energy(found, voxels, source, lutetium.photons[:, lutetium.photons[0] > 2], 20_000, 5)
        return photons, electron_energy(found, voxels, source, beta, 5_000, 5)
    finally:
        numba.set_num_threads(before)


def test_the_number_of_threads_changes_no_bit() -> None:
    most = numba.config.NUMBA_NUM_THREADS
    for one, other in zip(runs(1), runs(most), strict=True):
        np.testing.assert_array_equal(one.kev, other.kev)
        np.testing.assert_array_equal(one.sd_kev, other.sd_kev)
        assert one.escaped_kev == other.escaped_kev


def test_energy_is_kept() -> None:
    """What is deposited and what escapes is what was emitted: to the rounding of the tallies and the draw of the lines."""
    photons, electrons = runs(1)
    lutetium = emission("Lu-177")
    lines = lutetium.photons[:, lutetium.photons[0] > 2]
    assert photons.kev.sum() + photons.escaped_kev == pytest.approx(lines.prod(axis=0).sum(), rel=0.03)
    assert electrons.kev.sum() + electrons.escaped_kev == pytest.approx(lutetium.beta_kev.sum(), rel=0.03)
