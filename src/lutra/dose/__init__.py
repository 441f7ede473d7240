"""Stage 7: time-integrated activity and mass to absorbed dose.

Engines answer side by side; :func:`compare_engines` says where they differ by more than they may.
"""

from lutra.dose.compare import compare_engines
from lutra.dose.mass import mass_from_ct, mass_from_volume
from lutra.dose.organ_s import OrganS
from lutra.dose.settings import DoseSettings
from lutra.dose.sphere import SphereModel
from lutra.dose.voxel_engines import Fft, FullMonteCarlo, Hybrid, Local

__all__ = [
    "DoseSettings",
    "Fft",
    "FullMonteCarlo",
    "Hybrid",
    "Local",
    "OrganS",
    "SphereModel",
    "compare_engines",
    "mass_from_ct",
    "mass_from_volume",
]
