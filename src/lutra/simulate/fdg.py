"""What tissues and lesions look like on PET and diffusion images: SUVs of 18F-FDG and 68Ga-octreotate, and ADC.

Octreotate SUVs come from the kinetic model where it has the tissue; the others, FDG and ADC from `fdg.toml`, where each
number has its source and how far it can be trusted.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from math import exp, log, log1p, sqrt
from typing import Any, Literal

import numpy as np
from attrs import frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.simulate.pbpk_population import KineticPatient, stream
from lutra.simulate.uptake import UptakeCurves

UPTAKE_TIME_S = HOUR_S
"""From injection to scan for every SUV here."""
LEAST_ADC_MM2_PER_S = 0.4e-3
"""No living tissue is denser than this [M]."""

Tissues = FrozenMap[str, float]
SIDES = ("left ", "right ")
OTHER_NAMES = FrozenMap({"lung": "lung", "vertebra": "bone cortex", "marrow": "marrow", "blood": "blood pool"})


@frozen
class LesionFdg:
    """FDG uptake of a lesion at 60 min: mean of its living part, and maximum. [g/mL]"""

    suv_mean: float
    suv_max: float


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads((files("lutra.simulate") / "fdg.toml").read_text("utf-8"))


def tissue_of(region: str) -> str:
    """Return the tissue of a painted region: `left kidney cortex` is `kidney cortex`, `marrow L2` is `marrow`.

    Raises
    ------
    UsageError
        If no tissue is known for it.
    """
    name = region
    for side in SIDES:
        name = name.removeprefix(side)
    first = name.split(" ")[0]
    name = OTHER_NAMES.get(first, name)
    if name not in _tables()["fdg"]:
        raise UsageError(f"no tissue for the region {region!r}", required=", ".join(_tables()["fdg"]))
    return name


def sample_tissues(what: Literal["fdg", "sstr", "adc"], seed: int) -> Tissues:
    """Draw the normal tissues of a patient: SUV [g/mL] or ADC [mm2/s], by tissue."""
    return FrozenMap(
        {name: _lognormal(row["value"], row["sd"], seed, f"{what} {name}") for name, row in _tables()[what].items()}
    )


def sstr_tissues(curves: UptakeCurves, patient: KineticPatient) -> Tissues:
    """SUV of 68Ga-octreotate in normal tissues at 60 min: from the curves where the model has the tissue. [g/mL]

    Raises
    ------
    UsageError
        If the curves are of another nuclide.
    """
    if curves.nuclide != "Ga-68":
        raise UsageError(f"curves of {curves.nuclide}", required="Ga-68")
    suvs = dict(sample_tissues("sstr", patient.seed))
    for name, row in _tables()["sstr"].items():
        if model := row.get("model"):
            suvs[name] = blood_suv(curves, patient) if model == "blood" else region_suv(curves, model, patient)
    return FrozenMap(suvs)


def region_suv(curves: UptakeCurves, region: str, patient: KineticPatient) -> float:
    """SUV of an organ or lesion of the model at 60 min; of a lesion, in its living part. [g/mL]"""
    return float(curves.suv(region, UPTAKE_TIME_S, patient.weight_kg))


def blood_suv(curves: UptakeCurves, patient: KineticPatient) -> float:
    """SUV of whole blood at 60 min. [g/mL]"""
    undecayed = float(curves.blood_bq_per_ml(UPTAKE_TIME_S)) * exp(curves.decay_per_s * UPTAKE_TIME_S)
    return undecayed * patient.weight_kg * 1e3 / curves.administered_bq


def sample_lesion_fdg(patient: KineticPatient, sstr_suv: Mapping[str, float], liver_suv: float) -> dict[str, LesionFdg]:
    """Draw the FDG uptake of every lesion.

    Lognormal around its grade's median, half of the variance shared by the patient's lesions. Between the lesions of a
    patient it runs against their octreotate uptake; a discordant lesion has more than the liver.

    Parameters
    ----------
    patient
        With its lesions.
    sstr_suv
        Octreotate SUV by lesion, at baseline. [g/mL]
    liver_suv
        FDG SUVmean of this patient's liver. [g/mL]

    Returns
    -------
    dict
        By lesion.
    """
    spread = {name: row["value"] for name, row in _tables()["spread"].items()}
    r, shared = spread["fdg_sstr"], spread["fdg_shared"]
    scale = patient.settings.spread
    logs = {le.lesion_id: log(sstr_suv[le.lesion_id]) for le in patient.lesions}
    centre = float(
        np.mean([v for le, v in zip(patient.lesions, logs.values(), strict=True) if not le.discordant] or [0])
    )
    common = float(stream(patient.seed, "fdg").normal())
    found = {}
    for le in patient.lesions:
        row = _tables()["lesion"][str(le.grade)]["fdg"]
        z = 0.0 if le.discordant else (logs[le.lesion_id] - centre) / spread["sstr_within"]
        own = float(stream(patient.seed, f"fdg {le.lesion_id}").normal())
        deviation = sqrt(shared) * common + sqrt(1 - shared) * (r * z + sqrt(1 - r * r) * own)
        highest = row["value"] * exp(scale * row["sd"] * deviation)
        mean = highest * spread["mean_over_max"]
        if le.discordant:
            mean = max(mean, spread["discordant_over_liver"] * liver_suv)
        found[le.lesion_id] = LesionFdg(mean, mean / spread["mean_over_max"])
    return found


def sample_lesion_adc(patient: KineticPatient) -> dict[str, float]:
    """Draw the ADC of every lesion before therapy, by grade. [mm2/s]"""
    return {
        le.lesion_id: max(_lognormal(row["value"], row["sd"], patient.seed, f"adc {le.lesion_id}"), LEAST_ADC_MM2_PER_S)
        for le in patient.lesions
        for row in (_tables()["lesion"][str(le.grade)]["adc"],)
    }


def adc_after(baseline_mm2_per_s: float, living_share: float) -> float:
    """ADC of a lesion of which a share still lives: cells that die free the water. [mm2/s]"""
    return float(baseline_mm2_per_s + _tables()["spread"]["adc_rise"]["value"] * (1 - living_share))


def _lognormal(mean: float, sd: float, seed: int, name: str) -> float:
    """Draw from the lognormal of this mean and standard deviation."""
    variance = log1p((sd / mean) ** 2)
    z = float(stream(seed, name).normal())
    return mean * exp(sqrt(variance) * z - variance / 2)
