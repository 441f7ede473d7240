"""Prints the chain from a number to its DICOM instances."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.tree import Tree

from lutra.cli import show
from lutra.pipeline.why import Link
from lutra.pipeline.why import instances as source_groups
from lutra.store.ledger import ResultRow


def print_results(rows: Sequence[ResultRow], json: bool) -> None:
    """List what can be asked for."""
    if json:
        show.print_json({"results": [{"path": row.path, "value": row.shown} for row in rows]})
        return
    listing = show.table("result", "value")
    for row in rows:
        listing.add_row(escape(row.path), escape(row.shown))
    show.out.print(listing)


def print_chain(row: ResultRow, links: Sequence[Link], every_instance: bool) -> None:
    """Print the chain as a tree, then the instances."""
    root = Tree(f"[bold]{escape(row.path)}[/bold]\n{escape(row.shown)}")
    branches = {-1: root}
    for link in links:
        receipt = link.receipt
        label = f"{escape(receipt.made_by.step)} [dim]{receipt.made_by.key[:12]}[/dim]"
        if link.argument:
            label = f"[dim]{escape(link.argument)} =[/dim] {label}"
        if link.seen_before:
            label += " [dim](above)[/dim]"
        branches[link.depth] = branches[link.depth - 1].add(label)
        for finding in () if link.seen_before else receipt.findings:
            facts = "".join(f", {name} {value}" for name, value in finding.evidence.items())
            branches[link.depth].add(f"[{show.STYLE[finding.severity]}]{escape(finding.code + facts)}[/]")
        for group in link.sources:
            branches[link.depth].add(f"{group.modality} series {group.series_uid}, {len(group.instances)} instances")
    show.out.print(root)
    for group in source_groups(tuple(links)):
        show.out.print(f"\n{group.modality} series {group.series_uid}: {len(group.instances)} SOP instances")
        uids = group.instances
        if not every_instance and len(uids) > 4:
            show.out.print(f"  {uids[0]}\n  ... {len(uids) - 2} more (--instances prints all)\n  {uids[-1]}")
        else:
            for uid in uids:
                show.out.print(f"  {uid}")
