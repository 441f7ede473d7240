"""A digital patient: anatomy, lesions, kinetics and treatment put together, from a seed.

The parts need each other in turn: a cycle irradiates lesions of the size they have on its day, which the cycles before have
made, and its day depends on the blood, which those cycles have changed. So the treatment is followed cycle by cycle, with the
days it had in the pass before, until no day moves any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Literal

import numpy as np
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.simulate.anatomy import LabelledAnatomy
from lutra.simulate.body import Body, sample_body
from lutra.simulate.clinic import ClinicSettings, TreatmentCourse, treat
from lutra.simulate.clinic_doses import bed_gy, pooled_lymphocyte_gy
from lutra.simulate.disease import DiseaseCourse, disease_course
from lutra.simulate.fdg import sample_tissues, sstr_tissues
from lutra.simulate.labs import CycleDose, LabTraits, Person, sample_traits
from lutra.simulate.lesion_population import LesionSettings, sample_disease
from lutra.simulate.lesions import DigitalLesion, sample_lesions, sample_new_lesions
from lutra.simulate.pbpk_population import (
    KineticPatient,
    KineticSettings,
    LesionKineticInput,
    sample_kinetics,
)
from lutra.simulate.pbpk_visit import sample_peptide_ug
from lutra.simulate.response import TruthScenario
from lutra.simulate.truth_dose import marrow_dose_gy, self_dose_gy
from lutra.simulate.uptake import UptakeCurves, curves

FIRST_DAY, LAST_DAY = -40, 520
"""Days that are followed, around the first treatment: baseline scans to the last possible follow-up. [d]"""
USUAL_GAP_D = 84
PASSES = 6
BLOOD_ML_PER_KG = 70.0
GY_G_PER_BQ_S = 2.37e-11
"""Electrons of 177Lu: 147.9 keV per decay (ICRP-107)."""
SHARE_WITH_HYPERTENSION, SHARE_WITH_DIABETES, SHARE_AFTER_CHEMOTHERAPY = 0.35, 0.15, 0.2
"""Of patients of this age with this disease; usual values."""
ATTEMPTS = 20
SSTR_BQ, FDG_BQ = 150e6, 250e6
"""What is injected for a PET. [Bq]"""


@frozen
class PatientSettings:
    """Population and treatment that patients are drawn from.

    Parameters
    ----------
    anatomy
        A labelled CT in place of the digital body; None: a body is drawn.
    """

    lesions: LesionSettings = field(factory=LesionSettings)
    kinetics: KineticSettings = field(factory=KineticSettings)
    clinic: ClinicSettings = field(factory=ClinicSettings)
    scenario: TruthScenario = TruthScenario.STRONG
    form: Literal["ode", "fast"] = "ode"
    anatomy: LabelledAnatomy | None = None


@frozen(eq=False)
class DigitalPatient:
    """Everything that is true of one patient.

    Parameters
    ----------
    seed
        All draws of the patient follow from it.
    first_day
        Midnight before the first treatment; days are counted from here.
    therapy
        Uptake after each administration that was given.
    possible
        Lesions that might have come.
    primary
        Where the tumour comes from.
    """

    subject_id: str
    seed: int
    settings: PatientSettings
    first_day: datetime
    body: Body
    kinetics: KineticPatient
    traits: LabTraits
    treatment: TreatmentCourse
    therapy: tuple[UptakeCurves, ...]
    disease: DiseaseCourse
    possible: tuple[DigitalLesion, ...]
    primary: str

    def uptake_volumes_ml(self, day: float) -> dict[str, float]:
        """Volumes the kinetics ask for; see :func:`volumes_ml`. [mL]"""
        return volumes_ml(self.disease, self.possible, day)

    @cached_property
    def baseline_pet(self) -> UptakeCurves:
        """Uptake after the injection of 68Ga-octreotate before treatment."""
        peptide_ug = sample_peptide_ug("Ga-68", self.seed, 1)
        volumes = self.uptake_volumes_ml(FIRST_DAY)
        return curves(self.kinetics, "Ga-68", 1, SSTR_BQ, peptide_ug, self.settings.form, volumes)

    @cached_property
    def fdg_suv(self) -> FrozenMap[str, float]:
        """FDG uptake of normal tissues. [g/mL]"""
        return sample_tissues("fdg", self.seed)

    @cached_property
    def sstr_suv(self) -> FrozenMap[str, float]:
        """Octreotate uptake of normal tissues. [g/mL]"""
        return sstr_tissues(self.baseline_pet, self.kinetics)

    @cached_property
    def adc_mm2_per_s(self) -> FrozenMap[str, float]:
        """Diffusion coefficient of normal tissues. [mm2/s]"""
        return sample_tissues("adc", self.seed)


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers of one purpose: a draw added elsewhere changes nothing here."""
    return np.random.default_rng([seed, *purpose.encode()])


