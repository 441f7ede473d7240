"""What the simulated clinic makes of the blood before a cycle: a table of rules and the few conditions it may use."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from attrs import frozen

from lutra.core.errors import InputError
from lutra.simulate.labs import LabSample, Person, analytes


@frozen
class Rule:
    """One row of `clinic_rules.toml`: an analyte and one condition under which to wait."""

    name: str
    analyte: str
    grade_at_least: int | None = None
    below: float | None = None
    above: float | None = None
    above_uln: float | None = None
    fell_to: float | None = None
    rose_to: float | None = None

    def __attrs_post_init__(self) -> None:
        given = (self.grade_at_least, self.below, self.above, self.above_uln, self.fell_to, self.rose_to)
        if sum(x is not None for x in given) != 1:
            raise InputError(f"rule {self.name} has {sum(x is not None for x in given)} conditions", required="one")


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
    """Return the rules in the manner of the product label."""
    table = tomllib.loads((files("lutra.simulate") / "clinic_rules.toml").read_text("utf-8"))
    return ClinicRules(tuple(Rule(**row) for row in table["rule"]), Dosing(**table["dosing"]))


def evaluate(rules: Sequence[Rule], now: LabSample, baseline: LabSample, person: Person) -> tuple[RuleSeen, ...]:
    """Apply every rule to the measured values of a sample."""
    return tuple(_seen(rule, now, baseline, person) for rule in rules)


def _seen(rule: Rule, now: LabSample, baseline: LabSample, person: Person) -> RuleSeen:
    value = now[rule.analyte]
    ratio = value.measured / baseline[rule.analyte].measured
    if rule.grade_at_least is not None:
        wait = value.grade_measured is None or value.grade_measured >= rule.grade_at_least
    elif rule.below is not None:
        wait = value.measured < rule.below
    elif rule.above is not None:
        wait = value.measured > rule.above
    elif rule.above_uln is not None:
        uln = next(a.uln[person.sex] for a in analytes() if a.name == rule.analyte)
        wait = value.measured > rule.above_uln * uln
    elif rule.fell_to is not None:
        wait = ratio <= rule.fell_to
    else:
        wait = rule.rose_to is not None and ratio >= rule.rose_to
    return RuleSeen(rule.name, value.measured, wait)
