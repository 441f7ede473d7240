"""Walks a number back to the DICOM instances it rests on."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from lutra.core.errors import UsageError
from lutra.core.receipt import Receipt
from lutra.store import Ledger
from lutra.store.ledger import ResultRow, Source


@frozen
class SourceGroup:
    """Source instances of one series that a step read."""

    series_uid: str
    modality: str
    instances: tuple[str, ...]
    paths: tuple[str, ...]


@frozen
class Link:
    """One step of the chain.

    Parameters
    ----------
    argument
        What the step below calls this value.
    seen_before
        The chain behind this step stands further up already.
    """

    depth: int
    argument: str
    receipt: Receipt
    sources: tuple[SourceGroup, ...]
    seen_before: bool


def find_result(ledger: Ledger, wanted: str) -> ResultRow:
    """Find a result by its path, or by an end or part of it that is unique.

    Raises
    ------
    UsageError
        If nothing or several results match; lists what there is.
    """
    rows = ledger.results()
    for matches in (
        [row for row in rows if row.path == wanted],
        [row for row in rows if row.path.endswith("/" + wanted)],
        [row for row in rows if wanted in row.path],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            shown = "\n  ".join(row.path for row in matches[:20])
            raise UsageError(f"{len(matches)} results match {wanted!r}:\n  {shown}", do="give more of the path")
    raise UsageError(f"no result matches {wanted!r}", do="list them with: lutra why DIR")


def chain(ledger: Ledger, receipt_key: str) -> tuple[Link, ...]:
    """From a result's receipt back to its sources, depth first."""
    links: list[Link] = []
    seen: set[str] = set()

    def walk(receipt: Receipt, argument: str, depth: int) -> None:
        key = receipt.made_by.key
        before = key in seen
        sources: tuple[SourceGroup, ...] = ()
        if not before:
            seen.add(key)
            sources = _groups(ledger.sources_by_digest([d for _, d in _digests(receipt)]))
        links.append(Link(depth, argument, receipt, sources, before))
        if before:
            return
        for name, made_by in _parents(ledger, receipt):
            walk(made_by, name, depth + 1)

    first = ledger.receipt(receipt_key)
    if first is not None:
        walk(first, "", 0)
    return tuple(links)


def instances(links: tuple[Link, ...]) -> tuple[SourceGroup, ...]:
    """Every source series of a chain, each once."""
    groups = {group.series_uid: group for link in links for group in link.sources}
    return tuple(groups.values())


def as_json(result: ResultRow, links: tuple[Link, ...]) -> dict[str, Any]:
    """Write the chain as plain data."""
    return {
        "result": result.path,
        "value": result.shown,
        "chain": [
            {
                "depth": link.depth,
                "as": link.argument,
                "step": link.receipt.made_by.step,
                "receipt": link.receipt.made_by.key,
                "output": link.receipt.output,
                "settings": link.receipt.made_by.settings,
                "code": link.receipt.made_by.code,
                "seed": link.receipt.made_by.seed,
                "program": link.receipt.program,
                "by": link.receipt.by,
                "at": link.receipt.at.isoformat(),
                "findings": [f.code for f in link.receipt.findings],
                "sources": [group.series_uid for group in link.sources],
                "seen_before": link.seen_before,
            }
            for link in links
        ],
        "sources": [
            {
                "series_uid": group.series_uid,
                "modality": group.modality,
                "sop_instance_uids": list(group.instances),
                "paths": list(group.paths),
            }
            for group in instances(links)
        ],
    }


def _digests(receipt: Receipt) -> list[tuple[str, str]]:
    return [(name, d.partition("[")[0]) for name, digests in receipt.made_by.inputs.items() for d in digests if d]


def _parents(ledger: Ledger, receipt: Receipt) -> list[tuple[str, Receipt]]:
    unique = dict.fromkeys(_digests(receipt))
    found = ((name, ledger.receipt_of_output(digest)) for name, digest in unique)
    return [(name, made_by) for name, made_by in found if made_by is not None]


def _groups(sources: tuple[Source, ...]) -> tuple[SourceGroup, ...]:
    by_series: dict[str, list[Source]] = {}
    for source in sources:
        by_series.setdefault(source.series_uid, []).append(source)
    return tuple(
        SourceGroup(uid, files[0].modality, tuple(f.sop_instance_uid for f in files), tuple(f.path for f in files))
        for uid, files in by_series.items()
    )
