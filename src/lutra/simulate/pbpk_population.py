"""Who the kinetic patients are: parameters drawn from the population, and what changes from visit to visit.

The numbers are in `pbpk_population.toml`, each with its source and how far it can be trusted. Every draw has a stream of its
own, named after what is drawn: a further lesion or quantity changes no other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import exp, log, sqrt

import numpy as np
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.simulate.pbpk import KIDNEYS, ORGANS, REST, Array, Parameters

PEPTIDE_G_PER_MOL = 1435.6
"""Molar mass of octreotate with its chelator, unlabelled [M]."""
GRADES = (1, 2, 3)


@frozen
class Row:
    """One number of the population: see the head of `pbpk_population.toml`."""

    value: float
    mark: str
    source: str
    log_sd: float = 0.0
    lesion_log_sd: float = 0.0
    visit_log_sd: float = 0.0
    sd: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    spread_mark: str = "M"


@cache
def population() -> FrozenMap[str, FrozenMap[str, Row]]:
    """Every parameter with its spread, by table and name."""
    tables = tomllib.loads((files("lutra.simulate") / "pbpk_population.toml").read_text("utf-8"))
    nested = {f"{a}.{b}": tables[a][b] for a in ("grade", "study") for b in tables[a]}
    flat = {name: table for name, table in tables.items() if name not in ("grade", "study")} | nested
    return FrozenMap({name: FrozenMap({k: Row(**row) for k, row in table.items()}) for name, table in flat.items()})


@frozen
class KineticSettings:
    """What may differ between simulated studies.

    Parameters
    ----------
    spread
        Factor of every spread; 0 makes everybody typical. [1]
    visit_spread
        Factor of the spreads between visits of one patient. [1]
    amino_acids
        Whether amino acids run during therapy.
    ssa_occupancy
        Share of receptors filled by a cold somatostatin analogue: 0 after four weeks without, .1 to .3 otherwise. [1]
    kidney_trend_per_cycle
        Factor of kidney receptors and reabsorption from one cycle to the next; None takes the table's. [1]
    void_interval_h, void_residual
        Time between two emptyings of the bladder [h] and what stays behind. [1]
    """

    spread: float = 1.0
    visit_spread: float = 1.0
    amino_acids: bool = True
    ssa_occupancy: float = 0.0
    kidney_trend_per_cycle: float | None = None
    void_interval_h: float = 3.0
    void_residual: float = 0.1


@frozen
class LesionKineticInput:
    """What the kinetics ask of a lesion.

    Parameters
    ----------
    volume_ml
        Whole volume. [mL]
    grade
        1, 2 or 3.
    site
        `bone` lesions irradiate the marrow; any other name does not.
    viable_fraction
        Share of the volume that is alive, the necrotic core being the rest: only this takes up. [1]
    """

    lesion_id: str
    volume_ml: float
    grade: int
    site: str
    viable_fraction: float = 1.0


@frozen
class LesionKinetics:
    """A lesion with its own parameters, before its first therapy.

    Parameters
    ----------
    receptor_nmol_per_l, flow_ml_per_min_g, ps_ml_per_min_g
        Of the living part; `vitality`, common to the three, is inside. [nmol/L], [mL/(min.g)]
    k_int_per_min, release_half_time_h
        Internalisation and release.
    receptor_per_cycle
        What remains of the receptors from one cycle to the next. [1]
    discordant
        Whether it has lost its receptors and takes up FDG instead.
    """

    lesion_id: str
    volume_ml: float
    grade: int
    site: str
    viable_fraction: float
    receptor_nmol_per_l: float
    flow_ml_per_min_g: float
    ps_ml_per_min_g: float
    k_int_per_min: float
    release_half_time_h: float
    receptor_per_cycle: float
    discordant: bool


@frozen
class KineticPatient:
    """A patient of the kinetic model, before the first therapy.

    Parameters
    ----------
    seed
        Of this patient; visits draw from it too.
    numbers
        Drawn scalars of table `whole_body`.
    organs
        Drawn rows of the organ tables, by table, in the order of `ORGANS`.
    """

    seed: int
    sex: str
    weight_kg: float
    bsa_m2: float
    gfr_ml_min: float
    numbers: FrozenMap[str, float] = field(converter=frozen_map)
    organs: FrozenMap[str, tuple[float, ...]] = field(converter=frozen_map)
    lesions: tuple[LesionKinetics, ...]
    settings: KineticSettings

    def lesion(self, lesion_id: str) -> LesionKinetics:
        """One lesion by its identity."""
        return next(le for le in self.lesions if le.lesion_id == lesion_id)


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers for one purpose, the same whatever else is drawn."""
    return np.random.default_rng([seed, *name.encode()])


