"""Laboratory values of a digital patient: what is true, what the laboratory finds, and their CTCAE grades.

Blood counts follow the marrow dose (:mod:`blood_counts`), creatinine the filtration (:mod:`kidney_function`), chromogranin A
the living tumour; liver values and albumin stay at the patient's baseline, for no dependence on dose is published. The table of
analytes is `labs.toml`. The noise of a sample belongs to its day: asking for one more day changes no other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.reference.ctcae import ctcae_grade
from lutra.simulate import kidney_function as kidney
from lutra.simulate.blood_counts import CHAINS, LYMPHOCYTES, Exposure, chain_count, lymphocyte_count

Array = npt.NDArray[np.float64]

GRADED = ("platelets", "neutrophils", "wbc", "lymphocytes", "haemoglobin", "creatinine", "alt", "ast", "bilirubin")
OTHER_WHITE_CELLS = 0.6
"""Monocytes, eosinophils, basophils; nothing drives them here. [10*9/L]"""
AFTER_CHEMOTHERAPY = 1.5
"""Factor of radiation killing in a marrow that has seen chemotherapy; tuned."""
AGE_SLOPE = (1.0, 1.0)
"""Mean and spread of the yearly loss of filtration by age. [mL/min/1.73m2]"""
OWN_SLOPE_SD = 8.5
"""Spread of what else makes filtration fall or rise; tuned, with the noise of the clearance, so that a year changes the clearance
by 18.9 % (one standard deviation, 74 patients) and 8.9 % of 178 patients lose more than a fifth. [mL/min/1.73m2 per year]"""
HYPERTENSION, DIABETES, CHEMOTHERAPY = 0.45, 0.15, 0.15
"""Prevalence in patients of about 63 years with neuroendocrine tumours; commonly quoted."""
TUMOUR_EXPONENT = 0.8
"""Chromogranin A goes with the living tumour volume to this power; commonly assumed."""


@frozen
class Analyte:
    """One row of `labs.toml`."""

    name: str
    label: str
    unit: str
    distribution: str
    panel: str
    source: str
    median: float = 0.0
    sd: float = 0.0
    eligible: tuple[float, ...] = field(converter=tuple, default=())
    noise_cv: float = 0.0
    lln: FrozenMap[str, float] = field(converter=frozen_map, factory=FrozenMap)
    uln: FrozenMap[str, float] = field(converter=frozen_map, factory=FrozenMap)


@cache
def analytes() -> tuple[Analyte, ...]:
    """Return the table, in its order."""
    rows = tomllib.loads((files("lutra.simulate") / "labs.toml").read_text("utf-8"))["analyte"]
    return tuple(Analyte(**row) for row in rows)


@frozen
class Person:
    """What the laboratory needs to know of a patient.

    Parameters
    ----------
    sex
        `F` or `M`.
    egfr
        Filtration on day 0. [mL/min/1.73m2]
    hypertension, diabetes
        Either lowers the kidney's threshold.
    chemotherapy_before
        Makes the marrow more sensitive.
    """

    sex: str
    age_y: float
    weight_kg: float
    egfr: float
    hypertension: bool = False
    diabetes: bool = False
    chemotherapy_before: bool = False


@frozen
class CycleDose:
    """What one administration does to the organs that limit the treatment.

    Parameters
    ----------
    marrow_gy, marrow_half_life_h
        Red marrow.
    kidney_bed_gy
        Biologically effective dose of the kidneys in this cycle.
    lymphocyte_gy, lymphocyte_half_life_h
        Pooled over blood and spleen.
    day
        Day of the administration; set by the course.
    """

    marrow_gy: float
    marrow_half_life_h: float
    kidney_bed_gy: float
    lymphocyte_gy: float
    lymphocyte_half_life_h: float
    day: float = 0.0


@frozen
class LabTraits:
    """What is this patient's own: baselines, sensitivities, slope.

    Parameters
    ----------
    baseline
        By analyte, those that are not derived.
    kill_per_gy
        By kind of cell. [1/Gy]
    slope_per_year
        Loss of filtration without radiation. [mL/min/1.73m2 per year]
    seed
        Of the noise.
    """

    person: Person
    baseline: FrozenMap[str, float]
    kill_per_gy: FrozenMap[str, float]
    slope_per_year: float
    seed: int

    @property
    def kidney_threshold_gy(self) -> float:
        """BED above which filtration falls faster. [Gy]"""
        at_risk = self.person.hypertension or self.person.diabetes
        return kidney.BED_THRESHOLD_AT_RISK_GY if at_risk else kidney.BED_THRESHOLD_GY


@frozen
class LabValue:
    """One value of one sample. Grades are None where CTCAE has no table for it or the value cannot be graded."""

    analyte: str
    true: float
    measured: float
    grade_true: int | None
    grade_measured: int | None


@frozen
class LabSample:
    """Blood taken on a day."""

    day: int
    values: tuple[LabValue, ...]

    def __getitem__(self, analyte: str) -> LabValue:
        for value in self.values:
            if value.analyte == analyte:
                return value
        raise UsageError(
            f"no {analyte} in the sample of day {self.day}", required=", ".join(v.analyte for v in self.values)
        )


def sample_person(seed: int, sex: str, age_y: float, weight_kg: float, egfr: float) -> Person:
    """Draw the history of a patient whose body is known.

    Parameters
    ----------
    egfr
        Filtration. [mL/min/1.73m2]
    """
    r = stream(seed, "history")
    hypertension, diabetes, chemotherapy = (bool(r.random() < p) for p in (HYPERTENSION, DIABETES, CHEMOTHERAPY))
    return Person(sex, age_y, weight_kg, egfr, hypertension, diabetes, chemotherapy)


def sample_traits(person: Person, seed: int) -> LabTraits:
    """Draw a patient who may enter the study."""
    baseline = {a.name: _baseline(a, stream(seed, f"lab {a.name}")) for a in analytes() if a.distribution != "derived"}
    factor = AFTER_CHEMOTHERAPY if person.chemotherapy_before else 1.0
    kill = {
        cell: factor * line.kill_per_gy * float(np.exp(stream(seed, f"kill {cell}").normal(0, line.kill_log_sd)))
        for cell, line in (*CHAINS.items(), ("lymphocytes", LYMPHOCYTES))
    }
    r = stream(seed, "filtration")
    slope = float(r.normal(*AGE_SLOPE) + r.normal(0, OWN_SLOPE_SD))
    return LabTraits(person, FrozenMap(baseline), FrozenMap(kill), slope, seed)


def true_labs(
    traits: LabTraits,
    cycles: Sequence[CycleDose],
    days: npt.ArrayLike,
    *,
    tumour_ratio: npt.ArrayLike = 1.0,
    renal_effect: bool = True,
) -> dict[str, Array]:
    """Return what an error-free laboratory would find, by analyte. (days)

    Parameters
    ----------
    cycles
        Those given so far.
    tumour_ratio
        Living tumour volume relative to day 0. [1] (days)
    renal_effect
        See :func:`kidney_function.egfr_over_days`.
    """
    t, person = np.asarray(days, float), traits.person
    marrow = [Exposure(c.day, c.marrow_gy, c.marrow_half_life_h) for c in cycles]
    pooled = [Exposure(c.day, c.lymphocyte_gy, c.lymphocyte_half_life_h) for c in cycles]
    found = {name: np.full_like(t, value) for name, value in traits.baseline.items()}
    for cell, line in CHAINS.items():
        found[cell] = found[cell] * chain_count(line, marrow, t, traits.kill_per_gy[cell])
    found["lymphocytes"] = found["lymphocytes"] * lymphocyte_count(pooled, t, traits.kill_per_gy["lymphocytes"])
    found["chromogranin_a"] = found["chromogranin_a"] * np.asarray(tumour_ratio, float) ** TUMOUR_EXPONENT
    egfr = kidney.egfr_over_days(
        person.egfr,
        traits.slope_per_year,
        [(c.day, c.kidney_bed_gy) for c in cycles],
        t,
        threshold_gy=traits.kidney_threshold_gy,
        renal_effect=renal_effect,
    )
    found["creatinine"] = kidney.creatinine_from_egfr(egfr, _age(person, t), person.sex)
    found["dtpa_clearance"] = egfr
    return _with_derived(person, t, found)


def take_samples(
    traits: LabTraits,
    cycles: Sequence[CycleDose],
    days: Sequence[int],
    *,
    panels: Mapping[int, Iterable[str]] | None = None,
    tumour_ratio: npt.ArrayLike = 1.0,
    renal_effect: bool = True,
) -> tuple[LabSample, ...]:
    """Take blood on some days and measure it.

    Parameters
    ----------
    days
        Days since the first administration; negative ones are the baseline.
    panels
        What is taken on a day: some of `counts`, `chemistry`, `marker`, `clearance`. All, if None.
    """
    true = true_labs(traits, cycles, days, tumour_ratio=tumour_ratio, renal_effect=renal_effect)
    creatinine_0 = float(true_labs(traits, (), [0.0])["creatinine"][0])
    samples = []
    for i, day in enumerate(days):
        noise = stream(traits.seed, f"sample {day}").normal(size=len(analytes()))
        here = {name: float(values[i]) for name, values in true.items()}
        read = {a.name: here[a.name] * float(np.exp(a.noise_cv * z)) for a, z in zip(analytes(), noise, strict=True)}
        measured = {
            k: float(v[0]) for k, v in _with_derived(traits.person, np.array([float(day)]), as_arrays(read)).items()
        }
        wanted = None if panels is None else set(panels[day])
        values = tuple(
            LabValue(
                a.name,
                here[a.name],
                measured[a.name],
                grade(traits.person, a, here[a.name], creatinine_0),
                grade(traits.person, a, measured[a.name], creatinine_0),
            )
            for a in analytes()
            if wanted is None or a.panel in wanted
        )
        samples.append(LabSample(day, values))
    return tuple(samples)


def grade(person: Person, analyte: Analyte, value: float, creatinine_0: float) -> int | None:
    """CTCAE v5 grade of a value; None where there is no table."""
    if analyte.name not in GRADED:
        return None
    return ctcae_grade(
        analyte.name,
        value,
        unit=analyte.unit,
        lln=analyte.lln.get(person.sex),
        uln=analyte.uln.get(person.sex),
        baseline=creatinine_0 if analyte.name == "creatinine" else None,
    ).grade


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one purpose, independent of all others."""
    return np.random.default_rng([seed, *name.encode()])


def as_arrays(values: Mapping[str, float]) -> dict[str, Array]:
    """One-day arrays."""
    return {name: np.array([value]) for name, value in values.items()}


def _with_derived(person: Person, t: Array, values: dict[str, Array]) -> dict[str, Array]:
    age, creatinine = _age(person, t), values["creatinine"]
    return values | {
        "wbc": values["neutrophils"] + values["lymphocytes"] + OTHER_WHITE_CELLS,
        "egfr": kidney.egfr_ckd_epi(creatinine, age, person.sex),
        "creatinine_clearance": kidney.clearance_cockcroft_gault(creatinine, age, person.sex, person.weight_kg),
    }


def _age(person: Person, t: Array) -> Array:
    return np.asarray(person.age_y + t / kidney.DAYS_PER_YEAR)


def _baseline(analyte: Analyte, r: np.random.Generator) -> float:
    """Draw until the patient may enter; the table leaves most of the population in, so this ends soon."""
    low, high = analyte.eligible
    while True:
        z = r.normal()
        value = (
            analyte.median * np.exp(analyte.sd * z)
            if analyte.distribution == "lognormal"
            else analyte.median + analyte.sd * z
        )
        if low <= value <= high:
            return float(value)
