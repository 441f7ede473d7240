"""Absorbed dose in a body of voxels, by four ways of carrying the energy.

What to use when: `hybrid` is right wherever voxels are larger than a beta range, and takes photons through the real body; `fft` is
the fastest, for bodies that are water throughout; `full_mc` follows the electrons too and is slow, for verification and steep
borders; `local` leaves electrons where they arise and drops the photons.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import OutsideValidity, UsageError
from lutra.core.frozen import FrozenMap, float32, float64, frozen_map
from lutra.physics.convolution import Convolver
from lutra.physics.homogeneous_dose import KEV_PER_G_IN_GY, voxel_kernel
from lutra.physics.hounsfield import MEDIA, density_g_per_ml, medium
from lutra.physics.photon_steps import STOP_KEV
from lutra.physics.point_kernel import EDGES_G_PER_CM2, bremsstrahlung, electron_spectrum, point_kernel
from lutra.physics.transport_tables import tables
from lutra.physics.voxel_electrons import electron_energy
from lutra.physics.voxel_photons import photon_energy
from lutra.physics.voxels import EnergyMap, Voxels
from lutra.reference.emissions import emission

Array = npt.NDArray[np.float64]
TISSUE = "soft_tissue"
LEAST_DENSITY_G_PER_ML = 0.05
"""Thinner voxels are air: energy that a convolution puts there has no mass to go to, and is left out by name."""
BEYOND_REACH = 1e-9
"""A kernel of electrons is cut where less than this share of the energy lies beyond."""


@frozen(eq=False)
class Body:
    """Tissue in voxels.

    Parameters
    ----------
    density_g_per_ml
        [g/mL] (i, j, k)
    medium
        Index into :data:`lutra.physics.hounsfield.MEDIA`. (i, j, k)
    voxel_mm
        Voxel edges. [mm]
    """

    density_g_per_ml: npt.NDArray[np.float32] = field(converter=float32)
    medium: npt.NDArray[np.uint8]
    voxel_mm: tuple[float, float, float]

    @property
    def mass_g(self) -> Array:
        """Mass of each voxel. [g] (i, j, k)"""
        return self.density_g_per_ml.astype(np.float64) * (float(np.prod(self.voxel_mm)) * 1e-3)

    @property
    def voxels(self) -> Voxels:
        """Lay out for transport."""
        return Voxels(self.medium, self.density_g_per_ml, np.array(self.voxel_mm) / 10.0)


def body_of_ct(hu: npt.ArrayLike, voxel_mm: tuple[float, float, float]) -> Body:
    """Take a CT as tissue; see :mod:`lutra.physics.hounsfield`."""
    return Body(density_g_per_ml(hu), medium(hu), voxel_mm)


def body_of_density(density: npt.ArrayLike, voxel_mm: tuple[float, float, float]) -> Body:
    """Take a map of densities as tissue: below 0.05 g/mL air, to 0.6 lung, to 0.98 adipose, to 1.1 soft, beyond bone by degrees."""
    rho = np.asarray(density, np.float32)
    edges = (LEAST_DENSITY_G_PER_ML, 0.6, 0.98, 1.1, 1.24, 1.41, 1.57, 1.73)
    return Body(rho, np.digitize(rho, edges).astype(np.uint8), voxel_mm)


@frozen(eq=False)
class VoxelDose:
    """Dose of every voxel.

    Parameters
    ----------
    gy, photons_gy, sd_gy
        Absorbed dose, the part that photons bring, and the standard error of what was drawn; the latter None where nothing
        was. [Gy] (i, j, k)
    audit_kev
        Energy per decay by where it went; their sum is what is emitted. [keV]
    """

    gy: Array = field(converter=float64)
    photons_gy: Array = field(converter=float64)
    sd_gy: Array | None
    audit_kev: FrozenMap[str, float] = field(converter=frozen_map)


def local(decays: Array, body: Body, nuclide: str) -> VoxelDose:
    """Leave electrons and alpha particles where they arise; photons escape."""
    emitted = emission(nuclide)
    kept = emitted.electron_kev + emitted.alpha_kev
    gy, lost = _per_mass(decays * kept, body)
    audit = {
        "electrons": kept - lost / decays.sum(),
        "in air": lost / decays.sum(),
        "photons not followed": emitted.photon_kev,
    }
    return VoxelDose(gy, np.zeros_like(gy), None, audit)


def fft(decays: Array, body: Body, nuclide: str) -> VoxelDose:
    """Spread electrons and photons by kernels of soft tissue, photons over the whole field.

    Electrons are spread as energy and divided by the mass of each voxel; photons as dose in tissue of unit density, which is
    what they give to tissue of any density where the body around is water.
    """
    electrons, lost, beyond = _spread_electrons(decays, body, nuclide)
    point = point_kernel(nuclide, TISSUE)
    photons = _photon_convolver(nuclide, body.voxel_mm, body.medium.shape)(decays).astype(np.float64)
    photons[body.density_g_per_ml < LEAST_DENSITY_G_PER_ML] = 0.0
    total = decays.sum()
    absorbed = float((photons * body.mass_g).sum() / KEV_PER_G_IN_GY / total)
    per_decay = lost / total
    audit = {
        "electrons": _kept(nuclide) - per_decay - beyond,
        "in air": per_decay,
        "electrons beyond the field": beyond,
        "photons": absorbed,
        "photons elsewhere": point.emitted_photon_kev - absorbed,
    }
    return VoxelDose(electrons + photons, photons, None, audit)


def hybrid(decays: Array, body: Body, nuclide: str, histories: int, seed: int) -> VoxelDose:
    """Spread electrons by the kernel of the voxel and follow photons through the body."""
    electrons, lost, beyond = _spread_electrons(decays, body, nuclide)
    photons, soft = _followed_photons(decays, body, nuclide, histories, seed)
    total = decays.sum()
    drawn, in_air = _per_mass(photons.kev * total, body)
    drawn = drawn + _per_mass(decays * soft, body)[0]
    sd = _per_mass(photons.sd_kev * total, body)[0]
    audit = {
        "electrons": _kept(nuclide) - lost / total - beyond,
        "in air": (lost + in_air) / total,
        "electrons beyond the field": beyond,
        "photons": float(photons.kev.sum()) + soft - in_air / total,
        "photons escaped": photons.escaped_kev,
    }
    return VoxelDose(electrons + drawn, drawn, sd, audit)


def full_mc(decays: Array, body: Body, nuclide: str, histories: int, seed: int) -> VoxelDose:
    """Follow electrons and photons through the body."""
    emitted = emission(nuclide)
    photons, soft = _followed_photons(decays, body, nuclide, histories, seed)
    electrons = electron_energy(tables(MEDIA), body.voxels, decays, electron_spectrum(emitted), histories, seed + 1)
    total = decays.sum()
    by_photons, photons_lost = _per_mass(photons.kev * total + decays * soft, body)
    by_electrons, electrons_lost = _per_mass(electrons.kev * total + decays * emitted.alpha_kev, body)
    sd = _per_mass(np.hypot(electrons.sd_kev, photons.sd_kev) * total, body)[0]
    audit = {
        "electrons": float(electrons.kev.sum()) + emitted.alpha_kev - electrons_lost / total,
        "electrons escaped": electrons.escaped_kev,
        "photons": float(photons.kev.sum()) + soft - photons_lost / total,
        "in air": (electrons_lost + photons_lost) / total,
        "photons escaped": photons.escaped_kev,
    }
    return VoxelDose(by_electrons + by_photons, by_photons, sd, audit)


ENGINES: dict[str, Callable[..., VoxelDose]] = {"hybrid": hybrid, "fft": fft, "full-mc": full_mc, "local": local}
"""By the name they have on the command line."""
DRAWN = ("hybrid", "full-mc")
"""Engines that take a number of histories and a seed."""
HISTORIES = 2_000_000
"""Photons to follow, and electrons: 0.1 to 0.4 % of the mean dose of a kidney. [1]"""


def voxel_dose(
    engine: str, decays: Array, body: Body, nuclide: str, histories: int = HISTORIES, seed: int = 1
) -> VoxelDose:
    """Compute the dose of a map of decays.

    Parameters
    ----------
    decays
        Time-integrated activity of each voxel. [Bq.s] (i, j, k)

    Raises
    ------
    UsageError
        If there is no such engine or nuclide.
    OutsideValidity
        If the decays are no source, or their shape is not the body's.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine {engine!r} is not known", required=f"one of: {', '.join(ENGINES)}")
    if decays.shape != body.medium.shape:
        raise OutsideValidity(f"decays of shape {decays.shape} in a body of {body.medium.shape}", required="one grid")
    if not np.isfinite(decays).all() or decays.min() < 0 or decays.sum() <= 0:
        raise OutsideValidity(
            f"decays from {decays.min():g} to {decays.max():g} per voxel", required="finite, none below 0, not all 0"
        )
    drawn = (histories, seed) if engine in DRAWN else ()
    return ENGINES[engine](np.asarray(decays, np.float64), body, nuclide, *drawn)