def sample_kinetics(
    gfr: float,
    weight_kg: float,
    bsa_m2: float,
    sex: str,
    lesions: Sequence[LesionKineticInput],
    seed: int,
    settings: KineticSettings | None = None,
    organ_mass_kg: Mapping[str, float] | None = None,
) -> KineticPatient:
    """Draw the kinetic parameters of a patient.

    Parameters
    ----------
    gfr
        Glomerular filtration rate. [mL/min]
    weight_kg, bsa_m2, sex
        Body; sex is `M` or `F`. [kg], [m2]
    lesions
        Every lesion the patient will ever have; those not there at a visit get the volume 0 then.
    seed
        Seed of this patient.
    settings
        Of the simulated study.
    organ_mass_kg
        Masses of an anatomy, which replace drawn ones; `kidneys` are both. [kg]

    Raises
    ------
    UsageError
        For a body or lesion that cannot be, or an organ that is not in the model.
    """
    settings = settings or KineticSettings()
    _check(gfr, weight_kg, bsa_m2, sex, lesions, organ_mass_kg or {})
    table = population()
    whole = table["whole_body"]
    gfr_ratio = gfr / whole["reference_gfr_ml_min"].value
    numbers = {name: _drawn(row, seed, name, settings.spread) for name, row in whole.items()}
    numbers["haematocrit"] += numbers["haematocrit_of_men"] * (1 if sex == "M" else -1)
    numbers["reabsorbed"] *= gfr_ratio ** numbers["reabsorbed_gfr_exponent"]
    organs: dict[str, tuple[float, ...]] = {}
    for name in ("receptor_nmol_per_l", "k_int_per_min", "release_half_time_h", "trapping"):
        organs[name] = tuple(_drawn(table[name][o], seed, f"{name} {o}", settings.spread) for o in ORGANS)
    mass = {o: _drawn(table["mass_kg"][o], seed, f"mass_kg {o}", settings.spread) for o in ORGANS}
    mass = {o: kg * weight_kg / numbers["reference_weight_kg"] for o, kg in mass.items()}
    mass["kidneys"] *= gfr_ratio ** numbers["kidney_mass_gfr_exponent"]
    mass |= organ_mass_kg or {}
    organs["mass_kg"] = tuple(mass[o] for o in ORGANS)
    return KineticPatient(
        seed,
        sex,
        weight_kg,
        bsa_m2,
        gfr,
        numbers,
        organs,
        tuple(_sample_lesion(given, seed, settings.spread) for given in lesions),
        settings,
    )


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
    release_h = [
        le.release_half_time_h * varied(row["release_half_time_h"], f"release {le.lesion_id}") for le in present
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
        k_rel_per_min=log(2) / 60 / both(patient.organs["release_half_time_h"], release_h),
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


def sample_peptide_ug(nuclide: str, seed: int, cycle: int) -> float:
    """Draw the peptide mass of one administration. [ug]"""
    row = population()[f"study.{nuclide}"]["peptide_ug"]
    return row.value * exp(row.log_sd * float(stream(seed, f"peptide {nuclide} {cycle}").normal()))


def cohort_patient(seed: int, settings: KineticSettings | None = None) -> KineticPatient:
    """Draw a patient of the published dosimetry cohorts, for studies without an anatomy."""
    rows = population()["cohort"]
    kg = _drawn(rows["weight_kg"], seed, "weight", 1.0)
    rng = stream(seed, "cohort lesions")
    shares = rng.lognormal(0, rows["share"].lesion_log_sd, rng.integers(int(rows["lesions"].low), int(rows["lesions"].high) + 1))
    volumes = shares / shares.sum() * _drawn(rows["burden_ml"], seed, "burden", 1.0)
    grade = 2 if rng.uniform() < rows["grade_2"].value else 1
    bone = rng.uniform() < rows["bone"].value
    sites = ["bone" if bone and rng.uniform() < 0.5 else "liver" for _ in volumes]
    if bone and "bone" not in sites:
        sites[-1] = "bone"
    return sample_kinetics(
        _drawn(rows["gfr_ml_min"], seed, "gfr", 1.0),
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


def _drawn(row: Row, seed: int, name: str, spread: float) -> float:
    """One patient's value of a row."""
    if spread == 0 or (row.log_sd == 0 and row.sd == 0):
        return row.value
    z = spread * float(stream(seed, name).normal())
    value = row.value + row.sd * z if row.sd else row.value * exp(row.log_sd * z)
    return float(np.clip(value, row.low, row.high))


def _sample_lesion(given: LesionKineticInput, seed: int, spread: float) -> LesionKinetics:
    rows, grade = population()["lesion"], population()[f"grade.{given.grade}"]

    def drawn(name: str) -> float:
        row = rows[name]
        own = row.lesion_log_sd * float(stream(seed, f"lesion {given.lesion_id} {name}").normal())
        shared = row.log_sd * float(stream(seed, f"lesions {name}").normal())
        return row.value * exp(spread * (own + shared))

    vitality = drawn("vitality")
    fall = grade["receptor_per_cycle"]
    slope = float(stream(seed, f"lesion {given.lesion_id} per cycle").normal())
    discordant = (
        spread > 0 and stream(seed, f"lesion {given.lesion_id} discordant").uniform() < grade["discordant"].value
    )
    return LesionKinetics(
        given.lesion_id,
        given.volume_ml,
        given.grade,
        given.site,
        given.viable_fraction,
        receptor_nmol_per_l=vitality
        * drawn("receptor_nmol_per_l")
        * (rows["discordant_receptor"].value if discordant else 1),
        flow_ml_per_min_g=vitality * drawn("flow_ml_per_min_g"),
        ps_ml_per_min_g=vitality * drawn("ps_ml_per_min_g"),
        k_int_per_min=drawn("k_int_per_min"),
        release_half_time_h=drawn("release_half_time_h") * grade["release"].value,
        receptor_per_cycle=max(fall.value + spread * fall.sd * slope, 0.1),
        discordant=bool(discordant),
    )


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


def _check(
    gfr: float,
    weight_kg: float,
    bsa_m2: float,
    sex: str,
    lesions: Sequence[LesionKineticInput],
    organ_mass_kg: Mapping[str, float],
) -> None:
    if not (gfr > 0 and weight_kg > 0 and bsa_m2 > 0 and sex in ("M", "F")):
        raise UsageError(
            f"GFR {gfr:g} mL/min, {weight_kg:g} kg, {bsa_m2:g} m2, sex {sex!r}", required="positive numbers, sex M or F"
        )
    for le in lesions:
        if le.grade not in GRADES or le.volume_ml < 0 or not 0 < le.viable_fraction <= 1:
            raise UsageError(
                f"grade {le.grade}, {le.volume_ml:g} mL, {le.viable_fraction:g} alive",
                where=f"lesion {le.lesion_id}",
                required="grade 1, 2 or 3, a volume, and a living share above 0",
            )
    ids = [le.lesion_id for le in lesions]
    if len(set(ids)) < len(ids) or set(ids) & {*ORGANS, "blood", "bladder", "urine"}:
        raise UsageError(f"lesions called {', '.join(ids)}", required="names of their own, none that of an organ")
    if unknown := set(organ_mass_kg) - set(ORGANS) | ({"rest"} & set(organ_mass_kg)):
        raise UsageError(f"no organ {', '.join(sorted(unknown))} in the model", required=", ".join(ORGANS[:REST]))
