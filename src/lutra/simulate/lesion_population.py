"""The population that lesions are drawn from: numbers with their source, and what a patient and a lesion draw from them.

Every draw has a stream of its own, named after what is drawn: one more lesion or quantity changes no other. V: read in a
publication; M: usual values, to be checked; T: tuned here to published response rates.
"""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.simulate.lesion_places import Site
from lutra.simulate.response import Growth

LARGEST_MM = 120.0
ADC_LIMITS = (0.4e-3, 2.9e-3)
"""Between densest tumour and free water. [mm2/s]"""


@frozen
class GradeNumbers:
    """What the grade of a tumour decides.

    Parameters
    ----------
    fdg_suv_max, fdg_log_sd
        Median over lesions and total spread [M]. [g/mL], [1]
    adc_mm2_per_s, adc_sd_mm2_per_s
        Mean and standard deviation over lesions [V: 48 liver metastases]. [mm2/s]
    growth
        Factor of the growth rate [M]. [1]
    new_per_year
        New lesions before progression [T]. [1/y]
    """

    fdg_suv_max: float
    fdg_log_sd: float
    adc_mm2_per_s: float
    adc_sd_mm2_per_s: float
    growth: float
    new_per_year: float


GRADES = {
    1: GradeNumbers(2.2, 0.35, 1.47e-3, 0.63e-3, 1.0, 0.07),
    2: GradeNumbers(3.5, 0.50, 1.27e-3, 0.63e-3, 1.6, 0.18),
    3: GradeNumbers(7.0, 0.50, 0.87e-3, 0.43e-3, 4.0, 0.40),
}
NEW_PER_YEAR_AFTER_PROGRESSION = 0.8
"""[M] [1/y]"""
PATIENT_SHARE = 0.79
"""Of a total log-SD, what lies between patients; the rest (.61, added in squares) between lesions: .45 and .35 for FDG."""


@frozen
class Primary:
    """Where a tumour comes from, and what follows: radiosensitivity against all [1], and the share of stroma [1]."""

    share: float
    alpha: float
    inert_share: float


PRIMARIES = {
    "small bowel": Primary(0.45, 0.009 / 0.014, 0.30),
    "pancreas": Primary(0.35, 0.022 / 0.014, 0.15),
    "other": Primary(0.20, 1.0, 0.15),
}
"""Ratios and stroma as tuned to published shrinkage: metastases of the small bowel shrink less."""


@frozen
class LesionSettings:
    """Population that lesions are drawn from.

    Parameters
    ----------
    grade_shares
        Patients of grade 1, 2 and 3. [1]
    count
        Fewest and most lesions of a patient, all counts alike [M].
    diameter_mm, diameter_log_sd
        Median of the longest axial diameter, and its spread between patients and between lesions: .45 together, which is also
        what a burden of log-SD 1.1 and shares of log-SD .8 give. [mm], [1]
    minimum_mm
        Smaller ones are not drawn: none of them could be measured. [mm]
    site_shares
        Lesions in liver, nodes and elsewhere; bone comes on top in patients with bone disease.
    bone_disease, bone_share
        Share of patients with bone disease (34 % of a dosimetry series), and of their lesions in bone.
    core_above_mm, core_probability, core_share
        Necrotic cores: only in lesions larger than this [mm], how often, and the share of the volume, from and to [M].
    split_probability, neighbour_probability
        Lesions of two lobes, and pairs of neighbours close enough to grow together. [1]
    alpha_per_gy, alpha_log_sd
        Median radiosensitivity and its spread between patients and lesions [T]. [1/Gy]
    growth_per_month, growth_log_sd
        Of living tissue in grade 1 [T]; over all grades six patients of ten grow by less than 4 % per month, as they did
        before treatment [V]. Spread between patients and lesions.
    fdg_growth_correlation
        Of the deviations of FDG uptake and growth rate within a grade. [1]
    clearance_half_time_d, clearance_log_sd
        Half-life of dead tissue [M]. [d]
    inert_logit_sd
        Spread of the share of stroma [M].
    fully_cleared
        Share of lesions without stroma, which can disappear. [1]
    """

    grade_shares: tuple[float, float, float] = (0.52, 0.44, 0.04)
    count: tuple[int, int] = (3, 8)
    diameter_mm: float = 26.0
    diameter_log_sd: tuple[float, float] = (0.366, 0.262)
    minimum_mm: float = 10.0
    site_shares: FrozenMap[str, float] = field(
        factory=lambda: FrozenMap({"liver": 0.70, "node": 0.21, "other": 0.09}), converter=frozen_map
    )
    bone_disease: float = 0.35
    bone_share: float = 0.35
    core_above_mm: float = 30.0
    core_probability: float = 0.4
    core_share: tuple[float, float] = (0.10, 0.40)
    split_probability: float = 0.05
    neighbour_probability: float = 0.08
    alpha_per_gy: float = 0.019
    alpha_log_sd: tuple[float, float] = (0.5, 0.78)
    growth_per_month: float = 0.032
    growth_log_sd: tuple[float, float] = (0.8, 0.3)
    fdg_growth_correlation: float = 0.5
    clearance_half_time_d: float = 60.0
    clearance_log_sd: float = 0.3
    inert_logit_sd: float = 0.5
    fully_cleared: float = 0.08


@frozen
class Disease:
    """What all lesions of a patient share: standard deviations from the median, but for grade, primary and bone."""

    grade: int
    primary: str
    bone: bool
    size: float
    alpha: float
    growth: float
    fdg: float
    adc: float


def stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers for one purpose."""
    return np.random.default_rng([seed, *f"lesions, {name}".encode()])


def sample_disease(seed: int, settings: LesionSettings | None = None, grade: int | None = None) -> Disease:
    """Draw what the lesions of a patient have in common.

    Parameters
    ----------
    grade
        1, 2 or 3; None draws it.
    """
    settings = settings or LesionSettings()
    drawn = 1 + int(stream(seed, "grade").choice(3, p=settings.grade_shares))
    if grade not in {None, *GRADES}:
        raise UsageError(f"grade {grade}", required="1, 2 or 3")
    names = list(PRIMARIES)
    primary = names[stream(seed, "primary").choice(len(names), p=[PRIMARIES[n].share for n in names])]
    bone = bool(stream(seed, "bone disease").random() < settings.bone_disease)
    z = [float(stream(seed, f"patient {name}").normal()) for name in ("size", "alpha", "growth", "fdg", "adc")]
    return Disease(grade or drawn, primary, bone, *z)


@frozen
class Draws:
    """What the lesions of one patient draw; `key` names a lesion, and with it its stream of random numbers."""

    seed: int
    disease: Disease
    settings: LesionSettings

    def stream(self, key: str, purpose: str) -> np.random.Generator:
        """Random numbers of one lesion for one purpose."""
        return stream(self.seed, f"{key} {purpose}")

    def site(self, key: str) -> Site:
        """Kind of place."""
        rng = self.stream(key, "site")
        in_bone, elsewhere = rng.random(), rng.random()
        if self.disease.bone and in_bone < self.settings.bone_share:
            return Site.BONE
        names = list(self.settings.site_shares)
        edges = np.cumsum([self.settings.site_shares[n] for n in names])
        return Site(names[int(np.searchsorted(edges / edges[-1], elsewhere, side="right"))])

    def diameter_mm(self, key: str) -> float:
        """Longest axial diameter. [mm]"""
        rng = self.stream(key, "diameter")
        between, within = self.settings.diameter_log_sd
        while True:
            mm = self.settings.diameter_mm * exp(between * self.disease.size + within * float(rng.normal()))
            if self.settings.minimum_mm <= mm <= LARGEST_MM:
                return mm
            # A patient far below the minimum would draw for ever: the lesion's own part has to reach it.
            within = max(within, 0.1) * 1.05

    def core_share(self, key: str, diameter_mm: float) -> float:
        """Volume of the necrotic core, of the whole. [1]"""
        rng = self.stream(key, "core")
        has_one, share = rng.random() < self.settings.core_probability, rng.uniform(*self.settings.core_share)
        return float(share) if has_one and diameter_mm > self.settings.core_above_mm else 0.0

    def fdg_suv_max(self, key: str) -> float:
        """FDG uptake of the living part. [g/mL]"""
        grade = GRADES[self.disease.grade]
        return grade.fdg_suv_max * exp(grade.fdg_log_sd * self._mixed(key, "fdg", self.disease.fdg))

    def fdg_deviation(self, key: str) -> float:
        """Part of the FDG uptake that is the lesion's own, in standard deviations. [1]"""
        return float(self.stream(key, "fdg").normal())

    def adc_mm2_per_s(self, key: str) -> float:
        """Diffusion coefficient without perfusion. [mm2/s]"""
        grade = GRADES[self.disease.grade]
        adc = grade.adc_mm2_per_s + grade.adc_sd_mm2_per_s * self._mixed(key, "adc", self.disease.adc)
        return float(np.clip(adc, *ADC_LIMITS))

    def growth(self, key: str) -> Growth:
        """Growth and death."""
        rng, settings, disease = self.stream(key, "response"), self.settings, self.disease
        alpha_z, clearance_z, inert_z, cleared = rng.normal(), rng.normal(), rng.normal(), rng.random()
        between, within = settings.alpha_log_sd
        # What the primaries explain of the spread between patients is not drawn again.
        mean, variance = _spread_of_primaries()
        left = sqrt(max(between**2 - variance, 0.0))
        primary = PRIMARIES[disease.primary]
        inert = log(primary.inert_share / (1 - primary.inert_share)) + settings.inert_logit_sd * inert_z
        return Growth(
            settings.alpha_per_gy * exp(log(primary.alpha) - mean + left * disease.alpha + within * alpha_z),
            settings.growth_per_month * GRADES[disease.grade].growth * exp(self._growth_deviation(key)),
            settings.clearance_half_time_d * exp(settings.clearance_log_sd * clearance_z),
            0.0 if cleared < settings.fully_cleared else 1 / (1 + exp(-inert)),
        )

    def _growth_deviation(self, key: str) -> float:
        """Logarithm of the growth rate against its median: what takes up more FDG grows faster. [1]"""
        rho = self.settings.fdg_growth_correlation
        rest = sqrt(1 - rho**2)
        own_fdg, own = self.fdg_deviation(key), float(self.stream(key, "growth").normal())
        between, within = self.settings.growth_log_sd
        shared = between * (rho * self.disease.fdg + rest * self.disease.growth)
        return shared + within * (rho * own_fdg + rest * own)

    def _mixed(self, key: str, name: str, patient: float) -> float:
        """Deviation of one lesion, in standard deviations: the patient's part and its own."""
        own = float(self.stream(key, name).normal())
        return PATIENT_SHARE * patient + sqrt(1 - PATIENT_SHARE**2) * own


def _spread_of_primaries() -> tuple[float, float]:
    """Mean and variance of the logarithm of alpha over primaries."""
    kinds = PRIMARIES.values()
    mean = sum(p.share * log(p.alpha) for p in kinds)
    return mean, sum(p.share * (log(p.alpha) - mean) ** 2 for p in kinds)
