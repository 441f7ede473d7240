"""The plan of scans: what the protocol asks for, on clocks that know summer time."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from lutra.simulate.patient import DigitalPatient, digital_patient
from lutra.simulate.visits import SPECT_HOURS, Kind, follow_up_days, planned_scans


def test_every_scan_of_the_protocol_is_planned(digital: DigitalPatient) -> None:
    scans = planned_scans(digital)
    assert Counter(s.kind for s in scans) == {
        Kind.CT: 2, Kind.FDG_PET: 1, Kind.SSTR_PET: 1, Kind.DWI: 1, Kind.LOW_DOSE_CT: 3, Kind.SPECT: 3,
    }  # fmt: skip
    assert [s.at for s in scans] == sorted(s.at for s in scans)
    assert len({s.name for s in scans}) == len(scans)


def test_spect_and_its_ct_are_one_session_and_others_are_alone(digital: DigitalPatient) -> None:
    sessions = Counter(s.session for s in planned_scans(digital))
    for scan in planned_scans(digital):
        assert sessions[scan.session] == (2 if scan.kind in (Kind.SPECT, Kind.LOW_DOSE_CT) else 1)


def test_hours_are_elapsed_hours_although_the_clocks_change(digital: DigitalPatient) -> None:
    """Cycle 1 is on Monday 23 March 2026, the 168 h scan after the change to summer time on the 29th."""
    spects = [s for s in planned_scans(digital) if s.kind is Kind.SPECT]
    for scan, hours in zip(spects, SPECT_HOURS, strict=True):
        assert scan.since_s is not None
        assert scan.injected_at is not None
        wall = (scan.at.replace(tzinfo=None) - scan.injected_at.replace(tzinfo=None)).total_seconds()
        late = hours > 130
        assert scan.since_s == wall - (3600 if late else 0)
        assert abs(wall / 3600 - hours) < 6
    assert spects[0].at.utcoffset() == timedelta(hours=1)
    assert spects[2].at.utcoffset() == timedelta(hours=2)


def test_pets_are_an_hour_after_their_injection(digital: DigitalPatient) -> None:
    for scan in planned_scans(digital):
        if scan.kind in (Kind.FDG_PET, Kind.SSTR_PET):
            assert scan.since_s == pytest.approx(3600, abs=4 * 360)
            assert scan.day < 0


def test_follow_up_is_twelve_weeks_after_the_last_cycle_and_six_after_the_second() -> None:
    patient = digital_patient("SIM-001", 7, datetime.fromisoformat("2026-01-12T00:00:00+01:00"))
    days = patient.treatment.cycle_days
    assert len(days) > 2
    assert follow_up_days(patient.treatment) == {"mid-ct": days[1] + 42, "follow-up-ct": days[-1] + 84}
