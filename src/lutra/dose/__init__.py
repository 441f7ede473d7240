"""Stage 7: time-integrated activity and mass to absorbed dose.

Engines answer side by side; :func:`compare_engines` says where they differ by more than they may.
"""

from lutra.dose.compare import compare_engines
from lutra.dose.local import LocalDeposition
from lutra.dose.mass import mass_from_ct, mass_from_volume
from lutra.dose.settings import DoseSettings
from lutra.dose.sphere import SphereModel

__all__ = [
    "DoseSettings",
    "LocalDeposition",
    "SphereModel",
    "compare_engines",
    "mass_from_ct",
    "mass_from_volume",
]
