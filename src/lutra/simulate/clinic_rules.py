"""What the simulated clinic makes of the blood before a cycle: the rules on blood of the shipped decision table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from attrs import frozen

from lutra.reference.decision_tables import Rule, shipped_table
from lutra.simulate.labs import LabSample, Person, analytes

REDUCED_SHARE = 0.5
"""Activity of the cycle after a delay; full again if that is borne, stop if the toxicity comes back."""


@frozen
class Dosing:
    """How the clinic waits, reduces and stops."""

    recheck_days: int
    stop_after_delay_days: int
    reduced_share: float


@frozen
class ClinicRules:
    """The table."""

    rules: tuple[Rule, ...]
    dosing: Dosing


@frozen
class RuleSeen:
    """A rule, what it saw, and whether it asks to wait."""

    rule: str
    saw: float
    wait: bool


@cache
def label_rules() -> ClinicRules:
    """Return the rules in the manner of the product label that look at blood."""
    table, measured = shipped_table("label"), {a.name for a in analytes()}
    rules = tuple(rule for rule in table.dose_limiting if rule.fact in measured)
    return ClinicRules(rules, Dosing(table.recheck_days, table.stop_after_delay_days, REDUCED_SHARE))


def evaluate(rules: Sequence[Rule], now: LabSample, baseline: LabSample, person: Person) -> tuple[RuleSeen, ...]:
    """Apply every rule to the measured values of a sample."""
    return tuple(_seen(rule, now, baseline, person) for rule in rules)


def _seen(rule: Rule, now: LabSample, baseline: LabSample, person: Person) -> RuleSeen:
    value = now[rule.fact]
    ratio = value.measured / baseline[rule.fact].measured
    match rule.condition:
        case "grade_at_least":
            wait = value.grade_measured is None or value.grade_measured >= rule.bound
        case "below":
            wait = value.measured < rule.bound
        case "above":
            wait = value.measured > rule.bound
        case "at_least":
            wait = value.measured >= rule.bound
        case "above_uln":
            uln = next(a.uln[person.sex] for a in analytes() if a.name == rule.fact)
            wait = value.measured > rule.bound * uln
        case "fell_to":
            wait = ratio <= rule.bound
        case _:
            wait = ratio >= rule.bound
    return RuleSeen(rule.name, value.measured, wait)
