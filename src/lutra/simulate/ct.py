"""CT of a digital body, and what attenuates photons in it.

The CT number of a voxel is the mean of the tissues in it, each with its texture; then comes what a scanner does: blur, and
noise with the correlation of filtered backprojection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy import fft
from scipy.ndimage import gaussian_filter

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.reference.attenuation import mass_attenuation_cm2_per_g
from lutra.simulate.tissues import Tissue, tissue_of

AIR_HU, AIR_G_PER_ML = -1000.0, 0.0012
TABLE_HU, TABLE_G_PER_ML = -650.0, 0.12
TABLE_HALF_MM, TABLE_THICKNESS_MM, TABLE_SAG_MM = 215.0, 24.0, 32.0
"""A carbon-fibre shell filled with foam; its middle hangs lower than its edges."""
FWHM_PER_SIGMA = 2.3548200450309493
CM_PER_MM = 0.1


class Tissues(Protocol):
    """Whoever knows what the regions of a body are made of."""

    def tissue(self, region_name: str, *, is_lesion: bool = False) -> Tissue:
        """Tissue of a region."""
        ...


class CtKind(StrEnum):
    """Which CT."""

    DIAGNOSTIC = "diagnostic"
    LOW_DOSE = "low-dose"


@frozen
class CtScanner:
    """How a CT sees.

    Parameters
    ----------
    portal_venous
        With contrast medium, 70 s after the injection.
    fwhm_mm
        Width of the point-spread function in and across the slice. [mm] (2,)
    noise_hu
        Standard deviation of a voxel in soft tissue. [HU]
    noise_mm
        Width of the noise grains in the slice. [mm]
    """

    portal_venous: bool
    fwhm_mm: tuple[float, float]
    noise_hu: float
    noise_mm: float


# Noise: abdominal protocols reach 10 to 15 HU in slices of 3 to 5 mm, attenuation CT of hybrid scanners about twice to three
# times that.
SCANNERS = {
    CtKind.DIAGNOSTIC: CtScanner(portal_venous=True, fwhm_mm=(1.1, 2.0), noise_hu=12.0, noise_mm=2.2),
    CtKind.LOW_DOSE: CtScanner(portal_venous=False, fwhm_mm=(1.6, 3.0), noise_hu=30.0, noise_mm=3.0),
}


def hu_volume(
    regions: Sequence[Region],
    grid: Grid,
    body: Tissues,
    kind: CtKind | str = CtKind.DIAGNOSTIC,
    seed: int = 0,
    *,
    hu_of: Mapping[str, float] | None = None,
    table_below_mm: float | None = None,
    scanner: CtScanner | None = None,
) -> Volume:
    """Scan a painted body.

    Parameters
    ----------
    regions
        As painted on `grid` in the posture of this scan.
    body
        Whose tissues they are made of.
    kind
        `diagnostic`: portal venous phase; `low-dose`: no contrast medium, more noise.
    seed
        Of texture and noise. The texture belongs to the scan: it does not move with the tissue from one scan to another.
    hu_of
        CT numbers by region name instead of those of its tissue; for lesions. [HU]
    table_below_mm
        Posterior coordinate of the surface the patient lies on; None leaves the table out. [mm]

    Returns
    -------
    Volume
        [HU]
    """
    kind = CtKind(kind)
    scanner = scanner or SCANNERS[kind]
    rng = np.random.default_rng([seed, *f"ct {kind}".encode()])
    fields = _Textures(grid, rng)
    given = dict(hu_of or {})
    image = np.zeros(grid.shape, np.float32)
    covered = np.zeros(grid.shape, np.float32)
    for region in regions:
        tissue = _own_tissue(region, body)
        hu = given.get(region.name, tissue.hu_portal if scanner.portal_venous else tissue.hu)
        values = np.float32(hu) + np.float32(tissue.texture_hu) * fields.of(tissue.texture_mm)[region.box]
        image[region.box] += region.fraction * values
        covered[region.box] += region.fraction
    around = np.full(grid.shape, AIR_HU, np.float32)
    if table_below_mm is not None:
        around += np.float32(TABLE_HU - AIR_HU) * _table(grid, table_below_mm)
    image += (1 - covered) * around
    sigma = np.array([scanner.fwhm_mm[0], scanner.fwhm_mm[0], scanner.fwhm_mm[1]]) / FWHM_PER_SIGMA
    image = gaussian_filter(image, sigma / grid.spacing_mm, mode="nearest")
    image += np.float32(scanner.noise_hu) * _scanner_noise(grid, scanner.noise_mm, rng)
    return Volume(np.maximum(image, -1024), grid, Unit.HU)


def density_volume(regions: Sequence[Region], grid: Grid, body: Tissues | None = None) -> Volume:
    """Mass density of a painted body in air. [g/mL] Without `body` its tissues are those of everybody."""
    density = {region.name: _own_tissue(region, body).density_g_per_ml for region in regions}
    return Volume(_sum(regions, grid, density, AIR_G_PER_ML), grid, Unit.G_PER_ML)


def attenuation_volume(regions: Sequence[Region], grid: Grid, kev: float, body: Tissues | None = None) -> Volume:
    """Linear attenuation of a painted body in air, for narrow beams. [1/mm]

    Parameters
    ----------
    kev
        Photon energy: 208 or 113 for 177Lu, 511 for PET. [keV]
    """
    per_mm = {}
    for region in regions:
        tissue = _own_tissue(region, body)
        per_mm[region.name] = tissue.density_g_per_ml * mass_attenuation_cm2_per_g(tissue.medium, kev) * CM_PER_MM
    air = AIR_G_PER_ML * mass_attenuation_cm2_per_g("air", kev) * CM_PER_MM
    return Volume(_sum(regions, grid, per_mm, air), grid, Unit.PER_MM)


def _own_tissue(region: Region, body: Tissues | None) -> Tissue:
    is_lesion = region.kind is RegionKind.LESION
    return body.tissue(region.name, is_lesion=is_lesion) if body else tissue_of(region.name, is_lesion=is_lesion)


def _sum(regions: Sequence[Region], grid: Grid, values: Mapping[str, float], outside: float) -> npt.NDArray[np.float32]:
    image = np.full(grid.shape, outside, np.float32)
    for region in regions:
        image[region.box] += region.fraction * np.float32(values[region.name] - outside)
    return image


class _Textures:
    """Random fields of mean 0 and standard deviation 1, one per grain size and shared by the tissues that have it.

    All are blurred from the same noise: tissues of different grain lie in different places, and noise is what takes longest.
    """

    def __init__(self, grid: Grid, rng: np.random.Generator) -> None:
        self._grid, self._fields = grid, dict[float, npt.NDArray[np.float32]]()
        self._white = rng.standard_normal(grid.shape, np.float32)

    def of(self, fwhm_mm: float) -> npt.NDArray[np.float32]:
        """Field whose grains have a width. [1] (i, j, k)"""
        if fwhm_mm not in self._fields:
            self._fields[fwhm_mm] = grains_of(self._white, self._grid, fwhm_mm)
        return self._fields[fwhm_mm]


def grains_of(white: npt.NDArray[np.float32], grid: Grid, fwhm_mm: float) -> npt.NDArray[np.float32]:
    """Blur white noise to grains of a width, and bring it to standard deviation 1. [1] (i, j, k)"""
    grains = gaussian_filter(white, fwhm_mm / FWHM_PER_SIGMA / np.array(grid.spacing_mm), mode="wrap")
    return np.asarray(grains / grains.std(), np.float32)


def _scanner_noise(grid: Grid, fwhm_mm: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw noise as of filtered backprojection. [1] (i, j, k)

    In the slice its power rises with the frequency before it falls; between slices it is weakly correlated. Standard
    deviation 1.
    """
    white = rng.standard_normal(grid.shape, np.float32)
    spectrum = fft.rfft2(white, axes=(0, 1))
    f = np.hypot(
        fft.fftfreq(grid.shape[0], grid.spacing_mm[0])[:, None],
        fft.rfftfreq(grid.shape[1], grid.spacing_mm[1])[None, :],
    )
    sigma_mm = fwhm_mm / FWHM_PER_SIGMA
    amplitude = np.sqrt(f + 0.01) * np.exp(-((np.pi * sigma_mm * f) ** 2))
    noise = fft.irfft2(spectrum * amplitude[:, :, None].astype(np.float32), grid.shape[:2], axes=(0, 1))
    noise = gaussian_filter(noise, (0, 0, 0.5), mode="wrap")
    return np.asarray(noise / noise.std(), np.float32)


def _table(grid: Grid, below_mm: float) -> npt.NDArray[np.float32]:
    """Share of each voxel in the table, which goes on from slice to slice; the slices of `grid` are axial. [1] (i, j, 1)"""
    points = grid.to_lps_mm(np.moveaxis(np.indices((*grid.shape[:2], 1)), 0, -1)).astype(np.float32)
    x, y = points[..., 0], points[..., 1]
    depth = y - below_mm + np.float32(TABLE_SAG_MM) * (x / TABLE_HALF_MM) ** 2
    level = np.minimum(np.minimum(depth, TABLE_THICKNESS_MM - depth), TABLE_HALF_MM - np.abs(x))
    return np.clip(level / np.float32(min(grid.spacing_mm)) + np.float32(0.5), 0, 1)
