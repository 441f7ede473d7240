"""Shapes on a grid: the share of each voxel that belongs to each region, whatever the posture.

Layers are looked at from the top. What a layer covers is taken from the share that is left, so that the shares of a voxel add
up to the share of the body in it, by construction. Only voxels that a surface may cut are looked at more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.simulate.combine import Union
from lutra.simulate.motion import Motion
from lutra.simulate.shapes import Shape, Tube, some

SUBSAMPLES_PER_RADIUS = 6.0
"""Sub-voxels are at most this part of the smallest half-extent of a lesion: the volume of a sphere is then within 1 %. [1]"""
MAX_SUBSAMPLES, ORGAN_SUBSAMPLES = 8, 2
ORGAN_EDGE_MM = 4.1
"""Voxels of organs with an edge longer than this are halved along it. [mm]"""
TUBE_PIECES = 3
"""Straight pieces of a tube that are looked at together. [1]"""
MOSTLY = 0.7
"""Below this share of voxels not yet covered by others, only those are looked at. [1]"""
ONE_LOOK = frozenset(
    {"fat", "muscle", "body remainder", "ribs", "left lung", "right lung", "heart", "discs", "bowel", "stomach", "gas"}
)
"""Organs whose volume nobody asks for to a percent: the depth below the surface at the middle of a voxel tells its share."""
RAMP = 0.75
"""Width over which the share goes from 0 to 1, in sub-voxels; 1 overstates the volume of a sphere by (w / 2R)^2, 0 is noise.
[1]"""
POINTS_AT_ONCE = 400_000
DEFORMED_MARGIN_MM = 4.0
Box = tuple[slice, slice, slice]


class Painted(Protocol):
    """Something with a name and a shape."""

    @property
    def name(self) -> str:
        """Name of the region."""
        ...

    @property
    def shape(self) -> Shape:
        """Where it is."""
        ...


class LesionShape(Protocol):
    """What painting needs to know of a lesion; a `core` shape, where there is one, becomes the region `<id> core`."""

    @property
    def lesion_id(self) -> str:
        """Name of the region."""
        ...

    @property
    def shape(self) -> Shape:
        """Where it is."""
        ...


class Anatomy(Protocol):
    """What can be painted: the outline first, then what lies in it, later ones over earlier ones."""

    @property
    def organs(self) -> Sequence[Painted]:
        """In painting order."""
        ...

    @property
    def source(self) -> str:
        """What it was made from, for the record."""
        ...


@frozen
class _Layer:
    """What is painted at once: the union of some parts."""

    name: str
    kind: RegionKind
    parts: tuple[Shape, ...]


def regions_on(
    body: Anatomy, lesions: Sequence[LesionShape], grid: Grid, motion: Motion | None = None
) -> tuple[Region, ...]:
    """Paint a body and its lesions.

    Parameters
    ----------
    lesions
        Painted last, in this order, each followed by its core.
    motion
        Posture of the scan; None is the reference posture.

    Returns
    -------
    tuple
        A region for every name of which something is on the grid, in painting order. Their shares add up to that of the body
        in every voxel.
    """
    organs = [_Layer(organ.name, RegionKind.ORGAN, _parts(organ.shape)) for organ in body.organs]
    canvas = _Canvas(grid, motion or Motion(), [*organs, *_lesion_layers(lesions)])
    shares = canvas.paint()
    order = dict.fromkeys(layer.name for layer in canvas.layers)
    kinds = {layer.name: layer.kind for layer in canvas.layers}
    regions = []
    for name in order:
        merged = _merged(shares.get(name, []))
        if merged is not None:
            start, fraction = merged
            regions.append(Region(name, kinds[name], grid, start, fraction, None, RegionOrigin.ALGEBRA, body.source))
    return tuple(regions)


def mean_regions(states: Sequence[tuple[Region, ...]]) -> tuple[Region, ...]:
    """Average of equally likely postures, as a scan slower than a breath sees them."""
    grid = states[0][0].grid
    order = dict.fromkeys(region.name for state in states for region in state)
    found = []
    for name in order:
        same = [region for state in states for region in state if region.name == name]
        merged = _merged([(region.start_ijk, region.fraction / np.float32(len(states))) for region in same])
        if merged is not None:
            start, fraction = merged
            first = same[0]
            found.append(Region(name, first.kind, grid, start, fraction, first.code, first.origin, first.source))
    return tuple(found)


def _parts(shape: Shape) -> tuple[Shape, ...]:
    """Parts whose union a shape is, each in its own, smaller box."""
    if isinstance(shape, Union) and not shape.rounding_mm:
        return tuple(piece for part in shape.parts for piece in _parts(part))
    if isinstance(shape, Tube):
        starts = range(0, len(shape.radii_mm) - 1, TUBE_PIECES)
        cuts = [slice(start, start + TUBE_PIECES + 1) for start in starts]
        return tuple(Tube("", shape.line_lps_mm[cut], shape.radii_mm[cut]) for cut in cuts)
    return (shape,)


def _lesion_layers(lesions: Sequence[LesionShape]) -> Iterable[_Layer]:
    for lesion in lesions:
        yield _Layer(lesion.lesion_id, RegionKind.LESION, _parts(lesion.shape))
        core: Shape | None = getattr(lesion, "core", None)
        if core is not None:
            yield _Layer(f"{lesion.lesion_id} core", RegionKind.LESION, _parts(core))


Share = tuple[tuple[int, int, int], npt.NDArray[np.float32]]


def _merged(shares: Sequence[Share]) -> Share | None:
    """Sum of shares in one box without empty borders; None if nothing is there."""
    shares = [(start, f) for start, f in shares if f.size]
    if not shares:
        return None
    start = np.min([s for s, _ in shares], axis=0)
    stop = np.max([np.add(s, f.shape) for s, f in shares], axis=0)
    if len(shares) == 1:
        total = shares[0][1]
    else:
        total = np.zeros(stop - start, np.float32)
        for s, f in shares:
            total[tuple(slice(a, a + n) for a, n in zip(np.subtract(s, start), f.shape, strict=True))] += f
    filled = [np.flatnonzero(total.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not filled[0].size:
        return None
    cut = tuple(slice(int(n[0]), int(n[-1]) + 1) for n in filled)
    i, j, k = (int(s + n[0]) for s, n in zip(start, filled, strict=True))
    return (i, j, k), total[cut]


def _around(boxes: Sequence[Box | None]) -> Box | None:
    """Smallest box around some."""
    there = [box for box in boxes if box is not None]
    if not there:
        return None
    i, j, k = (slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*there, strict=True))
    return i, j, k


class _Canvas:
    """Reference coordinates of every voxel of a scan, and what of it is still uncovered."""

    def __init__(self, grid: Grid, motion: Motion, layers: Sequence[_Layer]) -> None:
        self.layers = layers
        self._grid, self._motion = grid, motion
        self._spacing_mm = np.array(grid.spacing_mm)
        self._organ_counts = tuple(ORGAN_SUBSAMPLES if s > ORGAN_EDGE_MM else 1 for s in grid.spacing_mm)
        index = [np.arange(-1, n + 1, dtype=np.float32) for n in grid.shape]
        affine = grid.affine_lps_mm.astype(np.float32)
        i, j, k = (
            affine[:3, axis, None, None, None] * index[axis].reshape([-1 if a == axis else 1 for a in range(3)])
            for axis in range(3)
        )
        scan = i + j + k + affine[:3, 3, None, None, None]
        at = motion.reference_from_scan(np.moveaxis(scan, 0, -1))
        self._at = np.ascontiguousarray(
            np.moveaxis(at, -1, 0), np.float32
        )  # one voxel wider than the grid on every side
        self._reach_mm = 0.55 * float(np.linalg.norm(self._spacing_mm))  # a little more than half a diagonal

    def paint(self) -> dict[str, list[Share]]:
        """Share of every layer, from the top; what is left under all of them is the first."""
        outline, *rest = zip(self.layers, self._boxes(), strict=True)
        left = np.zeros(self._grid.shape, np.float32)
        whole = _around(outline[1])
        if whole is not None:
            left[whole] = self._share(*outline, whole, np.ones_like(left[whole]))
        shares: dict[str, list[Share]] = {}
        for layer, boxes in reversed(rest):
            box = _around(boxes)
            if box is None:
                continue
            uncovered = left[box]
            share = self._share(layer, boxes, box, uncovered)
            share *= uncovered
            uncovered -= share
            start = (box[0].start, box[1].start, box[2].start)
            shares.setdefault(layer.name, []).append((start, share))
        shares.setdefault(outline[0].name, []).append(((0, 0, 0), left))
        return shares

    def _share(
        self, layer: _Layer, boxes: Sequence[Box | None], around: Box, uncovered: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Share of the voxels of a box in a layer. Of parts that share a voxel the larger share counts: they mostly overlap."""
        if len(boxes) == 1:
            return self._fraction(layer, layer.parts[0], around, uncovered)
        share = np.zeros_like(uncovered)
        for part, box in zip(layer.parts, boxes, strict=True):
            if box is not None:
                own = tuple(slice(s.start - a.start, s.stop - a.start) for s, a in zip(box, around, strict=True))
                np.maximum(share[own], self._fraction(layer, part, box, uncovered[own]), out=share[own])
        return share

    def _boxes(self) -> list[list[Box | None]]:
        """Voxels that each part of each layer may touch."""
        bounds = np.array([part.bounds_lps_mm for layer in self.layers for part in layer.parts])
        t = np.array([(a, b, c) for a in (0, 0.5, 1) for b in (0, 0.5, 1) for c in (0, 0.5, 1)])
        points = bounds[:, None, 0] * (1 - t) + bounds[:, None, 1] * t
        ijk = self._grid.to_ijk(self._motion.scan_from_reference(points))
        margin = 1 + (0 if self._motion.is_identity else DEFORMED_MARGIN_MM) / self._spacing_mm
        low = np.maximum(np.floor(ijk.min(axis=1) - margin), 0).astype(int)
        high = np.minimum(np.ceil(ijk.max(axis=1) + margin) + 1, self._grid.shape).astype(int)
        boxes: Iterator[Box | None] = (
            None if any(np.greater_equal(a, b)) else (slice(a[0], b[0]), slice(a[1], b[1]), slice(a[2], b[2]))
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        )
        return [list(islice(boxes, len(layer.parts))) for layer in self.layers]

    def _fraction(
        self, layer: _Layer, shape: Shape, box: Box, uncovered: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        padded = tuple(slice(s.start + 1, s.stop + 1) for s in box)
        points = np.moveaxis(self._at[:, *padded], 0, -1)
        free = uncovered > 0
        if np.count_nonzero(free) > MOSTLY * free.size:
            level = shape.level_mm(points)
        else:
            level = np.full(free.shape, -np.inf, np.float32)
            level[free] = shape.level_mm(some(points, free))
        fraction = (level > 0).astype(np.float32)
        near = np.flatnonzero((np.abs(level) < self._reach_mm) & free)
        counts = self._subsamples(layer, shape)
        width_mm = np.float32(RAMP * np.prod(self._spacing_mm / counts) ** (1 / 3))
        if max(counts) == 1:
            fraction.flat[near] = np.clip(level.ravel()[near] / width_mm + np.float32(0.5), 0, 1)
            return fraction
        index = np.unravel_index(near, level.shape)
        index = tuple(n + p.start for n, p in zip(index, padded, strict=True))
        fine = [(np.arange(n, dtype=np.float32) + 0.5) / n - 0.5 for n in counts]
        offsets = np.stack(np.meshgrid(*fine, indexing="ij")).reshape(3, 1, -1).astype(np.float32)
        per_pass = max(1, POINTS_AT_ONCE // offsets.shape[-1])
        for first in range(0, near.size, per_pass):
            part = tuple(n[first : first + per_pass] for n in index)
            points = self._sub_voxels(part, offsets)
            covered = np.clip(shape.level_mm(np.moveaxis(points, 0, -1)) / width_mm + np.float32(0.5), 0, 1)
            fraction.flat[near[first : first + per_pass]] = covered.mean(axis=-1)
        return fraction

    def _sub_voxels(
        self, index: tuple[npt.NDArray[np.intp], ...], offsets: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Find reference coordinates inside voxels by the local linear map. [mm] (3, n, m)"""
        points = self._coordinates(index)[:, :, None]
        for axis in range(3):
            ahead = tuple(n + (a == axis) for a, n in enumerate(index))
            behind = tuple(n - (a == axis) for a, n in enumerate(index))
            step = (self._coordinates(ahead) - self._coordinates(behind)) * np.float32(0.5)
            points = points + step[:, :, None] * offsets[axis]
        return points

    def _coordinates(self, index: tuple[npt.NDArray[np.intp], ...]) -> npt.NDArray[np.float32]:
        return np.stack([axis[index] for axis in self._at])

    def _subsamples(self, layer: _Layer, shape: Shape) -> tuple[int, ...]:
        if layer.kind is RegionKind.LESION:
            radius_mm = float(np.diff(shape.bounds_lps_mm, axis=0).min()) / 2
            wanted = np.ceil(self._spacing_mm * SUBSAMPLES_PER_RADIUS / radius_mm)
            return tuple(int(n) for n in np.clip(wanted, 1, MAX_SUBSAMPLES))
        return (1, 1, 1) if layer.name in ONE_LOOK else self._organ_counts
