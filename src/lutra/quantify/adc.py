"""Apparent diffusion coefficient maps as vendors write them."""

from __future__ import annotations

import numpy as np

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify.settings import QuantifySettings

STATED_UNITS = {"mm2/s": 1.0, "mm^2/s": 1.0, "1e-6 mm2/s": 1e-6, "um2/s": 1e-6, "1e-3 mm2/s": 1e-3}
UNSPECIFIED = {None, "US"}
"""Rescale type not given, or given as unspecified (DICOM PS3.3 C.11.1.1.2)."""
CONVENTIONS = {"TOSHIBA": 1e-6, "CANON": 1e-6}
"""Makers whose ADC maps hold integers in 1e-6 mm2/s and no unit."""
PLAUSIBLE_MM2_PER_S = (0.1e-3, 4.0e-3)
"""Median of a body region: below the densest tumour, above free water at 37 C (3.0e-3) with noise."""


def to_adc(header: SeriesHeader, image: Volume, settings: QuantifySettings) -> Outcome[Volume]:
    """Convert an ADC map to mm2/s; a missing unit is resolved by a named rule or refused, never in silence."""
    if header.has_rescale and header.stored_unit in STATED_UNITS:
        return Outcome(_scaled(header, image, STATED_UNITS[header.stored_unit]))
    if header.stored_unit not in UNSPECIFIED:
        text = (
            f"series {header.series_uid}: unit {header.stored_unit!r} of the ADC map, rescale type (0028,1054), is not known; "
            f"required: one of {', '.join(STATED_UNITS)}"
        )
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.adc-unit-missing", text),))
    missing = f"series {header.series_uid}: ADC map without a unit (no rescale type (0028,1054))"
    maker = next((name for name in CONVENTIONS if name in header.manufacturer.upper()), None)
    if settings.adc_missing_unit == "refuse" or maker is None:
        text = f"{missing} from {header.manufacturer or 'an unknown maker'}. To do: find its unit in the conformance statement"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.adc-unit-missing", text),))
    volume = _scaled(header, image, CONVENTIONS[maker])
    positive = volume.values[volume.values > 0]
    median = float(np.median(positive)) if positive.size else 0.0
    if not PLAUSIBLE_MM2_PER_S[0] < median < PLAUSIBLE_MM2_PER_S[1]:
        text = f"{missing}; as {maker} integers in 1e-6 mm2/s its median would be {median:.3g} mm2/s, which is not plausible"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.adc-unit-implausible", text),))
    text = (
        f"{missing}. Rule 'vendor convention {maker}': integers in 1e-6 mm2/s, median {median * 1e3:.2f} · 10⁻³ mm²/s. To do: "
        "confirm with the conformance statement, or set quantify.adc_missing_unit = 'refuse'"
    )
    return Outcome(volume, (Finding(Severity.WARNING, "quantify.adc-unit-assumed", text),))


def _scaled(header: SeriesHeader, image: Volume, factor: float) -> Volume:
    return Volume(image.values * np.float32(factor), image.grid, Unit.MM2_PER_S, header.acquired_at)
