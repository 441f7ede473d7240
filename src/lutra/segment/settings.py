"""What a study may choose about regions."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge, gt, in_

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.ports import Settings
from lutra.segment.expression import parse


def _expressions(_instance: object, _attribute: object, algebra: FrozenMap[str, str]) -> None:
    for text in algebra.values():
        parse(text)


@frozen
class SegmentSettings:
    """Settings of the stage.

    Parameters
    ----------
    lesion_name_patterns
        Regular expressions for names that mean a lesion in this study, tried before the shipped table
        (reference/region_names.toml) on the name in lower case with words and numbers apart. Default: none, the
        table alone.
    segmenters
        Plugins that find organs in a CT: `totalsegmentator`, or those of other distributions. Default: none; organs are imported.
    options
        One table per segmenter, by its name: `[segment.options.totalsegmentator]`.
    algebra
        Regions that are made of others, name = expression: `"healthy liver" = "liver - lesions"`; see
        :mod:`lutra.segment.expression`. Default: none, because a region nobody asked for would be measured in every image.
    small_voi_ml
        Volume of each sphere of the small-VOI method. 2: what its validations used [curkic2024, khan2025]. [mL]
    small_voi_count
        Spheres in each kidney. 5: as there.
    small_voi_placement
        `spread` over the kidney, or at the `highest` uptake, which reads too high by what noise adds; see
        :mod:`lutra.segment.small_voi`.
    small_voi_lesion_margin_mm
        Spheres keep this far from lesions and hot organs, whose blur reaches over. 10: see marrow_lesion_margin_mm. [mm]
    marrow_erosion_mm
        Marrow keeps this far inside the vertebral bodies: end plates and cortex are no marrow, and beyond it lies the blur of what
        surrounds them. 5: about half the resolution of a SPECT of 177Lu. [mm]
    marrow_lesion_margin_mm
        Marrow keeps this far from lesions. 10: from there on 0.2 % of a large lesion's concentration is left at a
        resolution of 8 mm, 2.5 % at 12 mm. [mm]
    marrow_minimum_ml
        Less marrow than this gives no region: its mean would be noise and blur. 10, a choice. [mL]

    References
    ----------
    [curkic2024] Curkic Kapidzic et al., Phys Med 120:103335. [khan2025] Khan et al., EJNMMI Phys 12 (2025),
    doi 10.1186/s40658-025-00769-w.
    """

    lesion_name_patterns: tuple[str, ...] = field(default=(), converter=tuple)
    segmenters: tuple[str, ...] = field(default=(), converter=tuple)
    options: FrozenMap[str, Settings] = field(factory=FrozenMap, converter=frozen_map)
    algebra: FrozenMap[str, str] = field(factory=FrozenMap, converter=frozen_map, validator=_expressions)
    small_voi_ml: float = field(default=2.0, validator=gt(0))
    small_voi_count: int = field(default=5, validator=ge(2))
    small_voi_placement: str = field(default="spread", validator=in_(("spread", "highest")))
    small_voi_lesion_margin_mm: float = field(default=10.0, validator=ge(0))
    marrow_erosion_mm: float = field(default=5.0, validator=ge(0))
    marrow_lesion_margin_mm: float = field(default=10.0, validator=ge(0))
    marrow_minimum_ml: float = field(default=10.0, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        unused = sorted(set(self.options) - set(self.segmenters))
        if unused:
            raise ProtocolError(
                f"options for {', '.join(unused)}, which is not among the segmenters",
                where="segment.options",
                required=f"one of: {', '.join(self.segmenters) or '(none)'}",
                do="correct the name, or add it to segment.segmenters",
            )
