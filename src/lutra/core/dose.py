"""Absorbed dose of one region."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.estimate import Estimate
from lutra.core.frozen import float64


@frozen(eq=False)
class Dvh:
    """Cumulative dose-volume histogram.

    Parameters
    ----------
    dose_gy
        Dose levels, increasing from 0. [Gy] (n,)
    volume_fraction
        Share of the region's volume that receives at least that dose. [1] (n,)
    """

    dose_gy: npt.NDArray[np.float64] = field(converter=float64)
    volume_fraction: npt.NDArray[np.float64] = field(converter=float64)

    def d_percent(self, percent: float) -> float:
        """Dose that at least `percent` of the volume receives (D98, D90, D50, D2). [Gy]"""
        return float(np.interp(-percent / 100, -self.volume_fraction, self.dose_gy))


@frozen(eq=False)
class DoseResult:
    """Absorbed dose of a region by one engine.

    Parameters
    ----------
    region
        Name or lesion id.
    engine
        Qualified name, `distribution.name@version`.
    absorbed_dose
        Mean over the region. [Gy]
    mass
        Mass the energy was divided by. [g]
    dvh
        Distribution within the region, where the engine resolves voxels.
    """

    region: str
    engine: str
    absorbed_dose: Estimate
    mass: Estimate
    dvh: Dvh | None = None
