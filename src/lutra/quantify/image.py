"""One image, by its role; and what a whole image says without any region."""

from __future__ import annotations

import numpy as np

from lutra.core.calibration import Calibration
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
from lutra.quantify.settings import QuantifySettings
from lutra.quantify.suv import to_suv

WHOLE_IMAGE = "whole image"


def quantify(
    header: SeriesHeader,
    image: Volume,
    role: Role,
    settings: QuantifySettings,
    calibration: Calibration | None = None,
) -> Outcome[Volume]:
    """Convert stored voxels to the quantity the study needs of this image; `calibration` is that of a therapy SPECT."""
    match role:
        case Role.THERAPY_SPECT:
            return to_activity(header, image, calibration)
        case Role.FDG_PET | Role.SSTR_PET | Role.OTHER_PET:
            return to_suv(header, image)
        case Role.ADC:
            return to_adc(header, image, settings)
        case Role.CT:
            return to_hu(header, image)
    text = f"series {header.series_uid}: MR other than ADC maps has no quantity in this version"
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
        tissue = volume.values[volume.values > 0]
        if tissue.size:
            unknown = FrozenMap({f"noise: {series_uid}": None})
            for name, percent in (("adc_p10", 10), ("adc_median", 50), ("adc_p90", 90)):
                values[name] = Estimate(float(np.percentile(tissue, percent)), Unit.MM2_PER_S, unknown)
    return Outcome(Measurements(series_uid, WHOLE_IMAGE, FrozenMap(values)))
