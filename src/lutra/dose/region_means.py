"""Mean dose of a region that its voxels cannot resolve: own electrons by its mass, photons from the map.

An electron of 177Lu goes a fraction of a millimetre, a voxel of SPECT is 4 mm wide. Were the mean of a region taken over the
voxels of the dose map, those that its border cuts would mix it with what lies around, by tens of percent in a small lesion. What
a region keeps of its own electrons depends on its size and is known; photons hardly change over a voxel.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.ndimage import maximum_filter

from lutra.core.dose import DoseProblem, DoseResult, DoseTarget, Dvh
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.dose.tia_map import Share, TiaMap
from lutra.imaging.dvh import histogram
from lutra.physics.homogeneous_dose import KEV_PER_G_IN_GY, sphere_s
from lutra.physics.point_kernel import PointKernel, point_kernel

Array = npt.NDArray[np.float64]

S_VALUE, PHOTON_TRANSPORT = "S value", "photon transport"
ELECTRONS_RELATIVE_SD = 0.005
"""Standard uncertainty of the electron part: spheres lie within .15 % of EGSnrc, and the energy per decay of a beta emitter is
known to about .5 %. [1]"""
PHOTONS_RELATIVE_SD = FrozenMap({"hybrid": 0.02, "full-mc": 0.02, "fft": 0.10})
"""Standard uncertainty of the photon part: photons through lung and bone lie within 2 % of EGSnrc; kernels of endless soft tissue
give 10 to 20 % too much photon dose in a body of 10 to 30 cm. [1]"""
HISTORIES = "photon histories"
CROSS_DOSE = "cross-dose"
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
    """

    electrons: float
    photons: float
    electrons_slope: float
    photons_slope: float
    kept: float


