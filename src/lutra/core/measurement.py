"""Numbers read off one image."""

from __future__ import annotations

from attrs import field, frozen

from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap, frozen_map


@frozen
class Measurements:
    """Named quantities of one region in one image.

    Parameters
    ----------
    values
        By the name they have in tables and on the command line: `suv_max`, `activity`, `adc_median`, `volume`.
    """

    series_uid: str
    region: str
    values: FrozenMap[str, Estimate] = field(converter=frozen_map)
