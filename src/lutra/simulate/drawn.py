"""Contours as a reader draws them: along the true border of each lesion in the slices of a CT, or with an error of the reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from lutra.core.region import ContourSet, Region, RegionOrigin
from lutra.core.study import SeriesHeader
from lutra.export import stable_uid
from lutra.imaging.isolines import LEVEL, outlines
from lutra.imaging.keyhole import keyholes
from lutra.simulate.disease import SeenLesion
from lutra.simulate.patient import stream
from lutra.simulate.scene import Scene, united

FINEST_MM = 2.0
"""Points of a level no further apart than this, whatever the pixels: a reader draws between them. [mm]"""
SMALLEST_POLYGON = 3
ORGANS = {
    "liver": ("liver",),
    "spleen": ("spleen",),
    "left kidney": ("left kidney cortex", "left kidney medulla", "left kidney pelvis"),
    "right kidney": ("right kidney cortex", "right kidney medulla", "right kidney pelvis"),
}
"""Organs that are drawn, with the painted regions they are made of: lesions and vessels in them are left out."""


@frozen
class Hand:
    """How a reader draws.

    Parameters
    ----------
    error_mm
        Standard deviation of the distance between the drawn and the true border, which is the same all around a lesion in one
        scan. [mm]
    """

    error_mm: float = 0.0

    def offset_mm(self, seed: int, scan: str, lesion_id: str) -> float:
        """How far outside the true border a lesion is drawn in a scan. [mm]"""
        return self.error_mm * float(stream(seed, f"drawn {scan} {lesion_id}").normal()) if self.error_mm else 0.0


def drawn_lesions(scene: Scene, header: SeriesHeader, scan: str, hand: Hand, uid: str) -> tuple[ContourSet, ...]:
    """Draw every lesion on the slices of an image; one that meets no slice is not drawn.

    Parameters
    ----------
    scan
        Name of the scan, for the reader's error.
    uid
        SOP Instance UID of the file the contours are for.
    """
    found = []
    for lesion in scene.seen:
        offset_mm = hand.offset_mm(scene.patient.seed, scan, lesion.lesion_id)
        polygons = _lesion_polygons(scene, lesion, offset_mm)
        if polygons:
            found.append(ContourSet(lesion.name, polygons, header.frame_of_reference, header.series_uid, uid))
    return tuple(found)


def drawn_organs(scene: Scene, header: SeriesHeader, uid: str) -> tuple[ContourSet, ...]:
    """Draw the organs on the slices of an image, lesions left out."""
    found = []
    for region in organ_regions(scene):
        polygons = _polygons(region)
        if polygons:
            found.append(ContourSet(region.name, polygons, header.frame_of_reference, header.series_uid, uid))
    return tuple(found)


def organ_regions(scene: Scene) -> tuple[Region, ...]:
    """Organs that are drawn, as regions."""
    found = []
    for name, parts in ORGANS.items():
        there = [scene.regions[part] for part in parts if part in scene.regions]
        if there:
            found.append(united(name, there))
    return tuple(found)


def lesion_regions(scene: Scene, root: str) -> tuple[Region, ...]:
    """Lesions as partial voxels of an image, as if drawn by hand; a lesion has the same tracking identifier in all images.

    Parameters
    ----------
    root
        Of the identifiers of the patient.
    """
    found = []
    for lesion in scene.seen:
        uid = stable_uid(root, "tracking", lesion.lesion_id)
        whole = scene.whole(lesion)
        found.append(
            evolve(whole, origin=RegionOrigin.DRAWN, tracking_id=lesion.name, tracking_uid=uid, kind=whole.kind)
        )
    return tuple(found)


def _lesion_polygons(scene: Scene, lesion: SeenLesion, offset_mm: float) -> tuple[npt.NDArray[np.float64], ...]:
    """Where the surface of a lesion, moved outwards, cuts the planes of the slices. [mm]"""
    grid = scene.grid
    low, high = (grid.to_ijk(corner) for corner in _bounds_in_scan(scene, lesion, offset_mm))
    step = [min(1.0, FINEST_MM / edge) for edge in grid.spacing_mm[:2]]
    axes = [
        np.arange(max(np.floor(a), -0.5), min(np.ceil(b), n - 0.5) + s / 2, s)
        for a, b, n, s in zip(low, high, grid.shape, step, strict=False)
    ]
    slices = np.arange(max(0, int(np.floor(low[2]))), min(grid.shape[2] - 1, int(np.ceil(high[2]))) + 1)
    index = np.stack(np.meshgrid(*axes, slices, indexing="ij"), axis=-1)
    level_mm = lesion.shape.level_mm(scene.motion.reference_from_scan(grid.to_lps_mm(index))) + offset_mm
    polygons = []
    for n, k in enumerate(slices):
        for line in _closed(outlines(np.asarray(level_mm[:, :, n] + LEVEL))):
            first = np.array([axis[0] for axis in axes])
            ij = first + line * step
            polygons.append(grid.to_lps_mm(np.column_stack([ij, np.full(len(ij), float(k))])))
    return tuple(polygons)


def _bounds_in_scan(scene: Scene, lesion: SeenLesion, offset_mm: float) -> Sequence[npt.NDArray[np.float64]]:
    """Corners of a box around a lesion in the scan, with room for its contour. [mm]"""
    bounds = lesion.shape.bounds_lps_mm
    t = np.array([(a, b, c) for a in (0, 0.5, 1) for b in (0, 0.5, 1) for c in (0, 0.5, 1)])
    points = scene.motion.scan_from_reference(bounds[0] * (1 - t) + bounds[1] * t)
    room = max(offset_mm, 0.0) + 2 * max(scene.grid.spacing_mm)
    return points.min(axis=0) - room, points.max(axis=0) + room


def _polygons(region: Region) -> tuple[npt.NDArray[np.float64], ...]:
    """Where half of a voxel is inside, slice by slice. [mm]"""
    i, j, k = region.start_ijk
    polygons = []
    for n in range(region.fraction.shape[2]):
        for line in keyholes(_closed(outlines(region.fraction[:, :, n]))):
            ijk = np.column_stack([np.add(line, (i, j)), np.full(len(line), float(n + k))])
            polygons.append(region.grid.to_lps_mm(ijk))
    return tuple(polygons)


def _closed(lines: list[npt.NDArray[np.float64]]) -> list[npt.NDArray[np.float64]]:
    return [line for line in lines if len(line) >= SMALLEST_POLYGON]