def electrons_in_tissue(
    decays: Array, voxel_mm: tuple[float, float, float], nuclide: str, density_g_per_ml: float
) -> Array:
    """Energy that electrons and alpha particles leave in each voxel of endless soft tissue of one density. [keV] (i, j, k)"""
    kept: Array = _electron_convolver(nuclide, voxel_mm, decays.shape, density_g_per_ml)(decays)
    return kept


def _kept(nuclide: str) -> float:
    """Energy of electrons and alpha particles less bremsstrahlung, per decay. [keV]"""
    return float(point_kernel(nuclide, TISSUE).electron_kev.sum())


def _spread_electrons(decays: Array, body: Body, nuclide: str) -> tuple[Array, float, float]:
    """Dose of electrons [Gy], their energy in air [keV], and per decay beyond the field [keV]."""
    density = float(np.average(body.density_g_per_ml, weights=decays))
    spread = _electron_convolver(nuclide, body.voxel_mm, body.medium.shape, round(density, 3))(decays)
    gy, lost = _per_mass(np.maximum(spread, 0.0), body)
    return gy, lost, float(_kept(nuclide) - spread.sum(dtype=np.float64) / decays.sum())


@lru_cache(maxsize=4)
def _electron_convolver(
    nuclide: str, voxel_mm: tuple[float, float, float], shape: tuple[int, int, int], density: float
) -> Convolver:
    """Energy of electrons around a voxel, as far as they reach. [keV]"""
    energy = point_kernel(nuclide, TISSUE).electron_kev
    beyond = 1 - np.cumsum(energy) / energy.sum()
    reach_mm = EDGES_G_PER_CM2[1 + int(np.argmax(beyond < BEYOND_REACH))] / density * 10.0
    i, j, k = (2 * max(1, int(np.ceil(reach_mm / edge + 0.5))) + 1 for edge in voxel_mm)
    kernel = voxel_kernel(energy, voxel_mm, density, (i, j, k))
    mass_g = float(np.prod(voxel_mm)) * 1e-3 * density
    return Convolver(kernel.gy_per_bq_s * (mass_g / KEV_PER_G_IN_GY), shape, single=True)


