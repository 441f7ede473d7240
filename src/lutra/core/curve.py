"""Activity over time and what is inferred from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import InputError, UnitMismatch
from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap, float64, frozen_map
from lutra.core.units import Unit


@frozen(eq=False)
class TimeActivityCurve:
    """Activity of one region at the times it was measured.

    Parameters
    ----------
    region
        Name or lesion id.
    nuclide
        `Lu-177`.
    times_s
        Since the start of the administration, strictly increasing, positive. [s] (n,)
    activities
        Activity at those times, *not* decay corrected. [Bq] (n,)
    tissue
        What the region is, as populations of half-lives are named: `tumour`, `kidney`. None: not known.
    earlier_half_life
        Effective half-life of this region as an earlier cycle showed it. [s] None: there is none.
    """

    region: str
    nuclide: str
    times_s: npt.NDArray[np.float64] = field(converter=float64)
    activities: tuple[Estimate, ...]
    tissue: str | None = None
    earlier_half_life: Estimate | None = None

    def __attrs_post_init__(self) -> None:
        if len(self.times_s) != len(self.activities) or not len(self.times_s):
            raise InputError(f"{len(self.times_s)} times and {len(self.activities)} activities", where=self.region)
        if self.times_s[0] <= 0 or np.any(np.diff(self.times_s) <= 0):
            raise InputError(
                f"times {self.times_s.tolist()} s are not positive and increasing",
                where=self.region,
                do="check the administration time and the acquisition times of the scans",
            )
        if any(activity.unit is not Unit.BQ for activity in self.activities):
            raise UnitMismatch("activities of a curve are in Bq", where=self.region)

    @property
    def activities_bq(self) -> npt.NDArray[np.float64]:
        """Best values. [Bq] (n,)"""
        return np.array([activity.value for activity in self.activities])


@frozen(eq=False)
class CurveBand:
    """A fitted curve with its pointwise 95 % interval, for plotting and for convolution with a dose rate.

    Parameters
    ----------
    times_s
        Since the start of the administration. [s] (n,)
    activity_bq, low_bq, high_bq
        Best curve and interval. [Bq] (n,)
    """

    times_s: npt.NDArray[np.float64] = field(converter=float64)
    activity_bq: npt.NDArray[np.float64] = field(converter=float64)
    low_bq: npt.NDArray[np.float64] = field(converter=float64)
    high_bq: npt.NDArray[np.float64] = field(converter=float64)


@frozen
class Phase:
    """One exponential of a fitted curve.

    Parameters
    ----------
    amplitude_bq
        At time zero; negative for an uptake. [Bq]
    rate_per_s
        Effective rate, physical decay included. [/s]
    """

    amplitude_bq: float
    rate_per_s: float


@frozen(eq=False)
class TacFit:
    """A time-activity curve with its integral.

    Parameters
    ----------
    model
        Qualified name of the model that was used, `distribution.name@version`.
    parameters
        By name, each with its uncertainty.
    time_integrated_activity
        From the start of the administration to infinity. [Bq.s]
    effective_half_life
        Of the last phase. [s]
    extrapolated_fraction
        Share of the integral outside the measured times. [1]
    identifiable
        Whether the points determine every parameter. If not, a population or an assumption does; a Finding says which.
    phases
        The best curve as a sum of exponentials from time zero; empty where the model has no such form.
    """

    curve: TimeActivityCurve
    model: str
    parameters: FrozenMap[str, Estimate] = field(converter=frozen_map)
    time_integrated_activity: Estimate
    effective_half_life: Estimate
    extrapolated_fraction: float
    identifiable: bool
    band: CurveBand
    phases: tuple[Phase, ...] = ()
