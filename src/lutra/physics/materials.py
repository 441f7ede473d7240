"""What tissues consist of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.reference.interactions import elements


def _frozen(shares: Mapping[int, float]) -> FrozenMap[int, float]:
    return FrozenMap(shares)


@frozen
class DensityEffect:
    """Sternheimer's parameters of the density effect on the stopping power."""

    c: float
    x0: float
    x1: float
    a: float
    m: float


@frozen
class Material:
    """A homogeneous medium.

    Parameters
    ----------
    fractions
        Share of the mass by atomic number. [1]
    excitation_ev
        Mean excitation energy. [eV]
    density_g_per_ml
        Density it usually has; transport works in mass per area and scales to any other. [g/mL]
    """

    name: str
    fractions: FrozenMap[int, float] = field(converter=_frozen)
    excitation_ev: float
    density_g_per_ml: float
    density_effect: DensityEffect

    @property
    def electrons_per_mass(self) -> float:
        """Mean of Z/A. [mol/g]"""
        return float(sum(share * z / atomic_weight(z) for z, share in self.fractions.items()))


H, C, N, O, NA, MG, P, S, CL, AR, K, CA = 1, 6, 7, 8, 11, 12, 15, 16, 17, 18, 19, 20  # noqa: E741
WATER = Material("water", {H: 0.1119, O: 0.8881}, 75.0, 1.0, DensityEffect(3.5017, 0.2400, 2.8004, 0.09116, 3.4773))
SOFT = Material(
    "soft_tissue",
    {H: 0.102, C: 0.143, N: 0.034, O: 0.708, NA: 0.002, P: 0.003, S: 0.003, CL: 0.002, K: 0.003},
    74.7,
    1.03,
    DensityEffect(3.4354, 0.2211, 2.7799, 0.08926, 3.5110),
)
ADIPOSE = Material(
    "adipose",
    {H: 0.114, C: 0.598, N: 0.007, O: 0.278, NA: 0.001, S: 0.001, CL: 0.001},
    64.8,
    0.95,
    DensityEffect(3.2367, 0.1827, 2.6530, 0.10278, 3.4817),
)
LUNG = Material(
    "lung",
    {H: 0.103, C: 0.105, N: 0.031, O: 0.749, NA: 0.002, P: 0.002, S: 0.003, CL: 0.003, K: 0.002},
    75.3,
    0.26,
    DensityEffect(3.4708, 0.2261, 2.8001, 0.08588, 3.5353),
)
BONE = Material(
    "bone",
    {H: 0.034, C: 0.155, N: 0.042, O: 0.435, NA: 0.001, MG: 0.002, P: 0.103, S: 0.003, CA: 0.225},
    112.0,
    1.92,
    DensityEffect(3.6488, 0.1161, 3.0919, 0.06198, 3.5919),
)
AIR = Material(
    "air",
    {C: 0.000124, N: 0.755268, O: 0.231781, AR: 0.012827},
    85.7,
    0.001205,
    DensityEffect(10.5961, 1.7418, 4.2759, 0.10914, 3.3994),
)
MATERIALS = {material.name: material for material in (WATER, SOFT, ADIPOSE, LUNG, BONE, AIR)}
"""Compositions and excitation energies: ICRU Report 44; density effect: Sternheimer, At Data Nucl Data Tables 30:261."""


def material(name: str) -> Material:
    """Look up a material; `bone_30` is 30 % of the mass cortical bone in soft tissue.

    Raises
    ------
    UsageError
        If it is not known; lists those that are.
    """
    base, _, percent = name.partition("_")
    if base == "bone" and percent.isdigit() and int(percent) <= 100:
        return _bony(name, int(percent) / 100)
    if name not in MATERIALS:
        raise UsageError(f"material {name!r} is not known", required=f"one of: {', '.join(MATERIALS)}")
    return MATERIALS[name]


def _bony(name: str, share: float) -> Material:
    """Mix bone into soft tissue by mass; excitation energies mix by electrons, in the logarithm (Bragg)."""
    elements_in = {*BONE.fractions, *SOFT.fractions}
    fractions = {z: share * BONE.fractions.get(z, 0.0) + (1 - share) * SOFT.fractions.get(z, 0.0) for z in elements_in}
    weights = share * BONE.electrons_per_mass, (1 - share) * SOFT.electrons_per_mass
    logs = np.log([BONE.excitation_ev, SOFT.excitation_ev])
    density = 1 / (share / BONE.density_g_per_ml + (1 - share) / SOFT.density_g_per_ml)
    excitation_ev = float(np.exp(np.average(logs, weights=weights)))
    return Material(name, dict(sorted(fractions.items())), excitation_ev, density, SOFT.density_effect)


@cache
def atomic_weight(element: int) -> float:
    """Relative atomic mass. [g/mol]"""
    table = elements()
    return float(table.atomic_weight[np.flatnonzero(table.element == element)[0]])


def mixed(medium: Material, by_element: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean over the mass of a quantity tabulated by element. (m)"""
    table = elements()
    total = sum(medium.fractions.values())
    rows = [np.flatnonzero(table.element == z)[0] for z in medium.fractions]
    shares = np.array(list(medium.fractions.values())) / total
    mean: npt.NDArray[np.float64] = shares @ by_element[rows]
    return mean
