"""Concentration and activity of a kidney from small spheres placed in it, see :mod:`lutra.segment.small_voi`."""

from __future__ import annotations

import numpy as np

from lutra.core.calibration import Calibration
from lutra.core.errors import UnitMismatch
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Measurements
from lutra.core.region import Region
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify.camera import calibration_sources
from lutra.quantify.settings import QuantifySettings


def measure_small_vois(
    volume: Volume,
    spheres: tuple[Region, ...],
    kidney_volume: Estimate,
    region_id: str,
    series_uid: str,
    settings: QuantifySettings,
    calibration: Calibration | None = None,
) -> Outcome[Measurements]:
    """Take the mean over the spheres as the concentration of the whole kidney.

    Parameters
    ----------
    volume
        SPECT. [Bq/mL]
    spheres
        At least two, on its grid.
    kidney_volume
        Of the parenchyma, from CT. [mL]

    Returns
    -------
    Outcome
        `concentration`, `activity` (concentration x volume) and the `volume` they stand for. What varies between the spheres, noise
        and true differences alike, is the source `spheres: ID SERIES`: their standard deviation over the root of their number.
        The recovery is that of the settings; without one nothing is corrected and the source stays not evaluated.

    Raises
    ------
    GridMismatch
        If a sphere is on another grid.
    UnitMismatch
        If the image is not in Bq/mL.
    """
    if volume.unit is not Unit.BQ_PER_ML:
        raise UnitMismatch(f"a concentration from an image in {volume.unit}", required=str(Unit.BQ_PER_ML))
    means = []
    for sphere in spheres:
        sphere.grid.require_match(volume.grid, f"{sphere.name} and image {series_uid}")
        voxels = volume.values[sphere.box].astype(np.float64)
        if np.isfinite(voxels[sphere.fraction > 0]).all():
            means.append(float(np.average(voxels, weights=sphere.fraction)))
    if len(means) < 2 or not np.mean(means) > 0:
        text = (
            f"{region_id}: {len(means)} spheres with a value in series {series_uid}, mean {np.mean(means or [0.0]):.3g} Bq/mL. "
            "Required: two at least, and a positive mean"
        )
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.no-small-voi", text),))
    mean, spread = float(np.mean(means)), float(np.std(means, ddof=1)) / len(means) ** 0.5
    recovery = settings.small_voi_recovery
    recovery_sd = None if recovery is None else settings.small_voi_recovery_sd / recovery
    shared = calibration_sources(volume, calibration or Calibration(), settings) | {
        f"spheres: {region_id} {series_uid}": spread / mean,
        "recovery: small VOI": recovery_sd,
    }
    concentration = Estimate(mean / (recovery or 1.0), Unit.BQ_PER_ML).with_sources(shared)
    values = {
        "volume": kidney_volume,
        "concentration": concentration,
        "activity": concentration.times(kidney_volume, Unit.BQ),
    }
    return Outcome(
        Measurements(series_uid, region_id, FrozenMap(values), f"{len(means)} small VOI: {spheres[0].source}")
    )
