"""The leak guard: a region above a threshold that is more than the lesion.

Four signs are looked for. Another body of uptake hangs on the lesion: there is a valley between two peaks of the image, or the
shape has a neck. Part of it lies in an organ that was said not to be the lesion. It reaches the end of the search. It grows out of
proportion when the threshold is lowered a little. The first two can be cut along the valley; what remains after all cuts is checked
for the other two.
"""

from __future__ import annotations

import numpy as np
from attrs import frozen
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, label, zoom

from lutra.core.frozen import three_ints
from lutra.core.grid import Shape
from lutra.segment.surroundings import Floats, Labels, Mask, Surroundings, climb, flooded
from lutra.segment.threshold import NEIGHBOURS, connected

VALLEY = 0.15
"""Depth of a valley, as a share of the lower of the two peaks over the background, from which there are two bodies. [1]"""
NECK = 0.15
"""Narrowing of a neck, as a share of the lesser of the two radii it joins, from which there are two bodies. [1]"""
NOISE_SDS = 4.0
"""A valley is at least so many standard deviations of the background deep. [1]"""
LEVELS = 24
"""Heights at which a field is cut to look for separate parts."""
STEP = 0.05
"""Rise of the threshold, as a share of the lesion's height over the background, for the growth check. [1]"""
GROWTH = 1.5
"""Growth of the volume over that step. The border of a sphere of 2.3 resolutions moves it by 15 %; a leak by far more. [1]"""
FEW_VOXELS = 20
"""Growth by fewer says nothing: the smallest lesions are not many more."""
CUT_SHARE = 1 / 3
"""Share of the border that may be a cut; beyond it the region is a guess rather than a delineation. [1]"""


@frozen(eq=False)
class Leak:
    """Voxels above the threshold that are not the lesion's.

    Parameters
    ----------
    beyond
        Them. (i, j, k)
    into
        What they are, in words.
    """

    beyond: Mask
    into: str


def leak_into_organ(around: Surroundings, body: Mask, peak: Shape) -> Leak | None:
    """Find excluded organs that a region runs into, and give them what lies on their side of the valley."""
    met = np.unique(around.organ[body & (around.organ > 0)])
    if not len(met):
        return None
    markers = np.where(body & (around.organ > 0), 2, 0).astype(np.int32)
    markers[peak] = 1
    sides = flooded(-around.smooth, markers, mask=body)
    names = ", ".join(around.organ_names[n - 1] for n in met)
    return Leak(sides == 2, names)


def leak_into_neighbour(
    around: Surroundings, body: Mask, peak: Shape, background: float, noise: float, fwhm_mm: float
) -> Leak | None:
    """Find another body of uptake on the same region, by a valley of the image or by a neck of the shape."""
    height = np.clip(around.smooth - background, 0, None)
    parts = separate_parts(height, body, climb(around.smooth, peak, body), VALLEY, NOISE_SDS * noise)
    if parts.max() > 1:
        return Leak(flooded(-height, parts, mask=body) > 1, "another peak of uptake")
    return _neck(around, body, peak, fwhm_mm)


def grows_out_of_proportion(
    values: Floats, territory: Mask, body: Mask, peak: Shape, level: float, height: float
) -> float | None:
    """Factor by which a region grows over the last small step of the threshold, if more than blur explains. [1]"""
    tighter = connected((values >= level + STEP * height) & territory, peak)
    if not tighter.any():
        return None
    before, after = int(tighter.sum()), int(body.sum())
    return after / before if after > GROWTH * before and after - before > FEW_VOXELS else None


def cut_share(body: Mask, beyond: Mask) -> float:
    """Share of a region's border that faces what was cut off rather than the background. [1]"""
    border = binary_dilation(body) & ~body
    return float((border & beyond).sum() / max(border.sum(), 1))


def separate_parts(height: Floats, body: Mask, peak: Shape, depth: float, least: float = 0.0) -> Labels:
    """Mark the parts of a body that only hang together below a saddle.

    Two parts are separate if, at some height, they are not connected and both rise above it by `depth` of the lower of the two.

    Parameters
    ----------
    height
        Any field that is positive in the body: uptake over background, or distance to the border. (i, j, k)
    peak
        Voxel of the part that counts as the lesion.
    least
        A part rises at least this far above the saddle.

    Returns
    -------
    ndarray
        1 at the lesion's part and 2, 3, ... at the others; 0 elsewhere. (i, j, k)
    """
    parts = np.zeros(height.shape, np.int32)
    parts[peak] = 1
    own = float(height[peak])
    for level in own * np.arange(1, LEVELS) / LEVELS:
        numbers, n = label((height >= level) & body, NEIGHBOURS)
        if n == 1:
            continue
        tops = np.zeros(n)
        np.maximum.at(tops, numbers[numbers > 0] - 1, height[numbers > 0])
        tops = np.minimum(own, tops)
        for number in 1 + np.flatnonzero(tops - level >= np.maximum(depth * tops, least)):
            part = numbers == number
            if number != numbers[peak] and not (parts[part] > 1).any():
                lower = float(tops[number - 1])
                parts[part & (height >= lower - 0.1 * (lower - level))] = parts.max() + 1
    return parts


def _neck(around: Surroundings, body: Mask, peak: Shape, fwhm_mm: float) -> Leak | None:
    """Look for a neck on a grid of half the voxels: a radius counted in whole voxels says little about a narrow one."""
    filled = np.argwhere(body)
    first = np.maximum(filled.min(axis=0) - 1, 0)
    box = tuple(slice(int(a), int(b)) for a, b in zip(first, filled.max(axis=0) + 2, strict=True))
    fine = zoom(gaussian_filter(body[box].astype(np.float32), 0.6), 2, order=1, mode="nearest", grid_mode=True) >= 0.5
    half_mm = [step / 2 for step in around.spacing_mm]
    radius_mm = gaussian_filter(distance_transform_edt(np.pad(fine, 1), sampling=half_mm), 1.0)[1:-1, 1:-1, 1:-1]
    inner = three_ints((np.subtract(peak, first) * 2).tolist())
    if not fine[inner]:
        return None
    deepest = climb(radius_mm, inner, fine)
    parts = separate_parts(radius_mm, fine, deepest, NECK, fwhm_mm / 10)
    if parts.max() < 2:
        return None
    sides = flooded(-radius_mm, parts, mask=fine) > 1
    beyond = np.zeros_like(body)
    shape = [s // 2 for s in sides.shape]
    share = sides.reshape(shape[0], 2, shape[1], 2, shape[2], 2).mean(axis=(1, 3, 5))
    beyond[box] = body[box] & (share >= 0.5)
    return Leak(beyond, "another body of uptake through a narrow neck")
