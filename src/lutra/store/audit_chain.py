"""The chain over edits and audit trail: every entry bears the digest of the one before.

Its digest is SHA-256 over `[digest before, of, entry]` as compact sorted JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, RowMapping, func, insert, literal, select

from lutra.store import schema

CHAINED = {"audit": schema.audit, "edits": schema.edits}
GENESIS = "0" * 64
"""What the first link is chained to."""


@frozen
class Seen:
    """What a person had seen of a matter before acting on it.

    Parameters
    ----------
    actions, about
        Entries of the audit trail that are of the matter: their actions, and values of their details.
    last
        Number of the last of them that was seen, 0 for none.
    """

    actions: tuple[str, ...]
    about: Mapping[str, str | int]
    last: int

    def nothing_later(self) -> Any:
        """Condition that no such entry came since."""
        of = [func.json_extract(schema.audit.c.detail, f"$.{name}") == value for name, value in self.about.items()]
        last = select(func.coalesce(func.max(schema.audit.c.number), 0)).where(
            schema.audit.c.action.in_(self.actions), *of
        )
        return last.scalar_subquery() == self.last


@frozen
class AuditCheck:
    """What became of the chain over edits and audit trail.

    Parameters
    ----------
    links
        Entries in the chain.
    before
        Entries that an earlier version of Lutra wrote without one: of these nothing can be said.
    head
        Digest of the last sound link. Written down elsewhere it shows later whether the end was cut off. [hex]
    problems
        What does not agree, from the first on; empty if all does.
    """

    links: int
    before: int
    head: str
    problems: tuple[str, ...]


def checked(links: Sequence[RowMapping], rows: Mapping[tuple[str, int], Mapping[str, Any]]) -> AuditCheck:
    """Compute the chain anew from the entries, and compare.

    Parameters
    ----------
    links
        As they are kept, in their order.
    rows
        Entries by table and number.
    """
    problems, head = [], GENESIS
    first: dict[str, int] = {}
    for n, link in enumerate(links, start=1):
        key = (link["of"], link["number"])
        first.setdefault(*key)
        problem = None
        if link["position"] != n:
            problem = f"link {n} of the chain is missing"
        elif key not in rows:
            problem = f"{key[0]} {key[1]} is gone"
        elif _digest(head, key[0], rows[key]) != link["digest"]:
            problem = f"{key[0]} {key[1]} is not what was written"
        if problem:
            problems.append(problem)
            break
        head = link["digest"]
    known = {(link["of"], link["number"]) for link in links}
    stray = [key for key in rows if key not in known]
    problems += [f"{name} {n} was not written by Lutra" for name, n in stray if name in first and n > first[name]]
    before = sum(name not in first or n < first[name] for name, n in stray)
    return AuditCheck(len(links), before, head, tuple(problems))


def append(connection: Connection, name: str, row: Mapping[str, Any], condition: Any = None) -> int | None:
    """Write an entry and its link; its number, or None if the condition does not hold.

    Asked and written in one statement, so that nobody comes in between.
    """
    table = CHAINED[name]
    values = select(*(literal(value, table.c[column].type) for column, value in row.items()))
    if condition is not None:
        values = values.where(condition)
    number: int | None = connection.scalar(insert(table).from_select(list(row), values).returning(table.c.number))
    if number is not None:
        _link(connection, name, number)
    return number


def _link(connection: Connection, name: str, number: int) -> None:
    """Chain an entry that was just written; its transaction holds the lock, so that nobody comes in between."""
    table = CHAINED[name]
    (row,) = connection.execute(select(table).where(table.c.number == number)).mappings()
    last = connection.scalar(select(schema.chain.c.digest).order_by(schema.chain.c.position.desc()).limit(1))
    link = {"of": name, "number": number, "digest": _digest(last or GENESIS, name, entry_of(row))}
    connection.execute(insert(schema.chain), link)


def entry_of(row: RowMapping) -> dict[str, Any]:
    """Give an entry as the chain digests it."""
    return dict(row)


def _digest(before: str, name: str, entry: Mapping[str, Any]) -> str:
    written = json.dumps([before, name, entry], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()
