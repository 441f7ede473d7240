"""`lutra export`: tables for a sponsor, a statistician, or REDCap; objects for an archive, bundles for a record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lutra.cli import show

if TYPE_CHECKING:
    from lutra.pipeline.study import StudyFolder

app = typer.Typer(
    no_args_is_help=True, help="Tables of a study for others: SDTM, ADaM-style, REDCap, analysis, DICOM, FHIR."
)

Dir = Annotated[Path, typer.Argument(help="Study folder.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Folder to make; must be empty or not exist.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("tables")
def export_tables(directory: Dir, out: Out, *, json: Json = False) -> None:
    """Write SDTM domains, ADaM-style data sets, the dosimetry domain, their definition files and the REDCap dictionary."""
    from lutra.pipeline.table_export import export_tables as export

    _write(export, directory, out, json)


@app.command("analysis")
def export_analysis(directory: Dir, out: Out, *, json: Json = False) -> None:
    """Write one row per lesion and landmark, one per patient and one per interval: CSV, Parquet, dictionary and lineage."""
    from lutra.pipeline.analysis_export import export_analysis as export

    _write(export, directory, out, json)


@app.command("dicom")
def export_dicom(directory: Dir, out: Out, *, json: Json = False) -> None:
    """Write regions (SEG), measurements (SR), doses (RTDOSE), maps, registrations and PDF documents of every subject."""
    from lutra.pipeline.dicom_export import export_dicom as export
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        done = export(StudyFolder(directory), out)
    if json:
        show.print_json({"files": [str(path) for path in done.paths], "findings": show.finding_json(done.findings)})
    else:
        show.print_findings(done.findings)
        show.out.print(f"{len(done.paths)} files: {out}")
    raise typer.Exit(show.exit_code(done.findings))


@app.command("fhir")
def export_fhir(directory: Dir, out: Out, *, json: Json = False) -> None:
    """Write a FHIR R4 bundle per subject: images, measurements, doses and response."""
    from lutra.pipeline.fhir_export import export_fhir as export

    _write(export, directory, out, json)


def _write(export: Callable[[StudyFolder, Path], tuple[Path, ...]], directory: Path, out: Path, json: bool) -> None:
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        written = export(StudyFolder(directory), out)
    if json:
        show.print_json({"files": [str(path) for path in written]})
    else:
        show.out.print(f"{len(written)} files: {out}")
