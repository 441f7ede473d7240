"""`lutra recist`: responses by RECIST 1.1 from a reader's tables, without a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lutra.cli import show


def recist(
    tu: Annotated[Path, typer.Argument(metavar="TU.csv", help="Lesions, as SDTM TU.", show_default=False)],
    tr: Annotated[Path, typer.Argument(metavar="TR.csv", help="Readings, as SDTM TR.", show_default=False)],
    rs: Annotated[Path | None, typer.Option(help="Overall responses, as SDTM RS: endpoints come from these.")] = None,
    dm: Annotated[
        Path | None,
        typer.Option(help="Start, death, other therapy and last day known alive of each subject, as SDTM DM."),
    ] = None,
    adjudication: Annotated[
        Path | None, typer.Option(help="CSV with subject and reader: whose reading is taken where readers differ.")
    ] = None,
    *,
    minimum_sd_days: Annotated[int, typer.Option(min=0, help="Least time from the start for SD. [d]")] = 42,
    confirmation_days: Annotated[int, typer.Option(min=0, help="Least time until a response is confirmed. [d]")] = 28,
    censoring: Annotated[str, typer.Option(help="FDA or EMA.")] = "FDA",
    missed_visit_days: Annotated[
        int | None, typer.Option(help="Under FDA: time without assessment that censors a later event. [d]")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Response of every visit and the endpoints of every subject, each with the rule that fired."""
    from attrs import asdict

    from lutra.core.errors import UsageError
    from lutra.pipeline.recist_tables import assess_tables
    from lutra.response.recist import EndpointSettings

    with show.reported():
        if censoring not in {"FDA", "EMA"}:
            raise UsageError(f"censoring {censoring!r}", required="FDA or EMA")
        settings = EndpointSettings(
            minimum_sd_days, confirmation_days, censoring=censoring, missed_visit_d=missed_visit_days
        )
        found = assess_tables(tu, tr, settings, rs, dm, adjudication)
    if json:
        show.print_json(
            {
                "settings": asdict(settings),
                "timepoints": found.timepoint_rows(),
                "endpoints": found.endpoint_rows(),
                **({"adjudicated": [asdict(e) for e in found.adjudicated]} if adjudication else {}),
                "findings": show.finding_json(found.findings),
            }
        )
    else:
        table = show.table("subject", "reader", "visit", "target", "non-target", "new", "overall")
        for t in found.timepoints:
            new = "yes" if t.new_lesion else ""
            cells = (t.subject, t.reader, t.visit, t.target or "", t.non_target or "", new, t.overall)
            table.add_row(*(escape(cell) for cell in cells))
        show.out.print(table)
        show.print_findings(found.findings)
    raise typer.Exit(show.exit_code(found.findings))
