"""A kinetic patient at one visit: what changes between visits and over the cycles, as the equations take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log

import numpy as np

from lutra.core.units import HOUR_S
from lutra.reference.nuclides import nuclide as nuclide_named
from lutra.simulate.pbpk import KIDNEYS, ORGANS, REST, Array, Parameters
from lutra.simulate.pbpk_population import KineticPatient, Row, population, stream

PEPTIDE_G_PER_MOL = 1435.6
"""Molar mass of octreotate with its chelator, unlabelled [M]."""
LONGEST_EFFECTIVE = 0.9
"""Longest effective half-life over the physical one: nothing is kept for ever."""


def parameters_at(
    patient: KineticPatient, nuclide: str, cycle: int, lesion_volumes_ml: Mapping[str, float] | None = None
) -> Parameters:
    """Return the patient as the equations see it at one visit.

    Parameters
    ----------
    patient
        Before the first therapy.
    nuclide
        `Lu-177` or `Ga-68`.
    cycle
        Therapy cycle from 1. For a PET, the number of the cycle it precedes: 1 (or 0) at baseline, 5 after four cycles.
    lesion_volumes_ml
        Volumes at this visit where they differ from those at baseline; 0 for a lesion that is not there. [mL]
    """
    table, numbers, settings = population(), patient.numbers, patient.settings
    treated = max(cycle - 1, 0)
    visit = f"{nuclide} {cycle}"

    def varied(row: Row, name: str) -> float:
        if row.visit_log_sd == 0:
            return 1.0
        spread = row.visit_log_sd * settings.visit_spread
        return exp(spread * float(stream(patient.seed, f"visit {visit} {name}").normal()))

    plasma_l = numbers["plasma_l_per_m2"] * (1 - numbers["haematocrit"]) * patient.bsa_m2
    volumes = {le.lesion_id: le.volume_ml for le in patient.lesions} | dict(lesion_volumes_ml or {})
    present = [le for le in patient.lesions if volumes[le.lesion_id] > 0]
    row = table["lesion"]
    lesion_kg = np.array(
        [volumes[le.lesion_id] * le.viable_fraction * row["density_g_per_ml"].value * 1e-3 for le in present]
    )
    mass = np.array(patient.organs["mass_kg"])
    mass[REST] = max(patient.weight_kg - np.delete(mass, REST).sum() - lesion_kg.sum(), 0.1 * patient.weight_kg)
    vascular, interstitial = _volumes(mass, plasma_l)
    available = 1 - settings.ssa_occupancy
    receptor = np.array(patient.organs["receptor_nmol_per_l"]) * available
    receptor *= [varied(table["receptor_nmol_per_l"][o], o) for o in ORGANS]
    organ_effective_h = np.array(patient.organs["release_effective_h"])
    organ_effective_h *= [varied(table["release_effective_h"][o], f"release {o}") for o in ORGANS]
    trend = settings.kidney_trend_per_cycle or numbers["kidney_trend_per_cycle"]
    receptor[KIDNEYS] *= trend**treated
    aa = numbers["amino_acid_effect"] * table[f"study.{nuclide}"]["amino_acids"].value * settings.amino_acids
    reabsorbed = numbers["reabsorbed"] * trend**treated * varied(table["whole_body"]["reabsorbed"], "reabsorbed")
    lesion_receptor = [
        le.receptor_nmol_per_l
        * available
        * le.receptor_per_cycle**treated
        * varied(row["receptor_nmol_per_l"], f"receptor {le.lesion_id}")
        for le in present
    ]
    lesion_effective_h = [
        le.release_effective_h * varied(row["release_effective_h"], f"release {le.lesion_id}") for le in present
    ]

    def both(organ: Array | Sequence[float], lesion: Array | Sequence[float]) -> Array:
        return np.concatenate([organ, lesion])

    flow = np.array([table["flow_share"][o].value for o in ORGANS]) * numbers["plasma_turnover_per_min"] * plasma_l
    exchange = np.array([table["ps_ml_per_min_g"][o].value for o in ORGANS]) * mass
    return Parameters(
        names=(*ORGANS, *(le.lesion_id for le in present)),
        mass_kg=both(mass, lesion_kg),
        vascular_l=both(vascular, row["vascular_of_mass"].value * (1 - numbers["haematocrit"]) * lesion_kg),
        interstitial_l=both(interstitial, row["interstitial_of_mass"].value * lesion_kg),
        flow_l_per_min=both(flow, [le.flow_ml_per_min_g for le in present] * lesion_kg),
        exchange_l_per_min=both(exchange, [le.ps_ml_per_min_g for le in present] * lesion_kg),
        receptor_nmol=both(receptor * mass, lesion_receptor * lesion_kg),
        k_int_per_min=both(patient.organs["k_int_per_min"], [le.k_int_per_min for le in present]),
        k_rel_per_min=log(2) / 60 / release_half_time_h(both(organ_effective_h, lesion_effective_h)),
        k_trap_per_min=both(np.multiply(patient.organs["trapping"], numbers["k_trap_per_min"]), 0 * lesion_kg),
        plasma_l=plasma_l,
        haematocrit=numbers["haematocrit"],
        unbound=numbers["unbound"],
        k_on_l_per_nmol_min=numbers["k_on_l_per_nmol_min"],
        k_off_per_min=numbers["k_on_l_per_nmol_min"] * numbers["k_d_nmol_per_l"],
        k_deg_per_min=numbers["k_degradation_per_min"],
        intact_release=numbers["intact_release"],
        k_slow_per_min=numbers["k_slow_per_min"],
        k_slow_release_per_min=log(2) / 60 / numbers["slow_release_half_time_h"],
        gfr_l_per_min=patient.gfr_ml_min * 1e-3,
        reabsorbed=min(reabsorbed * (1 - aa), 1.0),
        tubular_metabolite_return=numbers["tubular_metabolite_return"],
        metabolite_clearance_l_per_min=numbers["metabolite_clearance_l_per_min"],
        metabolite_exchange_l_per_min=numbers["metabolite_exchange_l_per_min"],
        metabolite_volume_l=numbers["metabolite_volume_l"],
        metabolite_tissue_share=numbers["metabolite_tissue_share"],
    )


def release_half_time_h(effective_h: Array) -> Array:
    """Half-time of release that leads to an effective half-life with 177Lu. [h]"""
    physical_h = nuclide_named("Lu-177").half_life_s / HOUR_S
    effective = np.minimum(effective_h, LONGEST_EFFECTIVE * physical_h)
    return np.asarray(effective * physical_h / (physical_h - effective))


def sample_peptide_ug(nuclide: str, seed: int, cycle: int) -> float:
    """Draw the peptide mass of one administration. [ug]"""
    row = population()[f"study.{nuclide}"]["peptide_ug"]
    return row.value * exp(row.log_sd * float(stream(seed, f"peptide {nuclide} {cycle}").normal()))


def _volumes(mass_kg: Array, plasma_l: float) -> tuple[Array, Array]:
    """Vascular and interstitial volumes of the organs. [L]"""
    table = population()
    vascular = np.array(
        [
            table["vascular_of_mass"][o].value * m
            if o in table["vascular_of_mass"]
            else table["vascular_of_plasma"][o].value * plasma_l
            for o, m in zip(ORGANS, mass_kg, strict=True)
        ]
    )
    interstitial = np.array(
        [
            table["interstitial_of_mass"][o].value * m
            if o in table["interstitial_of_mass"]
            else table["interstitial_of_vascular"][o].value * v
            for o, m, v in zip(ORGANS, mass_kg, vascular, strict=True)
        ]
    )
    return vascular, interstitial
