"""Apparent diffusion coefficient maps as vendors write them."""

from __future__ import annotations

import re

import numpy as np
from attrs import frozen

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify.settings import QuantifySettings

STATED_UNITS = {"mm2/s": 1.0, "um2/s": 1e-6, "1e-6mm2/s": 1e-6, "10-6mm2/s": 1e-6, "1e-3mm2/s": 1e-3, "10-3mm2/s": 1e-3}
"""By :func:`plain_unit`."""
UNSPECIFIED = {None, "US", "normalized"}
"""Rescale type not given, given as unspecified (DICOM PS3.3 C.11.1.1.2), or Philips' word for its display scale."""


@frozen
class UnitRule:
    """How one maker's ADC maps without a unit are read.

    Parameters
    ----------
    makers
        What (0008,0070) begins with, in capitals.
    note
        What else has to be known.
    """

    name: str
    makers: tuple[str, ...]
    factor: float
    note: str = ""


UNIT_RULES = (
    UnitRule("TOSHIBA", ("TOSHIBA",), 1e-6),
    UnitRule("CANON", ("CANON",), 1e-6),
    UnitRule("SIEMENS", ("SIEMENS",), 1e-6),
    UnitRule("GE", ("GE ",), 1e-6),
    UnitRule("UIH", ("UIH", "UNITED IMAGING"), 1e-6),
    UnitRule(
        "PHILIPS",
        ("PHILIPS",),
        1e-6,
        "; after the rescale (0028,1053), without the scale slope (2005,100E), which leads to the reconstruction's own units",
    ),
)
"""Makers whose ADC maps hold numbers in 1e-6 mm2/s, mostly integers, and say no unit. That units are missing or written in ways of
the maker's own is what a trial of many sites found [malyarenko2017, J Med Imaging 5:011006]; the other customs are 1e-3 mm2/s and
mm2/s, a thousand times away, so the plausibility of the median tells them apart."""
PLAUSIBLE_MM2_PER_S = (0.1e-3, 4.0e-3)
"""Median of a body region: below the densest tumour, above free water at 37 C (3.0e-3) with noise."""


def to_adc(header: SeriesHeader, image: Volume, settings: QuantifySettings) -> Outcome[Volume]:
    """Convert an ADC map to mm2/s; a missing unit is resolved by a named rule or refused, never in silence."""
    stated = STATED_UNITS.get(plain_unit(header.stored_unit or ""))
    if header.has_rescale and stated:
        return Outcome(_scaled(header, image, stated))
    if header.stored_unit not in UNSPECIFIED:
        text = (
            f"series {header.series_uid}: unit {header.stored_unit!r} of the ADC map, rescale type (0028,1054), is not known; "
            f"required: one of {', '.join(STATED_UNITS)}"
        )
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.adc-unit-missing", text),))
    missing = f"series {header.series_uid}: ADC map without a unit (no rescale type (0028,1054))"
    maker = header.manufacturer.strip().upper()
    rule = next((rule for rule in UNIT_RULES if maker.startswith(rule.makers)), None)
    if settings.adc_missing_unit == "refuse" or rule is None:
        text = f"{missing} from {header.manufacturer or 'an unknown maker'}. To do: find its unit in the conformance statement"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.adc-unit-missing", text),))
    volume = _scaled(header, image, rule.factor)
    positive = volume.values[volume.values > 0]
    median = float(np.median(positive)) if positive.size else 0.0
    if not PLAUSIBLE_MM2_PER_S[0] < median < PLAUSIBLE_MM2_PER_S[1]:
        text = f"{missing}; as {rule.name} numbers in 1e-6 mm2/s its median would be {median:.3g} mm2/s, which is not plausible"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "quantify.adc-unit-implausible", text),))
    text = (
        f"{missing}. Rule 'vendor convention {rule.name}': numbers in 1e-6 mm2/s{rule.note}; median {median * 1e3:.2f} · 10⁻³ "
        "mm²/s. To do: confirm with the conformance statement, or set quantify.adc_missing_unit = 'refuse'"
    )
    return Outcome(volume, (Finding(Severity.WARNING, "quantify.adc-unit-assumed", text),))


def plain_unit(written: str) -> str:
    """Write a unit of diffusion the one way the table knows: `10^-6 mm^2/s`, `um²/s` and the like."""
    unit = (
        written.strip()
        .lower()
        .replace("²", "2")
        .replace("⁻", "-")
        .replace("⁶", "6")
        .replace("³", "3")
        .replace("µ", "u")
    )
    unit = re.sub(r"mm\*\*2|mm\^2", "mm2", unit).replace("um^2", "um2").replace("10^", "10")
    return re.sub(r"[\s*·x×]", "", unit).replace("sec", "s")


def _scaled(header: SeriesHeader, image: Volume, factor: float) -> Volume:
    return Volume(image.values * np.float32(factor), image.grid, Unit.MM2_PER_S, header.acquired_at)
