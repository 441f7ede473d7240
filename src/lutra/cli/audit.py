"""`lutra audit`: who did what, and whether anybody changed that afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lutra.cli import show

if TYPE_CHECKING:
    from lutra.store import Ledger

app = typer.Typer(no_args_is_help=True, help="Who did what in a study, and whether the record of it still stands.")
Directory = Annotated[Path, typer.Argument(help="Study folder.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
TAMPERED = 1


def _ledger(directory: Path) -> Ledger:
    from lutra.pipeline.study import StudyFolder

    return StudyFolder(directory).ledger


@app.command("verify")
def verify(
    directory: Directory,
    expect: Annotated[
        str, typer.Option(help="Head of the chain as it was written down elsewhere; finds a cut-off end.")
    ] = "",
    *,
    json: AsJson = False,
) -> None:
    """Compute the chain over every edit and entry anew. Exit 1 if anything was changed, removed or slipped in."""
    with show.reported():
        ledger = _ledger(directory)
        check = ledger.verify_audit()
        problems = list(check.problems)
        if expect and expect not in ledger.chain_digests():
            problems.append(f"{expect} is no link of the chain: entries were cut off or written anew")
    if json:
        show.print_json({"links": check.links, "before_chain": check.before, "head": check.head, "problems": problems})
    else:
        for problem in problems:
            show.out.print(f"[red]tampered[/red] {escape(problem)}")
        if not problems:
            show.out.print(f"{check.links} entries stand as they were written; head {check.head}")
        if check.before:
            show.out.print(f"[dim]{check.before} older entries have no chain: of them nothing can be said[/dim]")
    raise typer.Exit(TAMPERED if problems else 0)


@app.command("show")
def show_trail(directory: Directory, *, json: AsJson = False) -> None:
    """Print the audit trail, oldest first."""
    with show.reported():
        entries = _ledger(directory).audit_trail()
    if json:
        show.print_json({"entries": [dict(e) for e in entries]})
        return
    listing = show.table("", "at", "by", "action", "")
    for e in entries:
        listing.add_row(
            str(e["number"]), e["at"][:19], escape(e["by"]), escape(e["action"]), escape(_short(e["detail"]))
        )
    show.out.print(listing)


@app.command("export")
def export(
    directory: Directory,
    out: Annotated[Path, typer.Option(help="File to write, one JSON object per line.", show_default=False)],
) -> None:
    """Write every entry and edit with its digest, so that others can check the chain without Lutra."""
    from json import dumps

    with show.reported():
        lines = [dumps(link, ensure_ascii=False, sort_keys=True) for link in _ledger(directory).chained()]
        out.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    show.out.print(f"{len(lines)} entries: {out}")


def _short(detail: dict[str, Any]) -> str:
    words = ", ".join(
        f"{key} {value}" for key, value in detail.items() if isinstance(value, str | int | float) and value != ""
    )
    return words if len(words) <= 100 else words[:99] + "…"
