"""Mean dose of a region that its voxels cannot resolve: own electrons by its mass, photons from the map.

An electron of 177Lu goes a fraction of a millimetre, a voxel of SPECT is 4 mm wide. Were the mean of a region taken over the
voxels of the dose map, those that its border cuts would mix it with what lies around, by tens of percent in a small lesion. What
a region keeps of its own electrons depends on its size and is known; photons hardly change over a voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.ndimage import maximum_filter

from lutra.core.dose import DoseProblem, DoseResult, Dvh
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.dose.cross_dose import Sender, cross_budget
from lutra.dose.tia_map import TiaMap
from lutra.imaging.dvh import histogram
from lutra.physics.homogeneous_dose import KEV_PER_G_IN_GY, sphere_s
from lutra.physics.point_kernel import PointKernel, point_kernel

Array = npt.NDArray[np.float64]

S_VALUE, SHAPE, PHOTON_TRANSPORT = "S value", "S value: shape", "photon transport"
ELECTRONS_RELATIVE_SD = 0.005
"""Standard uncertainty of the electron part: spheres lie within .15 % of EGSnrc, and the energy per decay of a beta emitter is
known to about .5 %. [1]"""
PHOTONS_RELATIVE_SD = FrozenMap({"hybrid": 0.02, "full-mc": 0.02, "fft": 0.10})
"""Standard uncertainty of the photon part: photons through lung and bone lie within 2 % of EGSnrc; kernels of endless soft tissue
give 10 to 20 % too much photon dose in a body of 10 to 30 cm. [1]"""
NO_CT_RELATIVE_SD = 0.10
"""The same without a CT: soft tissue throughout gave organs of a phantom 3 to 7 % more photon dose, its spine 10 % less. [1]"""
SHAPE_RELATIVE_SD = 0.10
"""Standard uncertainty of the electron energy that leaves a region: an ellipsoid of axes 1:1:2 has 8 % more surface than the sphere
of its volume, one of 1:1:3 has 18 %. [1]"""
HISTORIES = "photon histories"
TISSUE = "soft_tissue"
SLOPE_STEP = 1.02
"""Mass ratio over which the sensitivity of S to mass is taken."""


@frozen
class SelfDose:
    """Dose of a region to itself per decay, as a sphere of its mass, and how it changes with mass.

    Parameters
    ----------
    electrons, photons
        [Gy/(Bq.s)]
    electrons_slope, photons_slope
        d ln S / d ln m. [1]
    kept
        Share of the electron energy that stays in the region. [1]
    escaping_gy_g
        Energy per decay of the electrons that leave it. [Gy g/(Bq.s)]
    """

    electrons: float
    photons: float
    electrons_slope: float
    photons_slope: float
    kept: float
    escaping_gy_g: float


def self_dose(nuclide: str, mass_g: float, density_g_per_ml: float) -> SelfDose:
    """Self-dose of a sphere of this mass. Shape matters little: of 177Lu electrons a gram keeps 99 % in any compact shape."""
    kernel: PointKernel = point_kernel(nuclide, TISSUE)
    here, more = (sphere_s(kernel, mass_g * factor, density_g_per_ml) for factor in (1.0, SLOPE_STEP))
    log_step = np.log(SLOPE_STEP)
    energy_gy_g = float(kernel.electron_kev.sum()) * KEV_PER_G_IN_GY
    kept = here.electrons * mass_g / energy_gy_g
    photons_slope = float(np.log(more.photons / here.photons) / log_step) if here.photons > 0 else 0.0
    return SelfDose(
        electrons=here.electrons,
        photons=here.photons,
        electrons_slope=float(np.log(more.electrons / here.electrons) / log_step),
        photons_slope=photons_slope,
        kept=kept,
        escaping_gy_g=energy_gy_g * (1 - kept),
    )


@frozen(eq=False)
class Maps:
    """What an engine found for the voxels.

    Parameters
    ----------
    total_gy, photons_gy
        [Gy] (i, j, k)
    sd_gy
        Standard error of what was drawn; None where nothing was. [Gy]
    density_g_per_ml
        [g/mL] (i, j, k)
    senders
        Where cross-dose comes from.
    in_tissue
        Of an engine that followed electrons: where a kernel leaves their energy in endless tissue of a density. [keV] (i, j, k)
    """

    total_gy: Array
    photons_gy: Array
    sd_gy: Array | None
    density_g_per_ml: npt.NDArray[np.float32]
    senders: Sequence[Sender]
    in_tissue: Callable[[float], Array] | None = None


def region_dose(problem: DoseProblem, n: int, tia: TiaMap, maps: Maps, engine: str) -> DoseResult:
    """Mean dose of one target with its budget and histogram.

    Electrons are those of a sphere of the region's mass in tissue like itself, with what comes from around. An engine that followed
    electrons adds by how much they went elsewhere than in such tissue: the difference of two maps of the same voxels, in which
    cancels what the voxels blur.

    Own decays enter with the uncertainty of their fit and mass, by name, so that a volume both rest on cancels as far as it
    should. What comes from elsewhere enters with the relative uncertainty of the activity there.

    Parameters
    ----------
    n
        Place of the target in the problem. One without a curve gets what others send.
    """
    target, decays = problem.targets[n], tia.shares[n].activity
    box, fraction = target.region.box, target.region.fraction.astype(np.float64)
    weights = fraction * maps.density_g_per_ml[box]
    photons = float(np.average(maps.photons_gy[box], weights=weights)) if weights.sum() > 0 else 0.0
    density_g_per_ml = target.mass.value / target.region.volume_ml
    by_itself = self_dose(problem.nuclide, target.mass.value, density_g_per_ml)
    density = maps.density_g_per_ml if maps.in_tissue is None else np.full_like(maps.density_g_per_ml, density_g_per_ml)
    around = around_gy(problem, n, tia, density, by_itself)
    otherwise = 0.0 if maps.in_tissue is None else _otherwise_gy(problem, n, maps, maps.in_tissue(density_g_per_ml))
    electrons, own, own_photons = 0.0, Estimate(0.0, Unit.GY), 0.0
    if decays is None or decays.value <= 0:
        around += otherwise
    else:
        electrons = decays.value * by_itself.electrons + otherwise
        # The map knows shape and neighbours, the sphere how much of it is the region's own.
        own_photons = min(photons, decays.value * by_itself.photons)
        own = _own(decays, target.mass, by_itself, electrons, own_photons)
    crossing = photons - own_photons + around
    rest = {
        S_VALUE: ELECTRONS_RELATIVE_SD * (electrons + around),
        SHAPE: SHAPE_RELATIVE_SD * electrons * (1 - by_itself.kept) / by_itself.kept,
        f"{PHOTON_TRANSPORT}, {engine}": photons * (PHOTONS_RELATIVE_SD[engine] if problem.ct else NO_CT_RELATIVE_SD),
        **_drawn(maps.sd_gy, box, weights),
    }
    dose = own + Estimate(crossing, Unit.GY, cross_budget(problem, n, crossing, maps.senders, own.draws))
    dose = dose + Estimate(0.0, Unit.GY, FrozenMap({name: sd for name, sd in rest.items() if sd}))
    parts = {"electrons": electrons + around, "photons": photons}
    of_form = maps.photons_gy if decays is None else maps.total_gy
    return DoseResult(target.name, engine, dose, target.mass, _dvh(of_form[box], fraction, dose.value), parts)


def _own(decays: Estimate, mass: Estimate, s: SelfDose, electrons_gy: float, photons_gy: float) -> Estimate:
    """Self-dose: electrons and photons share the decays, each with its own sensitivity to mass."""
    total = electrons_gy + photons_gy
    slope = (s.electrons_slope * electrons_gy + s.photons_slope * photons_gy) / total if total > 0 else -1.0
    per_decay = Estimate(total / decays.value, Unit.GY_PER_BQ_S).with_sources(mass.relative(sensitivity=slope))
    return decays.times(per_decay, Unit.GY)


def around_gy(problem: DoseProblem, n: int, tia: TiaMap, density: npt.NDArray[np.float32], of: SelfDose) -> float:
    """Dose by electrons of what lies around a target. [Gy]

    Were its surroundings like itself, every electron that leaves would be made up for by one that enters. What enters follows the
    decays per mass of the surroundings, whatever their density (Fano); they are read off the voxels that touch the region.
    """
    region, share = problem.targets[n].region, tia.shares[n]
    start = [max(0, first - 1) for first in region.start_ijk]
    stop = [min(size, s.stop + 1) for size, s in zip(tia.decays.shape, region.box, strict=True)]
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    within = tuple(slice(r.start - a, r.stop - a) for r, a in zip(region.box, start, strict=True))
    inside, owned = (np.zeros([b - a for a, b in zip(start, stop, strict=True)]) for _ in range(2))
    others = tia.decays[box].copy()
    inside[within], owned[within] = region.fraction, share.owned
    others[within] -= share.decays
    free = np.where(maximum_filter(inside, size=3) > 0, 1 - inside, 0.0)
    mass_g = float((free * density[box]).sum()) * problem.image.grid.voxel_volume_ml
    # Decays of others are spread over what of a voxel the target does not own; a part of that may lie in the region.
    per_part = np.divide(others, 1 - owned, out=np.zeros_like(others), where=owned < 1)
    return max(float((per_part * free).sum()), 0.0) / mass_g * of.escaping_gy_g if mass_g > 0 else 0.0


def _otherwise_gy(problem: DoseProblem, n: int, maps: Maps, kernel_kev: Array) -> float:
    """Dose that electrons that were followed give to a target above what a kernel gives. [Gy]"""
    region = problem.targets[n].region
    voxel_g = maps.density_g_per_ml[region.box] * problem.image.grid.voxel_volume_ml
    followed = (maps.total_gy - maps.photons_gy)[region.box] * voxel_g
    return (
        float((region.fraction * (followed - kernel_kev[region.box] * KEV_PER_G_IN_GY)).sum())
        / problem.targets[n].mass.value
    )


def _drawn(sd_gy: Array | None, box: tuple[slice, ...], weights: Array) -> Mapping[str, float]:
    if sd_gy is None or weights.sum() <= 0:
        return {}
    return {HISTORIES: float(np.sqrt(((weights * sd_gy[box]) ** 2).sum()) / weights.sum())}


def _dvh(dose_gy: Array, fraction: Array, mean_gy: float) -> Dvh | None:
    """Histogram of the voxels, scaled so that its mean is the region's."""
    share = fraction.ravel()
    inside = share > 0
    share, dose = share[inside], dose_gy.ravel()[inside]
    mean = float(share @ dose) / float(share.sum()) if share.size else 0.0
    return histogram(dose * (mean_gy / mean), share) if mean > 0 else None
