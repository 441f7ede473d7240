"""What a dose is worth to a tissue that repairs while it is given."""

from __future__ import annotations

from functools import reduce

import numpy as np
from attrs import evolve, frozen

from lutra.core.curve import TacFit
from lutra.core.dose import BiologicalDose, DoseResult, Dvh
from lutra.core.errors import OutsideValidity
from lutra.core.estimate import Draws, Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.dose.cumulative import added, by_cycle
from lutra.dose.settings import Tissues
from lutra.physics.radiobiology import LN2, TISSUES, DoseRate, Tissue, bed_gy, eqd2_gy, protraction, survival_eud_gy


@frozen
class Radiobiology:
    """A tissue with what is known of its parameters; `alpha_beta_sd_gy` None: not evaluated. [Gy, 1/Gy]"""

    name: str
    tissue: Tissue
    alpha_beta_sd_gy: float | None = None
    alpha_per_gy: float | None = None


def radiobiology_of(tissue: str, settings: Tissues) -> Radiobiology | None:
    """Parameters of a tissue: those of the protocol, else the shipped ones; None where there are none."""
    given, known = settings.get(tissue, FrozenMap()), TISSUES.get(tissue)
    if "alpha_beta_gy" in given and "repair_half_life_h" in given:
        known = Tissue(given["alpha_beta_gy"], given["repair_half_life_h"] * HOUR_S, f"protocol, dose.tissues.{tissue}")
    elif known is not None and given:
        known = Tissue(
            given.get("alpha_beta_gy", known.alpha_beta_gy),
            given["repair_half_life_h"] * HOUR_S if "repair_half_life_h" in given else known.repair_half_life_s,
            f"{known.source}; changed by the protocol, dose.tissues.{tissue}",
        )
    if known is None:
        return None
    return Radiobiology(tissue, known, given.get("alpha_beta_sd_gy"), given.get("alpha_per_gy"))


def dose_rate(fit: TacFit) -> DoseRate:
    """Time course of the dose of a region, as a share of its initial amplitude; one exponential where the model has no phases."""
    if fit.phases:
        largest = max(abs(p.amplitude_bq) for p in fit.phases)
        return DoseRate([p.amplitude_bq / largest for p in fit.phases], [p.rate_per_s for p in fit.phases])
    return DoseRate([1.0], [LN2 / fit.effective_half_life.value])


def dose_rate_gy_per_h(dose: DoseResult, fit: TacFit, times_s: np.ndarray) -> np.ndarray:
    """Dose rate of a region over time: the curve, scaled so that its integral is the dose. [Gy/h] (n,)"""
    rate = dose_rate(fit)
    shape = (rate.amplitude * np.exp(-np.outer(np.asarray(times_s), rate.decay_per_s))).sum(axis=1)
    scaled: np.ndarray = shape * dose.absorbed_dose.value / rate.integral * HOUR_S
    return scaled


def biological_dose(dose: DoseResult, fit: TacFit, tissue: str, settings: Tissues) -> Outcome[BiologicalDose]:
    r"""Biologically effective dose by Lea and Catcheside, of the mean of a region and of its voxels.

    :math:`BED = D + G D^2/(\alpha/\beta)`, so that its relative uncertainty is larger than that of the dose. Its draws are those of
    the dose, each with its own BED.

    Parameters
    ----------
    tissue
        `kidney`, `tumour`, `marrow`, or another with a table in the protocol.
    settings
        `dose.tissues` of the protocol.

    Returns
    -------
    Outcome
        None and `dose.no-radiobiology` for a tissue without parameters.
    """
    known = radiobiology_of(tissue, settings)
    if known is None:
        text = f"{dose.region}: nothing is known of the radiobiology of {tissue or 'this tissue'}; give [dose.tissues.NAME]"
        return Outcome(None, (Finding(Severity.INFO, "dose.no-radiobiology", text),))
    try:
        g = protraction(dose_rate(fit), known.tissue.repair_half_life_s)
    except OutsideValidity as error:
        text = f"{dose.region}: no biologically effective dose: {error}"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.no-bed", text),))
    findings = []
    if not fit.phases:
        text = (
            f"{dose.region}: its curve is no sum of exponentials; repair is reckoned with its effective half-life alone"
        )
        findings.append(Finding(Severity.INFO, "dose.bed-by-half-life", text))
    bed = _bed(dose.absorbed_dose, g, known)
    voxels, even = _of_voxels(dose.dvh, g, known)
    return Outcome(
        BiologicalDose(
            dose.region,
            tissue,
            known.tissue.alpha_beta_gy,
            known.tissue.repair_half_life_s,
            known.tissue.source,
            g,
            bed,
            bed.scaled(float(eqd2_gy(1.0, known.tissue.alpha_beta_gy))),
            voxels,
            even,
        ),
        findings,
    )


def cumulative_bed(
    doses: tuple[BiologicalDose, ...], fits: tuple[TacFit, ...], cycles: tuple[int, ...]
) -> Outcome[BiologicalDose]:
    """Add the BED of cycles, of the means: voxels of different cycles are not told which is which."""
    beds = [by_cycle(d.bed, fit, cycle) for d, fit, cycle in zip(doses, fits, cycles, strict=True)]
    total = reduce(added, beds)
    first = doses[0]
    eqd2 = total.scaled(float(eqd2_gy(1.0, first.alpha_beta_gy)))
    return Outcome(
        evolve(first, bed=total, eqd2=eqd2, protraction=None, voxel_bed_gy=None, eud_bed_gy=None, cycles=cycles)
    )


def _bed(dose: Estimate, g: float, known: Radiobiology) -> Estimate:
    """BED with the budget of the dose, to first order; draws one by one."""
    alpha_beta = known.tissue.alpha_beta_gy
    slope = 1 + 2 * g * dose.value / alpha_beta
    budget = {name: None if sd is None else sd * slope for name, sd in dose.budget.items()}
    sd = known.alpha_beta_sd_gy
    budget[f"alpha/beta: {known.name}"] = None if sd is None else -g * dose.value**2 / alpha_beta**2 * sd
    draws = dose.draws
    if draws is not None:
        draws = Draws(draws.sources, bed_gy(draws.values, g, alpha_beta))
    return Estimate(float(bed_gy(dose.value, g, alpha_beta)), dose.unit, FrozenMap(budget), draws)


def _of_voxels(dvh: Dvh | None, g: float, known: Radiobiology) -> tuple[float | None, float | None]:
    """Mean BED of the voxels, and the even BED with their survival. [Gy]"""
    if dvh is None:
        return None, None
    dose, share = dvh.parts
    beds = bed_gy(dose, g, known.tissue.alpha_beta_gy)
    alpha = known.alpha_per_gy
    even = None if alpha is None else survival_eud_gy(beds[share > 0], share[share > 0], alpha)
    return float(np.average(beds, weights=share)), even
