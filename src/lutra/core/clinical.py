"""What the clinic's tables say of one subject: infusions, laboratory values, adverse events, risk factors."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from attrs import frozen

from lutra.core.tumour import TumourCourse


@frozen
class LabResult:
    """One laboratory value.

    Parameters
    ----------
    analyte
        Name as in `reference/analytes.toml`: `platelets`.
    value, lln, uln
        Value and the laboratory's limits of normal, in the analyte's own unit; None where missing. [unit]
    unit
        UCUM unit of the analyte.
    taken_on
        Day of the sample.
    as_written
        Value and unit as the table has them: `112 10*3/uL`.
    row
        Where it stands: `labs.csv, row 14`.
    missing_reason
        Why there is no value; empty if there is one, or nobody said.
    """

    analyte: str
    value: float | None
    unit: str
    taken_on: date
    lln: float | None = None
    uln: float | None = None
    as_written: str = ""
    row: str = ""
    missing_reason: str = ""


@frozen
class AdverseEvent:
    """One adverse event.

    Parameters
    ----------
    term
        What happened, as written.
    grade
        CTCAE grade; None if it was not graded.
    ended_on
        None if it goes on or nobody said.
    related, serious
        To the study treatment; None if nobody said.
    """

    term: str
    grade: int | None
    started_on: date
    ended_on: date | None = None
    related: bool | None = None
    serious: bool | None = None
    row: str = ""


class InfusionKind(StrEnum):
    """What is given in one step of a cycle."""

    PREMEDICATION = "premedication"
    AMINO_ACIDS = "amino acids"
    RADIOPHARMACEUTICAL = "radiopharmaceutical"


@frozen
class InfusionStep:
    """One step of the infusion day.

    Parameters
    ----------
    name
        `ondansetron`; for the others as the kind.
    started_at, ended_at
        Aware; None where it was not written down.
    """

    kind: InfusionKind
    name: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    row: str = ""


@frozen
class GivenCycle:
    """Activity and infusions of one cycle, as written down.

    Parameters
    ----------
    prescribed_bq
        Activity that was ordered. [Bq]
    prepared_bq, residual_bq
        Measured before, and what stayed in vial and line after; stated for the start of the infusion. [Bq]
    calibrator
        Which activity meter measured it.
    """

    cycle: int
    steps: tuple[InfusionStep, ...] = ()
    prescribed_bq: float | None = None
    prepared_bq: float | None = None
    residual_bq: float | None = None
    calibrator: str = ""
    row: str = ""

    @property
    def net_bq(self) -> float | None:
        """Activity that went into the patient; None unless both were measured. [Bq]"""
        if self.prepared_bq is None or self.residual_bq is None:
            return None
        return self.prepared_bq - self.residual_bq

    @property
    def started_at(self) -> datetime | None:
        """Start of the radiopharmaceutical."""
        return next((s.started_at for s in self.steps if s.kind is InfusionKind.RADIOPHARMACEUTICAL), None)


@frozen
class BloodSample:
    """Activity of whole blood at one time.

    Parameters
    ----------
    concentration_bq_per_ml, sd_bq_per_ml
        At that time, not decay corrected; its standard uncertainty, None where not known. [Bq/mL]
    """

    cycle: int
    at: datetime
    concentration_bq_per_ml: float
    sd_bq_per_ml: float | None = None
    row: str = ""


@frozen
class ClinicalRecord:
    """Everything the clinic's tables say of one subject.

    Parameters
    ----------
    age_y
        At the first treatment. [a]
    height_m, weight_kg
        [m, kg]
    risk_factors
        Of the kidney: `hypertension`, `diabetes`, `low-gfr`, `nephrotoxic-therapy`; present ones only.
    risk_factors_known
        Whether every one of them was answered. What nobody asked is not absent.
    facts
        Other columns of the subject as text, by name: `grade`, `primary_site`.
    given
        In the order of cycles.
    labs, events
        In the order of days.
    readings
        Of tumours, one course per reader.
    blood
        Samples for the dose of red marrow, in the order of time.
    """

    subject_id: str
    sex: str | None = None
    age_y: float | None = None
    height_m: float | None = None
    weight_kg: float | None = None
    risk_factors: tuple[str, ...] = ()
    risk_factors_known: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    given: tuple[GivenCycle, ...] = ()
    labs: tuple[LabResult, ...] = ()
    events: tuple[AdverseEvent, ...] = ()
    readings: tuple[TumourCourse, ...] = ()
    blood: tuple[BloodSample, ...] = ()
    stopped_on: date | None = None
    died_on: date | None = None

    def given_on(self, cycle: int) -> date | None:
        """Day of a cycle; None if it was not given, or nobody wrote down when."""
        started = next((g.started_at for g in self.given if g.cycle == cycle), None)
        return started.date() if started else None
