"""One lesion in an emission image, from a seed: level of the border, leak guard, validity, partial voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen
from scipy.ndimage import binary_erosion

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.grid import MM3_PER_ML, Shape
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.volume import Volume
from lutra.imaging.labels import trimmed
from lutra.physics.recovery import sphere_diameter_mm
from lutra.reference.region_names import LESION_CODE
from lutra.segment.doubts import doubt
from lutra.segment.gradient import steepest_border
from lutra.segment.leak import (
    CUT_SHARE,
    cut_share,
    grows_out_of_proportion,
    leak_into_neighbour,
    leak_into_organ,
)
from lutra.segment.settings import DelineationSettings, Method
from lutra.segment.surroundings import Mask, Surroundings, background_round, ball, climb, surroundings_of
from lutra.segment.threshold import border_level, connected, partial_voxels

ROUNDS = 12
"""Cuts and rises of the maximum before a region counts as not to be settled."""
SETTLINGS = 12
"""Steps in which border and background agree on each other."""
AGREED = 0.005
"""Change of the level, relative to the lesion's height, at which they do. [1]"""
FIRST_SHARE = 0.7
"""The first border lies this high, so that the first background is measured outside the lesion and not far from it. [1]"""
LEAST_CONTRAST = 1.1
"""A maximum that exceeds the background by less is no lesion, however quiet the image. [1]"""
VISIBLE = 5.0
"""Standard deviations of the background that the maximum exceeds it by at least: the visibility criterion of Rose. [1]"""
LOW_CONTRAST = 2.0
"""Below this ratio of maximum to background the border is uncertain, whatever the method. [1]"""
FOOT = 0.25
"""A border this near to background or maximum, as a share of the lesion's height, gives the volume of blur or core. [1]"""
CLEAR_OF_NOISE, CLEAR_IF_FIXED = 2.0, 1.0
"""Standard deviations of the background that the border lies above it at least; nearer than 1 the background itself hangs together,
and a level that is not derived from the background needs no more. [1]"""
DIAMETERS_PER_FWHM = 2.3
"""Of smaller lesions the centre is not recovered, and the volume is what the blur makes of it. 14 mm in PET, 30 mm in SPECT. [1]"""


