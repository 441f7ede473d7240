"""The shape of a curve from planar images, its height from one SPECT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.core.curve import TimeActivityCurve
from lutra.core.errors import OutsideValidity
from lutra.core.estimate import Estimate, Unit

INTERPOLATION_SOURCE = "planar curve at the SPECT"


def scaled_by_spect(
    region: str,
    nuclide: str,
    times_s: npt.ArrayLike,
    planar: Sequence[Estimate],
    spect: Estimate,
    spect_time_s: float,
    tissue: str | None = None,
) -> TimeActivityCurve:
    """Scale a relative curve so that it passes through a quantitative activity.

    Between two planar images the curve is interpolated exponentially. What is wrong with the planar images at all times alike
    (attenuation, overlap) cancels; what is wrong with the SPECT is one factor of all points and does not average out.

    Parameters
    ----------
    times_s
        Of the planar images, since the start of the administration. [s] (n,)
    planar
        Counts of the region, background and attenuation corrected, in any one unit. A budget source "noise: ..." is of one image
        alone, every other is common to them. (n,)
    spect
        Activity of the region. [Bq]
    spect_time_s
        When. Within the planar times. [s]

    Returns
    -------
    TimeActivityCurve
        At the planar times. [Bq]

    Raises
    ------
    OutsideValidity
        If the SPECT lies outside the planar times, where their curve would have to be extrapolated, or counts are not positive.
    """
    times = np.asarray(times_s, dtype=np.float64)
    counts = np.array([p.value for p in planar])
    if not times[0] <= spect_time_s <= times[-1] or np.any(counts <= 0):
        raise OutsideValidity(
            f"SPECT at {spect_time_s:g} s, planar images from {times[0]:g} s to {times[-1]:g} s",
            where=region,
            required="positive counts, and the SPECT within the planar times",
            do="choose a SPECT between the first and the last planar image",
        )
    later = int(np.clip(np.searchsorted(times, spect_time_s), 1, len(times) - 1)) if len(times) > 1 else 0
    share = (spect_time_s - times[later - 1]) / (times[later] - times[later - 1]) if len(times) > 1 else 1.0
    logs = np.log(counts)
    at_spect = np.exp((1 - share) * logs[later - 1] + share * logs[later])
    # Counting noise of the images the factor is taken from is one error of the whole curve from now on.
    noise = np.hypot((1 - share) * _noise(planar[later - 1]), share * _noise(planar[later]))
    factor = spect.scaled(1 / at_spect, Unit.ONE).with_sources({f"{INTERPOLATION_SOURCE}: {region}": float(noise)})
    activities = tuple(_own_noise(p).times(factor, Unit.BQ) for p in planar)
    return TimeActivityCurve(region, nuclide, times, activities, tissue)


def _noise(planar: Estimate) -> float:
    parts = [sd for name, sd in planar.budget.items() if name.startswith("noise: ") and sd is not None]
    return float(np.hypot.reduce(parts)) / planar.value if parts else 0.0


def _own_noise(planar: Estimate) -> Estimate:
    """Leave out what is common to all planar images: the factor takes it away."""
    return Estimate(
        planar.value, planar.unit, {name: sd for name, sd in planar.budget.items() if name.startswith("noise: ")}
    )