def self_dose(nuclide: str, mass_g: float, density_g_per_ml: float) -> SelfDose:
    """Self-dose of a sphere of this mass. Shape matters little: of 177Lu electrons a gram keeps 99 % in any compact shape."""
    kernel: PointKernel = point_kernel(nuclide, TISSUE)
    here, more = (sphere_s(kernel, mass_g * factor, density_g_per_ml) for factor in (1.0, SLOPE_STEP))
    log_step = np.log(SLOPE_STEP)
    photons_slope = float(np.log(more.photons / here.photons) / log_step) if here.photons > 0 else 0.0
    return SelfDose(
        electrons=here.electrons,
        photons=here.photons,
        electrons_slope=float(np.log(more.electrons / here.electrons) / log_step),
        photons_slope=photons_slope,
        kept=here.electrons * mass_g / KEV_PER_G_IN_GY / float(kernel.electron_kev.sum()),
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
    """

    total_gy: Array
    photons_gy: Array
    sd_gy: Array | None
    density_g_per_ml: npt.NDArray[np.float32]


def region_dose(
    problem: DoseProblem,
    target: DoseTarget,
    tia: TiaMap,
    share: Share,
    maps: Maps,
    engine: str,
    *,
    resolved: bool = False,
) -> DoseResult:
    """Mean dose of one target with its budget and histogram.

    Own decays enter with the uncertainty of their fit and mass, by name, so that a volume both rest on cancels as far as it
    should. What comes from elsewhere enters with the relative uncertainty of the activity there.

    Parameters
    ----------
    resolved
        Take the best value from the voxels of the map, electrons too; the budget keeps its relative size.
    """
    region = target.region
    fraction = region.fraction.astype(np.float64)
    density = maps.density_g_per_ml[region.box]
    weights = fraction * density
    photons = float(np.average(maps.photons_gy[region.box], weights=weights)) if weights.sum() > 0 else 0.0
    volume_ml = region.volume_ml
    by_itself = self_dose(problem.nuclide, target.mass.value, target.mass.value / volume_ml)
    around = _around(problem, tia, share, target) * (1 - by_itself.kept)
    around_gy = around * float(point_kernel(problem.nuclide, TISSUE).electron_kev.sum()) * KEV_PER_G_IN_GY
    around_gy /= target.mass.value / volume_ml
    if target.fit is None or target.fit.time_integrated_activity.value <= 0:
        electrons, own, crossing = 0.0, Estimate(0.0, Unit.GY), photons + around_gy
    else:
        decays = target.fit.time_integrated_activity
        electrons = decays.value * by_itself.electrons
        # The map knows shape and neighbours, the sphere how much of it is the region's own.
        own_photons = min(photons, decays.value * by_itself.photons)
        own = _own(decays, target.mass, by_itself, electrons, own_photons)
        crossing = photons - own_photons + around_gy
    rest = {
        S_VALUE: ELECTRONS_RELATIVE_SD * (electrons + around_gy),
        f"{PHOTON_TRANSPORT}, {engine}": PHOTONS_RELATIVE_SD[engine] * photons,
        **_crossing_budget(problem, target, own, crossing),
        **_drawn(maps.sd_gy, region.box, weights),
    }
    dose = own + Estimate(crossing, Unit.GY, FrozenMap(rest))
    if resolved:
        in_voxels = float(np.average(maps.total_gy[region.box], weights=weights))
        dose, electrons, around_gy = dose.scaled(in_voxels / dose.value), in_voxels - photons, 0.0
    parts = {"electrons": electrons + around_gy, "photons": photons}
    return DoseResult(
        target.name, engine, dose, target.mass, _dvh(maps.total_gy[region.box], fraction, dose.value), parts
    )


def _own(decays: Estimate, mass: Estimate, s: SelfDose, electrons_gy: float, photons_gy: float) -> Estimate:
    """Self-dose: electrons and photons share the decays, each with its own sensitivity to mass."""
    total = electrons_gy + photons_gy
    slope = (s.electrons_slope * electrons_gy + s.photons_slope * photons_gy) / total if total > 0 else -1.0
    per_decay = Estimate(total / decays.value, Unit.GY_PER_BQ_S).with_sources(mass.relative(sensitivity=slope))
    return decays.times(per_decay, Unit.GY)


def _around(problem: DoseProblem, tia: TiaMap, share: Share, target: DoseTarget) -> float:
    """Decays of others in a millilitre just around the region: in the voxels that touch it. [Bq.s/mL]"""
    shape = problem.image.grid.shape
    start = [max(0, first - 1) for first in target.region.start_ijk]
    stop = [min(n, s.stop + 1) for n, s in zip(shape, target.region.box, strict=True)]
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    inside, own = (np.zeros([b - a for a, b in zip(start, stop, strict=True)]) for _ in range(2))
    within = tuple(slice(r.start - a, r.stop - a) for r, a in zip(target.region.box, start, strict=True))
    inside[within] = target.region.fraction
    own[within] = share.decays
    near = maximum_filter(inside, size=3) > 0
    free = np.where(near, 1 - inside, 0.0)
    if free.sum() <= 0:
        return 0.0
    others = float((tia.decays[box] - own)[near].sum())
    return others / (float(free.sum()) * problem.image.grid.voxel_volume_ml)


def _crossing_budget(
    problem: DoseProblem, target: DoseTarget, own: Estimate, crossing_gy: float
) -> Mapping[str, float | None]:
    """Uncertainty of what comes from elsewhere: that of all activity elsewhere, by name where it can be."""
    fits = [t.fit for t in problem.targets if t is not target and t.fit is not None]
    fits += [problem.remainder] if problem.remainder is not None else []
    elsewhere = sum(fit.time_integrated_activity.value for fit in fits)
    if crossing_gy <= 0 or elsewhere <= 0:
        return {}
    carried = set() if own.draws is None else set(own.draws.sources)
    named: dict[str, float | None] = {}
    drawn: list[float] = []
    for fit in fits:
        for name, sd in fit.time_integrated_activity.budget.items():
            part = None if sd is None else crossing_gy * sd / elsewhere
            own_draws = fit.time_integrated_activity.draws
            if part is not None and (name in carried or (own_draws is not None and name in own_draws.sources)):
                drawn.append(part)
                continue
            known = named.get(name, 0.0)
            named[name] = None if known is None or part is None else known + part
    if problem.remainder is None:
        return named | {CROSS_DOSE: None}
    # What is not evaluated far away is not evaluated here, by one name; it would otherwise hide behind many.
    missing = [name for name, sd in named.items() if sd is None and name not in own.budget]
    evaluated = {name: sd for name, sd in named.items() if name not in missing and name not in carried}
    return evaluated | {CROSS_DOSE: None if missing else hypot(*drawn)}


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