class _RefusedError(Exception):
    """The region cannot be determined; caught in :func:`delineate`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@frozen(eq=False)
class _Body:
    """A lesion being delineated: what is known of it so far."""

    mask: Mask
    level: float
    top: float
    background: float
    noise: float
    territory: Mask
    cut_from: tuple[str, ...] = field(default=())


def delineate(
    volume: Volume,
    seed: npt.ArrayLike | Region,
    settings: DelineationSettings,
    exclusions: Sequence[Region] = (),
    name: str = "lesion",
) -> Outcome[Region]:
    """Delineate the lesion at a seed in a PET or SPECT image.

    The lesion's maximum is the one reached uphill from the seed; border and background are found in turn until they agree. What the
    leak guard cuts off or refuses is said in a Finding, and what the region rests on stands in its `source`.

    Parameters
    ----------
    seed
        A point in patient coordinates [mm] (3,), or a rough region on the image's grid.
    exclusions
        Regions that are not the lesion: kidneys, bladder, spleen, other lesions.

    Returns
    -------
    Outcome
        A region with partial voxels and origin THRESHOLD. None, with the reason, where the border is not clear of the background,
        where the region leaks and cannot be cut, and where the lesion is smaller than the image can tell.

    Raises
    ------
    GridMismatch
        If a region is on another grid than the image.
    UsageError
        If the seed lies outside the image.
    OutsideValidity
        If the method `fixed` has no level.
    """
    around = surroundings_of(volume, seed, exclusions, settings.fwhm_mm, settings.search_radius_mm)
    evidence = {"method": settings.method.value, "unit": volume.unit.value}
    try:
        peak = _peak(around, settings.fwhm_mm)
        body = _settled(around, peak, settings)
        share = _border(around, body, settings)
        _refuse_leaks(around, body, peak)
        found = trimmed(around.start_ijk, share)
        assert found is not None  # noqa: S101  (the peak's own voxel has a share)
        region = Region(
            name, RegionKind.LESION, volume.grid, *found, LESION_CODE, RegionOrigin.THRESHOLD,
            _source(settings, body, volume.unit.value),
        )  # fmt: skip
        findings = _doubts(region, body, settings, evidence)
        findings += _misplaced(volume, region, around, share, evidence)
    except _RefusedError as refused:
        text = f"no region was made: {refused.text}."
        return Outcome(None, (doubt(Severity.UNDETERMINED, refused.code, name, text, evidence),))
    return Outcome(region, findings)


def _peak(around: Surroundings, fwhm_mm: float) -> Shape:
    """Highest voxel near the top of the smoothed image uphill from the seed."""
    top = climb(around.smooth, around.seed, around.allowed)
    box = np.zeros(around.values.shape, bool)
    box[top] = True
    near = ball(around.spacing_mm, fwhm_mm / 2)
    half = [n // 2 for n in near.shape]
    low = [max(t - h, 0) for t, h in zip(top, half, strict=True)]
    part = tuple(slice(a, t + h + 1) for a, t, h in zip(low, top, half, strict=True))
    offset = tuple(slice(h - (t - a), None) for a, t, h in zip(low, top, half, strict=True))
    region = near[offset][tuple(slice(0, n) for n in around.values[part].shape)] & around.allowed[part]
    values = np.where(region, around.values[part], -np.inf)
    at = np.unravel_index(int(np.argmax(values)), values.shape)
    peak = tuple(s.start + int(n) for s, n in zip(part, at, strict=True))
    organ = around.organ[peak]
    if organ:
        raise _RefusedError(
            "segment.leak", f"uphill from the seed lies {around.organ_names[organ - 1]}, which is excluded"
        )
    return peak[0], peak[1], peak[2]


def _settled(around: Surroundings, peak: Shape, settings: DelineationSettings) -> _Body:
    """Let border, background, maximum and territory agree."""
    territory, top = around.allowed, float(around.values[peak])
    cut_from: tuple[str, ...] = ()
    for _ in range(ROUNDS):
        body = _agreed(around, peak, settings, territory, top, cut_from)
        leak = leak_into_organ(around, body.mask, peak) or leak_into_neighbour(
            around, body.mask, peak, body.background, body.noise, settings.fwhm_mm
        )
        if leak is not None:
            territory, cut_from = territory & ~leak.beyond, (*cut_from, leak.into)
            continue
        highest = float(around.values[body.mask].max())
        if highest <= top:
            by_region = cut_share(body.mask, _beyond(around, body) & ~around.allowed) > 0
            return evolve(body, cut_from=(*cut_from, "the end of the rough region")) if by_region else body
        top = highest
    raise _RefusedError(
        "segment.leak", f"it goes on changing after {ROUNDS} cuts; the uptake around it has no clear valleys"
    )


def _agreed(
    around: Surroundings,
    peak: Shape,
    settings: DelineationSettings,
    territory: Mask,
    top: float,
    cut_from: tuple[str, ...],
) -> _Body:
    """Find border and background in turn, coming from above."""
    values = around.values
    level = settings.level if settings.method is Method.FIXED and settings.level else FIRST_SHARE * top
    for _ in range(SETTLINGS):
        mask = connected((values >= level) & territory, peak)
        if not mask.any():
            raise _RefusedError(
                "segment.low-contrast", f"its highest voxel, {values[peak]:.4g}, lies below the border of {level:.4g}"
            )
        shell = background_round(around, mask, settings.fwhm_mm)
        if shell is None:
            text = f"above {level:.4g} it fills what is searched round the seed; its highest voxel is {top:.4g}"
            raise _RefusedError("segment.leak", text)
        background, noise = shell
        new = border_level(settings, values[mask], top, background, float(np.prod(around.spacing_mm)) / MM3_PER_ML)
        clear = CLEAR_IF_FIXED if settings.method is Method.FIXED else CLEAR_OF_NOISE
        if new < background + clear * noise or top < max(LEAST_CONTRAST * background, background + VISIBLE * noise):
            raise _RefusedError(
                "segment.low-contrast",
                f"its border at {new:.4g} would not lie clear of the background, {background:.4g} with noise of {noise:.3g}; "
                f"its highest voxel is {top:.4g}",
            )
        if abs(new - level) <= AGREED * (top - background):
            mask = connected((values >= new) & territory, peak)
            return _Body(mask, new, top, background, noise, territory, cut_from)
        level = new
    raise _RefusedError("segment.leak", "border and background do not agree on each other")


def _border(around: Surroundings, body: _Body, settings: DelineationSettings) -> npt.NDArray[np.float32]:
    if settings.method is Method.GRADIENT:
        share = steepest_border(around, body.mask, body.territory, body.top, body.background, settings.fwhm_mm)
        if not share.any():
            raise _RefusedError("segment.low-contrast", "its gradient has no ridge round it")
        return share
    return partial_voxels(around.values, body.mask, body.level, body.territory)


def _beyond(around: Surroundings, body: _Body) -> Mask:
    """Voxels above the border that are not the lesion's. (i, j, k)"""
    beyond: Mask = around.in_reach & ~body.territory & (around.values >= body.level)
    return beyond


