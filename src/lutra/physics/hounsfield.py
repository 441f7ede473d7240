"""CT numbers as tissue: density and composition."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HU_NODES = (-1000.0, -98.0, 14.0, 23.0, 101.0, 1600.0, 3000.0)
DENSITY_NODES_G_PER_ML = (0.00121, 0.930, 1.030, 1.031, 1.0762, 1.9642, 2.8)
"""Density over CT number, piecewise linear [schneider2000].

The published connective-tissue branch (1.1199 g/mL at 100 HU) falls to 1.0762 at 101 HU. Here 23 HU is joined straight to the
skeletal branch, so that density never falls with HU. Tissue of 0 HU has 1.0175 g/mL: it is not water.
"""
MEDIA = ("air", "lung", "adipose", "soft_tissue", *(f"bone_{share}" for share in (10, 30, 50, 70, 90)))
"""Media a CT is told into, in the order of their CT numbers; `bone_30` is 30 % of the mass cortical bone in soft tissue."""
MEDIA_FROM_HU = (-900.0, -200.0, -42.0, 100.0, 380.0, 660.0, 940.0, 1220.0)
"""Least CT number of each medium but the first: half way between the tissues; bone in fifths from 100 to 1500 HU."""


def density_g_per_ml(hu: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Density of tissue of a CT number; padding below -1000 HU is air, metal above 3000 HU is not told apart. [g/mL]

    Validity: CT without contrast medium, which raises the CT number and hardly the density.

    References
    ----------
    [schneider2000] Schneider et al., Phys Med Biol 45:459.
    """
    return np.interp(np.asarray(hu, np.float64), HU_NODES, DENSITY_NODES_G_PER_ML).astype(np.float32)


def medium(hu: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Index into :data:`MEDIA`."""
    index: npt.NDArray[np.uint8] = np.digitize(np.asarray(hu), MEDIA_FROM_HU).astype(np.uint8)
    return index
