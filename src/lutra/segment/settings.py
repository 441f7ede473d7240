"""What a study may choose about regions."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen
from attrs.validators import ge, gt, in_, instance_of, lt, optional

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.ports import Settings
from lutra.segment.expression import parse


def _expressions(_instance: object, _attribute: object, algebra: FrozenMap[str, str]) -> None:
    for text in algebra.values():
        parse(text)


@frozen
class BurdenSettings:
    """How the tumour burden of the whole body is found.

    Parameters
    ----------
    rule
        `fixed`: voxels of at least `threshold_suv`. `liver`: of at least 1.5 times the liver's mean and two of its standard
        deviations [wahl2009]. `blood-pool`: of at least twice the blood pool's mean and two standard deviations [wahl2009].
    threshold_suv
        4.0, as in [barrington2019] for FDG; for SSTR a study's own choice. [SUV]
    volume_floor_ml
        Smaller components are left out, with a Finding. 0.5: a sphere of 10 mm. [mL]
    fwhm_mm
        Resolution of the image. [mm]

    References
    ----------
    [wahl2009] Wahl et al. (PERCIST), J Nucl Med 50:122S. [barrington2019] Barrington and Meignan, J Nucl Med 60:1096.
    """

    rule: str = field(default="fixed", validator=[instance_of(str), in_(("fixed", "liver", "blood-pool"))])
    threshold_suv: float = field(default=4.0, validator=gt(0))
    volume_floor_ml: float = field(default=0.5, validator=gt(0))
    fwhm_mm: float = field(default=6.0, validator=gt(0))


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
    volume_change_limit
        Relative change of volume from which a propagated region is doubted. 0.15: the volume of a kidney or a liver measured twice
        differs by a few per cent, and a map that changes it three times as much has followed something else. Our own choice. [1]
    small_vois
        Whether kidneys on a SPECT are also measured by small spheres. Default no.
    small_voi_ml
        Volume of each sphere of the small-VOI method. 2: what its validations used [curkic2024, khan2025]. [mL]
    small_voi_count
        Spheres in each kidney. 5: as there.
    small_voi_placement
        `spread` over the kidney, or at the `highest` uptake, which reads too high by what noise adds; see
        :mod:`lutra.segment.small_voi`.
    small_voi_lesion_margin_mm
        Spheres keep this far from lesions and hot organs, whose blur reaches over. 10: see marrow_lesion_margin_mm. [mm]
    marrow
        Whether marrow of L2 to L4 is made of the vertebrae on a CT, and measured on the SPECTs of its frame. Default no.
    marrow_erosion_mm
        Marrow keeps this far inside the vertebral bodies: end plates and cortex are no marrow, and beyond it lies the blur of what
        surrounds them. 5: about half the resolution of a SPECT of 177Lu. [mm]
    marrow_lesion_margin_mm
        Marrow keeps this far from lesions. 10: from there on 0.2 % of a large lesion's concentration is left at a
        resolution of 8 mm, 2.5 % at 12 mm. [mm]
    marrow_minimum_ml
        Less marrow than this gives no region: its mean would be noise and blur. 10, a choice. [mL]
    tumour_burden
        Whether the tumour burden of FDG and SSTR PET is measured. Default no: it needs organs on the PET to keep out.
    burden
        How it is found: `[segment.burden]`.

    References
    ----------
    [curkic2024] Curkic Kapidzic et al., Phys Med 120:103335. [khan2025] Khan et al., EJNMMI Phys 12 (2025),
    doi 10.1186/s40658-025-00769-w.
    """

    lesion_name_patterns: tuple[str, ...] = field(default=(), converter=tuple)
    segmenters: tuple[str, ...] = field(default=(), converter=tuple)
    options: FrozenMap[str, Settings] = field(factory=FrozenMap, converter=frozen_map)
    algebra: FrozenMap[str, str] = field(factory=FrozenMap, converter=frozen_map, validator=_expressions)
    volume_change_limit: float = field(default=0.15, validator=gt(0))
    small_vois: bool = False
    small_voi_ml: float = field(default=2.0, validator=gt(0))
    small_voi_count: int = field(default=5, validator=ge(2))
    small_voi_placement: str = field(default="spread", validator=in_(("spread", "highest")))
    small_voi_lesion_margin_mm: float = field(default=10.0, validator=ge(0))
    marrow: bool = False
    marrow_erosion_mm: float = field(default=5.0, validator=ge(0))
    marrow_lesion_margin_mm: float = field(default=10.0, validator=ge(0))
    marrow_minimum_ml: float = field(default=10.0, validator=gt(0))
    tumour_burden: bool = False
    burden: BurdenSettings = field(factory=BurdenSettings)

    def __attrs_post_init__(self) -> None:
        unused = sorted(set(self.options) - set(self.segmenters))
        if unused:
            raise ProtocolError(
                f"options for {', '.join(unused)}, which is not among the segmenters",
                where="segment.options",
                required=f"one of: {', '.join(self.segmenters) or '(none)'}",
                do="correct the name, or add it to segment.segmenters",
            )