@lru_cache(maxsize=2)
def _photon_convolver(nuclide: str, voxel_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Convolver:
    """Dose of photons around a voxel in tissue of unit density, over twice the field. [Gy/(Bq.s)]"""
    i, j, k = (2 * n - 1 for n in shape)
    kernel = voxel_kernel(point_kernel(nuclide, TISSUE).photon_kev, voxel_mm, 1.0, (i, j, k))
    return Convolver(kernel.gy_per_bq_s, shape, single=True)


def _followed_photons(decays: Array, body: Body, nuclide: str, histories: int, seed: int) -> tuple[EnergyMap, float]:
    """Energy of photons per decay, and that of photons too soft to follow. [keV]"""
    emitted = emission(nuclide)
    energies, numbers = electron_spectrum(emitted)
    radiated = point_kernel(nuclide, TISSUE).emitted_photon_kev - emitted.photon_kev
    lines = np.concatenate([emitted.photons, bremsstrahlung(energies, numbers, TISSUE, radiated)], axis=1)
    hard = lines[0] > STOP_KEV
    soft = float(lines[:, ~hard].prod(axis=0).sum())
    return photon_energy(tables(MEDIA), body.voxels, decays, lines[:, hard], histories, seed), soft


def photon_dose(decays: Array, body: Body, nuclide: str, histories: int, seed: int) -> tuple[Array, Array]:
    """Dose of photons alone and its standard error, of a map of decays. [Gy] (i, j, k)"""
    photons, soft = _followed_photons(decays, body, nuclide, histories, seed)
    total = decays.sum()
    gy = _per_mass(photons.kev * total + decays * soft, body)[0]
    return gy, _per_mass(photons.sd_kev * total, body)[0]


def _per_mass(energy_kev: Array, body: Body) -> tuple[Array, float]:
    """Dose of an energy in each voxel [Gy], and the energy that lies in air [keV]."""
    air = body.density_g_per_ml < LEAST_DENSITY_G_PER_ML
    gy = np.divide(energy_kev, body.mass_g, out=np.zeros(energy_kev.shape), where=~air)
    gy *= KEV_PER_G_IN_GY
    return gy, float(energy_kev[air].sum())
