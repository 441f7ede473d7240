"""What submission tables take from the records of a run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import numpy as np
from attrs import evolve

from lutra.core.clinical import ClinicalRecord, GivenCycle
from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.dose import DoseResult
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.response import DiameterPair
from lutra.core.study import Administration, Role, SeriesHeader, Subject, Timepoint
from lutra.core.tumour import TumourCourse, TumourReading, TumourVisit
from lutra.core.units import Unit
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.record import (
    CycleRecord,
    DoseRecord,
    LesionRecord,
    ObservationRecord,
    RegionDosimetry,
    SeriesRecord,
    SubjectRecord,
)
from lutra.pipeline.table_numbers import dosimetry_numbers, measured_course, with_images

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Shelf:
    """Values and Findings of steps, by name."""

    def __init__(self, values: dict[str, Any], findings: dict[str, str]) -> None:
        self.values, self.texts = values, findings

    def value(self, made: Made) -> Any:
        return self.values[str(made.output)]

    def findings(self, keys: list[str]) -> tuple[Finding, ...]:
        return tuple(Finding(Severity.UNDETERMINED, "dose.x", self.texts[key]) for key in keys if key in self.texts)


def header(uid: str, frame: str, modality: str) -> SeriesHeader:
    return SeriesHeader(uid, "1", "P1", modality, "1.2", "", "", "", (), frame, ())


def fit() -> TacFit:
    activities = tuple(Estimate(a, Unit.BQ, FrozenMap({"camera": a / 20})) for a in (2e7, 1e7))
    curve = TimeActivityCurve("L01", "Lu-177", np.array([86400.0, 259200.0]), activities)
    one = Estimate(1.0, Unit.S, FrozenMap())
    band = CurveBand(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1))
    return TacFit(curve, "m", FrozenMap(), Estimate(5e12, Unit.BQ_S, FrozenMap()), one, 0.1, True, band)


def pair(mm: float) -> DiameterPair:
    return DiameterPair(mm, mm / 2, np.zeros((2, 3)), np.zeros((2, 3)), 0)


def record() -> tuple[Conductor, SubjectRecord]:
    """A lesion with a dose by one engine and none by another, seen on two diagnostic CTs and the CT of a SPECT."""
    values: dict[str, Any] = {
        "fit": fit(),
        "dose": DoseResult("L01", "hybrid", Estimate(3.0, Unit.GY, FrozenMap()), Estimate(9.0, Unit.G, FrozenMap())),
        **{uid: header(uid, frame, mod) for uid, frame, mod in (("a", "f1", "CT"), ("b", "f2", "CT"))},
        "low": header("low", "f3", "CT"),
        "spect": header("spect", "f3", "NM"),
        "30": pair(30.0),
        "20": pair(20.0),
    }
    times = (
        ("a", Role.CT, -14),
        ("spect", Role.THERAPY_SPECT, 1),
        ("low", Role.CT, 1),
        ("b", Role.CT, 90),
    )
    timepoints = tuple(
        Timepoint(uid, role, f"{role} {day}", 1, AT + timedelta(days=day), None) for uid, role, day in times
    )
    cycle = CycleRecord(
        1,
        Made("fit", "r"),
        None,
        (DoseRecord("hybrid", Made("dose", "r")), DoseRecord("full-mc", Made(None, "no dose"))),
    )
    lesion = LesionRecord(
        "L01",
        "lesion",
        tuple(
            ObservationRecord(uid, uid, "x", "x", Made(None, "r"), Made(mm, "r"))
            for uid, mm in (("a", "30"), ("low", "20"), ("b", "20"))
        ),
        RegionDosimetry("L01", (cycle,)),
        None,
    )
    subject = Subject("P1", "F", (Administration(1, "Lu-177", AT, 7.4e9),), timepoints)
    series = tuple(
        SeriesRecord(t.series_uid, t.label, Made(t.series_uid, "r"), None, None, 0) for t in subject.timepoints
    )
    shelf = Shelf(values, {"no dose": "the CT does not cover it"})
    return cast("Conductor", shelf), SubjectRecord(subject, series, (lesion,), (), ())


def test_every_number_has_its_cycle_and_what_is_missing_its_reason() -> None:
    conductor, run = record()
    found = list(dosimetry_numbers(conductor, run))
    assert [(n.quantity, n.method, n.cycle, n.lesion) for n in found] == [
        ("activity", "", 1, True),
        ("activity", "", 1, True),
        ("time-integrated-activity", "", 1, True),
        ("effective-half-life", "", 1, True),
        ("absorbed-dose", "hybrid", 1, True),
        ("absorbed-dose", "full-mc", 1, True),
    ]
    assert (found[1].at, found[1].hours) == (AT + timedelta(days=3), 72.0)
    assert found[2].path == "P1/L01/cycle-1/time-integrated-activity"
    assert (found[5].estimate, found[5].reason) == (None, "the CT does not cover it")


def test_sizes_are_those_of_diagnostic_ct_and_nobody_classified_them() -> None:
    course = measured_course(*record())
    assert course is not None
    assert [le.kind for le in course.lesions] == ["not classified"]
    sizes = [(v.number, v.name, [r.long_mm for r in v.readings]) for v in course.visits]
    assert sizes == [(1.0, "ct -14", [30.0]), (2.0, "ct 90", [20.0])]


def test_images_on_the_day_of_a_reading_are_its_visit() -> None:
    conductor, run = record()
    baseline = TumourVisit(0, "visit 0", date(2025, 12, 22), (TumourReading("T01", 31.0),))
    course = measured_course(conductor, run, [TumourCourse("P1", "reader 1", (), (baseline,))])
    assert course is not None
    assert [(v.number, v.name) for v in course.visits] == [(0, "visit 0"), (0.01, "ct 90")]


def test_headers_say_what_was_given_where_the_tables_do_not() -> None:
    _, run = record()
    known = with_images(None, run, "P1")
    assert (known.sex, known.given_on(1), known.given[0].net_bq) == ("F", AT.date(), 7.4e9)
    written = ClinicalRecord("P1", "M", given=(GivenCycle(1, prepared_bq=7.5e9),))
    assert with_images(written, run, "P1") == written
    unknown = evolve(run, subject=evolve(run.subject, administrations=(Administration(1, "Lu-177", AT, None),)))
    assert with_images(None, unknown, "P1").given[0].net_bq is None
