"""What the clinic writes down of a digital patient, with gaps and errors, and what is true of the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np

from lutra.simulate.clinic import sampling_days
from lutra.simulate.clinic_tables import BloodDraw, ClinicRecord
from lutra.simulate.labs import LabSample, analytes, stream, take_samples
from lutra.simulate.missing import Missing, MissingSettings, missing
from lutra.simulate.patient import DigitalPatient
from lutra.simulate.progression import Progression, progression_free, sample_death, sample_mds, true_progression
from lutra.simulate.reads import TRUTH, Reader, ReadLesion, read_course
from lutra.simulate.truth import Row
from lutra.simulate.visits import BASELINE_DAYS, Scan, follow_up_days

READERS = ("reader 1", "reader 2")
BLOOD_AFTER_H = (0.75, 1.5, 4.0, 24.0, 72.0, 120.0)
"""When blood is drawn after the start of an infusion; usual times. [h]"""
COUNTING_CV = 0.03
"""Of a sample in a well counter."""
OBSERVED_AFTER_LAST_CT_D = 7
"""The study ends for a patient a week after the last planned CT. [d]"""


def clinic_record(
    patient: DigitalPatient, lost: Mapping[Scan, Missing], settings: MissingSettings | None
) -> ClinicRecord:
    """Gather the record of a patient; no lab value is missing without `settings`.

    Parameters
    ----------
    lost
        Scans that did not take place.
    """
    visits = visit_days(patient)
    until = visits[-1] + OBSERVED_AFTER_LAST_CT_D
    samples = lab_samples(patient, until)
    lesions = read_lesions(patient)
    gone = [n for n, name in enumerate(visit_names(patient)) if name in {scan.name for scan in lost}]
    reads = tuple(read_course(lesions, visits, [Reader(name)], patient.seed, lost=gone) for name in READERS)
    death = _death_day(patient, until)
    myelodysplasia = sample_mds(patient.seed)
    return ClinicRecord(
        subject=patient.subject_id,
        person=patient.traits.person,
        height_m=patient.body.height_m,
        grade=patient.disease.lesions[0].grade,
        primary_site=patient.primary,
        first_day=patient.first_day,
        course=patient.treatment,
        samples=samples,
        reads=reads,
        visit_days=visits,
        progression=progression_free(reads[0], visits, death, until),
        myelodysplasia_day=myelodysplasia if myelodysplasia is not None and myelodysplasia <= until else None,
        death_day=death,
        missing=(*lost.values(), *_missing_labs(patient, samples, settings)),
        blood=tuple(_blood(patient)),
    )


def patient_row(patient: DigitalPatient) -> Row:
    """Sum up what is true of a patient: progression and response as a reader without error would find them."""
    body, visits = patient.body, visit_days(patient)
    course = read_course(read_lesions(patient), visits, [TRUTH], 0)
    progressed = _progressed(patient, visits[-1] + OBSERVED_AFTER_LAST_CT_D)
    return {
        "subject": patient.subject_id,
        "sex": body.sex,
        "primary": patient.primary,
        "age_y": body.age_y,
        "height_m": body.height_m,
        "weight_kg": body.weight_kg,
        "gfr_ml_per_min": body.gfr_ml_per_min,
        "grade": patient.disease.lesions[0].grade,
        "cycles": len(patient.therapy),
        "stop_cause": patient.treatment.stop_cause,
        "progression_day": progressed.day if progressed else None,
        "progression_cause": progressed.cause if progressed else None,
        "best_response": course.best,
        "sum_change": course.change_at(len(visits) - 1),
        "death_day": _death_day(patient, visits[-1] + OBSERVED_AFTER_LAST_CT_D),
        "marrow_gy": sum(dose.marrow_gy for dose in patient.treatment.doses),
        "kidney_bed_gy": sum(dose.kidney_bed_gy for dose in patient.treatment.doses),
    }


def lab_rows(patient: DigitalPatient, samples: tuple[LabSample, ...]) -> Iterator[Row]:
    """List true laboratory values with their grades."""
    units = {a.name: a.unit for a in analytes()}
    for sample in samples:
        for value in sample.values:
            yield {
                "subject": patient.subject_id,
                "day": sample.day,
                "quantity": value.analyte,
                "value": value.true,
                "unit": units[value.analyte],
                "grade": value.grade_true,
            }


def lab_samples(patient: DigitalPatient, until_day: int) -> tuple[LabSample, ...]:
    """Take blood as the study plans it."""
    panels = sampling_days(patient.treatment, until_day)
    days = list(panels)
    alive = sum((c.live_ml for c in patient.disease.courses), np.zeros_like(patient.disease.days))
    ratio = np.interp(days, patient.disease.days, alive) / np.interp(0.0, patient.disease.days, alive)
    return take_samples(
        patient.traits,
        patient.treatment.doses,
        days,
        panels=panels,
        tumour_ratio=ratio,
        renal_effect=patient.settings.clinic.renal_effect,
    )


def read_lesions(patient: DigitalPatient) -> tuple[ReadLesion, ...]:
    """Lesions over the days of the study, as a CT without limits shows them."""
    return tuple(
        ReadLesion(
            c.lesion.lesion_id,
            c.lesion.site,
            c.days,
            c.diameter_mm,
            c.lesion.short_axis_mm * c.scale,
            measurable=c.lesion.site != "bone",
        )
        for c in patient.disease.courses
    )


def visit_names(patient: DigitalPatient) -> tuple[str, ...]:
    """Name the scans that are read for response, the baseline first."""
    return ("baseline-ct", *follow_up_days(patient.treatment))


def visit_days(patient: DigitalPatient) -> tuple[int, ...]:
    """Give the days of those scans. [d]"""
    return (BASELINE_DAYS["baseline-ct"], *follow_up_days(patient.treatment).values())


def _progressed(patient: DigitalPatient, until_day: int) -> Progression | None:
    return true_progression(read_lesions(patient), until_day, BASELINE_DAYS["baseline-ct"])


def _blood(patient: DigitalPatient) -> Iterator[BloodDraw]:
    """Draw blood after every infusion and count it, each sample with an error of its own."""
    for given, uptake in zip(patient.treatment.administrations, patient.therapy, strict=True):
        for hours in BLOOD_AFTER_H:
            at = given.infusion_from + timedelta(hours=hours)
            true = float(uptake.blood_bq_per_ml([hours * 3600.0])[0]) / 1e3
            error = stream(patient.seed, f"blood {given.cycle} {hours}").normal(0, COUNTING_CV)
            yield BloodDraw(given.cycle, at, true * (1 + float(error)), COUNTING_CV * true)


def _death_day(patient: DigitalPatient, until_day: int) -> float | None:
    progressed = _progressed(patient, until_day)
    day = sample_death(progressed.day if progressed else None, patient.seed)
    return day if day <= until_day else None


def _missing_labs(
    patient: DigitalPatient, samples: tuple[LabSample, ...], settings: MissingSettings | None
) -> Iterator[Missing]:
    for sample in samples if settings else ():
        for value in sample.values:
            lost = missing("lab", f"{value.analyte} day {sample.day}", patient.seed, settings)
            if lost:
                yield lost
