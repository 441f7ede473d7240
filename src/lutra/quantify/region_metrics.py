"""The numbers of a region in an image, each with the sources of its uncertainty.

Sources are named after what is shared: `camera calibration` by every scan, `volume: L01` and `recovery: L01` by every scan of one
lesion. What the site has not given is None.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from lutra.core.calibration import Calibration
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Measurements
from lutra.core.region import Region
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.recovery import relative_volume_sd, sphere_diameter_mm
from lutra.quantify.camera import calibration_sources
from lutra.quantify.recovery import activity_volume_sensitivity, recovery_for
from lutra.quantify.settings import QuantifySettings

PEAK_RADIUS_MM = 6.2035
"""Radius of a 1.0 mL sphere (SUVpeak, PERCIST)."""
PEAK_SUPERSAMPLING = 7
INSIDE = 0.5
"""A voxel counts for a maximum if at least this share of it is inside."""


def measure(
    volume: Volume,
    region: Region,
    region_id: str,
    series_uid: str,
    settings: QuantifySettings,
    calibration: Calibration | None = None,
) -> Outcome[Measurements]:
    """Measure a region in an image on the same grid.

    Parameters
    ----------
    region_id
        Lesion id or region name, by which sources of uncertainty are shared between images.
    calibration
        What applies to this therapy SPECT.

    Returns
    -------
    Outcome
        `volume` always; `activity`, `concentration` of Bq/mL images; `suv_max`, `suv_mean`, `suv_peak`, `tlg` of SUV images;
        `adc_mean`, `adc_median`, `adc_p10`, `adc_p90` of ADC maps; `hu_mean`, `hu_sd` of CT.

    Raises
    ------
    GridMismatch
        If image and region are on different grids.
    """
    region.grid.require_match(volume.grid, f"region {region.name} and image {series_uid}")
    voxels = volume.values[region.box].astype(np.float64)
    weights = region.fraction.astype(np.float64)
    if not weights.sum() > 0:
        text = f"region {region.name} holds no part of any voxel of series {series_uid}"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.empty-region", text),))
    size = _volume(region, region_id, settings)
    findings: list[Finding] = []
    noise = FrozenMap({f"noise: {region_id} {series_uid}": None})
    values = {"volume": size}
    mean = float(np.average(voxels, weights=weights))
    match volume.unit:
        case Unit.BQ_PER_ML:
            values |= _activity(mean, size, region_id, volume, settings, calibration or Calibration(), findings)
        case Unit.SUV_BW:
            inside = voxels[weights >= min(INSIDE, float(weights.max()))]
            values["suv_max"] = Estimate(float(inside.max()), Unit.SUV_BW, noise)
            values["suv_mean"] = Estimate(mean, Unit.SUV_BW, FrozenMap({**noise, f"volume: {region_id}": None}))
            values["suv_peak"] = Estimate(_suv_peak(volume, region), Unit.SUV_BW, noise)
            values["tlg"] = values["suv_mean"].scaled(size.value, Unit.SUV_BW_ML)
        case Unit.MM2_PER_S:
            unknown = FrozenMap({**noise, f"volume: {region_id}": None})
            values["adc_mean"] = Estimate(mean, Unit.MM2_PER_S, unknown)
            for name, share in (("adc_p10", 0.1), ("adc_median", 0.5), ("adc_p90", 0.9)):
                values[name] = Estimate(weighted_quantile(voxels, weights, share), Unit.MM2_PER_S, unknown)
        case Unit.HU:
            spread = float(np.sqrt(np.average((voxels - mean) ** 2, weights=weights)))
            n = weights.sum() ** 2 / (weights**2).sum()
            values["hu_mean"] = Estimate(
                mean, Unit.HU, FrozenMap({f"noise: {region_id} {series_uid}": spread / n**0.5})
            )
            values["hu_sd"] = Estimate(spread, Unit.HU, noise)
    return Outcome(Measurements(series_uid, region_id, FrozenMap(values)), findings)


def weighted_quantile(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], share: float) -> float:
    """Quantile of voxels that count by their fraction inside the region."""
    # A voxel outside has no weight, but would still be a point to interpolate from below the first and above the last.
    values, weights = values[weights > 0], weights[weights > 0]
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order])
    middle = (cumulated - weights[order] / 2) / cumulated[-1]
    return float(np.interp(share, middle, values[order]))


def _volume(region: Region, region_id: str, settings: QuantifySettings) -> Estimate:
    volume_ml = region.volume_ml
    relative = None
    if settings.delineation_fwhm_mm is not None:
        voxel_mm = float(np.prod(region.grid.spacing_mm) ** (1 / 3))
        relative = relative_volume_sd(sphere_diameter_mm(volume_ml), voxel_mm, settings.delineation_fwhm_mm)
    return Estimate(volume_ml, Unit.ML).with_sources({f"volume: {region_id}": relative})


def _activity(
    mean_bq_per_ml: float,
    size: Estimate,
    region_id: str,
    volume: Volume,
    settings: QuantifySettings,
    calibration: Calibration,
    findings: list[Finding],
) -> dict[str, Estimate]:
    """Concentration and activity; the volume's error enters the two with opposite signs (Gear 2018).

    None of them if the protocol asks for a correction that cannot be made.
    """
    volume_source, recovery_source = f"volume: {region_id}", f"recovery: {region_id}"
    found = recovery_for(size.value, region_id, settings, calibration)
    findings += found.findings
    if found.value is None:
        return {}
    recovery, recovery_sd = found.value
    u_volume = size.relative()[volume_source]
    share = activity_volume_sensitivity(size.value, settings, calibration)
    of_activity = of_concentration = None
    if u_volume is not None and share is not None:
        of_activity = share * u_volume
        of_concentration = of_activity - u_volume
    shared = calibration_sources(volume, calibration, settings) | {recovery_source: recovery_sd}
    concentration = Estimate(mean_bq_per_ml / recovery, Unit.BQ_PER_ML)
    activity = Estimate(mean_bq_per_ml * size.value / recovery, Unit.BQ)
    return {
        "concentration": concentration.with_sources({**shared, volume_source: of_concentration}),
        "activity": activity.with_sources({**shared, volume_source: of_activity}),
    }


def _suv_peak(volume: Volume, region: Region) -> float:
    """Highest mean in a 1.0 mL sphere whose centre is a voxel of the region."""
    kernel = _sphere_kernel(volume.grid.spacing_mm)
    margin = np.array(kernel.shape) // 2
    start = np.maximum(np.array(region.start_ijk) - margin, 0)
    stop = np.minimum(np.array(region.start_ijk) + region.fraction.shape + margin, volume.grid.shape)
    block = volume.values[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].astype(np.float64)
    total = fftconvolve(block, kernel, mode="same")
    share = fftconvolve(np.ones_like(block), kernel, mode="same")  # below 1 where the sphere leaves the image
    offset = np.array(region.start_ijk) - start
    inner = tuple(slice(o, o + n) for o, n in zip(offset, region.fraction.shape, strict=True))
    means = (total / share)[inner]
    return float(means[region.fraction >= min(INSIDE, float(region.fraction.max()))].max())


def _sphere_kernel(spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Share of each voxel around the centre one that lies in the sphere, normalised to sum 1."""
    half = [int(np.ceil(PEAK_RADIUS_MM / s)) for s in spacing_mm]
    fine = (np.arange(PEAK_SUPERSAMPLING) + 0.5) / PEAK_SUPERSAMPLING - 0.5
    axes = [((np.arange(-h, h + 1)[:, None] + fine) * s).ravel() ** 2 for h, s in zip(half, spacing_mm, strict=True)]
    inside = axes[0][:, None, None] + axes[1][:, None] + axes[2] <= PEAK_RADIUS_MM**2
    n = PEAK_SUPERSAMPLING
    kernel: npt.NDArray[np.float64] = inside.reshape(2 * half[0] + 1, n, 2 * half[1] + 1, n, 2 * half[2] + 1, n).mean(
        axis=(1, 3, 5)
    )
    kernel /= kernel.sum()
    return kernel
