"""Histories per second of the transport, and what a homogeneous kernel costs."""

from __future__ import annotations

import time

import numpy as np

from lutra.physics.electron_kernel import BLOCKS, radial_deposit
from lutra.physics.homogeneous_dose import voxel_kernel
from lutra.physics.point_kernel import electron_spectrum, point_kernel
from lutra.physics.transport_tables import tables
from lutra.physics.voxel_electrons import electron_energy
from lutra.physics.voxel_photons import photon_energy
from lutra.physics.voxels import Voxels
from lutra.reference.emissions import emission

HISTORIES = 1_000_000


def timed(name: str, function, count: int) -> None:
    function()  # compiles
    started = time.perf_counter()
    function()
    seconds = time.perf_counter() - started
    print(f"{name:44s} {seconds:7.2f} s   {count / seconds:10.3g} per second")


def main() -> None:
    found, lutetium = tables(("soft_tissue",)), emission("Lu-177")
    shape = (64, 64, 64)
    voxels = Voxels(np.zeros(shape, np.uint8), np.ones(shape, np.float32), np.full(3, 0.48))
    source = np.zeros(shape)
    source[24:40, 24:40, 24:40] = 1
    lines = lutetium.photons[:, lutetium.photons[0] > 2]
    timed("photons of 177Lu in voxels", lambda: photon_energy(found, voxels, source, lines, HISTORIES, 1), HISTORIES)
    spectrum = electron_spectrum(lutetium)
    timed(
        "electrons of 177Lu in voxels",
        lambda: electron_energy(found, voxels, source, spectrum, HISTORIES, 1),
        HISTORIES,
    )
    count = 40 * BLOCKS
    timed("electrons of 100 keV, endless medium", lambda: radial_deposit(found, 0, 100.0, 100, count, 1), count)
    point = point_kernel("Lu-177", "soft_tissue")
    energy = point.electron_kev + point.photon_kev
    timed("voxel kernel, 255 x 255 x 255", lambda: voxel_kernel(energy, (4.8, 4.8, 4.8), 1.0, (255, 255, 255)), 1)


if __name__ == "__main__":
    main()
