"""Numbers read off one image."""

from __future__ import annotations

from attrs import field, frozen

from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.core.units import Unit


@frozen
class Measurements:
    """Named quantities of one region in one image.

    Parameters
    ----------
    values
        By the name they have in tables and on the command line: `suv_max`, `activity`, `adc_median`, `volume`.
    delineation
        How the region came about and from what: `imported: 1.2.3`, `threshold: 41 % of max`. A volume, a mean or a total means
        nothing without it.
    """

    series_uid: str
    region: str
    values: FrozenMap[str, Estimate] = field(converter=frozen_map)
    delineation: str = ""


@frozen
class Features:
    """Standardised image features of one region in one image. Their uncertainty is not evaluated.

    Parameters
    ----------
    unit
        Unit of the image's intensities.
    values
        By tag, `stat.mean`; what each tag means, its IBSI code and its unit stand in :mod:`lutra.reference.ibsi`.
    delineation
        How the region came about and from what.
    bin_width
        Width of a bin of the intensity histogram; None where there is no histogram. [unit]
    """

    series_uid: str
    region: str
    unit: Unit = field(converter=Unit)
    values: FrozenMap[str, float] = field(converter=frozen_map)
    delineation: str = ""
    bin_width: float | None = None
