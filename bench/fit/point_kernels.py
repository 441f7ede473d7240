"""Write src/lutra/reference/point_kernels.npz: where energy stays around a point source, by our own transport.

Run as `python bench/fit/point_kernels.py [HISTORIES]` after any change of the transport or of its data. With the 400 000 histories
that are shipped it takes about an hour on two cores; the result is the same on any number of them.
"""

import sys
import time
from pathlib import Path

import numpy as np

from lutra.physics.electron_kernel import radial_deposit
from lutra.physics.materials import MATERIALS
from lutra.physics.photon_kernel import radial_absorption
from lutra.physics.transport_tables import tables

OUT = Path(__file__).parents[2] / "src/lutra/reference/point_kernels.npz"
SEED = 1
SHELLS = 100
ELECTRON_KEV = np.geomspace(2.5, 3000.0, 41)
PHOTON_KEV = np.geomspace(2.0, 3000.0, 61)
PHOTON_EDGES = np.concatenate([[0.0], np.geomspace(1e-3, 200.0, 160)])


def main() -> None:
    histories = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    names = tuple(MATERIALS)
    found = tables(names)
    started = time.perf_counter()
    electrons, photons = [], []
    for medium, name in enumerate(names):
        electrons.append([radial_deposit(found, medium, e, SHELLS, histories, SEED) for e in ELECTRON_KEV])
        photons.append([radial_absorption(found, medium, e, PHOTON_EDGES, histories, SEED) for e in PHOTON_KEV])
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    np.savez_compressed(
        OUT,
        materials=np.array(names),
        histories=histories,
        electron_kev=ELECTRON_KEV,
        electron_cumulated=np.cumsum(electrons, axis=-1).astype(np.float32),
        photon_kev=PHOTON_KEV,
        photon_edges_g_per_cm2=PHOTON_EDGES,
        photon_cumulated=np.cumsum(photons, axis=-1).astype(np.float32),
    )
    print(f"{OUT.name}: {OUT.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
