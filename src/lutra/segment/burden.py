"""Tumour burden of the whole body: what is above a threshold and is no organ's own uptake."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter, label

from lutra.core.burden import BurdenComponent, TumourBurden
from lutra.core.errors import UnitMismatch
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap, three_ints
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import Role
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.labels import trimmed
from lutra.physics.recovery import FWHM_PER_SIGMA, relative_volume_sd, sphere_diameter_mm
from lutra.reference.region_names import LESION_CODE, simplified
from lutra.segment.leak import VALLEY, separate_parts
from lutra.segment.settings import BurdenSettings
from lutra.segment.surroundings import INSIDE, Floats, Mask, flooded
from lutra.segment.threshold import liver_threshold, partial_voxels

ORGANS = {
    "liver": r"\b(liver|hepar)\b",
    "spleen": r"\bspleen\b",
    "left kidney": r"\b(left|lt|l)[ -]kidney\b|\bkidney[ -](left|lt|l)\b|\bkidneys\b",
    "right kidney": r"\b(right|rt|r)[ -]kidney\b|\bkidney[ -](right|rt|r)\b|\bkidneys\b",
    "urinary bladder": r"\bbladder\b",
    "brain": r"\bbrain\b",
    "heart": r"\b(heart|myocardium)\b",
    "blood pool": r"\b(blood pool|aorta)\b",
}
"""Organs by the names their regions have, as patterns on the simplified name."""
WITH_UPTAKE = {
    Role.SSTR_PET: ("liver", "spleen", "left kidney", "right kidney", "urinary bladder"),
    Role.FDG_PET: ("brain", "heart", "liver", "left kidney", "right kidney", "urinary bladder"),
}
"""Organs that regularly exceed the threshold without tumour. Pituitary, salivary and adrenal glands, thyroid, bowel and bone
marrow may; their regions are excluded when given and not missed when not."""
LIVER_FACTOR, BLOOD_POOL_FACTOR, SDS = 1.5, 2.0, 2.0
"""PERCIST: 1.5 times the liver, or twice the blood pool where the liver is diseased, and two standard deviations. [1]"""


@frozen(eq=False)
class _Levels:
    """The least SUV of tumour: of the rest of the body, of the liver, and voxel by voxel."""

    body: float
    liver: float | None
    voxel: Floats


def tumour_burden(
    volume: Volume,
    role: Role,
    settings: BurdenSettings,
    organs: Sequence[Region] = (),
    lesions: Sequence[Region] = (),
) -> Outcome[TumourBurden]:
    """Find all tumour in a SUV image of the body.

    Organs keep their own uptake and the blur around them: what hangs on an organ is tumour only if a valley lies between. The liver
    is not cut out but has a threshold of its own, so that its metastases count; that threshold holds one resolution beyond it too.

    Parameters
    ----------
    role
        SSTR or FDG PET.
    organs
        Regions on the image's grid that have uptake without tumour. The liver, and for the rule `blood-pool` the aorta or blood
        pool, are known by their names.
    lesions
        The user's list, on the image's grid: components that overlap one carry its name.

    Returns
    -------
    Outcome
        The burden, with Findings on organs not given, on what was excluded, cut off or left out. None if the rule's reference
        organ is missing.

    Raises
    ------
    UnitMismatch
        If the image is not in SUV.
    GridMismatch
        If a region is on another grid.
    """
    if volume.unit is not Unit.SUV_BW:
        raise UnitMismatch(
            f"tumour burden of an image in {volume.unit.value}", required=f"an image in {Unit.SUV_BW.value}"
        )
    for region in (*organs, *lesions):
        region.grid.require_match(volume.grid, f"region {region.name} and the image")
    by_name = {name: [r for r in organs if _is(r, pattern)] for name, pattern in ORGANS.items()}
    values = np.nan_to_num(volume.values.astype(np.float64), nan=0.0)
    levels = _levels(volume, settings, by_name)
    if levels is None:
        organ = settings.rule.replace("-", " ")
        text = f"tumour burden by the rule “{settings.rule}” needs a region of the {organ}, and none is given. Draw or import it."
        return Outcome(None, (Finding(Severity.UNDETERMINED, "segment.burden-no-reference", text),))
    own = [r for r in organs if r not in by_name["liver"] and r not in by_name["blood pool"]]
    tumour, excluded, beside = _without_organs(values, levels.voxel, own, volume, settings.fwhm_mm)
    components, left_out_ml = _components(volume, values, levels.voxel, tumour, lesions, settings)
    missing = tuple(name for name in WITH_UPTAKE.get(role, ()) if not by_name[name])
    rule = f"{settings.rule}: SUV of at least {levels.body:.3g}" + (
        f", in the liver {levels.liver:.3g}" if levels.liver is not None else ""
    )
    burden = TumourBurden(
        role, rule, levels.body, levels.liver, components, FrozenMap(excluded), missing, left_out_ml
    )  # fmt: skip
    return Outcome(burden, _findings(burden, beside, settings))


def _levels(volume: Volume, settings: BurdenSettings, by_name: dict[str, list[Region]]) -> _Levels | None:
    livers, pools = by_name["liver"], by_name["blood pool"]
    of_liver = max((liver_threshold(volume, liver, LIVER_FACTOR, SDS) for liver in livers), default=None)
    body = settings.threshold_suv
    if settings.rule == "liver":
        if of_liver is None:
            return None
        body = of_liver
    if settings.rule == "blood-pool":
        if not pools:
            return None
        body = max(liver_threshold(volume, pool, BLOOD_POOL_FACTOR, SDS) for pool in pools)
    voxel = np.full(volume.grid.shape, body)
    if of_liver is None:
        return _Levels(body, None, voxel)
    of_liver = max(body, of_liver)
    inside, spacing = _mask(livers, volume), volume.grid.spacing_mm
    reach = [ceil(settings.fwhm_mm / step) for step in spacing]
    (box,) = find_objects(inside.astype(np.int8))
    wide = tuple(slice(max(side.start - n, 0), side.stop + n) for side, n in zip(box, reach, strict=True))
    near = distance_transform_edt(~inside[wide], sampling=spacing) <= settings.fwhm_mm
    voxel[wide][near] = of_liver
    return _Levels(body, of_liver, voxel)


def _without_organs(
    values: Floats, level: Floats, organs: Sequence[Region], volume: Volume, fwhm_mm: float
) -> tuple[Mask, dict[str, float], list[str]]:
    """Take organs and their blur from what is above the threshold.

    Returns
    -------
    tumour
        What remains. (i, j, k)
    excluded
        Volume taken from it, by organ. [mL]
    beside
        Organs that something was cut off from.
    """
    tumour: Mask = values >= level
    excluded: dict[str, float] = {}
    beside: list[str] = []
    sigma = [fwhm_mm / FWHM_PER_SIGMA / 2 / step for step in volume.grid.spacing_mm]
    for organ in organs:
        inside = _mask([organ], volume)
        numbers, _ = label(tumour | inside)
        hung = np.unique(numbers[inside])
        taken = 0
        for number, box in enumerate(find_objects(numbers), start=1):
            if box is None or number not in hung:
                continue
            body, here = numbers[box] == number, inside[box]
            smooth = gaussian_filter(values[box], sigma, mode="nearest")
            height = np.clip(smooth - 0.5 * level[box].min(), 0, None)
            peak = three_ints(
                [int(n) for n in np.unravel_index(int(np.argmax(np.where(here, height, -1))), height.shape)]
            )
            parts = separate_parts(height, body, peak, VALLEY)
            parts[here] = 1
            sides = flooded(-height, parts, mask=body)
            taken += int((tumour[box] & (sides == 1)).sum())
            tumour[box] &= ~(body & (sides == 1))
            if (sides > 1).any():
                beside.append(organ.name)
        excluded[organ.name] = taken * volume.grid.voxel_volume_ml
    return tumour, excluded, sorted(set(beside))


def _components(
    volume: Volume, values: Floats, level: Floats, tumour: Mask, lesions: Sequence[Region], settings: BurdenSettings
) -> tuple[tuple[BurdenComponent, ...], float]:
    numbers, _ = label(tumour)
    found: list[BurdenComponent] = []
    left_out_ml = 0.0
    for number, box in enumerate(find_objects(numbers), start=1):
        wide = tuple(slice(max(side.start - 2, 0), side.stop + 2) for side in box)
        body = numbers[wide] == number
        over = values[wide] - level[wide]
        share = partial_voxels(over, body, 0.0, body | ((numbers[wide] == 0) & (over < 0)))
        region_ml = float(share.sum()) * volume.grid.voxel_volume_ml
        if region_ml < settings.volume_floor_ml:
            left_out_ml += region_ml
            continue
        cut = trimmed(three_ints([side.start for side in wide]), share)
        if cut is not None:
            found.append(
                _component(volume, values, cut, float(level[wide][body].min()), len(found) + 1, lesions, settings)
            )
    return tuple(sorted(found, key=lambda c: -c.volume.value)), left_out_ml


def _component(
    volume: Volume,
    values: Floats,
    cut: tuple[tuple[int, int, int], npt.NDArray[np.float32]],
    level: float,
    number: int,
    lesions: Sequence[Region],
    settings: BurdenSettings,
) -> BurdenComponent:
    """Measure a component.

    Its volume errs as a sphere's of that size does (Gear 2018). What a moved border adds has the SUV of the threshold, not the
    mean: the uptake errs by threshold over mean of that.
    """
    region = Region(
        f"component {number}", RegionKind.LESION, volume.grid, *cut, LESION_CODE, RegionOrigin.THRESHOLD,
        f"tumour burden: SUV of at least {level:.3g}",
    )  # fmt: skip
    inside = values[region.box]
    mean = float(np.average(inside, weights=region.fraction))
    voxel_mm = float(np.prod(volume.grid.spacing_mm) ** (1 / 3))
    relative = relative_volume_sd(sphere_diameter_mm(region.volume_ml), voxel_mm, settings.fwhm_mm)
    source = f"volume: {region.name}"
    size = Estimate(region.volume_ml, Unit.ML).with_sources({source: relative})
    uptake = Estimate(mean * region.volume_ml, Unit.SUV_BW_ML).with_sources({source: relative * level / mean})
    names = tuple(lesion.name for lesion in lesions if _overlap(lesion, region, volume))
    return BurdenComponent(region, size, uptake, float(inside[region.fraction >= INSIDE].max(initial=level)), names)


def _overlap(lesion: Region, region: Region, volume: Volume) -> bool:
    listed = _mask([lesion], volume)[region.box]
    return bool((listed & (region.fraction >= INSIDE)).any())


def _mask(regions: Sequence[Region], volume: Volume) -> Mask:
    inside = np.zeros(volume.grid.shape, bool)
    for region in regions:
        inside[region.box] |= region.fraction >= INSIDE
    return inside


def _is(region: Region, pattern: str) -> bool:
    meaning = region.code.meaning if region.code else ""
    return any(re.search(pattern, simplified(text)) for text in (region.name, meaning))


def _findings(burden: TumourBurden, beside: list[str], settings: BurdenSettings) -> list[Finding]:
    found = []
    if burden.missing_organs:
        text = (
            f"no region is given of {', '.join(burden.missing_organs)}: their own uptake above SUV {burden.threshold_suv:.3g} is "
            "in the tumour burden if they are in the image. To do: import or draw them."
        )
        found.append(Finding(Severity.WARNING, "segment.burden-organs-missing", text))
    if beside:
        organs = ", ".join(beside)
        text = f"tumour hangs together with {organs} above the threshold and was cut off along the valley between. Check the cut."
        found.append(Finding(Severity.WARNING, "segment.burden-beside-organ", text))
    if any(burden.excluded_ml.values()):
        told = ", ".join(f"{name} {ml:.4g} mL" for name, ml in burden.excluded_ml.items() if ml)
        text = f"taken as organs' own uptake above the threshold, and not in the tumour burden: {told}."
        found.append(Finding(Severity.INFO, "segment.burden-excluded", text))
    if burden.left_out_ml:
        text = f"{burden.left_out_ml:.3g} mL in components below {settings.volume_floor_ml:g} mL are not in the tumour burden."
        found.append(Finding(Severity.INFO, "segment.burden-small", text))
    return found
