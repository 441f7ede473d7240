"""Dose in a homogeneous medium from a point kernel: uniform spheres, and the voxels of a grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64
from lutra.physics.compiled import compiled
from lutra.physics.point_kernel import EDGES_G_PER_CM2, Array, PointKernel

KEV_PER_G_IN_GY = 1.602176634e-13
"""One keV in one gram. [Gy]"""
SUBSHELLS = 4
"""Points within a shell at which it is looked at."""
DIRECTIONS = 12000
"""Directions at which a shell is looked at."""
NEAR_VOXELS = 8
"""Up to here energy is spread by shells; further out the kernel hardly changes within a voxel."""


@frozen
class SphereDose:
    """Mean dose of a uniform sphere to itself per decay, and its parts. [Gy/(Bq.s)]"""

    s_gy_per_bq_s: float
    electrons: float
    photons: float


def sphere_s(kernel: PointKernel, mass_g: float, density_g_per_ml: float) -> SphereDose:
    """Mean self-dose of a sphere of uniform activity in an endless medium of its own kind.

    The share of a shell of radius r around a point of the sphere that lies in the sphere too is, over all points,
    1 - 3/2 u + 1/2 u^3 with u = r/2R [berger].

    Raises
    ------
    OutsideValidity
        If mass or density is not positive.

    References
    ----------
    [berger] Berger, MIRD Pamphlet 7: the geometric reduction factor of a sphere.
    """
    if not (mass_g > 0 and density_g_per_ml > 0):
        raise OutsideValidity(
            f"a sphere of {mass_g:g} g and {density_g_per_ml:g} g/mL", required="mass and density above 0"
        )
    diameter_g_per_cm2 = 2 * (3 * mass_g / (4 * np.pi * density_g_per_ml)) ** (1 / 3) * density_g_per_ml
    radii = _subshells()
    u = np.minimum(radii / diameter_g_per_cm2, 1.0)
    inside = (1 - 1.5 * u + 0.5 * u**3).reshape(-1, SUBSHELLS).mean(axis=1)
    parts = [float(kev @ inside) * KEV_PER_G_IN_GY / mass_g for kev in (kernel.electron_kev, kernel.photon_kev)]
    return SphereDose(sum(parts), *parts)


@frozen(eq=False)
class VoxelKernel:
    """Dose per decay in voxels around one voxel of uniform activity.

    Parameters
    ----------
    gy_per_bq_s
        The source is the middle voxel. [Gy/(Bq.s)] (nx, ny, nz)
    energy_kev
        Energy per decay in all the voxels. [keV]
    """

    gy_per_bq_s: Array = field(converter=float64)
    energy_kev: float


def voxel_kernel(
    energy_kev: Array, voxel_mm: tuple[float, float, float], density_g_per_ml: float, size: tuple[int, int, int]
) -> VoxelKernel:
    """Spread the energy of a point kernel over voxels.

    The difference between a point of the source voxel and a point at a distance is, over all points of the voxel, smeared
    by a tent as wide as two voxels along each axis; so the energy of each shell and direction is shared linearly between the
    eight voxels around its end. Energy is kept to rounding, and no voxel size or anisotropy is special.

    Parameters
    ----------
    energy_kev
        Energy per shell of :data:`lutra.physics.point_kernel.EDGES_G_PER_CM2`. [keV]
    size
        Voxels along each axis; odd.

    Raises
    ------
    OutsideValidity
        If a size is even, or an edge or the density is not positive.
    """
    if any(n < 1 or n % 2 == 0 for n in size) or min(*voxel_mm, density_g_per_ml) <= 0:
        raise OutsideValidity(
            f"a kernel of {' × '.join(map(str, size))} voxels of {' × '.join(f'{v:g}' for v in voxel_mm)} mm at "
            f"{density_g_per_ml:g} g/mL",
            required="odd numbers of voxels, edges and density above 0",
        )
    half = np.array(size) // 2
    radii = _subshells()
    radii_mm = radii / density_g_per_ml * 10.0
    weights = np.repeat(energy_kev / SUBSHELLS, SUBSHELLS)
    near = np.zeros(np.minimum(half, NEAR_VOXELS) + 2)
    _spread(near, _octant_directions() / np.array(voxel_mm), radii_mm, weights)
    octant = np.zeros(half + 2)
    _fill_far(octant, energy_kev, EDGES_G_PER_CM2 / density_g_per_ml * 10.0, np.array(voxel_mm))
    octant[tuple(slice(0, n - 1) for n in near.shape)] = near[:-1, :-1, :-1]
    full = _mirrored(octant)[tuple(slice(1, -1) for _ in range(3))]
    mass_g = float(np.prod(voxel_mm)) * 1e-3 * density_g_per_ml
    return VoxelKernel(full * KEV_PER_G_IN_GY / mass_g, float(full.sum()))


@compiled
def _spread(octant: Array, steps: Array, radii_mm: Array, weights: Array) -> None:
    """Share the energy of each radius and direction linearly between the voxels around its end."""
    for n in range(steps.shape[0]):
        for m in range(radii_mm.size):
            x, y, z = radii_mm[m] * steps[n, 0], radii_mm[m] * steps[n, 1], radii_mm[m] * steps[n, 2]
            i, j, k = int(x), int(y), int(z)
            if i > octant.shape[0] - 2 or j > octant.shape[1] - 2 or k > octant.shape[2] - 2:
                break  # further radii lie further out
            a, b, c = x - i, y - j, z - k
            weight = weights[m] / steps.shape[0]
            for di in range(2):
                for dj in range(2):
                    for dk in range(2):
                        share = (a if di else 1 - a) * (b if dj else 1 - b) * (c if dk else 1 - c)
                        octant[i + di, j + dj, k + dk] += weight * share


@compiled
def _fill_far(octant: Array, energy_kev: Array, edges_mm: Array, voxel_mm: Array) -> None:
    """Energy in each voxel from the density of the kernel at eight points, placed so that they have the variance of the tent."""
    offset = voxel_mm / np.sqrt(6.0)
    volume = voxel_mm[0] * voxel_mm[1] * voxel_mm[2]
    # All shells but the first are evenly spaced in the logarithm.
    first, step = np.log(edges_mm[1]), np.log(edges_mm[2] / edges_mm[1])
    density = energy_kev / (4.0 / 3.0 * np.pi * (edges_mm[1:] ** 3 - edges_mm[:-1] ** 3))
    for i in range(octant.shape[0]):
        for j in range(octant.shape[1]):
            for k in range(octant.shape[2]):
                if max(i, j, k) < NEAR_VOXELS:
                    continue
                mean = 0.0
                for a in (-1, 1):
                    for b in (-1, 1):
                        for c in (-1, 1):
                            x, y, z = (
                                i * voxel_mm[0] + a * offset[0],
                                j * voxel_mm[1] + b * offset[1],
                                k * voxel_mm[2] + c * offset[2],
                            )
                            place = (0.5 * np.log(x * x + y * y + z * z) - first) / step + 0.5  # centre of shell 1 at 1
                            n = min(max(int(place), 1), density.size - 2)
                            share = place - n
                            mean += (1.0 - share) * density[n] + share * density[n + 1]
                # A voxel on a plane of symmetry stands for fewer images of itself: the mirror shares energy by eight.
                images = (1 if i == 0 else 2) * (1 if j == 0 else 2) * (1 if k == 0 else 2)
                octant[i, j, k] = mean / 8.0 * volume * images


def _mirrored(octant: Array) -> Array:
    """Unfold an octant over its three planes of symmetry; each point of it stands for eight."""
    full = octant
    for axis in range(3):
        inner = np.flip(np.take(full, range(1, full.shape[axis]), axis=axis), axis=axis)
        centre = np.take(full, [0], axis=axis)
        outer = np.take(full, range(1, full.shape[axis]), axis=axis)
        full = np.concatenate([inner / 2, centre, outer / 2], axis=axis)
    return full


def _subshells() -> Array:
    """Radii at which shells are looked at, evenly within each. [g/cm2] (n SUBSHELLS)"""
    low, high = EDGES_G_PER_CM2[:-1], EDGES_G_PER_CM2[1:]
    at = (np.arange(SUBSHELLS) + 0.5) / SUBSHELLS
    radii: Array = (low[:, None] + at * (high - low)[:, None]).ravel()
    return radii


def _octant_directions() -> npt.NDArray[np.float64]:
    """Evenly spread directions of the first octant, by a spiral over the sphere. (m, 3)"""
    n = DIRECTIONS
    z = 1 - (2 * np.arange(n) + 1) / n
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(n)
    every = np.column_stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z])
    return np.abs(every)
