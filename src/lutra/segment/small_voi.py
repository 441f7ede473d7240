"""Small spheres in a kidney, for its concentration without drawing all of its parenchyma.

Five spheres of 2 mL, averaged, stand for the whole: [curkic2024] found them stable and accurate for 177Lu-DOTATATE, [khan2025] to
agree with the whole parenchyma to 8 %, after [sandstrom2010] had introduced small volumes. There people place them. Here they lie
inside the kidney, without overlap and out of the reach of what is not kidney, by one of two rules:

`spread`
    in the middle of as many equal parts of where a sphere can lie. Knows nothing of the image, so its noise averages out.
`highest`
    one after the other where the mean in the sphere is highest, as one would pick them by eye. The highest places are also those
    where noise is high: [khan2025] found images without a filter 22 % too high, and a full simulation 20 % (bench/kidneys.py).

:func:`lutra.quantify.small_voi.measure_small_vois` turns them into a concentration.

References
----------
[sandstrom2010] Sandström et al., Eur J Nucl Med Mol Imaging 37:212 (2010). [curkic2024] Curkic Kapidzic et al., Phys Med
120:103335 (2024). [khan2025] Khan et al., EJNMMI Phys 12 (2025), doi 10.1186/s40658-025-00769-w.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, pi

import numpy as np
import numpy.typing as npt
from attrs import evolve

from lutra.core.digest import digest
from lutra.core.finding import Outcome, Severity
from lutra.core.grid import MM3_PER_ML
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.volume import Volume
from lutra.imaging.labels import trimmed
from lutra.imaging.spheres import means_under, sphere_shares
from lutra.segment.algebra import DIGITS, difference, dilated, union
from lutra.segment.doubts import doubt
from lutra.segment.settings import SegmentSettings

Floats = npt.NDArray[np.float64]
Index = tuple[int, int, int]

INSIDE = 0.95
"""Share of a sphere that has to lie in the kidney; a drawn border is not more exact than that. [1]"""
HOT = 0.5
"""Organs of more than this of the kidney's mean are kept away from: colder ones, as muscle, take no more than air would. [1]"""
TOUCHED = 0.01
"""Share of a sphere up to which it may reach into what it has to avoid. [1]"""
FEWEST = 2
"""Of fewer spheres there is no spread, and so no uncertainty."""
ROUNDS = 30
"""Of k-means; the middles move by less than a voxel after ten."""
RENAL_PELVIS = "25990002"
PARTS_OF_KIDNEY = {"64033007", "18639004", "9846003", "50403003"}
"""Codes of regions that are kidney themselves: kidney, left, right, cortex."""


def small_vois(
    image: Volume, kidney: Region, others: tuple[Region, ...], settings: SegmentSettings
) -> Outcome[tuple[Region, ...]]:
    """Place small spheres in a kidney.

    Parameters
    ----------
    image
        SPECT that shows the uptake. [Bq/mL]
    kidney
        The kidney, or better its cortex, on the grid of the image.
    others
        Everything else on the image. Spheres keep the margin of the settings from lesions and hot organs, and out of the renal
        pelvis; what is kidney itself is ignored.

    Returns
    -------
    Outcome
        The spheres; none if fewer than two fit. A Finding if fewer fit than asked for, or something hotter lies
        within the margin of the kidney, whose blur may reach the spheres.

    Raises
    ------
    GridMismatch
        If image and regions are on different grids.
    """
    kidney.grid.require_match(image.grid, f"region {kidney.name} and the image")
    radius_mm = (3 * settings.small_voi_ml * MM3_PER_ML / (4 * pi)) ** (1 / 3)
    kernel = sphere_shares(radius_mm, image.grid.spacing_mm)
    means = means_under(image.values, kidney.box, kernel)
    allowed = _share_in(kidney, kidney, kernel) >= INSIDE
    avoided = _avoided(image, kidney, others, settings.small_voi_lesion_margin_mm)
    for region in avoided:
        allowed &= _share_in(region, kidney, kernel) <= TOUCHED
    spacing, count = np.array(kidney.grid.spacing_mm), settings.small_voi_count
    if settings.small_voi_placement == "highest":
        centres = _hottest(np.where(allowed, means, -np.inf), spacing, radius_mm, count)
    else:
        centres = _spread(allowed, spacing, radius_mm, count)
    evidence = {"spheres": str(len(centres)), "source": kidney.source}
    if len(centres) < FEWEST:
        text = (
            f"{len(centres)} spheres of {settings.small_voi_ml:g} mL fit into its {kidney.volume_ml:.3g} mL away from lesions, "
            f"other organs and the pelvis; {FEWEST} are needed for a spread. Use the whole kidney with a recovery correction."
        )
        return Outcome(None, (doubt(Severity.UNDETERMINED, "segment.small-voi-too-few", kidney.name, text, evidence),))
    findings = []
    if len(centres) < count:
        text = (
            f"only {len(centres)} of {count} spheres of {settings.small_voi_ml:g} mL fit; their mean is less certain."
        )
        findings.append(doubt(Severity.WARNING, "segment.small-voi-few", kidney.name, text, evidence))
    found = float(np.mean([means[centre] for centre in centres]))
    hottest = _beside(image, kidney, avoided, kernel, settings.small_voi_lesion_margin_mm)
    if hottest > found:
        text = (
            f"within {settings.small_voi_lesion_margin_mm:g} mm of it something is {hottest / found:.3g} times as hot as the "
            "spheres, and no region says what; its blur may reach into them. Have it drawn, so that they keep away."
        )
        findings.append(doubt(Severity.WARNING, "segment.small-voi-spill-in", kidney.name, text, evidence))
    return Outcome(tuple(_sphere(n, at, kernel, kidney, settings) for n, at in enumerate(centres, start=1)), findings)


