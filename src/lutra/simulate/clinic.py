"""The course of treatment: cycles given, put off, halved or stopped, as blood and dose command.

A few days before every cycle blood is taken; the rules of :mod:`clinic_rules` see what the laboratory measured, not what is
true. The doses of a cycle depend on the activity given and are asked for when it is given, so a half cycle irradiates half.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

import numpy as np
from attrs import evolve, field, frozen

from lutra.core.frozen import FrozenMap, frozen_map
from lutra.simulate.clinic_rules import ClinicRules, RuleSeen, evaluate, label_rules
from lutra.simulate.infusion import Administration, administer
from lutra.simulate.labs import CycleDose, LabSample, LabTraits, Person, stream, take_samples

DoseOfCycle = Callable[[int, float], CycleDose]
"""Cycle (from 1) and activity given [Bq] -> its doses."""
CHECK_BEFORE_D, BASELINE_DAY = 7, -14
"""Blood is taken so long before a cycle; the first time two weeks before treatment. [d]"""
FRIDAY = 4
COUNTS_EVERY_D, FOLLOW_UP_EVERY_D, COUNTS_FOR_D = 21, 91, 84
"""Between cycles (every 2-4 weeks), afterwards (every quarter), and how long after the last cycle counts stay frequent. [d]"""


class Verdict(StrEnum):
    """What a check of the blood led to."""

    PROCEED = "proceed"
    REDUCE = "half activity"
    DELAY = "delay"
    STOP = "stop"


@frozen
class ClinicSettings:
    """How the simulated clinic treats.

    Parameters
    ----------
    cycles, activity_bq
        Planned. [1], [Bq]
    weeks_between
        Least and most time between cycles. [week]
    other_stops
        Probability of stopping for another cause after a cycle: refusal, progression, illness.
    stop_dose_slope
        Change of its log-odds per standard deviation of the patient's dose; 0: stopping tells nothing about dose.
    renal_effect
        Whether kidney dose lowers filtration at all.
    rules
        When to wait.
    """

    cycles: int = 4
    activity_bq: float = 7.4e9
    weeks_between: tuple[float, float] = (11, 13)
    other_stops: FrozenMap[int, float] = field(converter=frozen_map, default=FrozenMap({2: 0.06, 3: 0.10}))
    stop_dose_slope: float = 0.0
    renal_effect: bool = True
    rules: ClinicRules = field(factory=label_rules)


@frozen
class CycleDecision:
    """One look at the blood before a cycle, with every rule evaluated."""

    cycle: int
    day: int
    verdict: Verdict
    reasons: tuple[RuleSeen, ...]


@frozen
class TreatmentCourse:
    """What was given and why no more.

    Parameters
    ----------
    doses
        Of the cycles given, with their days.
    stop_day, stop_cause
        None if all planned cycles were given.
    """

    administrations: tuple[Administration, ...]
    decisions: tuple[CycleDecision, ...]
    doses: tuple[CycleDose, ...]
    stop_day: int | None = None
    stop_cause: str | None = None

    @property
    def cycle_days(self) -> tuple[int, ...]:
        """Days of the administrations."""
        return tuple(a.day for a in self.administrations)

    @property
    def checks(self) -> tuple[int, ...]:
        """Days on which blood was taken to decide on a cycle."""
        return tuple(d.day for d in self.decisions)


def treat(
    traits: LabTraits,
    dose_of_cycle: DoseOfCycle,
    first_day: datetime,
    seed: int,
    settings: ClinicSettings | None = None,
    *,
    dose_score: float = 0.0,
    site_seed: int = 0,
) -> TreatmentCourse:
    """Treat a patient.

    Parameters
    ----------
    dose_of_cycle
        What a cycle of some activity does.
    first_day
        Midnight of the day of cycle 1, aware.
    dose_score
        The patient's dose in standard deviations of the population; counts if `stop_dose_slope` is not 0.
    """
    s = settings or ClinicSettings()
    baseline = take_samples(traits, (), [BASELINE_DAY])[0]
    given: list[Administration] = []
    doses: list[CycleDose] = []
    decisions: list[CycleDecision] = []

    def stopped(on: int, cause: str) -> TreatmentCourse:
        return TreatmentCourse(tuple(given), tuple(decisions), tuple(doses), on, cause)

    step = _Step(0)
    for cycle in range(1, s.cycles + 1):
        if cycle > 1:
            if _stops(cycle - 1, seed, s, dose_score):
                return stopped(given[-1].day + int(stream(seed, "other stop").integers(14, 77)), "other cause")
            planned = _planned_day(given[-1].day, first_day, s, stream(seed, f"gap {cycle}"))

            def blood(day: int) -> LabSample:
                return take_samples(traits, doses, [day], renal_effect=s.renal_effect)[0]

            step = _decide(cycle, planned, blood, baseline, traits.person, s, step)
            decisions += step.decisions
            if step.stop_cause:
                return stopped(step.day, step.stop_cause)
        given.append(administer(cycle, step.day, first_day, step.share * s.activity_bq, seed, site_seed))
        doses.append(evolve(dose_of_cycle(cycle, given[-1].administered_bq), day=float(step.day)))
    return TreatmentCourse(tuple(given), tuple(decisions), tuple(doses))


def sampling_days(course: TreatmentCourse, until_day: int) -> FrozenMap[int, tuple[str, ...]]:
    """Days on which blood is taken, with the panels: baseline, every three weeks, before each cycle, then every quarter.

    Parameters
    ----------
    until_day
        Nothing is taken after it. [d]
    """
    everything = ("counts", "chemistry", "marker")
    last = course.cycle_days[-1]
    days: dict[int, tuple[str, ...]] = {}
    for start, end in zip(course.cycle_days, (*course.cycle_days[1:], last + COUNTS_FOR_D + 1), strict=True):
        days |= dict.fromkeys(range(start + COUNTS_EVERY_D, end - CHECK_BEFORE_D, COUNTS_EVERY_D), ("counts",))
    days |= dict.fromkeys(range(last + FOLLOW_UP_EVERY_D, until_day + 1, FOLLOW_UP_EVERY_D), everything)
    days |= dict.fromkeys(course.checks, everything)
    days |= dict.fromkeys([BASELINE_DAY, *range(BASELINE_DAY + 365, until_day + 1, 365)], (*everything, "clearance"))
    return FrozenMap({day: days[day] for day in sorted(days) if day <= until_day})


@frozen
class _Step:
    """Outcome of the checks before a cycle; `blamed` are the rules for which its activity was halved."""

    day: int
    share: float = 1.0
    blamed: frozenset[str] = frozenset()
    decisions: tuple[CycleDecision, ...] = ()
    stop_cause: str | None = None


def _decide(
    cycle: int,
    planned: int,
    blood: Callable[[int], LabSample],
    baseline: LabSample,
    person: Person,
    s: ClinicSettings,
    before: _Step,
) -> _Step:
    """Check the blood until the cycle can be given or the treatment ends."""
    dosing, day = s.rules.dosing, planned - CHECK_BEFORE_D
    decisions: list[CycleDecision] = []
    asked: frozenset[str] = frozenset()
    while True:
        seen = evaluate(s.rules.rules, blood(day), baseline, person)
        now = frozenset(r.rule for r in seen if r.wait)
        asked |= now
        delay = day + CHECK_BEFORE_D - planned
        cause = None
        if now & before.blamed:
            verdict, cause = Verdict.STOP, "toxicity came back at half activity"
        elif now and delay + dosing.recheck_days >= dosing.stop_after_delay_days:
            verdict, cause = Verdict.STOP, "no recovery in time"
        elif now:
            verdict = Verdict.DELAY
        else:
            verdict = Verdict.REDUCE if asked else Verdict.PROCEED
        decisions.append(CycleDecision(cycle, day, verdict, seen))
        if verdict is Verdict.DELAY:
            day += dosing.recheck_days
            continue
        on = day if cause else planned + delay
        return _Step(on, dosing.reduced_share if asked else 1.0, asked, tuple(decisions), cause)


def _stops(after_cycle: int, seed: int, s: ClinicSettings, dose_score: float) -> bool:
    p = s.other_stops.get(after_cycle, 0.0)
    if not 0 < p < 1:
        return p >= 1
    log_odds = np.log(p / (1 - p)) + s.stop_dose_slope * dose_score
    return bool(stream(seed, f"stop after {after_cycle}").random() < 1 / (1 + np.exp(-log_odds)))


def _planned_day(previous: int, first_day: datetime, s: ClinicSettings, r: np.random.Generator) -> int:
    """Draw a day within the window, from Monday to Thursday: there are scans on the next day."""
    low, high = (round(7 * weeks) for weeks in s.weeks_between)
    days = [previous + gap for gap in range(low, high + 1)]
    working = [d for d in days if (first_day.weekday() + d) % 7 < FRIDAY]
    return int(r.choice(working or days))