def patient_seed(trial_seed: int, number: int) -> int:
    """Seed of one patient of a trial: follows from both numbers and not from the order of the work."""
    text = f"{trial_seed}/{number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def digital_patient(
    subject_id: str, seed: int, first_day: datetime, settings: PatientSettings | None = None
) -> DigitalPatient:
    """Draw a patient and follow the treatment to its end.

    Parameters
    ----------
    first_day
        Midnight before the first treatment, aware.
    """
    settings = settings or PatientSettings()
    body, lesion_seed, lesions = _with_lesions(seed, settings)
    possible = sample_new_lesions(body, lesion_seed, lesions, LAST_DAY, settings.lesions)
    kinetics = _kinetics(body, (*lesions, *possible), seed, settings)
    traits = sample_traits(_person(body, seed), seed)
    course = _Course(seed, settings, kinetics, lesions, possible)
    treatment = course.treated(traits, first_day)
    return DigitalPatient(
        subject_id,
        seed,
        settings,
        first_day,
        body,
        kinetics,
        traits,
        treatment,
        tuple(course.therapy),
        course.disease(treatment.cycle_days),
        possible,
        sample_disease(lesion_seed, settings.lesions).primary,
    )


def _with_lesions(seed: int, settings: PatientSettings) -> tuple[Body, int, tuple[DigitalLesion, ...]]:
    """Draw body and lesions; a disease that does not fit into the body is drawn again, as nobody has it."""
    body = settings.anatomy.body(seed) if settings.anatomy else sample_body(seed)
    for attempt in range(ATTEMPTS):
        try:
            own = seed if attempt == 0 else patient_seed(seed, attempt)
            return body, own, sample_lesions(body, own, settings.lesions)
        except UsageError:
            continue
    raise UsageError(f"no disease fits into the body of seed {seed}", do="take another seed, or fewer lesions")


def _kinetics(body: Body, lesions: Sequence[DigitalLesion], seed: int, settings: PatientSettings) -> KineticPatient:
    inputs = [
        LesionKineticInput(le.lesion_id, le.volume_ml, le.grade, le.site, le.viable_fraction, le.fdg_deviation)
        for le in lesions
    ]
    masses = {name: body.masses_g[name] / 1000 for name in ("kidneys", "liver", "spleen")}
    gfr = body.gfr_ml_per_min
    return sample_kinetics(
        gfr, body.weight_kg, body.bsa_m2, body.sex, inputs, seed, settings.kinetics, organ_mass_kg=masses
    )


def _person(body: Body, seed: int) -> Person:
    at_risk, diabetic, treated = stream(seed, "history").random(3)
    return Person(
        body.sex,
        body.age_y,
        body.weight_kg,
        body.gfr_ml_per_min,
        hypertension=bool(at_risk < SHARE_WITH_HYPERTENSION),
        diabetes=bool(diabetic < SHARE_WITH_DIABETES),
        chemotherapy_before=bool(treated < SHARE_AFTER_CHEMOTHERAPY),
    )


