"""Phantoms a site images to learn what its camera does: spheres in a cylinder of water, after NEMA NU 2."""

from __future__ import annotations

from math import ceil, cos, pi, sin

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import float64_each
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume

WATER_PER_MM = 0.0136
"""Attenuation of water at 208 keV, NIST XCOM. [1/mm]"""
NEMA_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
"""Inner diameters of the spheres of the NEMA IEC body phantom. [mm]"""
LARGE_MM = 60.0
RING_MM = 90.0
"""Wider than the 57 mm of NEMA, so that the large sphere has room in the middle. [mm]"""
RING_PLACES = (0, 3, 1, 4, 2, 5)
"""Sixths of a turn, in order of size: neighbours differ."""
BODY_RADIUS_MM = 140.0
AXIAL_MARGIN_MM = 45.0
FRAME = "2.25.177"
SUBDIVISIONS = 4
"""Sub-voxels along an edge; a 10 mm sphere in 4.8 mm voxels keeps its volume within 0.3 %."""

Share = npt.NDArray[np.float64]


@frozen(eq=False)
class Phantom:
    """Spheres in water.

    Parameters
    ----------
    activity
        [Bq/mL]
    attenuation
        At 208 keV. [1/mm]
    diameters_mm
        Of the spheres. [mm]
    shares
        Share of each voxel that each sphere fills. [1] each (i, j, k)
    concentration_bq_per_ml
        In the spheres. [Bq/mL]
    """

    activity: Volume
    attenuation: Volume
    diameters_mm: tuple[float, ...]
    shares: tuple[Share, ...] = field(converter=float64_each)
    concentration_bq_per_ml: float

    @property
    def volumes_ml(self) -> tuple[float, ...]:
        """True volumes of the spheres. [mL]"""
        return tuple(pi / 6 * d**3 / 1000 for d in self.diameters_mm)

    def recoveries(self, image: npt.NDArray[np.float32]) -> tuple[float, ...]:
        """Mean of an image [Bq/mL] inside the true border of each sphere, over the true concentration. [1]"""
        means = (float(np.sum(share * image) / share.sum()) for share in self.shares)
        return tuple(mean / self.concentration_bq_per_ml for mean in means)


def sphere_phantom(
    spacing_mm: float, concentration_bq_per_ml: float = 1e6, background: float = 0.0, *, water: bool = True
) -> Phantom:
    """Make seven spheres of 10 to 60 mm in a cylinder of 280 mm: six on a ring, the largest in the middle.

    Parameters
    ----------
    spacing_mm
        Edge of the voxels. [mm]
    concentration_bq_per_ml
        In the spheres. [Bq/mL]
    background
        Concentration around the spheres over that in them. [1]
    water
        Whether anything attenuates.
    """
    ring = [(RING_MM * cos(n * pi / 3), RING_MM * sin(n * pi / 3), 0.0) for n in RING_PLACES]
    spheres = [*zip(NEMA_MM, ring, strict=True), (LARGE_MM, (0.0, 0.0, 0.0))]
    return _phantom(spheres, spacing_mm, concentration_bq_per_ml, background, water=water)


def single_sphere(spacing_mm: float, diameter_mm: float = 100.0, concentration_bq_per_ml: float = 1e6) -> Phantom:
    """Make one large sphere in the middle of a cylinder of water: what a camera factor is measured with."""
    return _phantom([(diameter_mm, (0.0, 0.0, 0.0))], spacing_mm, concentration_bq_per_ml, 0.0, water=True)


def round_share(grid: Grid, centre_mm: npt.ArrayLike, radius_mm: float, *, cylinder: bool = False) -> Share:
    """Share of each voxel that a sphere fills, or an endless cylinder along the third axis. [1] (i, j, k)

    Each sub-voxel is taken as cut by a plane. Valid for a grid whose axes are those of the patient.
    """
    spacing = np.array(grid.spacing_mm)
    parts = (np.arange(SUBDIVISIONS) + 0.5) / SUBDIVISIONS - 0.5
    soft = float(spacing.min()) / SUBDIVISIONS
    # A ball with a soft edge has the volume of R**3 + R soft**2 / 4, a cylinder R**2 + soft**2 / 12.
    radius = radius_mm - soft**2 / ((24 if cylinder else 12) * radius_mm)
    middle = grid.to_ijk(centre_mm)
    reach = radius_mm / spacing + 1
    low = np.clip(np.floor(middle - reach), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(middle + reach) + 1, low, grid.shape).astype(int)
    if cylinder:
        low[2], high[2] = 0, grid.shape[2]
    squares = [
        ((np.arange(a, b)[:, None] + parts - m) * s) ** 2 for a, b, m, s in zip(low, high, middle, spacing, strict=True)
    ]
    if cylinder:
        squares[2] = np.zeros((1, 1))
    inside = np.zeros([len(axis) for axis in squares])
    for u, v, w in np.ndindex(*(axis.shape[1] for axis in squares)):
        square = squares[0][:, u, None, None] + squares[1][None, :, v, None] + squares[2][None, None, :, w]
        inside += np.clip(0.5 + (radius - np.sqrt(square)) / soft, 0, 1)
    share = np.zeros(grid.shape)
    share[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = inside / (
        squares[0].shape[1] * squares[1].shape[1] * squares[2].shape[1]
    )
    return share


def centred_grid(extent_mm: tuple[float, float, float], spacing_mm: float) -> Grid:
    """Grid around the origin that covers at least this extent. [mm]"""
    shape = (ceil(extent_mm[0] / spacing_mm), ceil(extent_mm[1] / spacing_mm), ceil(extent_mm[2] / spacing_mm))
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = [-spacing_mm * (n - 1) / 2 for n in shape]
    return Grid(shape, affine, FRAME)


def _phantom(
    spheres: list[tuple[float, tuple[float, float, float]]],
    spacing_mm: float,
    concentration: float,
    background: float,
    *,
    water: bool,
) -> Phantom:
    height = max(d for d, _ in spheres) + 2 * AXIAL_MARGIN_MM
    grid = centred_grid((2 * BODY_RADIUS_MM, 2 * BODY_RADIUS_MM, height), spacing_mm)
    body = round_share(grid, (0, 0, 0), BODY_RADIUS_MM, cylinder=True)
    shares = tuple(round_share(grid, centre, d / 2) for d, centre in spheres)
    filled = sum(shares, np.zeros(grid.shape))
    activity = concentration * (filled + background * (body - filled))
    return Phantom(
        activity=Volume(activity, grid, Unit.BQ_PER_ML),
        attenuation=Volume(WATER_PER_MM * body * water, grid, Unit.ONE),
        diameters_mm=tuple(d for d, _ in spheres),
        shares=shares,
        concentration_bq_per_ml=concentration,
    )
