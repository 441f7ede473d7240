"""`lutra fit`: time-activity curves of a table, without a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lutra.cli import show

if TYPE_CHECKING:
    from lutra.pipeline.curve_fits import CurveFit


def fit(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="CURVES.csv", help="Columns curve, t_h, activity_mbq and, if known, u_mbq.", show_default=False
        ),
    ],
    nuclide: Annotated[str, typer.Option(help="Physical decay bounds every effective rate.")] = "Lu-177",
    models: Annotated[
        str | None,
        typer.Option(
            help="Models in the order they are asked, with commas; default: those of a new study.", show_default=False
        ),
    ] = None,
    population: Annotated[
        str | None,
        typer.Option(
            help="What the curves are of (tumour, kidney, ...), for what their points leave open.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws behind the intervals.")] = 20130518,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Integrate time-activity curves; what the points do not determine comes from a population, with a Finding, or not at all."""
    from lutra.pipeline.curve_fits import fit_curves

    names = [name.strip() for name in (models or "").split(",") if name.strip()]
    with show.reported():
        fits = fit_curves(table, nuclide, names, population, seed)
    if json:
        show.print_json({"curves": [{**f.as_json(), "findings": show.finding_json(f.findings)} for f in fits]})
    else:
        _print(fits)
    raise typer.Exit(show.exit_code(finding for f in fits for finding in f.findings))


def _print(fits: tuple[CurveFit, ...]) -> None:
    rows = show.table("curve", "model", "Ã, MBq h", "95 % interval", "T_eff, h", "outside the scans")
    for each in fits:
        found = each.as_json()
        if each.fit is None:
            rows.add_row(escape(each.curve), "[magenta]undetermined[/magenta]", "", "", "", "")
            continue
        interval = found["interval_95"]
        rows.add_row(
            escape(each.curve),
            escape(found["model"]),
            f"{found['tia_mbq_h']:.4g}",
            "not known" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}",
            f"{found['effective_half_life_h']:.1f}",
            f"{found['extrapolated_fraction']:.0%}",
        )
    show.out.print(rows)
    show.print_findings(finding for each in fits for finding in each.findings)