class _Course:
    """The cycles of one patient, one after the other."""

    def __init__(
        self,
        seed: int,
        settings: PatientSettings,
        kinetics: KineticPatient,
        lesions: tuple[DigitalLesion, ...],
        possible: tuple[DigitalLesion, ...],
    ) -> None:
        self.therapy: list[UptakeCurves] = []
        self._seed, self._settings, self._kinetics = seed, settings, kinetics
        self._lesions, self._possible = lesions, possible
        self._days: tuple[int, ...] = ()

    def treated(self, traits: LabTraits, first_day: datetime) -> TreatmentCourse:
        """Follow the treatment until the days of its cycles are those that the doses were computed for."""
        clinic = self._settings.clinic
        self._days = tuple(USUAL_GAP_D * n for n in range(clinic.cycles))
        for _ in range(PASSES):
            self.therapy.clear()
            found = treat(traits, self._dose_of_cycle, first_day, self._seed, clinic)
            given = found.cycle_days
            if given == self._days[: len(given)]:
                return found
            later = range(1, clinic.cycles - len(given) + 1)
            self._days = (*given, *(given[-1] + USUAL_GAP_D * n for n in later))
        raise UsageError(f"the days of treatment do not settle for seed {self._seed}", do="take another seed")

    def disease(self, cycle_days: Sequence[int]) -> DiseaseCourse:
        """Lesions under the cycles given so far."""
        ids = [lesion.lesion_id for lesion in (*self._lesions, *self._possible)]
        given = list(zip(self.therapy, cycle_days, strict=False))
        dose = {i: [self_dose_gy(c, i) if i in c.lesions else 0.0 for c, _ in given] for i in ids}
        half_lives = {i: c.half_life_eff_s(i) / HOUR_S for c, _ in reversed(given) for i in c.lesions}
        return disease_course(
            self._lesions,
            self._possible,
            dose,
            [day for _, day in given],
            np.arange(FIRST_DAY, LAST_DAY + 1.0),
            self._settings.scenario,
            half_lives,
        )

    def _dose_of_cycle(self, cycle: int, activity_bq: float) -> CycleDose:
        day = self._days[cycle - 1]
        there = volumes_ml(self.disease(self._days), self._possible, day)
        peptide_ug = sample_peptide_ug("Lu-177", self._seed, cycle)
        uptake = curves(self._kinetics, "Lu-177", cycle, activity_bq, peptide_ug, self._settings.form, there)
        self.therapy.append(uptake)
        return cycle_dose(uptake, self._kinetics)


def volumes_ml(disease: DiseaseCourse, possible: Sequence[DigitalLesion], day: float) -> dict[str, float]:
    """Volumes of all lesions on a day, 0 for those that are not there. [mL]

    The whole of them: receptors fall from cycle to cycle as doses of whole lesions were published to, and the death of tissue is in
    that. Taking the living part besides would count it twice: doses fell by a third per cycle instead of a tenth.
    """
    there = {c.lesion.lesion_id: c.at(c.volume_ml, day) for c in disease.courses}
    return dict.fromkeys((lesion.lesion_id for lesion in possible), 0.0) | there


def cycle_dose(uptake: UptakeCurves, patient: KineticPatient) -> CycleDose:
    """Dose marrow, kidneys and lymphocytes by one administration."""
    kidneys_h, spleen_h, marrow_h = (uptake.half_life_eff_s(x) / HOUR_S for x in ("kidneys", "spleen", "marrow"))
    blood_gy = uptake.time_integrated_bq_s("blood") * GY_G_PER_BQ_S / (BLOOD_ML_PER_KG * patient.weight_kg)
    return CycleDose(
        marrow_dose_gy(uptake, patient),
        marrow_h,
        bed_gy(self_dose_gy(uptake, "kidneys"), kidneys_h),
        pooled_lymphocyte_gy(blood_gy, self_dose_gy(uptake, "spleen")),
        spleen_h,
    )