def _avoided(image: Volume, kidney: Region, others: Sequence[Region], margin_mm: float) -> list[Region]:
    """Where no sphere may reach: the pelvis; lesions and hot organs, with the margin."""
    pelvis: list[Region] = []
    near: list[Region] = []
    room = _room(kidney, margin_mm)
    hot = HOT * _mean(image, kidney)
    for region in others:
        code = region.code.value if region.code else ""
        if code in PARTS_OF_KIDNEY or region.kind is RegionKind.OTHER:
            continue
        beside = _cut(region, room)
        if beside and code != RENAL_PELVIS and region.kind is RegionKind.ORGAN:
            # What overlaps the kidney, as a region drawn around it, is not beside it.
            beside = difference(region.name, beside, kidney)
            beside = beside if beside and _mean(image, beside) > hot else None
        if beside:
            (pelvis if code == RENAL_PELVIS else near).append(beside)
    whole = union("near", *near) if near else None
    reach = dilated("reach", whole, margin_mm) if whole else None
    return [*pelvis, *([reach] if reach else [])]


def _mean(image: Volume, region: Region) -> float:
    return float(np.average(image.values[region.box], weights=region.fraction))


def _room(kidney: Region, margin_mm: float) -> list[tuple[int, int]]:
    """First and last index of the voxels whose reach can matter to the kidney."""
    grown = [ceil(margin_mm / step) + 1 for step in kidney.grid.spacing_mm]
    return [(side.start - n, side.stop + n) for side, n in zip(kidney.box, grown, strict=True)]


def _cut(region: Region, room: list[tuple[int, int]]) -> Region | None:
    """Part of a region within a box."""
    start = [max(side.start, low) for side, (low, _) in zip(region.box, room, strict=True)]
    stop = [min(side.stop, high) for side, (_, high) in zip(region.box, room, strict=True)]
    if any(b <= a for a, b in zip(start, stop, strict=True)):
        return None
    own = tuple(slice(a - side.start, b - side.start) for a, b, side in zip(start, stop, region.box, strict=True))
    i, j, k = start
    box = trimmed((i, j, k), region.fraction[own])
    return evolve(region, start_ijk=box[0], fraction=box[1]) if box else None