def _refuse_leaks(around: Surroundings, body: _Body, peak: Shape) -> None:
    """Refuse what no cut has mended."""
    end_of_search = around.in_reach & ~binary_erosion(around.in_reach, border_value=1)
    if (body.mask & end_of_search).any():
        raise _RefusedError("segment.leak", f"above {body.level:.4g} it reaches the end of the search round the seed")
    growth = grows_out_of_proportion(
        around.values, body.territory, body.mask, peak, body.level, body.top - body.background
    )
    if growth is not None:
        raise _RefusedError(
            "segment.leak",
            f"it grows {growth:.1f} times over the last 5 % of the way down to its border at {body.level:.4g}",
        )
    cut = cut_share(body.mask, _beyond(around, body))
    if cut > CUT_SHARE:
        against = _named(body.cut_from or ("the end of the rough region",))
        raise _RefusedError(
            "segment.leak", f"{cut:.0%} of its border would be a cut against {against} rather than a fall of the image"
        )


def _doubts(region: Region, body: _Body, settings: DelineationSettings, evidence: dict[str, str]) -> list[Finding]:
    diameter_mm = sphere_diameter_mm(region.volume_ml)
    if diameter_mm < settings.smallest_diameter_mm:
        raise _RefusedError(
            "segment.below-resolution",
            f"it comes out as {region.volume_ml:.3g} mL, a sphere of {diameter_mm:.1f} mm; below "
            f"{settings.smallest_diameter_mm:g} mm the border in an image of {settings.fwhm_mm:g} mm resolution is the blur's, not "
            "the lesion's. Take its outline from CT, MR or PET and correct for recovery",
        )
    found: list[tuple[str, str]] = []
    if body.cut_from:
        text = (
            f"above its border it hangs together with {_named(body.cut_from)} and was cut off along the valley between. Check the "
            "cut; if both are one lesion, draw it."
        )
        found.append(("segment.leak", text))
    way_up = (body.level - body.background) / (body.top - body.background)
    if not FOOT < way_up < 1 - FOOT:
        text = (
            f"its border at {body.level:.4g} lies {way_up:.0%} of the way from the background of {body.background:.4g} to the "
            f"maximum of {body.top:.4g}. So low the blur counts too, so high only the core. Use a background-adapted threshold."
        )
        found.append(("segment.low-contrast", text))
    if body.top < LOW_CONTRAST * body.background:
        text = (
            f"its maximum of {body.top:.4g} is less than {LOW_CONTRAST:g} times the background of {body.background:.4g}; the "
            "volume is uncertain. Compare it with CT or MR."
        )
        found.append(("segment.low-contrast", text))
    if diameter_mm < DIAMETERS_PER_FWHM * settings.fwhm_mm:
        text = (
            f"it is a sphere of {diameter_mm:.1f} mm in an image of {settings.fwhm_mm:g} mm resolution; below "
            f"{DIAMETERS_PER_FWHM * settings.fwhm_mm:.0f} mm the blur decides the volume: it may be a third off, or "
            "twice the truth where contrast is low."
        )
        found.append(("segment.below-resolution", text))
    return [doubt(Severity.WARNING, code, region.name, text, evidence) for code, text in found]


def _misplaced(
    volume: Volume, region: Region, around: Surroundings, share: npt.NDArray[np.float32], evidence: dict[str, str]
) -> list[Finding]:
    found: list[tuple[str, str]] = []
    if not share[around.seed]:
        away_mm = np.linalg.norm(region.centroid_lps_mm - volume.grid.to_lps_mm(np.add(around.start_ijk, around.seed)))
        text = (
            f"the seed lies outside it, {away_mm:.1f} mm from its centre: uphill from the seed is this lesion. If another "
            "is meant, it is no peak of its own; draw it."
        )
        found.append(("segment.seed-outside", text))
    stop = np.add(region.start_ijk, region.fraction.shape)
    if min(region.start_ijk) == 0 or np.any(stop == volume.grid.shape):
        text = "it reaches the edge of the image. Volume and activity are those of the part inside."
        found.append(("segment.cut-by-edge", text))
    return [doubt(Severity.WARNING, code, region.name, text, evidence) for code, text in found]


def _source(settings: DelineationSettings, body: _Body, unit: str) -> str:
    how = {
        Method.PERCENT_OF_MAX: f"{settings.share:.0%} of the maximum",
        Method.BACKGROUND_ADAPTED: f"background-adapted {settings.share:.0%}",
        Method.SPHERE_ADAPTED: f"border of a blurred sphere of this volume, resolution {settings.fwhm_mm:g} mm",
        Method.FIXED: "fixed threshold",
        Method.GRADIENT: "steepest border, searched about the background-adapted 50 %",
    }[settings.method]
    cut = f"; cut from {_named(body.cut_from)}" if body.cut_from else ""
    return f"{how}: {body.level:.4g} {unit} (maximum {body.top:.4g}, background {body.background:.4g}){cut}"


def _named(cut_from: tuple[str, ...]) -> str:
    return " and ".join(dict.fromkeys(cut_from))
