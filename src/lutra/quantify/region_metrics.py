"""The numbers of a region in an image, each with the sources of its uncertainty.

Sources are named after what is shared: `camera calibration` by every scan, `volume: L01` and `recovery: L01` by every scan of one
lesion. What the site has not given is None.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lutra.core.calibration import Calibration
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Measurements
from lutra.core.region import Region
from lutra.core.study import Role
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.physics.recovery import relative_volume_sd, sphere_diameter_mm
from lutra.quantify.camera import calibration_sources
from lutra.quantify.noise import border_effect, sd_of_mean
from lutra.quantify.peak import suv_peak
from lutra.quantify.recovery import activity_volume_sensitivity, recovery_for
from lutra.quantify.settings import QuantifySettings
from lutra.quantify.weighted import Floats, counted, independent_samples, weighted_quantile, weighted_sd

BODY_SIZE = "body size formula"
"""Uncertainty source of an SUV by lean body mass or body surface: how far the formula is from this body."""
SCALED = {"sul": Unit.SUV_LBM, "sul_james": Unit.SUV_LBM_JAMES, "suv_bsa": Unit.SUV_BSA}
"""Variants of the SUV, by the name their values begin with."""
ADC_SHARES = (("adc_p10", 0.1), ("adc_median", 0.5), ("adc_p90", 0.9))


def measure(
    volume: Volume,
    region: Region,
    region_id: str,
    series_uid: str,
    settings: QuantifySettings,
    calibration: Calibration | None = None,
    scales: Mapping[str, float] = FrozenMap(),
    role: Role | None = None,
) -> Outcome[Measurements]:
    """Measure a region in an image on the same grid.

    Voxels count by their share inside the region; for a maximum, and as centre of the 1 mL sphere of `suv_peak`, those at least
    half inside. Voxels without a value (NaN, and 0 of an ADC map) are left out, with a Finding.

    Parameters
    ----------
    region_id
        Lesion id or region name, by which sources of uncertainty are shared between images.
    calibration
        What applies to this therapy SPECT.
    scales
        Factors from SUVbw to other SUVs of this patient, by name: `sul` (lean body mass by Janmahasatian), `sul_james`,
        `suv_bsa`. [1]
    role
        What the image is for; an SSTR PET has `sstr_tv` and `tl_sstr` where others have `mtv` and `tlg`.

    Returns
    -------
    Outcome
        `volume` always; `activity`, `concentration` of Bq/mL images; `suv_max`, `suv_mean`, `suv_peak`, `mtv`, `tlg` of SUV
        images, and `sul_max` and its like where a scale is given; `adc_mean`, `adc_median`, `adc_p10`, `adc_p90` of ADC maps;
        `hu_mean`, `hu_sd` of CT. All in the region as it was delineated, which the result names.

    Raises
    ------
    GridMismatch
        If image and region are on different grids.
    """
    region.grid.require_match(volume.grid, f"region {region.name} and image {series_uid}")
    voxels = volume.values[region.box].astype(np.float64)
    weights = region.fraction.astype(np.float64)
    findings: list[Finding] = []
    known = np.isfinite(voxels)
    if volume.unit is Unit.MM2_PER_S:
        known &= voxels > 0  # makers, and our own fits, write 0 where there is no coefficient
    if not known.all():
        findings += _left_out(region, series_uid, float(weights[~known].sum() / (weights.sum() or 1)))
        voxels, weights = np.where(known, voxels, 0.0), np.where(known, weights, 0.0)
    if not weights.sum() > 0:
        text = f"region {region.name} holds no part of any voxel of series {series_uid}"
        return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "quantify.empty-region", text)))
    size = _volume(region, region_id, settings)
    noise, outline = f"noise: {region_id} {series_uid}", f"volume: {region_id}"
    unknown = FrozenMap({noise: None, outline: None})
    values = {"volume": size}
    mean = float(np.average(voxels, weights=weights))
    match volume.unit:
        case Unit.BQ_PER_ML:
            values |= _activity(mean, size, region_id, volume, region, settings, calibration or Calibration(), findings)
        case Unit.SUV_BW:
            values |= _uptake(volume, region, voxels, weights, noise, outline, settings, scales)
            total = values["suv_mean"].scaled(size.value, Unit.SUV_BW_ML)
            values |= {"sstr_tv": size, "tl_sstr": total} if role is Role.SSTR_PET else {"mtv": size, "tlg": total}
        case Unit.MM2_PER_S:
            values["adc_mean"] = Estimate(mean, Unit.MM2_PER_S, unknown)
            for name, share in ADC_SHARES:
                values[name] = Estimate(weighted_quantile(voxels, weights, share), Unit.MM2_PER_S, unknown)
        case Unit.HU:
            of_mean = sd_of_mean(voxels, weights, volume.grid.spacing_mm)
            border = {f"border: {region_id} {series_uid}": border_effect(voxels, weights)}
            values["hu_mean"] = Estimate(mean, Unit.HU, FrozenMap({noise: of_mean, **border}))
            values["hu_sd"] = Estimate(weighted_sd(voxels, weights), Unit.HU, FrozenMap({noise: None}))
    return Outcome(Measurements(series_uid, region_id, FrozenMap(values), region.delineation), findings)


def _left_out(region: Region, series_uid: str, share: float) -> list[Finding]:
    if not share:
        return []
    text = (
        f"region {region.name}: {share:.1%} of it has no value in series {series_uid} and is left out of every number but the "
        "volume. To do: see why these voxels could not be determined"
    )
    return [Finding(Severity.WARNING, "quantify.voxels-without-value", text)]


def _uptake(
    volume: Volume,
    region: Region,
    voxels: Floats,
    weights: Floats,
    noise: str,
    outline: str,
    settings: QuantifySettings,
    scales: Mapping[str, float],
) -> dict[str, Estimate]:
    """SUVmax, SUVmean and SUVpeak, by body weight and by every scale given.

    The spread of the voxels is noise and true differences within the lesion together: the noise of the mean is an upper bound.
    """
    inside = voxels[counted(weights)]
    of_mean = None
    if settings.pet_fwhm_mm is not None:
        n = independent_samples(weights, volume.grid.spacing_mm, settings.pet_fwhm_mm)
        of_mean = weighted_sd(voxels, weights) / n**0.5
    by_weight = {
        "max": Estimate(float(inside.max()), Unit.SUV_BW, FrozenMap({noise: None})),
        "mean": Estimate(
            float(np.average(voxels, weights=weights)), Unit.SUV_BW, FrozenMap({noise: of_mean, outline: None})
        ),
        "peak": Estimate(suv_peak(volume, region), Unit.SUV_BW, FrozenMap({noise: None})),
    }
    values = {f"suv_{word}": estimate for word, estimate in by_weight.items()}
    for name, factor in scales.items():
        for word, estimate in by_weight.items():
            values[f"{name}_{word}"] = estimate.scaled(factor, SCALED[name]).with_sources({BODY_SIZE: None})
    return values


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
    region: Region,
    settings: QuantifySettings,
    calibration: Calibration,
    findings: list[Finding],
) -> dict[str, Estimate]:
    """Concentration and activity; the volume's error enters the two with opposite signs (Gear 2018).

    None of them if the protocol asks for a correction that cannot be made.
    """
    volume_source, recovery_source = f"volume: {region_id}", f"recovery: {region_id}"
    found = recovery_for(size.value, region_id, settings, calibration, (volume, region))
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
