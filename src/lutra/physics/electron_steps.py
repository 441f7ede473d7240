"""Condensed histories of electrons: energy by the continuous slowing down, direction by multiple scattering.

An electron goes in steps that take a fixed share of the range it has left. What many elastic collisions do to the direction on
the way is drawn from one Rutherford law whose mean cosine is exact (Lewis), and the turn sits at a random point of the step.
Energy straggling is not followed: it widens the end of the track of one energy, and is lost in the spectrum of a beta decay.

References
----------
[lewis] Lewis, Phys Rev 78:526. [penelope] Salvat, PENELOPE-2018, NEA, chapter 4: the random hinge.
"""

from __future__ import annotations

from math import exp, log

from lutra.physics.compiled import compiled
from lutra.physics.random_numbers import State, uniform
from lutra.physics.transport_tables import HINGE_COLUMNS, HINGE_LOWEST, Tables, at_energy, energy_of_range

STOP_KEV = 2.0
"""Below this an electron is taken to stop where it is: its range is under 0.2 um of water."""


@compiled
def cosine_of_step(tables: Tables, medium: int, path_g_per_cm2: float, kev: float, state: State) -> float:
    """Draw the cosine of the deflection along a step, at the mean energy of the step."""
    mean = 1.0 - exp(-path_g_per_cm2 * at_energy(tables.transport_cm2_per_g, medium, kev))
    x = (log(max(mean, 1e-12)) - HINGE_LOWEST) / -HINGE_LOWEST * (HINGE_COLUMNS - 1)
    n = min(max(int(x), 0), HINGE_COLUMNS - 2)
    share = min(max(x - n, 0.0), 1.0)
    screening = exp(tables.hinge[n] + share * (tables.hinge[n + 1] - tables.hinge[n]))
    u = uniform(state)
    return float(1.0 - 2.0 * screening * u / (1.0 - u + screening))


@compiled
def deposited_between(tables: Tables, medium: int, before_kev: float, after_kev: float) -> float:
    """Energy given to the medium between two energies: what is lost, less what leaves as bremsstrahlung. [keV]"""
    first = at_energy(tables.radiated, medium, before_kev)
    last = at_energy(tables.radiated, medium, after_kev) if after_kev > 1.0 else 0.0
    return before_kev - after_kev - (first - last)


@compiled
def energy_after(tables: Tables, medium: int, kev: float, path_g_per_cm2: float) -> float:
    """Energy left behind a path; 0 if it stops on the way. [keV]"""
    left = at_energy(tables.range_g_per_cm2, medium, kev) - path_g_per_cm2
    return energy_of_range(tables.range_g_per_cm2, medium, left) if left > 0 else 0.0
