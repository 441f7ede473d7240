"""Walks a number back to the DICOM instances it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from lutra.core.errors import UsageError
from lutra.core.receipt import Receipt
from lutra.core.source import SourceFile
from lutra.store import Ledger
from lutra.store.ledger import ResultRow


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


class Provenance:
    """Who made what, read once from a ledger.

    Parameters
    ----------
    ledger
        Its receipts and sources at this moment.
    """

    def __init__(self, ledger: Ledger) -> None:
        receipts = ledger.receipts()
        self._by_key = {receipt.made_by.key: receipt for receipt in receipts}
        self._by_output: dict[str, Receipt] = {}
        for receipt in receipts:
            if receipt.output is not None:
                self._by_output.setdefault(receipt.output, receipt)
        self._sources = {source.sha256: source for source in ledger.sources()}
        self._chains: dict[str, tuple[Link, ...]] = {}

    def chain(self, receipt_key: str) -> tuple[Link, ...]:
        """Walk from a result's receipt back to its sources, depth first."""
        if receipt_key not in self._chains:
            self._chains[receipt_key] = self._walk(receipt_key)
        return self._chains[receipt_key]

    def _walk(self, receipt_key: str) -> tuple[Link, ...]:
        links: list[Link] = []
        seen: set[str] = set()

        def walk(receipt: Receipt, argument: str, depth: int) -> None:
            key = receipt.made_by.key
            before = key in seen
            seen.add(key)
            inputs = list(dict.fromkeys(_digests(receipt)))
            sources = () if before else _groups([self._sources[d] for _, d in inputs if d in self._sources])
            links.append(Link(depth, argument, receipt, sources, before))
            if not before:
                for name, digest in inputs:
                    if digest in self._by_output:
                        walk(self._by_output[digest], name, depth + 1)

        if receipt_key in self._by_key:
            walk(self._by_key[receipt_key], "", 0)
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
                "evidence": [{"code": f.code, **f.evidence} for f in link.receipt.findings if f.evidence],
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


def _groups(sources: Sequence[SourceFile]) -> tuple[SourceGroup, ...]:
    by_series: dict[str, list[SourceFile]] = {}
    for source in sources:
        by_series.setdefault(source.series_uid, []).append(source)
    return tuple(
        SourceGroup(uid, files[0].modality, tuple(f.sop_instance_uid for f in files), tuple(f.path for f in files))
        for uid, files in by_series.items()
    )