def _share_in(region: Region, kidney: Region, kernel: Floats) -> Floats:
    """Share of a sphere round each voxel of the kidney's box that lies in a region. [1] (i, j, k)"""
    region.grid.require_match(kidney.grid, f"regions {region.name} and {kidney.name}")
    margin = [n // 2 for n in kernel.shape]
    # Enough of the image that no sphere leaves it, so that what lies beyond the image counts as outside.
    start = [side.start - m for side, m in zip(kidney.box, margin, strict=True)]
    block = np.zeros([side.stop - side.start + 2 * m for side, m in zip(kidney.box, margin, strict=True)], np.float32)
    into, out_of = [], []
    for first, size, own in zip(start, block.shape, region.box, strict=True):
        low, high = max(first, own.start), min(first + size, own.stop)
        into.append(slice(low - first, max(low, high) - first))
        out_of.append(slice(low - own.start, max(low, high) - own.start))
    block[tuple(into)] = region.fraction[tuple(out_of)]
    i, j, k = (slice(m, n - m) for m, n in zip(margin, block.shape, strict=True))
    return means_under(block, (i, j, k), kernel)


def _hottest(means: Floats, spacing_mm: Floats, radius_mm: float, count: int) -> list[Index]:
    """Take the highest mean, then the highest of those whose sphere does not overlap it, and so on."""
    position_mm = np.moveaxis(np.indices(means.shape), 0, -1) * spacing_mm
    left = means.copy()
    centres: list[Index] = []
    while len(centres) < count and np.isfinite(left.max()):
        i, j, k = (int(n) for n in np.unravel_index(int(np.argmax(left)), left.shape))
        centres.append((i, j, k))
        left[np.linalg.norm(position_mm - position_mm[i, j, k], axis=-1) < 2 * radius_mm] = -np.inf
    return centres


def _spread(allowed: npt.NDArray[np.bool_], spacing_mm: Floats, radius_mm: float, count: int) -> list[Index]:
    """Part the places in `count` by nearest centre, until each centre is the middle of its part (k-means)."""
    index = np.argwhere(allowed)
    if not len(index):
        return []
    places_mm = index * spacing_mm
    middles = places_mm[[0]]
    while len(middles) < min(count, len(places_mm)):  # begin with places as far apart as they are
        middles = np.vstack([middles, places_mm[np.argmax(_apart_mm(places_mm, middles).min(axis=1))]])
    for _ in range(ROUNDS):
        part = _apart_mm(places_mm, middles).argmin(axis=1)
        middles = np.array([places_mm[part == n].mean(axis=0) for n in range(len(middles))])
    centres: list[Index] = []
    for middle in middles:
        apart = np.linalg.norm(places_mm - middle, axis=1)
        for chosen in centres:
            apart[np.linalg.norm(places_mm - chosen * spacing_mm, axis=1) < 2 * radius_mm] = np.inf
        if np.isfinite(apart.min()):
            i, j, k = (int(n) for n in index[int(np.argmin(apart))])
            centres.append((i, j, k))
    return centres


def _apart_mm(places_mm: Floats, middles_mm: Floats) -> Floats:
    apart: Floats = np.linalg.norm(places_mm[:, None] - middles_mm, axis=-1)
    return apart


def _beside(image: Volume, kidney: Region, avoided: Sequence[Region], kernel: Floats, margin_mm: float) -> float:
    """Highest mean in a sphere beside the kidney, where nothing is known to be hot; -inf if there is no such place."""
    around = dilated("around", kidney, margin_mm)
    beside = around and difference("beside", around, kidney, *avoided)
    if beside is None:
        return -np.inf
    return float(means_under(image.values, beside.box, kernel)[beside.fraction > 0.5].max(initial=-np.inf))


def _sphere(n: int, centre: Index, kernel: Floats, kidney: Region, settings: SegmentSettings) -> Region:
    first = np.array(kidney.start_ijk) + centre - np.array(kernel.shape) // 2
    cut = tuple(
        slice(max(0, -int(a)), min(m, size - int(a)))
        for a, m, size in zip(first, kernel.shape, kidney.grid.shape, strict=True)
    )
    i, j, k = (max(0, int(a)) for a in first)
    box = trimmed((i, j, k), np.ascontiguousarray(kernel[cut], np.float32))
    assert box is not None  # noqa: S101  (most of it lies in the kidney)
    how = f"sphere {n} of {settings.small_voi_ml:g} mL, {settings.small_voi_placement} in “{kidney.name}”"
    source, uid = f"{how}; {kidney.name} {digest(kidney)[:DIGITS]}", kidney.referenced_series_uid
    name = f"{kidney.name} VOI {n}"
    return Region(name, RegionKind.OTHER, kidney.grid, *box, None, RegionOrigin.ALGEBRA, source, uid)
