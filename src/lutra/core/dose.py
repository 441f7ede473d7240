"""Absorbed dose of one region."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap, float64, frozen_map
from lutra.core.volume import Volume


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


@frozen(eq=False)
class DoseMap:
    """Absorbed dose of every voxel.

    Parameters
    ----------
    dose
        Volume in Gy.
    sd
        Standard error of what was drawn by Monte Carlo, in Gy; None where nothing was.
    engine
        Qualified name of the engine.
    audit
        Where the energy went, by name. [keV per decay] Whatever was emitted is in one of them.
    """

    dose: Volume
    sd: Volume | None
    engine: str
    audit: FrozenMap[str, float] = field(factory=FrozenMap, converter=frozen_map)
