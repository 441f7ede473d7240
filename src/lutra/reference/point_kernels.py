"""Where energy stays around a point source, as our own transport found it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import float64


def _texts(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(name) for name in names)


@frozen(eq=False)
class KernelTables:
    """Share of the energy that stays within a distance, in an endless medium.

    Parameters
    ----------
    materials
        Names of the media.
    electron_kev, photon_kev
        Energies. [keV] (e), (p)
    electron_cumulated
        Share within equal steps of the range, up to the range. (materials, e, shells)
    photon_edges_g_per_cm2
        Distances times density, from 0. [g/cm2] (n + 1)
    photon_cumulated
        Share within them. (materials, p, n)
    histories
        Histories per energy. The sum over all shells has a relative standard error below 1e-3 by that.
    """

    materials: tuple[str, ...] = field(converter=_texts)
    histories: int = field(converter=int)
    electron_kev: npt.NDArray[np.float64] = field(converter=float64)
    electron_cumulated: npt.NDArray[np.float64] = field(converter=float64)
    photon_kev: npt.NDArray[np.float64] = field(converter=float64)
    photon_edges_g_per_cm2: npt.NDArray[np.float64] = field(converter=float64)
    photon_cumulated: npt.NDArray[np.float64] = field(converter=float64)

    def medium(self, name: str) -> int:
        """Row of a medium.

        Raises
        ------
        UsageError
            If there is none of that name; lists those there are.
        """
        if name not in self.materials:
            raise UsageError(f"no kernel for material {name!r}", required=f"one of: {', '.join(self.materials)}")
        return self.materials.index(name)


@cache
def kernel_tables() -> KernelTables:
    """Read the tables that come with the program."""
    with as_file(files("lutra.reference") / "point_kernels.npz") as path, np.load(path) as table:
        return KernelTables(**{name: table[name] for name in table.files})
