"""Settings of the dose stage."""

from __future__ import annotations

from attrs import field, frozen

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.dose.marrow import MarrowSettings
from lutra.ports import Settings

OF_TISSUE = ("alpha_beta_gy", "repair_half_life_h", "alpha_beta_sd_gy", "alpha_per_gy")
"""What `[dose.tissues.NAME]` may hold."""
Tissues = FrozenMap[str, FrozenMap[str, float]]


@frozen
class DoseSettings:
    """Which engines answer, and what mass is taken where no CT gives it.

    Parameters
    ----------
    engines
        Short or qualified plugin names; all of them answer, side by side.
    soft_tissue_density_g_per_ml
        Used only where no CT of the same session is known. [g/mL] 1.03 is ICRU soft tissue, the medium of the sphere table.
    soft_tissue_density_relative_sd
        Standard uncertainty of that density. [1] Lutra's own choice: with 3 % the 95 % range, 0.97 to 1.09 g/mL, holds fatty
        tissue as well as muscle (1.05) and liver (1.06, ICRU 44).
    ct_density_relative_sd
        Standard uncertainty of a soft tissue density read from CT. [1] Half of the 4 % by which the two branches of the
        published conversion disagree where they meet, at 100 HU (Schneider 2000).
    distribution_scan_h
        The SPECT whose voxels spread the activity of a region is the one nearest to this time. [h] At 24 h what is not bound has
        washed out and the counts are still many.
    tissues
        Radiobiology by tissue, `[dose.tissues.kidney]`: `alpha_beta_gy`, `repair_half_life_h`, and where known `alpha_beta_sd_gy`
        and `alpha_per_gy`. What is not given is as in :data:`lutra.physics.radiobiology.TISSUES`.
    marrow
        `[dose.marrow]`: what the methods for red marrow rest on.
    options
        One table per engine, by its short or qualified name.
    """

    engines: tuple[str, ...] = ("hybrid", "sphere")
    soft_tissue_density_g_per_ml: float = 1.03
    soft_tissue_density_relative_sd: float = 0.03
    ct_density_relative_sd: float = 0.02
    distribution_scan_h: float = 24.0
    tissues: Tissues = field(factory=FrozenMap, converter=frozen_map)
    marrow: MarrowSettings = field(factory=MarrowSettings)
    options: FrozenMap[str, Settings] = field(factory=FrozenMap, converter=frozen_map)

    def __attrs_post_init__(self) -> None:
        for tissue, given in self.tissues.items():
            if wrong := [name for name, value in given.items() if name not in OF_TISSUE or not value > 0]:
                raise ProtocolError(
                    f"{wrong[0]} = {given[wrong[0]]!r}",
                    where=f"dose.tissues.{tissue}",
                    required=f"numbers above 0 for: {', '.join(OF_TISSUE)}",
                    do="correct this setting",
                )
        unused = sorted(set(self.options) - set(self.engines))
        if unused:
            raise ProtocolError(
                f"options for {', '.join(unused)}, which is not among the engines",
                where="dose.options",
                required=f"one of: {', '.join(self.engines)}",
                do="correct the name, or add the engine to dose.engines",
            )
