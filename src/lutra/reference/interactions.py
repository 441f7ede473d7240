"""How photons interact with the elements of the body."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import float64


@frozen(eq=False)
class ElementTables:
    """Cross sections of the elements.

    Parameters
    ----------
    element
        Atomic numbers. (n)
    atomic_weight
        Relative atomic masses. [g/mol] (n)
    energy_kev
        Photon energies, evenly spaced in their logarithm. [keV] (m)
    photoelectric_cm2_per_g, incoherent_cm2_per_g, coherent_cm2_per_g
        Mass attenuation by process. [cm2/g] (n, m)
    momentum_per_angstrom
        Momentum transfer, sin(theta/2) / wavelength. [1/A] (k)
    scattering_function, form_factor
        Incoherent scattering function and coherent form factor, per atom. [1] (n, k)

    References
    ----------
    [epdl97] Cullen et al., EPDL97, UCRL-50400 vol. 6, by way of [xraylib] Schoonjans et al., Spectrochim Acta B 66:776.
    """

    element: npt.NDArray[np.int16]
    atomic_weight: npt.NDArray[np.float64] = field(converter=float64)
    energy_kev: npt.NDArray[np.float64] = field(converter=float64)
    photoelectric_cm2_per_g: npt.NDArray[np.float64] = field(converter=float64)
    incoherent_cm2_per_g: npt.NDArray[np.float64] = field(converter=float64)
    coherent_cm2_per_g: npt.NDArray[np.float64] = field(converter=float64)
    momentum_per_angstrom: npt.NDArray[np.float64] = field(converter=float64)
    scattering_function: npt.NDArray[np.float64] = field(converter=float64)
    form_factor: npt.NDArray[np.float64] = field(converter=float64)


@cache
def elements() -> ElementTables:
    """Read the tables that come with the program."""
    with as_file(files("lutra.reference") / "interactions.npz") as path, np.load(path) as table:
        return ElementTables(**{name: table[name] for name in table.files})