class Method(StrEnum):
    """How the border of a lesion is found in an emission image."""

    PERCENT_OF_MAX = "percent-of-max"
    """Where the image is above a share of the lesion's highest voxel."""
    BACKGROUND_ADAPTED = "background-adapted"
    """Where it is above a share of the way from the background to the highest voxel."""
    SPHERE_ADAPTED = "sphere-adapted"
    """Where it has the height over the background that the border of a blurred sphere of this volume has."""
    FIXED = "fixed"
    """Where it is above a given value."""
    GRADIENT = "gradient"
    """Where it falls most steeply."""


@frozen
class DelineationSettings:
    """How one lesion is delineated. The defaults are for PET; :data:`SPECT` has those for 177Lu SPECT.

    Parameters
    ----------
    method
        Background-adapted by default: counted from the background, the share that reproduces a sphere's volume does not depend on
        the contrast [hofheinz2010]; a share of the maximum does. It depends on the size, though: half-way gives 0.75 of the volume
        of a 17 mm sphere behind 6 mm resolution and 0.90 at 28 mm. `sphere-adapted` follows the size, if the resolution is known.
    share
        Share of the maximum, or of the way to it. 0.5; 0.41 is what [boellaard2015] gives for `percent-of-max`. [1]
    level
        Threshold of the method `fixed`: SUV 2.5, 3 or 4, or :func:`lutra.segment.threshold.liver_threshold`. [unit of image]
    fwhm_mm
        Resolution of the image; 6 is usual for PET. [mm]
    smallest_diameter_mm
        Below this diameter, of the sphere of equal volume, no region is returned. 10 in PET; 30 in SPECT, from where on 50 % of
        the maximum gave the volume of 177Lu spheres (16 mL, [liu2026]). [mm]
    search_radius_mm
        How far from the seed a lesion may reach; one that reaches further has leaked. [mm]

    References
    ----------
    [hofheinz2010] Hofheinz et al., Phys Med Biol 55:1099. [boellaard2015] EANM guideline 2.0, Eur J Nucl Med Mol Imaging 42:328.
    [liu2026] Liu et al., Med Phys, doi 10.1002/mp.70399.
    """

    method: Method = field(default=Method.BACKGROUND_ADAPTED, converter=Method)
    share: float = field(default=0.5, validator=[gt(0), lt(1)])
    level: float | None = field(default=None, validator=optional(gt(0)))
    fwhm_mm: float = field(default=6.0, validator=gt(0))
    smallest_diameter_mm: float = field(default=10.0, validator=gt(0))
    search_radius_mm: float = field(default=60.0, validator=gt(0))


SPECT = DelineationSettings(fwhm_mm=13.0, smallest_diameter_mm=30.0, search_radius_mm=80.0)
"""For 177Lu SPECT with resolution recovery."""
