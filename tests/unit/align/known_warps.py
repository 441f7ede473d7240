"""A real CT warped by fields that are known, and images of it that a registration cannot cheat with.

The displacement is written in closed form (breathing that fades towards spine and chest wall, a bent spine, the patient laid
down anew, and waves of 110 to 220 mm), so it is neither a smoothed field nor a spline. The fixed image is read off the CT with
cubic splines, on another grid than the CT's and the registration's, with noise of its own; with `contrast`, every organ takes
up medium as well. What the registration inverts, linear interpolation on a coarse grid, made none of it.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from attrs import evolve, frozen
from scipy import ndimage

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.labels import trimmed
from lutra.simulate.motion import Motion

ORGANS = {"spleen": 1, "kidney right": 2, "kidney left": 3, "liver": 5}
ENHANCED_HU = {1: 50, 2: 70, 3: 70, 5: 40, 52: 90, 63: 90, 64: 80}
"""Label -> most a portal venous phase adds. [HU]"""
L1, L2 = 31, 30
SPINE_Y_MM = 52.0
WAVES, WAVE_MM, WAVE_AMPLITUDE_MM = 6, (110.0, 220.0), 1.2


@frozen(eq=False)
class Labelled:
    ct: Volume
    labels: np.ndarray

    def region(self, name: str) -> Region:
        mask = (self.labels == ORGANS[name]).astype(np.float32)
        start, fraction = trimmed((0, 0, 0), mask)
        return Region(
            name, RegionKind.ORGAN, self.ct.grid, start, fraction, None, RegionOrigin.IMPORTED, "labels of the CT"
        )


def labelled_ct(folder: Path) -> Labelled:
    image = nib.load(folder / "example_ct.nii.gz")
    affine = np.diag([-1.0, -1, 1, 1]) @ image.affine
    grid = Grid(image.shape, affine, "moving")
    labels = np.asarray(nib.load(folder / "example_seg_fast_force_split.nii.gz").dataobj).astype(np.int16)
    return Labelled(Volume(np.asarray(image.dataobj, np.float32), grid, Unit.HU), labels)


@frozen(eq=False)
class Warp:
    """Fixed points to moving ones."""

    motion: Motion
    waves: np.ndarray
    amplitudes_mm: np.ndarray
    phases: np.ndarray

    def __call__(self, fixed_lps_mm: np.ndarray) -> np.ndarray:
        swayed = fixed_lps_mm + np.sin(fixed_lps_mm @ self.waves.T + self.phases) @ self.amplitudes_mm
        return self.motion.reference_from_scan(swayed)


def warp(labelled: Labelled, seed: int, scale: float = 1.0) -> Warp:
    """Breathing of 8 to 20 mm, posture, waves; `scale` makes all but the turn larger."""
    rng = np.random.default_rng(seed)
    centre = labelled.ct.grid.to_lps_mm(np.argwhere(np.isin(labelled.labels, (L1, L2))).mean(axis=0))
    centre[1] -= SPINE_Y_MM
    motion = Motion(
        min(float(rng.uniform(8, 20)) * scale, 35.0),
        rng.normal(0, 4, 3),
        rng.normal(0, 1.5, 3),
        np.clip(rng.normal(0, 6, 2) * scale, -40, 40),
        centre,
    )
    waves = rng.normal(size=(WAVES, 3))
    waves *= 2 * np.pi / rng.uniform(*WAVE_MM, (WAVES, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    return Warp(motion, waves, rng.normal(0, WAVE_AMPLITUDE_MM * scale, (WAVES, 3)), rng.uniform(0, 2 * np.pi, WAVES))


@frozen(eq=False)
class Warped:
    """A fixed image whose map to the CT is known."""

    image: Volume
    warp: Warp
    labels: np.ndarray

    def places(self, name: str) -> np.ndarray:
        """Some voxel centres of an organ. [mm] (n, 3)"""
        return self.image.grid.to_lps_mm(np.argwhere(self.labels == ORGANS[name])[::11])

    def error_mm(self, transform: Transform, name: str) -> np.ndarray:
        places = self.places(name)
        return np.linalg.norm(transform.moving_points(places) - self.warp(places), axis=-1)

    def truth(self, labelled: Labelled, name: str, per_edge: int = 3) -> np.ndarray:
        """Share of each voxel inside an organ: 27 points of it, sent by the true map. (i, j, k)"""
        steps = (np.arange(per_edge) + 0.5) / per_edge - 0.5
        share = np.zeros(self.image.grid.shape)
        near = ndimage.binary_dilation(self.labels == ORGANS[name], iterations=3)
        index = np.argwhere(near)
        inside = np.zeros(len(index))
        for step in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3):
            ijk = labelled.ct.grid.to_ijk(self.warp(self.image.grid.to_lps_mm(index + step)))
            inside += ndimage.map_coordinates(labelled.labels, ijk.T, order=0) == ORGANS[name]
        share[near] = inside / per_edge**3
        return share


def warped_ct(
    labelled: Labelled,
    seed: int,
    *,
    contrast: bool = False,
    scale: float = 1.0,
    noise_hu: float = 20.0,
    spacing_mm: tuple[float, float, float] = (2.6, 2.6, 2.5),
) -> Warped:
    """Scan the CT's body in another posture. The top 24 mm are left out, which breathing would fill from beyond the CT."""
    field = warp(labelled, seed, scale)
    corners = labelled.ct.grid.corners_lps_mm
    low, high = corners.min(axis=0), corners.max(axis=0)
    low[2], high[2] = low[2] + 7, high[2] - 24
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = low + 1.3
    grid = Grid(np.floor((high - low) / spacing_mm).astype(int), affine, "fixed")
    ijk = np.moveaxis(labelled.ct.grid.to_ijk(field(grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1)))), -1, 0)
    values = ndimage.map_coordinates(labelled.ct.values, ijk, order=3, mode="constant", cval=-1000)
    labels = ndimage.map_coordinates(labelled.labels, ijk, order=0)
    rng = np.random.default_rng([seed, 1])
    for label, most_hu in ENHANCED_HU.items() if contrast else ():
        values += most_hu * rng.uniform(0.3, 1) * ndimage.gaussian_filter((labels == label).astype(np.float32), 0.5)
    grains = ndimage.gaussian_filter(rng.standard_normal(grid.shape, np.float32), 0.6)
    values += noise_hu * grains / grains.std()
    return Warped(Volume(values, grid, Unit.HU), field, labels)


def best_rigid(warped: Warped) -> Transform:
    """Rigid map with the least error over the body: as good as any rigid registration can be."""
    points = warped.image.grid.to_lps_mm(np.argwhere(warped.image.values > -200)[::211])
    there = warped.warp(points)
    a, b = points.mean(axis=0), there.mean(axis=0)
    u, _, vt = np.linalg.svd((there - b).T @ (points - a))
    turn = (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, a - turn @ b
    return Transform("fixed", "moving", matrix, None, "best rigid map")


def mirrored(image: Volume, axis: int) -> Volume:
    """Another anatomy on the same grid: left for right, front for back, or head for feet."""
    return evolve(image, values=np.flip(image.values, axis))


def soft_dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of shares. [1]"""
    return float(2 * np.minimum(one, other).sum() / (one.sum() + other.sum()))
