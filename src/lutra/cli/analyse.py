"""`lutra analyse`: the plan of analysis of a study, on its own tables."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lutra.cli import show

if TYPE_CHECKING:
    from lutra.pipeline.analysis import StudyAnalysis


def analyse(
    directory: Annotated[Path, typer.Argument(help="Study folder.", show_default=False)],
    plan: Annotated[
        Path | None,
        typer.Option(help="Plan, as TOML: docs/analysis.md. Default: analysis.toml of the study, else Lutra's own."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for tables, plan and results; must be empty or not exist.", show_default=False),
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Fit the models of a study's plan to its lesions and patients, and say in sentences what they show and what they do not."""
    from lutra.pipeline.analysis import analyse as run
    from lutra.pipeline.analysis import write_study_analysis
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        study = StudyFolder(directory)
        found = run(study, plan)
        if out is not None:
            write_study_analysis(study, found, out)
    if json:
        show.print_json(found.as_json())
    else:
        _print(found)
        show.print_findings(found.findings)
    raise typer.Exit(show.exit_code(found.findings))


def _print(found: StudyAnalysis) -> None:
    from lutra.pipeline.analysis import analysis_view

    view = analysis_view(found)
    for question, models in groupby(view.models, lambda m: m.question):
        show.out.print(f"\n[bold]{escape(question.capitalize())}[/bold]")
        for model in models:
            counts = f"{model.kind}, {model.n} rows of {model.n_clusters} patients"
            show.out.print(f"  {escape(model.name)} [dim]({counts})[/dim]")
            show.out.print(f"    {escape(model.sentence)}")
