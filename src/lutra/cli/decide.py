"""`lutra decide`: whether to give a cycle, rule by rule; and `lutra study tables`: the clinic's tables it rests on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lutra.cli import show

if TYPE_CHECKING:
    from lutra.core.projection import LimitOutlook, Projection, Quantiles
    from lutra.pipeline.decide import Answer

STYLE = {"PROCEED": "green", "REDUCE": "yellow", "UNDETERMINED": "magenta", "DELAY": "yellow", "STOP": "red"}
Day = ["%Y-%m-%d"]
Dir = Annotated[Path, typer.Argument(help="Study folder.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def decide(
    directory: Dir,
    subject: Annotated[str, typer.Argument(help="Subject.", show_default=False)],
    cycle: Annotated[int, typer.Argument(help="Cycle that is asked about, from 1.", show_default=False)],
    *,
    on: Annotated[
        datetime | None, typer.Option(formats=Day, help="Look at nothing after this day; default: the last day known.")
    ] = None,
    infusion: Annotated[datetime | None, typer.Option(formats=Day, help="Day the cycle is planned for.")] = None,
    sign: Annotated[
        str | None, typer.Option(metavar="NAME", help="Sign the answer: name of the person who decides.")
    ] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Sign another answer than that of the rules; needs --reason.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why another answer is signed.")] = "",
    json: Json = False,
) -> None:
    """Whether to give a cycle: every rule with what it saw, doses to come, and who signed. Research use: a person decides."""
    from lutra.core.decision import Verdict
    from lutra.core.errors import UsageError
    from lutra.pipeline import decide as asked
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        if verdict is not None and verdict not in list(Verdict):
            raise UsageError(f"verdict {verdict!r}", required=f"one of: {', '.join(Verdict)}")
        if sign is None and (verdict is not None or reason):
            raise UsageError("--verdict and --reason go with --sign", do="add --sign NAME")
        study, days = StudyFolder(directory), (on.date() if on else None, infusion.date() if infusion else None)
        found = asked.answer(study, subject, cycle, *days)
        if sign is not None:
            asked.sign(study, found, sign, Verdict(verdict) if verdict else None, reason)
            found = asked.answer(study, subject, cycle, *days)
    if json:
        show.print_json({**asked.as_json(found), "findings": show.finding_json(found.findings)})
    else:
        _print(found)
    raise typer.Exit(show.EXIT_UNDETERMINED if found.decision.verdict is Verdict.UNDETERMINED else show.EXIT_OK)


def study_tables(
    directory: Dir,
    folder: Annotated[Path, typer.Argument(help="Folder with subjects.csv, labs.csv, ...", show_default=False)],
    json: Json = False,
) -> None:
    """Bring in the clinic's tables. The same tables again change nothing; every changed cell is in the audit trail."""
    from lutra.pipeline.clinical import import_tables
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        done = import_tables(StudyFolder(directory), folder)
    if json:
        changes = [
            {"table": c.table, "row": list(c.key), "column": c.column, "old": c.old, "new": c.new} for c in done.changes
        ]
        rows = {"new_rows": done.new_rows, "kept_rows": done.kept_rows}
        show.print_json({**rows, "changes": changes, "findings": show.finding_json(done.findings)})
    else:
        for name, n in done.new_rows.items():
            show.out.print(f"{name}: {n} new rows")
        for c in done.changes:
            show.out.print(escape(f"{c.table}, {' '.join(c.key)}, {c.column}: {c.old!r} is now {c.new!r}"))
        if not done.changes and not any(done.new_rows.values()):
            show.out.print("nothing changed")
        show.print_findings(done.findings)
    raise typer.Exit(show.exit_code(done.findings))


def study_lock(
    directory: Dir,
    subject: Annotated[str, typer.Argument(help="Subject.", show_default=False)],
    by: Annotated[str, typer.Option(help="Name of the person who locks or unlocks.", show_default=False)],
    *,
    unlock: Annotated[bool, typer.Option("--unlock", help="Take a lock back; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is unlocked.")] = "",
    json: Json = False,
) -> None:
    """Lock the response of a subject: its readings stand, and its reader may see dosimetry. Kept in the audit trail."""
    from lutra.pipeline.response_lock import lock_response
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        lock_response(StudyFolder(directory), subject, by, unlock=unlock, reason=reason)
    state = "unlocked" if unlock else "locked"
    if json:
        show.print_json({"subject": subject, "response": state, "by": by})
    else:
        show.out.print(escape(f"{subject}: response {state} by {by}"))


def _print(found: Answer) -> None:
    d = found.decision
    activity = "" if d.activity_bq is None else f", {d.activity_bq / 1e9:.2f} GBq"
    window = f"; planned from {d.earliest_on} to {d.latest_on}" if d.earliest_on else ""
    show.out.print(
        f"[bold]{escape(d.subject_id)}, cycle {d.cycle}: [{STYLE[d.verdict]}]{d.verdict}[/{STYLE[d.verdict]}]{activity}[/bold] "
        f"(as of {d.decided_on}{window})"
    )
    listing = show.table("rule", "says", "saw")
    for r in d.reasons:
        says = f"{r.verdict}{', advisory' if r.advisory else ''}"
        listing.add_row(escape(r.rule), f"[{STYLE[r.verdict]}]{says}[/{STYLE[r.verdict]}]", escape(r.saw))
    show.out.print(listing)
    if limited := [(p, h) for p in found.projections for h in p.limits]:
        ahead = show.table(
            "limit", "so far", "after this cycle", "after all", "above the limit", "more cycles fit", "fits"
        )
        for projection, held in limited:
            ahead.add_row(*_limit_row(projection, held))
        show.out.print(ahead)
    for signature, of in found.signatures:
        state = "" if of == found.digest else " (of an earlier state of the facts)"
        why = f": {signature.reason}" if signature.reason else ""
        show.out.print(
            escape(f"signed by {signature.by} on {signature.at:%Y-%m-%d %H:%M} UTC: {signature.verdict}{why}{state}")
        )
    show.print_findings(found.findings)
    show.out.print("[dim]Research use only. The rules list what they see; a person decides.[/dim]")


def _limit_row(projection: Projection, held: LimitOutlook) -> tuple[str, ...]:
    probability = "-" if held.exceeded_all is None else f"{held.exceeded_all:.0%}"
    return (
        escape(f"{projection.region}, {held.limit.name}, {held.limit.limit_gy:g} Gy"),
        _range(held.so_far_gy),
        _range(held.after_next_gy),
        _range(held.after_all_gy),
        probability,
        str(held.further_cycles),
        f"{held.fitting_activity_bq / 1e9:.1f} GBq",
    )


def _range(q: Quantiles | None) -> str:
    return "-" if q is None else f"{q.median:.1f} ({q.low:.1f} to {q.high:.1f}) Gy"
