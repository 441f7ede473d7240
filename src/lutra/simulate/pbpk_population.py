"""Who the kinetic patients are: parameters drawn from the population.

The numbers are in `pbpk_population.toml`, each with its source and how far it can be trusted. Every draw has a stream of its
own, named after what is drawn: a further lesion or quantity changes no other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import exp, sqrt

import numpy as np
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.simulate.pbpk import ORGANS, REST

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
    fdg_deviation
        Of the logarithm of its FDG uptake within the patient, in standard deviations: what takes up more FDG has less of what takes
        up octreotate. [1]
    """

    lesion_id: str
    volume_ml: float
    grade: int
    site: str
    viable_fraction: float = 1.0
    fdg_deviation: float = 0.0


@frozen
class LesionKinetics:
    """A lesion with its own parameters, before its first therapy.

    Parameters
    ----------
    receptor_nmol_per_l, flow_ml_per_min_g, ps_ml_per_min_g
        Of the living part; `vitality`, common to the three, is inside. [nmol/L], [mL/(min.g)]
    k_int_per_min, release_effective_h
        Internalisation; release, as the effective half-life with 177Lu that it leads to.
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
    release_effective_h: float
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
    numbers = {name: drawn_value(row, seed, name, settings.spread) for name, row in whole.items()}
    numbers["haematocrit"] += numbers["haematocrit_of_men"] * (1 if sex == "M" else -1)
    numbers["reabsorbed"] *= gfr_ratio ** numbers["reabsorbed_gfr_exponent"]
    organs: dict[str, tuple[float, ...]] = {}
    for name in ("receptor_nmol_per_l", "k_int_per_min", "release_effective_h", "trapping"):
        organs[name] = tuple(drawn_value(table[name][o], seed, f"{name} {o}", settings.spread) for o in ORGANS)
    mass = {o: drawn_value(table["mass_kg"][o], seed, f"mass_kg {o}", settings.spread) for o in ORGANS}
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


def drawn_value(row: Row, seed: int, name: str, spread: float) -> float:
    """One patient's value of a row."""
    if spread == 0 or (row.log_sd == 0 and row.sd == 0):
        return row.value
    z = spread * float(stream(seed, name).normal())
    value = row.value + row.sd * z if row.sd else row.value * exp(row.log_sd * z)
    return float(np.clip(value, row.low, row.high))


def _sample_lesion(given: LesionKineticInput, seed: int, spread: float) -> LesionKinetics:
    rows, grade = population()["lesion"], population()[f"grade.{given.grade}"]

    def drawn(name: str, fdg: float = 0.0) -> float:
        row = rows[name]
        own = float(stream(seed, f"lesion {given.lesion_id} {name}").normal())
        own = row.lesion_log_sd * (fdg * given.fdg_deviation + sqrt(1 - fdg**2) * own)
        shared = row.log_sd * float(stream(seed, f"lesions {name}").normal())
        return row.value * exp(spread * (own + shared))

    vitality = drawn("vitality", rows["vitality_and_fdg"].value)
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
        receptor_nmol_per_l=drawn("discordant_receptor_nmol_per_l")
        if discordant
        else vitality * drawn("receptor_nmol_per_l"),
        flow_ml_per_min_g=vitality * drawn("flow_ml_per_min_g"),
        ps_ml_per_min_g=vitality * drawn("ps_ml_per_min_g"),
        k_int_per_min=drawn("k_int_per_min"),
        release_effective_h=drawn("release_effective_h") * grade["release"].value,
        receptor_per_cycle=max(fall.value + spread * fall.sd * slope, 0.1),
        discordant=bool(discordant),
    )


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
