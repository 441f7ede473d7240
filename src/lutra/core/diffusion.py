"""Diffusion maps of one series, kept side by side."""

from __future__ import annotations

from attrs import field, frozen

from lutra.core.frozen import FrozenMap, frozen_map
from lutra.core.volume import Volume


@frozen(eq=False)
class DiffusionMaps:
    """What was fitted to the volumes of a diffusion series.

    Parameters
    ----------
    primary
        Name of the map the study measures.
    maps
        By name: `adc` from b-values at or above the protocol's minimum, `adc_all_b` from all of them, `adc_sd` the standard
        uncertainty of the primary map, `ivim_d`, `ivim_d_star` in mm2/s, `ivim_f` in 1. A voxel that could not be fitted
        is 0, as in the maps scanners write.
    b_values_s_per_mm2
        B-values the primary map was fitted to. [s/mm2]
    """

    primary: str
    maps: FrozenMap[str, Volume] = field(converter=frozen_map)
    b_values_s_per_mm2: tuple[float, ...]

    @property
    def volume(self) -> Volume:
        """The map the study measures."""
        return self.maps[self.primary]
