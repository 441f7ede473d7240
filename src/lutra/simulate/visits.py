"""Which images are made of a patient, and when: baseline, three SPECT/CT after every cycle, follow-up."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from attrs import frozen

from lutra.core.study import Role
from lutra.core.time import seconds_between
from lutra.simulate.clinic import TreatmentCourse
from lutra.simulate.patient import DigitalPatient, stream

SPECT_HOURS = (24.0, 96.0, 168.0)
SPECT_SPREAD_H = 1.5
"""Patients come when they can: standard deviation of the time of a SPECT. [h]"""
UPTAKE_MIN, UPTAKE_SPREAD_MIN = 60.0, 6.0
"""From injection to PET, and its standard deviation. [min]"""
CT_BEFORE_SPECT = timedelta(minutes=6)
BASELINE_DAYS = {"baseline-ct": -14, "fdg-pet": -12, "sstr-pet": -9, "dwi": -7}
MID_CT_AFTER_CYCLE, MID_CT_WEEKS, LAST_CT_WEEKS = 2, 6, 12
"""Follow-up CT after the second cycle and after the last one. [week]"""


class Kind(StrEnum):
    """What is done."""

    CT = "ct"
    LOW_DOSE_CT = "low-dose-ct"
    FDG_PET = "fdg-pet"
    SSTR_PET = "sstr-pet"
    DWI = "dwi"
    SPECT = "spect"

    @property
    def role(self) -> Role:
        """What the image is for in the study."""
        return ROLES[self]


ROLES = {
    Kind.CT: Role.CT,
    Kind.LOW_DOSE_CT: Role.CT,
    Kind.FDG_PET: Role.FDG_PET,
    Kind.SSTR_PET: Role.SSTR_PET,
    Kind.DWI: Role.DWI,
    Kind.SPECT: Role.THERAPY_SPECT,
}


@frozen
class Scan:
    """One image series to be made.

    Parameters
    ----------
    name
        Unique within the patient; names its folder, and its draws.
    session
        Scans of one session share the frame of reference and the posture.
    at
        Start of the acquisition.
    day
        Since the first treatment. [d]
    injected_at
        Of the radiopharmaceutical it shows; None for CT and MR.
    cycle
        Whose activity a SPECT shows, and its CT belongs to; None for all others.
    """

    name: str
    kind: Kind
    session: str
    at: datetime
    day: float
    injected_at: datetime | None = None
    cycle: int | None = None

    @property
    def since_s(self) -> float | None:
        """Time since the injection. [s]"""
        return None if self.injected_at is None else seconds_between(self.injected_at, self.at)


def planned_scans(patient: DigitalPatient) -> tuple[Scan, ...]:
    """Every scan that is due, in order of time: nobody misses one here."""
    scans = [_baseline(patient, name, day) for name, day in BASELINE_DAYS.items()]
    for number, given in enumerate(patient.treatment.administrations, start=1):
        for hours in SPECT_HOURS:
            scans += _spect_ct(patient, number, given.infusion_from, hours)
    scans += [
        _scan(patient, name, Kind.CT, name, _morning(patient, name, day))
        for name, day in follow_up_days(patient.treatment).items()
    ]
    return tuple(sorted(scans, key=lambda s: (s.at, s.name)))


def follow_up_days(treatment: TreatmentCourse) -> dict[str, int]:
    """Days of the diagnostic CTs after treatment began."""
    days = treatment.cycle_days
    found = {}
    if len(days) > MID_CT_AFTER_CYCLE:
        found["mid-ct"] = days[MID_CT_AFTER_CYCLE - 1] + 7 * MID_CT_WEEKS
    found["follow-up-ct"] = days[-1] + 7 * LAST_CT_WEEKS
    return found


def _baseline(patient: DigitalPatient, name: str, day: int) -> Scan:
    at = _morning(patient, name, day)
    if name == "baseline-ct":
        return _scan(patient, name, Kind.CT, name, at)
    kind = Kind(name)
    waited = UPTAKE_MIN + UPTAKE_SPREAD_MIN * float(stream(patient.seed, f"uptake time {name}").normal())
    injected = None if kind is Kind.DWI else at - timedelta(seconds=round(60 * waited))
    return _scan(patient, name, kind, name, at, injected)


def _spect_ct(patient: DigitalPatient, cycle: int, started_at: datetime, hours: float) -> list[Scan]:
    session = f"cycle-{cycle}-{hours:.0f}h"
    late_h = SPECT_SPREAD_H * float(stream(patient.seed, f"time of {session}").normal())
    # Aware datetimes of one zone add in wall-clock time, as a clinic makes its appointments.
    at = started_at + timedelta(minutes=round(60 * (hours + late_h)))
    return [
        _scan(patient, f"{session}-ct", Kind.LOW_DOSE_CT, session, at - CT_BEFORE_SPECT, cycle=cycle),
        _scan(patient, f"{session}-spect", Kind.SPECT, session, at, started_at, cycle),
    ]


def _morning(patient: DigitalPatient, name: str, day: int) -> datetime:
    minutes = int(stream(patient.seed, f"time of {name}").integers(8 * 60 + 30, 14 * 60))
    return patient.first_day + timedelta(days=day, minutes=minutes)


def _scan(
    patient: DigitalPatient,
    name: str,
    kind: Kind,
    session: str,
    at: datetime,
    injected_at: datetime | None = None,
    cycle: int | None = None,
) -> Scan:
    day = seconds_between(patient.first_day, at) / 86400
    return Scan(name, kind, session, at, day, injected_at, cycle)
