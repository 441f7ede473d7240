"""Decisions and projections against the glasshouse: whole courses of digital patients, without images."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap
from lutra.core.projection import DoseLimit, GivenDose
from lutra.core.treatment import Limits, TreatmentPlan
from lutra.core.units import Unit
from lutra.ingest.tables import clinical_records, read_tables
from lutra.reference.decision_tables import shipped_table
from lutra.safety import BED, BED_WITH_RISK, DOSE, Outlook, decide, project
from lutra.simulate.clinic_record import clinic_record
from lutra.simulate.clinic_tables import write_tables
from lutra.simulate.patient import DigitalPatient, PatientSettings, digital_patient, patient_seed
from lutra.simulate.truth_dose import self_dose_gy

PATIENTS = 60
ZONE = ZoneInfo("Europe/Brussels")
FIRST = datetime(2026, 1, 5, tzinfo=ZONE)
VERDICTS = {"proceed": "PROCEED", "half activity": "REDUCE", "delay": "DELAY", "stop": "STOP"}


@pytest.fixture(scope="module")
def cohort() -> list[DigitalPatient]:
    settings = PatientSettings(form="fast")
    return [digital_patient(f"P{n:03d}", patient_seed(900, n), FIRST, settings) for n in range(PATIENTS)]


def test_the_rules_decide_as_the_simulated_clinic_from_its_tables_alone(
    cohort: list[DigitalPatient], tmp_path: Path
) -> None:
    """Kidney doses are far from their limits, so that blood decides."""
    written = [clinic_record(patient, {}, None) for patient in cohort]
    write_tables(tmp_path, written)
    tables = read_tables(tmp_path, ZONE)
    assert tables.problems == ()
    records = {r.subject_id: r for r in clinical_records(tables)}
    low = GivenDose(1, 7.4e9, Estimate(0.1, Unit.GY, FrozenMap({"any": 0.01})), 0.9)
    limits = (DoseLimit(BED, 40.0, 2.6), DoseLimit(BED_WITH_RISK, 28.0, 2.6), DoseLimit(DOSE, 23.0))
    kidney = project("kidney", "kidney", [low], Outlook(4, 7.4e9, 0.5), limits, 1).value
    assert kidney is not None
    found: Counter[tuple[str, str]] = Counter()
    for patient in cohort:
        record = records[patient.subject_id]
        last = max(lab.taken_on for lab in record.labs)
        for asked in patient.treatment.decisions:
            on = (FIRST + timedelta(days=asked.day)).date()
            if on > last or (record.died_on and record.died_on <= on):
                continue
            said = decide(record, asked.cycle, on, shipped_table("label"), TreatmentPlan(), Limits(), (kidney,))
            found[VERDICTS[str(asked.verdict)], str(said.verdict)] += 1
    assert all(clinic == rules for clinic, rules in found), found
    assert {clinic for clinic, _ in found} >= {"PROCEED", "DELAY", "REDUCE"}
    assert sum(found.values()) > 2 * PATIENTS


@pytest.mark.parametrize("tissue", ["kidney", "tumour"])
def test_probabilities_of_exceeding_a_limit_are_right_within_five_points(
    cohort: list[DigitalPatient], tissue: str
) -> None:
    """Doses are known to 5 % in common and 8 % each; limits are drawn around what a simple sum expects, not around the truth."""
    rng = np.random.default_rng(7)
    said: list[float] = []
    true: list[bool] = []
    held: list[bool] = []
    for activity, dose in _courses(cohort, tissue):
        common = rng.normal(0, 0.05)
        for n in range(1, len(dose)):
            seen = dose[:n] * np.exp(common + rng.normal(0, 0.08, n))
            given = [
                GivenDose(
                    k + 1, activity[k], Estimate(d, Unit.GY, FrozenMap({"camera": 0.05 * d, f"own {k}": 0.08 * d}))
                )
                for k, d in enumerate(seen)
            ]
            expected = float(np.mean(seen / activity[:n]) * activity.sum())
            limits = expected * np.exp(rng.normal(0, 0.25, 6))
            plan = Outlook(len(dose), float(activity[n:].mean()), 0.5)
            made = project(
                "x", tissue, given, plan, [DoseLimit("x", float(at)) for at in limits], int(rng.integers(1 << 30))
            )
            assert made.value is not None
            for outlook, at in zip(made.value.limits, limits, strict=True):
                assert outlook.exceeded_all is not None
                said.append(outlook.exceeded_all)
                true.append(bool(dose.sum() > at))
            after = made.value.limits[0].after_all_gy
            assert after is not None
            held.append(bool(after.low < dose.sum() < after.high))
    p, y = np.array(said), np.array(true)
    bins = np.minimum((p * 10).astype(int), 9)
    error = [abs(y[bins == b].mean() - p[bins == b].mean()) for b in range(10)]
    weight = [(bins == b).mean() for b in range(10)]
    assert np.dot(error, weight) < 0.05
    assert 0.90 < np.mean(held) <= 1.0


def _courses(cohort: list[DigitalPatient], tissue: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Activities and true doses of every kidney, or of three lesions of each patient, that had all four cycles. [Bq, Gy]"""
    found = []
    for patient in cohort:
        if len(patient.therapy) < 4:
            continue
        activity = np.array([a.administered_bq for a in patient.treatment.administrations])
        lesions = [name for name in patient.therapy[0].lesions if all(name in c.lesions for c in patient.therapy)]
        for region in ["kidneys"] if tissue == "kidney" else lesions[:3]:
            dose = np.array([self_dose_gy(c, region) for c in patient.therapy])
            if dose.min() > 0:
                found.append((activity, dose))
    return found
