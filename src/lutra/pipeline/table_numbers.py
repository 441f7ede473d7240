"""What a run found of a subject, as submission tables take it: numbers of dosimetry, sizes of lesions, infusions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from attrs import evolve

from lutra.core.clinical import ClinicalRecord, GivenCycle, InfusionKind, InfusionStep
from lutra.core.curve import TacFit
from lutra.core.response import DiameterPair
from lutra.core.study import Role, Subject, Timepoint
from lutra.core.tumour import TumourCourse, TumourLesion, TumourReading, TumourVisit
from lutra.core.units import HOUR_S
from lutra.export.tables import DosimetryNumber
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.record import CycleRecord, RegionDosimetry, SubjectRecord
from lutra.pipeline.results import Result, cycle_results, dosimetry_results, slug
from lutra.pipeline.series_roles import beside_spect

PROGRAM = "COMPUTER PROGRAM, LUTRA"
"""Reader of the diameters that the program measured; a person's redrawn lines are among them."""
NOT_CLASSIFIED = "not classified"
"""Kind of a lesion that nobody chose as target or non-target."""


def with_images(clinical: ClinicalRecord | None, record: SubjectRecord | None, subject: str) -> ClinicalRecord:
    """Fill what the clinic's tables do not say of infusions and sex with what the images' headers say."""
    known = clinical or ClinicalRecord(subject)
    if record is None:
        return known
    return evolve(known, sex=known.sex or record.subject.sex, given=known.given or _given(record.subject))


def _given(subject: Subject) -> tuple[GivenCycle, ...]:
    """Give the infusions as headers have them: the activity stated there is what was administered, so no residual is left."""
    found = []
    for a in subject.administrations:
        step = InfusionStep(InfusionKind.RADIOPHARMACEUTICAL, "radiopharmaceutical", a.started_at)
        left = None if a.activity_bq is None else 0.0
        found.append(GivenCycle(a.cycle, (step,), prepared_bq=a.activity_bq, residual_bq=left))
    return tuple(found)


# ---- dosimetry ----
def dosimetry_numbers(conductor: Conductor, record: SubjectRecord) -> Iterator[DosimetryNumber]:
    """Every number of dosimetry, region by region; what could not be determined comes with its reason."""
    lesions = [(lesion.dosimetry, True) for lesion in record.lesions]
    for region, lesion in (*((region, False) for region in record.dosimetry), *lesions):
        for cycle in region.cycles:
            yield from _activities(conductor, record.subject, region.name, cycle, lesion=lesion)
            for result in cycle_results(conductor, record.subject.subject_id, region.name, cycle):
                yield _number(region, result, cycle.cycle, lesion=lesion)
            yield from _missing(conductor, region, cycle, lesion=lesion)
        totals = RegionDosimetry(region.name, cumulative=region.cumulative)
        for result in dosimetry_results(conductor, record.subject.subject_id, totals):
            yield _number(region, result, None, lesion=lesion)


def _number(region: RegionDosimetry, result: Result, cycle: int | None, *, lesion: bool) -> DosimetryNumber:
    quantity, _, method = result.quantity.partition(".")
    return DosimetryNumber(region.name, lesion, cycle, quantity, method, result.estimate, result.path)


def _activities(
    conductor: Conductor, subject: Subject, region: str, cycle: CycleRecord, *, lesion: bool
) -> Iterator[DosimetryNumber]:
    """Points of the curve: the activity at each scan, with the path of what was made of them."""
    if not cycle.fit:
        return
    fit: TacFit = conductor.value(cycle.fit)
    started = next((a.started_at for a in subject.administrations if a.cycle == cycle.cycle), None)
    path = f"{subject.subject_id}/{slug(region)}/cycle-{cycle.cycle}/time-integrated-activity"
    for t_s, activity in zip(fit.curve.times_s.tolist(), fit.curve.activities, strict=True):
        at = None if started is None else started + timedelta(seconds=t_s)
        yield DosimetryNumber(
            region, lesion, cycle.cycle, "activity", "", activity, path, at, hours=round(t_s / HOUR_S, 4)
        )


def _missing(
    conductor: Conductor, region: RegionDosimetry, cycle: CycleRecord, *, lesion: bool
) -> Iterator[DosimetryNumber]:
    wanted: list[tuple[str, str, Made]] = [("time-integrated-activity", "", cycle.fit)]
    wanted += [("absorbed-dose", dose.engine, dose.dose) for dose in cycle.doses]
    for quantity, method, made in wanted:
        if not made:
            findings = conductor.findings([made.receipt])
            reason = findings[0].text if findings else "could not be determined"
            yield DosimetryNumber(region.name, lesion, cycle.cycle, quantity, method, None, reason=reason)


# ---- sizes ----
def measured_course(
    conductor: Conductor, record: SubjectRecord, read: Iterable[TumourCourse] = ()
) -> TumourCourse | None:
    """Give the diameters of every lesion on diagnostic CT as a reader's course; None where nothing was measured.

    Nobody chose targets among them: the lesions are not classified, and no response follows.

    Parameters
    ----------
    read
        Courses of readers, whose visits have the numbers and names of the study.
    """
    visits = {t.series_uid: t for t in record.subject.timepoints if t.role is Role.CT}
    for beside in beside_spect(conductor, record):
        visits.pop(beside, None)
    readings: dict[str, list[TumourReading]] = {uid: [] for uid in visits}
    for lesion in record.lesions:
        for seen in lesion.observations:
            if seen.diameters and seen.series_uid in readings:
                pair: DiameterPair = conductor.value(seen.diameters)
                readings[seen.series_uid].append(TumourReading(lesion.lesion_id, pair.long_mm, pair.short_mm))
    measured = [(t, tuple(readings[uid])) for uid, t in visits.items() if readings[uid]]
    course = tuple(_visits(measured, read))
    named = {reading.lesion for visit in course for reading in visit.readings}
    lesions = tuple(TumourLesion(le.lesion_id, NOT_CLASSIFIED) for le in record.lesions if le.lesion_id in named)
    return TumourCourse(record.subject.subject_id, PROGRAM, lesions, course) if course else None


def _visits(
    measured: Iterable[tuple[Timepoint, tuple[TumourReading, ...]]], read: Iterable[TumourCourse]
) -> Iterator[TumourVisit]:
    """Give the images the numbers of the readers' visits on the same day; others count hundredths behind the visit before.

    Where nobody read anything, they count from 1.
    """
    known = {visit.on: visit for course in read for visit in course.visits if visit.on is not None}
    last = min(visit.number for visit in known.values()) - 1 if known else 0.0
    for timepoint, readings in measured:
        on = timepoint.acquired_at.date() if timepoint.acquired_at else None
        visit = known.get(on) if on is not None else None
        last = visit.number if visit else round(last + (0.01 if known else 1.0), 2)
        yield TumourVisit(last, visit.name if visit else timepoint.label, on, readings)
