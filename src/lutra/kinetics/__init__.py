"""Stage 6: activities over time to a time-integrated activity.

A model says whether the points identify it. If they do not, it refuses, and the next model of the protocol is asked; the last
one carries what is not known as an interval. The same compiled least squares serve regions and voxels.
"""

from lutra.kinetics.bayesian import Bayesian
from lutra.kinetics.biexponential import Biexponential, TwoPhaseWashout
from lutra.kinetics.fit import fit_first
from lutra.kinetics.hybrid_planar import scaled_by_spect
from lutra.kinetics.joint import Cost, JointFit, fit_jointly
from lutra.kinetics.model_choice import Akaike
from lutra.kinetics.monoexponential import Monoexponential
from lutra.kinetics.one_scan import Haenscheid, Madsen
from lutra.kinetics.population_tail import PopulationTail
from lutra.kinetics.previous_cycle import PreviousCycle, with_earlier_cycle
from lutra.kinetics.settings import KineticsSettings
from lutra.kinetics.triexponential import Triexponential
from lutra.kinetics.voxelwise import VoxelFits, fit_voxels

__all__ = [
    "Akaike",
    "Bayesian",
    "Biexponential",
    "Cost",
    "Haenscheid",
    "JointFit",
    "KineticsSettings",
    "Madsen",
    "Monoexponential",
    "PopulationTail",
    "PreviousCycle",
    "Triexponential",
    "TwoPhaseWashout",
    "VoxelFits",
    "fit_first",
    "fit_jointly",
    "fit_voxels",
    "scaled_by_spect",
    "with_earlier_cycle",
]
