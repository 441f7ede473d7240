"""Stage 8 for one subject: the doses of the cycles to come, what the rules say of the next, and what was not as planned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial

from attrs import frozen

from lutra.core.clinical import ClinicalRecord
from lutra.core.curve import TacFit
from lutra.core.decision import Decision
from lutra.core.dose import BiologicalDose, DoseResult
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.projection import DoseLimit, GivenDose, Projection
from lutra.core.study import Subject
from lutra.core.treatment import Deviation, Limits, Schedule, TreatmentPlan
from lutra.core.tumour import ReaderResponse
from lutra.dose.cumulative import by_cycle
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import RegionDosimetry
from lutra.pipeline.seeds import seed_of
from lutra.reference.decision_tables import DecisionTable
from lutra.reference.region_names import tissue_of
from lutra.response import ResponseSettings
from lutra.response.lesion_course import lesion_endpoints
from lutra.response.recist import Known, assess_course, disagreements, endpoints
from lutra.safety import BED, BED_WITH_RISK, DOSE, MARROW, Outlook, decide, deviations, project, scan_deviations


@frozen
class ConductSettings:
    """The protocol's plan and limits, for the steps that need both."""

    treatment: TreatmentPlan
    limits: Limits


@frozen
class Conduct:
    """Projections, decisions and deviations of one subject.

    Parameters
    ----------
    clinical
        What the clinic's tables say; None where the study has none of this subject.
    regions
        Lesions by id and organs by name, with their doses.
    """

    conductor: Conductor
    protocol: Protocol
    table: DecisionTable
    subject: Subject
    clinical: ClinicalRecord | None
    regions: Mapping[str, RegionDosimetry]

    @property
    def settings(self) -> ConductSettings:
        """Settings of every step."""
        return ConductSettings(self.protocol.treatment, self.protocol.limits)

    # ---- projection ----
    def projections(self, before: int | None = None) -> tuple[Made, ...]:
        """Project every region that has doses.

        Parameters
        ----------
        before
            Only cycles before this one are looked at; default: all that were given.
        """
        made = (self._project(name, region, before) for name, region in self.regions.items())
        return tuple(m for m in made if m)

    def _project(self, name: str, region: RegionDosimetry, before: int | None) -> Made | None:
        tissue = "tumour" if name not in self._organs else tissue_of(name) or "any"
        engine = self.protocol.dose.engines[0]
        activity = self._activities
        known = [
            (cycle, dose)
            for cycle in region.cycles
            for dose in cycle.doses
            if dose.engine == engine
            and dose.dose
            and cycle.cycle in activity
            and (before is None or cycle.cycle < before)
        ]
        if not known:
            return None
        effects = tuple(dose.effect for _, dose in known if dose.effect)
        return self.conductor.step(
            "safety.project",
            partial(_project_region, name=name, tissue=tissue),
            {
                "doses": tuple(dose.dose for _, dose in known),
                "fits": tuple(cycle.fit for cycle, _ in known),
                "effects": effects if len(effects) == len(known) else (),
                "cycles": tuple(cycle.cycle for cycle, _ in known),
                "activities_bq": tuple(activity[cycle.cycle] for cycle, _ in known),
            },
            settings=self.settings,
            seed=seed_of(self.protocol, self.subject.subject_id, name, "projection"),
            code="lutra.safety",
        )

    @property
    def _organs(self) -> frozenset[str]:
        return frozenset(name for name in self.regions if tissue_of(name) is not None)

    @property
    def _activities(self) -> dict[int, float]:
        """Activity given by cycle: as the images have it, or better, as the clinic wrote it down. [Bq]"""
        known = {a.cycle: a.activity_bq for a in self.subject.administrations if a.activity_bq}
        if self.clinical is not None:
            known |= {g.cycle: g.net_bq for g in self.clinical.given if g.net_bq}
        return known

    # ---- decisions ----
    def decisions(self) -> tuple[Made, ...]:
        """Decide on every cycle given, as of its day, and on the next one, as of the last day anything is known of."""
        if self.clinical is None:
            return ()
        given = {g.cycle: day for g in self.clinical.given if (day := self.clinical.given_on(g.cycle))}
        following = max(given, default=0) + 1
        days = dict(given)
        if following <= self.protocol.treatment.cycles and (last := self.last_day) is not None:
            days[following] = last
        return tuple(self.decision(cycle, on, on if cycle in given else None) for cycle, on in sorted(days.items()))

    def decision(self, cycle: int, on: date, infusion_on: date | None = None) -> Made:
        """Decide on one cycle with the knowledge of a day."""
        return self.conductor.step(
            "safety.decide",
            _decide,
            {
                "record": self.clinical,
                "projections": self.projections(cycle),
                "cycle": cycle,
                "on": on,
                "infusion_on": infusion_on,
                "table": self.table,
            },
            settings=self.settings,
            code="lutra.safety",
        )

    @property
    def last_day(self) -> date | None:
        """Last day of which the tables or the images say anything."""
        days = [lab.taken_on for lab in self.clinical.labs] if self.clinical else []
        days += [t.acquired_at.date() for t in self.subject.timepoints if t.acquired_at]
        return max(days, default=None)

    # ---- response ----
    def responses(self) -> Made | None:
        """Assess the readings of every reader."""
        if self.clinical is None or not self.clinical.readings:
            return None
        return self.conductor.step(
            "response.recist",
            _responses,
            {"record": self.clinical},
            settings=self.protocol.response,
            code="lutra.response",
        )

    def deviations(self) -> Made | None:
        """Compare what was given and scanned with the plan."""
        if self.clinical is None and self.protocol.schedule == Schedule():
            return None
        inputs = {"record": self.clinical, "subject": self.subject, "schedule": self.protocol.schedule}
        return self.conductor.step(
            "safety.deviations", _deviations, inputs, settings=self.settings, code="lutra.safety"
        )


