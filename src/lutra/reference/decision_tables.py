"""Decision tables: rows of rules, each with one fact, one condition and one verdict."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from lutra.core.decision import Verdict
from lutra.core.errors import ProtocolError

CONDITIONS = ("grade_at_least", "below", "above", "at_least", "above_uln", "fell_to", "rose_to")
ABOUT_LABS = ("above_uln", "fell_to", "rose_to")
"""Conditions that only a laboratory value can meet."""


@frozen
class Rule:
    """One row: a fact and one condition.

    Parameters
    ----------
    grade_at_least
        CTCAE grade.
    below, above, at_least
        In the unit of the fact.
    above_uln
        Multiples of the upper limit of normal. [1]
    fell_to, rose_to
        Ratios to the patient's baseline. [1]
    dose_limiting
        Seen before a cycle, it reduces that cycle; seen again after a reduced one, it ends the treatment.
    advisory
        Shown, and does not decide.
    """

    name: str
    fact: str
    verdict: Verdict
    says: str
    source: str
    grade_at_least: int | None = None
    below: float | None = None
    above: float | None = None
    at_least: float | None = None
    above_uln: float | None = None
    fell_to: float | None = None
    rose_to: float | None = None
    dose_limiting: bool = False
    advisory: bool = False

    def __attrs_post_init__(self) -> None:
        given = [name for name in CONDITIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ProtocolError(
                f"rule {self.name!r} has {len(given)} conditions", required=f"exactly one of: {', '.join(CONDITIONS)}"
            )

    @property
    def condition(self) -> str:
        """Name of its condition."""
        return next(name for name in CONDITIONS if getattr(self, name) is not None)

    @property
    def bound(self) -> float:
        """Number in its condition."""
        return float(getattr(self, self.condition))


@frozen
class DecisionTable:
    """Rules in their order.

    Parameters
    ----------
    recheck_days
        Blood is looked at again after so long. [d]
    stop_after_delay_days
        Toxicity that puts a cycle off for so long ends the treatment. [d]
    """

    name: str
    title: str
    rules: tuple[Rule, ...]
    recheck_days: int
    stop_after_delay_days: int

    @property
    def dose_limiting(self) -> tuple[Rule, ...]:
        """Rules whose toxicity limits the activity."""
        return tuple(rule for rule in self.rules if rule.dose_limiting)


def shipped_tables() -> tuple[str, ...]:
    """Names of the tables that come with Lutra."""
    folder = files("lutra.reference") / "decisions"
    return tuple(sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")))


@cache
def shipped_table(name: str) -> DecisionTable:
    """Return a shipped table.

    Raises
    ------
    ProtocolError
        If there is none of that name.
    """
    if name not in shipped_tables():
        raise ProtocolError(
            f"no decision table called {name!r}",
            where="limits.rules",
            required=f"one of: {', '.join(shipped_tables())}, or a .toml file in the study folder",
        )
    return parse_table((files("lutra.reference") / "decisions" / f"{name}.toml").read_text("utf-8"), f"{name}.toml")


def read_table(path: Path) -> DecisionTable:
    """Read a study's own table.

    Raises
    ------
    ProtocolError
        Naming file and rule, if it is not there or has something that is not known.
    """
    if not path.is_file():
        raise ProtocolError(
            "no such decision table", where=str(path), required="a TOML file", do="correct limits.rules"
        )
    return parse_table(path.read_text("utf-8"), str(path))


def parse_table(text: str, where: str) -> DecisionTable:
    """Check a table given as text; see :func:`read_table`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"not valid TOML: {error}", where=where) from error
    if not table.get("rule"):
        raise ProtocolError("no rules", where=where, required="at least one [[rule]]")
    dosing: dict[str, Any] = table.get("dosing", {})
    rules = tuple(_rule(row, where) for row in table["rule"])
    names = [rule.name for rule in rules]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ProtocolError(f"rule {min(twice)!r} more than once", where=where, required="one row per name")
    try:
        return DecisionTable(
            str(table["name"]),
            str(table.get("title", "")),
            rules,
            dosing["recheck_days"],
            dosing["stop_after_delay_days"],
        )
    except KeyError as error:
        raise ProtocolError(
            f"missing {error}", where=where, do="see the shipped table: reference/decisions/label.toml"
        ) from None


def _rule(row: dict[str, Any], where: str) -> Rule:
    name = row.get("name", "without a name")
    known = {f.name for f in attrs.fields(Rule)}
    unknown, missing = (
        sorted(set(row) - known),
        [x for x in ("name", "fact", "verdict", "says", "source") if x not in row],
    )
    if unknown or missing:
        wrong = f"unknown key {unknown[0]!r}" if unknown else f"missing key {missing[0]!r}"
        raise ProtocolError(f"rule {name!r}: {wrong}", where=where, required=f"keys of: {', '.join(sorted(known))}")
    if row["verdict"] not in list(Verdict):
        raise ProtocolError(
            f"rule {name!r}: verdict {row['verdict']!r}", where=where, required=f"one of: {', '.join(Verdict)}"
        )
    return Rule(**row | {"verdict": Verdict(row["verdict"])})
