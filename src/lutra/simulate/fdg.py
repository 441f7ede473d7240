"""What normal tissues look like on PET and diffusion images: SUVs of 18F-FDG and 68Ga-octreotate, and ADC.

Octreotate SUVs come from the kinetic model where it has the tissue; the others, FDG and ADC from `fdg.toml`, where each
number has its source and how far it can be trusted.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from math import exp, log1p, sqrt
from typing import Any, Literal

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.simulate.pbpk_population import KineticPatient, stream
from lutra.simulate.uptake import UptakeCurves

UPTAKE_TIME_S = HOUR_S
"""From injection to scan for every SUV here."""

Tissues = FrozenMap[str, float]
SIDES = ("left ", "right ")
OTHER_NAMES = FrozenMap({"lung": "lung", "vertebra": "bone cortex", "marrow": "marrow", "blood": "blood pool"})


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


def _lognormal(mean: float, sd: float, seed: int, name: str) -> float:
    """Draw from the lognormal of this mean and standard deviation."""
    variance = log1p((sd / mean) ** 2)
    z = float(stream(seed, name).normal())
    return mean * exp(sqrt(variance) * z - variance / 2)
