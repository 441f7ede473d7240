"""Whether to give the next cycle: every rule of a table against the facts. A person decides; this lists what the rules say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from math import isfinite

from lutra.core.clinical import ClinicalRecord
from lutra.core.decision import Decision, Reason, Verdict
from lutra.core.projection import Projection
from lutra.core.treatment import Limits, TreatmentPlan
from lutra.reference.decision_tables import DecisionTable, Rule
from lutra.safety.facts import CHECK_BEFORE_D, Fact, dose_facts, event_fact, lab_fact, planned_days, reduced

GRAVITY = tuple(Verdict)


def decide(
    record: ClinicalRecord,
    cycle: int,
    on: date,
    table: DecisionTable,
    plan: TreatmentPlan,
    limits: Limits,
    projections: Sequence[Projection] = (),
    infusion_on: date | None = None,
) -> Decision:
    """Evaluate every rule for one cycle.

    Parameters
    ----------
    on
        Nothing after this day is looked at.
    projections
        Of the kidneys and red marrow, from the cycles before this one.
    infusion_on
        Day the cycle is planned for; default: the first day from `on` on that the protocol lets it be.
    """
    facts = _facts(record, cycle, on, table, plan, limits, projections, infusion_on)
    reasons = tuple(
        _reason(rule, facts.get(rule.fact) or lab_fact(record, rule.fact, on, limits)) for rule in table.rules
    )
    deciding = [reason for reason in reasons if not reason.advisory]
    verdict = max((reason.verdict for reason in deciding), key=GRAVITY.index, default=Verdict.PROCEED)
    days = planned_days(record, cycle, plan)
    return Decision(
        record.subject_id,
        cycle,
        on,
        verdict,
        reasons,
        _activity(verdict, deciding, facts, plan),
        tuple(reason.saw for reason in deciding if reason.verdict is Verdict.UNDETERMINED),
        days[0] if days else None,
        days[1] if days else None,
    )


def toxicities(
    record: ClinicalRecord, on: date, table: DecisionTable, limits: Limits, since: date | None = None
) -> frozenset[str]:
    """Names of the dose-limiting rules that ask to wait on a day.

    Parameters
    ----------
    since
        Blood before this day is not looked at.
    """
    return frozenset(
        rule.name
        for rule in table.dose_limiting
        if asks(
            rule,
            event_fact(record, on, limits)
            if rule.fact == "adverse_event"
            else lab_fact(record, rule.fact, on, limits, since),
        )
    )


def asks(rule: Rule, fact: Fact) -> bool | None:
    """Whether a rule applies; None if the fact does not tell."""
    value, bound = fact.value, rule.bound
    match rule.condition:
        case "grade_at_least":
            grade = fact.grade.grade if fact.grade else None
            return None if grade is None else grade >= bound
        case "above_uln":
            return None if value is None or fact.uln is None else value > bound * fact.uln
        case "fell_to":
            return None if value is None or not fact.baseline else value / fact.baseline <= bound
        case "rose_to":
            return None if value is None or not fact.baseline else value / fact.baseline >= bound
        case _ if value is None:
            return None
        case "below":
            return value < bound
        case "above":
            return value > bound
        case _:
            return value >= bound


def _reason(rule: Rule, fact: Fact) -> Reason:
    answer = asks(rule, fact)
    verdict = Verdict.UNDETERMINED if answer is None else rule.verdict if answer else Verdict.PROCEED
    saw = fact.words
    if answer is None and fact.value is not None:
        of_grade = fact.grade.basis if fact.grade else f"CTCAE has no grades of {rule.fact}"
        lacking = {
            "above_uln": "upper limit of normal is not known",
            "fell_to": "no baseline",
            "rose_to": "no baseline",
        }
        saw += f"; {lacking.get(rule.condition, of_grade)}"
    return Reason(rule.name, verdict, saw, rule.says, rule.source, rule.advisory)


def _facts(
    record: ClinicalRecord,
    cycle: int,
    on: date,
    table: DecisionTable,
    plan: TreatmentPlan,
    limits: Limits,
    projections: Sequence[Projection],
    infusion_on: date | None,
) -> Mapping[str, Fact]:
    """All facts that are not laboratory values."""
    days = planned_days(record, cycle, plan)
    infusion = infusion_on or (max(on, days[0]) if days else on)
    now = toxicities(record, on, table, limits)
    seen = _seen_before(record, cycle, on, table, plan, limits)
    gone = seen - now
    late = (infusion - days[1]).days if days and (now or seen) else 0
    beyond = cycle - plan.cycles
    ended = [d for d in (record.stopped_on, record.died_on) if d is not None and d <= on]
    facts = {
        "adverse_event": event_fact(record, on, limits),
        "recurring_toxicities": _recurring(record, cycle, now, table, plan, limits),
        "resolved_toxicities": Fact(
            float(len(gone)), _named(gone, "seen at a check of this cycle and gone", "no toxicity put this cycle off")
        ),
        "toxicity_delay_days": Fact(
            float(max(late, 0)), f"toxicity puts the cycle {max(late, 0)} days beyond its window"
        ),
        "days_too_early": _too_early(cycle, infusion, days),
        "cycles_beyond_plan": Fact(float(max(beyond, 0)), f"cycle {cycle} of {plan.cycles} planned"),
        "treatment_ended": Fact(float(len(ended)), f"ended on {min(ended)}" if ended else f"not ended by {on}"),
    }
    return facts | dose_facts(record, projections, cycle, plan, limits)


def _seen_before(
    record: ClinicalRecord, cycle: int, until: date, table: DecisionTable, plan: TreatmentPlan, limits: Limits
) -> frozenset[str]:
    """Toxicities seen at any check for a cycle, up to a day."""
    days = planned_days(record, cycle, plan)
    if days is None:
        return frozenset()
    start = days[0] - timedelta(days=CHECK_BEFORE_D - 1)
    checks = sorted({lab.taken_on for lab in record.labs if start <= lab.taken_on <= until})
    return frozenset().union(*(toxicities(record, day, table, limits, start) for day in checks))


def _recurring(
    record: ClinicalRecord, cycle: int, now: frozenset[str], table: DecisionTable, plan: TreatmentPlan, limits: Limits
) -> Fact:
    was_reduced = reduced(record, cycle - 1, plan) if cycle > 1 else False
    if was_reduced is None:
        words = f"nobody wrote down with what activity cycle {cycle - 1} was given, so that nobody knows whether it was reduced"
        return Fact(None if now else 0.0, words)
    given_on = record.given_on(cycle - 1)
    if not was_reduced or given_on is None:
        return Fact(0.0, "the last cycle was not a reduced one" if cycle > 1 else "no cycle was given yet")
    back = now & _seen_before(record, cycle - 1, given_on, table, plan, limits)
    return Fact(
        float(len(back)),
        _named(back, "there again after a reduced cycle", f"what cycle {cycle - 1} was reduced for is not there"),
    )


def _too_early(cycle: int, infusion: date, days: tuple[date, date] | None) -> Fact:
    if days is None:
        return (
            Fact(0.0, "no cycle was given yet") if cycle == 1 else Fact(None, f"no day of cycle {cycle - 1} is known")
        )
    early = max((days[0] - infusion).days, 0)
    return Fact(float(early), f"on {infusion}, planned from {days[0]} to {days[1]}")


def _named(names: frozenset[str], what: str, otherwise: str) -> str:
    return f"{what}: {', '.join(sorted(names))}" if names else otherwise


def _activity(
    verdict: Verdict, reasons: Sequence[Reason], facts: Mapping[str, Fact], plan: TreatmentPlan
) -> float | None:
    if verdict not in (Verdict.PROCEED, Verdict.REDUCE):
        return None
    share = 1.0
    if any(r.verdict is Verdict.REDUCE for r in reasons) and (facts["resolved_toxicities"].value or 0) > 0:
        share = plan.reduced_share
    fitting = facts["kidney_bed_share"].value
    if fitting is not None and isfinite(fitting):
        share = min(share, fitting)
    return share * plan.activity_bq
