"""Engines that compute the dose of every voxel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from lutra.core.curve import TacFit
from lutra.core.dose import CycleDoses, DoseMap, DoseProblem, DoseResult, DoseTarget
from lutra.core.errors import OutsideValidity, UsageError
from lutra.core.estimate import Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.volume import Volume
from lutra.dose.cross_dose import senders
from lutra.dose.options import refuse_options, whole_options
from lutra.dose.region_means import Array, Maps, region_dose, self_dose
from lutra.dose.tia_map import TiaMap, tia_map
from lutra.imaging.dvh import histogram
from lutra.physics.homogeneous_dose import KEV_PER_G_IN_GY
from lutra.physics.voxel_dose import (
    HISTORIES,
    Body,
    VoxelDose,
    body_of_ct,
    body_of_density,
    electrons_in_tissue,
    voxel_dose,
)
from lutra.ports import Settings
from lutra.reference.emissions import emission

SOFT_TISSUE_G_PER_ML = 1.03
"""ICRU soft tissue, where no CT says what is there. [g/mL]"""


class Hybrid:
    """Electrons by the kernel of the voxel, photons by Monte Carlo through the CT. The default."""

    def dose(self, problem: DoseProblem, settings: Settings, seed: int) -> Outcome[CycleDoses]:
        """Compute the doses of a cycle; see :func:`lutra.dose.region_means.region_dose` for the mean of a region.

        Parameters
        ----------
        settings
            `histories`: photons to follow.
        """
        options = whole_options(settings, {"histories": HISTORIES}, "hybrid")
        return _doses("hybrid", problem, options["histories"], seed)


class Fft:
    """Electrons and photons by kernels of soft tissue over the whole field: fast, right where the body is soft tissue."""

    def dose(self, problem: DoseProblem, settings: Settings, seed: int) -> Outcome[CycleDoses]:
        """Compute the doses of a cycle."""
        refuse_options(settings, "fft")
        return _doses("fft", problem, HISTORIES, seed)


class FullMonteCarlo:
    """Electrons and photons by Monte Carlo: to check the others where tissues meet."""

    def dose(self, problem: DoseProblem, settings: Settings, seed: int) -> Outcome[CycleDoses]:
        """Compute the doses of a cycle.

        Parameters
        ----------
        settings
            `histories`: photons to follow, and as many electrons.
        """
        options = whole_options(settings, {"histories": HISTORIES}, "full-mc")
        return _doses("full-mc", problem, options["histories"], seed)


class Local:
    """Electrons of a region over its mass, spread as the activity is. No photons, nothing from elsewhere."""

    def dose(
        self,
        problem: DoseProblem,
        settings: Settings,
        seed: int,  # noqa: ARG002  (the socket's)
    ) -> Outcome[CycleDoses]:
        r"""Divide: :math:`D = \tilde A\,E/m`, electrons and alpha particles.

        The distribution assumes that every voxel washes out as the region does, so it shows the resolution of the image as
        much as the dose.
        """
        refuse_options(settings, "local")
        try:
            emitted = emission(problem.nuclide)
        except UsageError as error:
            return Outcome(None, (_unknown(error),))
        kept_kev = emitted.electron_kev + emitted.alpha_kev
        spread = tia_map(problem)
        results, findings = [], [f for f in spread.findings if f.code != "dose.no-remainder"]
        for target in problem.targets:
            if target.fit is None or target.mass.value <= 0:
                findings.append(_not_given(target.name, "no activity of its own" if target.fit is None else "no mass"))
                continue
            dose = target.fit.time_integrated_activity.scaled(KEV_PER_G_IN_GY * kept_kev).over(target.mass, Unit.GY)
            share = target.region.fraction.astype(np.float64)
            image = np.maximum(np.nan_to_num(problem.image.values[target.region.box].astype(np.float64)), 0.0)
            total = float((image * share).sum())
            scaled = image * (dose.value * float(share.sum()) / total) if total > 0 else np.full_like(share, dose.value)
            inside = share > 0
            dvh = histogram(scaled[inside], share[inside])
            results.append(DoseResult(target.name, "local", dose, target.mass, dvh, {"electrons": dose.value}))
            findings.append(_photons(problem.nuclide, target, target.fit, dose.value))
        return Outcome(CycleDoses(tuple(results)), findings)


def _doses(engine: str, problem: DoseProblem, histories: int, seed: int) -> Outcome[CycleDoses]:
    spread = tia_map(problem)
    tia = spread.value
    if tia is None:
        return Outcome(None, spread.findings)
    body, doubts = body_of(problem)
    findings = [*spread.findings, *doubts]
    try:
        found = voxel_dose(engine, tia.decays, body, problem.nuclide, histories, seed)
    except UsageError as error:
        return Outcome(None, (*findings, _unknown(error)))
    kernels = _in_tissue(tia, body, problem.nuclide) if engine == "full-mc" else None
    maps = Maps(found.gy, found.photons_gy, found.sd_gy, body.density_g_per_ml, senders(problem, tia), kernels)
    results = []
    for n, (target, share) in enumerate(zip(problem.targets, tia.shares, strict=True)):
        if target.mass.value <= 0 or target.region.volume_ml <= 0:
            findings.append(_not_given(target.name, "no mass"))
        elif target.fit is None or share.activity is not None:
            results.append(region_dose(problem, n, tia, maps, engine))
            findings += [_others_only(target)] if target.fit is None else []
    return Outcome(CycleDoses(tuple(results), _dose_map(engine, problem, found)), findings)


def _in_tissue(tia: TiaMap, body: Body, nuclide: str) -> Callable[[float], Array]:
    """Energy of electrons in tissue of a density, once for each density to 0.01 g/mL."""

    @cache
    def rounded(density_g_per_ml: float) -> Array:
        return electrons_in_tissue(tia.decays, body.voxel_mm, nuclide, density_g_per_ml)

    return lambda density_g_per_ml: rounded(max(round(density_g_per_ml, 2), 0.01))


def body_of(problem: DoseProblem) -> tuple[Body, list[Finding]]:
    """Tissue of the problem on its grid, and what is said of it."""
    voxel_mm = problem.image.grid.spacing_mm
    if problem.ct is not None:
        if not np.isfinite(problem.ct.values).all():
            raise OutsideValidity("a CT with undefined voxels", required="a CT number in every voxel of the image")
        return body_of_ct(problem.ct.values, voxel_mm), []
    text = (
        f"no CT on the grid of the SPECT: the field is taken as soft tissue of {SOFT_TISSUE_G_PER_ML:g} g/mL throughout. Photons "
        "are scattered back where there is air, and lung and bone are not told apart; add the CT of the SPECT"
    )
    density = np.full(problem.image.grid.shape, SOFT_TISSUE_G_PER_ML, np.float32)
    return body_of_density(density, voxel_mm), [Finding(Severity.WARNING, "dose.no-ct", text)]


def _dose_map(engine: str, problem: DoseProblem, found: VoxelDose) -> DoseMap:
    grid = problem.image.grid
    sd = None if found.sd_gy is None else Volume(found.sd_gy.astype(np.float32), grid, Unit.GY)
    return DoseMap(Volume(found.gy.astype(np.float32), grid, Unit.GY), sd, engine, found.audit_kev)


def _photons(nuclide: str, target: DoseTarget, fit: TacFit, dose_gy: float) -> Finding:
    both = self_dose(nuclide, target.mass.value, target.mass.value / target.region.volume_ml)
    given = fit.time_integrated_activity.value * (both.electrons + both.photons)
    text = (
        f"{target.name}: photons and the escape of electrons are not counted; a sphere of this mass, {target.mass.value:.3g} g, "
        f"that counts both receives {given / dose_gy - 1:+.1%}; nor is what other regions send"
    )
    return Finding(Severity.INFO, "dose.photons-not-counted", text)


def _others_only(target: DoseTarget) -> Finding:
    text = (
        f"{target.name}: it has no curve of its own, so that its dose is what other regions and the remainder send, a lower bound; "
        "check why it was not fitted"
    )
    return Finding(Severity.WARNING, "dose.cross-dose-only", text)


def _not_given(name: str, why: str) -> Finding:
    text = f"{name}: {why}, so no dose is given; check the region and its curve"
    return Finding(Severity.UNDETERMINED, "dose.no-mass" if why == "no mass" else "dose.no-own-activity", text)


def _unknown(error: UsageError) -> Finding:
    return Finding(Severity.UNDETERMINED, "dose.no-emissions", f"no dose of this nuclide can be computed: {error}")
