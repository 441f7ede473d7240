"""One image, by its role; and what a whole image says without any region."""

from __future__ import annotations

import numpy as np

from lutra.core.calibration import Calibration
from lutra.core.diffusion import DiffusionMaps
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.measurement import Measurements
from lutra.core.study import Role, SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify.activity import to_activity
from lutra.quantify.adc import to_adc
from lutra.quantify.camera import calibration_sources
from lutra.quantify.ct import to_hu
from lutra.quantify.dwi import fit_diffusion
from lutra.quantify.settings import QuantifySettings
from lutra.quantify.suv import to_suv

WHOLE_IMAGE = "whole image"


def quantify(
    header: SeriesHeader,
    image: Volume | tuple[Volume, ...],
    role: Role,
    settings: QuantifySettings,
    calibration: Calibration | None = None,
) -> Outcome[Volume]:
    """Convert stored voxels to the quantity the study needs of this image.

    Parameters
    ----------
    image
        Stored voxels; for a diffusion series all its volumes, of which the ADC is fitted.
    calibration
        That of a therapy SPECT.
    """
    if role is Role.DWI:
        fitted = fit_diffusion(header, image if isinstance(image, tuple) else (image,), settings)
        return Outcome(fitted.value.volume if fitted.value else None, fitted.findings)
    if isinstance(image, tuple):
        if len(image) != 1:
            text = f"series {header.series_uid} of role {role.value} holds {len(image)} volumes where one is needed"
            return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.several-volumes", text),))
        image = image[0]
    match role:
        case Role.THERAPY_SPECT:
            return to_activity(header, image, calibration)
        case Role.FDG_PET | Role.SSTR_PET | Role.OTHER_PET:
            return to_suv(header, image)
        case Role.ADC:
            return to_adc(header, image, settings)
        case Role.CT:
            return to_hu(header, image)
    text = f"series {header.series_uid}: MR other than diffusion has no quantity in this version"
    return Outcome(None, (Finding(Severity.INFO, "quantify.no-quantity", text),))


def summarise(
    volume: Volume, series_uid: str, settings: QuantifySettings, calibration: Calibration | None = None
) -> Outcome[Measurements]:
    """Measure the whole image: what can be said without any region."""
    values: dict[str, Estimate] = {}
    if volume.unit is Unit.BQ_PER_ML:
        total = Estimate(volume.integral(), Unit.BQ)
        values["total_activity"] = total.with_sources(
            calibration_sources(volume, calibration or Calibration(), settings)
        )
    elif volume.unit is Unit.SUV_BW:
        values["suv_max"] = Estimate(float(volume.values.max()), Unit.SUV_BW, FrozenMap({f"noise: {series_uid}": None}))
    elif volume.unit is Unit.MM2_PER_S:
        values = _spread("adc", volume, series_uid)
    return Outcome(Measurements(series_uid, WHOLE_IMAGE, FrozenMap(values)))


def summarise_maps(maps: DiffusionMaps, series_uid: str) -> Outcome[Measurements]:
    """Measure the whole image in each map fitted to a diffusion series: the primary one as `adc_...`, the others by their name."""
    values: dict[str, Estimate] = {}
    for name, volume in maps.maps.items():
        if name != "adc_sd":
            values |= _spread(name, volume, series_uid)
    if maps.primary != "adc":
        values |= _spread("adc", maps.volume, series_uid)
    return Outcome(Measurements(series_uid, WHOLE_IMAGE, FrozenMap(values)))


def _spread(name: str, volume: Volume, series_uid: str) -> dict[str, Estimate]:
    fitted = volume.values[volume.values > 0]
    if not fitted.size:
        return {}
    unknown = FrozenMap({f"noise: {series_uid}": None})
    return {
        f"{name}_{label}": Estimate(float(np.percentile(fitted, percent)), volume.unit, unknown)
        for label, percent in (("p10", 10), ("median", 50), ("p90", 90))
    }
