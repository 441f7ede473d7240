"""Kinetic patients without an anatomy: the cohort of the published doses, and the typical patient."""

from __future__ import annotations

from math import sqrt

from lutra.simulate.pbpk_population import (
    KineticPatient,
    KineticSettings,
    LesionKineticInput,
    drawn_value,
    population,
    sample_kinetics,
    stream,
)


def cohort_patient(seed: int, settings: KineticSettings | None = None) -> KineticPatient:
    """Draw a patient of the published dosimetry cohorts, for studies without an anatomy."""
    rows = population()["cohort"]
    kg = drawn_value(rows["weight_kg"], seed, "weight", 1.0)
    rng = stream(seed, "cohort lesions")
    shares = rng.lognormal(
        0, rows["share"].lesion_log_sd, rng.integers(int(rows["lesions"].low), int(rows["lesions"].high) + 1)
    )
    volumes = shares / shares.sum() * drawn_value(rows["burden_ml"], seed, "burden", 1.0)
    grade = 2 if rng.uniform() < rows["grade_2"].value else 1
    bone = rng.uniform() < rows["bone"].value
    sites = ["bone" if bone and rng.uniform() < 0.5 else "liver" for _ in volumes]
    if bone and "bone" not in sites:
        sites[-1] = "bone"
    return sample_kinetics(
        drawn_value(rows["gfr_ml_min"], seed, "gfr", 1.0),
        kg,
        rows["bsa_m2"].value * sqrt(kg / rows["weight_kg"].value),
        "M" if rng.uniform() < 0.5 else "F",
        [LesionKineticInput(f"L{n + 1}", v, grade, s) for n, (v, s) in enumerate(zip(volumes, sites, strict=True))],
        seed,
        settings,
    )


def typical_patient(settings: KineticSettings | None = None, burden_ml: float = 76.9, grade: int = 1) -> KineticPatient:
    """Return the patient in whom nothing deviates, with four equal lesions; GFR 90 mL/min, 72 kg, 1.85 m2."""
    settings = settings or KineticSettings(spread=0.0, visit_spread=0.0)
    lesions = [LesionKineticInput(f"L{n}", burden_ml / 4, grade, "liver") for n in range(1, 5)]
    return sample_kinetics(90.0, 72.0, 1.85, "M", lesions, 0, settings)
