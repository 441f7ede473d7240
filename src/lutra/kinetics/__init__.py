"""Stage 6: activities over time to a time-integrated activity.

A model says whether the points identify it. If they do not, it refuses, and the next model of the protocol is asked; the last
one carries what is not known as an interval.
"""

from lutra.kinetics.fit import fit_first
from lutra.kinetics.monoexponential import Monoexponential
from lutra.kinetics.population_tail import PopulationTail
from lutra.kinetics.settings import KineticsSettings

__all__ = ["KineticsSettings", "Monoexponential", "PopulationTail", "fit_first"]