def _project_region(
    doses: tuple[DoseResult, ...],
    fits: tuple[TacFit, ...],
    effects: tuple[BiologicalDose, ...],
    cycles: tuple[int, ...],
    activities_bq: tuple[float, ...],
    settings: ConductSettings,
    seed: int,
    *,
    name: str,
    tissue: str,
) -> Outcome[Projection]:
    """Hand the doses of a region to the projection, with the limits of its tissue."""
    protraction = [e.protraction for e in effects] if effects else [None] * len(doses)
    given = [
        GivenDose(cycle, activity, by_cycle(dose.absorbed_dose, fit, cycle), g)
        for cycle, activity, dose, fit, g in zip(cycles, activities_bq, doses, fits, protraction, strict=True)
    ]
    plan, limits = settings.treatment, settings.limits
    held: list[DoseLimit] = []
    if tissue == "kidney":
        held.append(DoseLimit(DOSE, limits.kidney_dose_gy))
        if effects:
            ratio = effects[0].alpha_beta_gy
            held += [
                DoseLimit(BED, limits.kidney_bed_gy, ratio),
                DoseLimit(BED_WITH_RISK, limits.kidney_bed_with_risk_gy, ratio),
            ]
    elif tissue == "marrow":
        held.append(DoseLimit(MARROW, limits.marrow_dose_gy))
    outlook = Outlook(plan.cycles, plan.activity_bq, limits.exceedance_probability)
    return project(name, tissue, given, outlook, held, seed)


def _decide(
    record: ClinicalRecord,
    projections: tuple[Projection, ...],
    cycle: int,
    on: date,
    infusion_on: date | None,
    table: DecisionTable,
    settings: ConductSettings,
) -> Outcome[Decision]:
    plan, limits = settings.treatment, settings.limits
    return Outcome(decide(record, cycle, on, table, plan, limits, projections, infusion_on))


def _responses(record: ClinicalRecord, settings: ResponseSettings) -> Outcome[tuple[ReaderResponse, ...]]:
    """Assess every reader's course, with the endpoints of the subject and of each lesion."""
    known = Known(record.given_on(1), record.died_on)
    found: list[ReaderResponse] = []
    findings: list[Finding] = []
    for course in record.readings:
        outcome = assess_course(course)
        findings += outcome.findings
        visits = [(t.on, t.overall) for t in outcome.value or () if t.on is not None]
        ends = endpoints(course.subject, course.reader, visits, known, settings.endpoints)
        lesions = lesion_endpoints(course, known.start, settings)
        found.append(ReaderResponse(course.subject, course.reader, outcome.value or (), ends, lesions))
    return Outcome(tuple(found), (*findings, *disagreements([r.endpoints for r in found])))


def _deviations(
    record: ClinicalRecord | None, subject: Subject, schedule: Schedule, settings: ConductSettings
) -> Outcome[tuple[Deviation, ...]]:
    given = deviations(record, settings.treatment, settings.limits) if record else ()
    found = (*given, *scan_deviations(subject, schedule))
    if not found:
        return Outcome(())
    text = f"{len(found)} deviations from the plan of treatment, listed in the log; the first: {found[0].rule}, {found[0].saw}"
    return Outcome(found, (Finding(Severity.INFO, "safety.not-as-planned", text),))
