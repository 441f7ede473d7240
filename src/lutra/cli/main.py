"""The commands. Each is a few lines: what it does lives in the conductor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lutra import __version__
from lutra.cli import (
    analyse,
    archive,
    audit,
    bed,
    decide,
    dose,
    edits,
    export,
    fit,
    patient_model,
    predict,
    recist,
    serve,
    show,
    simulate,
)

if TYPE_CHECKING:
    from lutra.pipeline.study import RunSummary, StudyFolder

app = typer.Typer(
    name="lutra",
    help="LUtetium Therapy Response Analysis: a 177Lu-octreotate study from DICOM to doses and response. Research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
study_app = typer.Typer(no_args_is_help=True, help="Create a study, add images to it, check it.")
app.add_typer(study_app, name="study")
app.add_typer(simulate.app, name="simulate")
app.add_typer(dose.app, name="dose")
app.add_typer(export.app, name="export")
app.add_typer(audit.app, name="audit")
app.add_typer(serve.users_app, name="users")
app.add_typer(patient_model.app, name="patient-model")
app.command()(bed.bed)
app.command()(recist.recist)
app.command()(decide.decide)
app.command()(predict.predict)
app.command()(analyse.analyse)
app.command()(serve.serve)
study_app.command("tables")(decide.study_tables)
study_app.command("lock")(decide.study_lock)
app.add_typer(edits.align_app, name="align")
app.add_typer(edits.lesion_app, name="lesion")
app.add_typer(edits.edits_app, name="edits")

Dir = Annotated[Path, typer.Argument(help="Study folder.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _version(wanted: bool) -> None:
    if wanted:
        show.out.print(f"lutra {__version__}, research use only")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    _ = version


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to make; must not exist.")] = Path("lutra-demo"),
    patients: Annotated[int, typer.Option(min=1, help="Number of digital patients.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the virtual trial.")] = 24,
    workers: simulate.Workers = None,
    json: Json = False,
) -> None:
    """Make a small virtual trial as DICOM, run the whole study on it, write the report and compare it with the truth."""
    from lutra.core.errors import UsageError
    from lutra.core.finding import Severity
    from lutra.pipeline.clinical import import_tables
    from lutra.pipeline.report import write_study_report
    from lutra.pipeline.study import StudyFolder
    from lutra.simulate import TrialSettings

    with show.reported():
        if out.exists():
            raise UsageError(f"{out} exists already", do="choose another folder with --out, or remove it")
        written = simulate.make_trial(out / "simulated", patients, seed, TrialSettings(), workers)
        study = StudyFolder.create(out / "study", "demo")
        simulate.add_calibrations(written, study)
        with show.progress_bar() as bar:
            task = bar.add_task("reading headers")
            _, intake = study.add([written.dicom], progress=lambda n, of: bar.update(task, completed=n, total=of))
        import_tables(study, written.tables)
        summary = _run(study, (), workers)
        page = write_study_report(study)
        found, table = simulate.compared(study, written.truth)
    findings = (*intake, *summary.findings)
    if json:
        places = {"study": study.root, "report": page, "truth": written.truth, "compared": table}
        show.print_json({name: str(path) for name, path in places.items()})
    else:
        doubts = [f for f in findings if f.severity is not Severity.INFO]
        kinds = len({f.code for f in doubts})
        show.out.print(
            f"{len(doubts)} Findings of {kinds} kinds; they stand on the pages, explained in docs/findings.md"
        )
        simulate.print_agreements(found.agreements, simulate.HEADLINE)
        show.out.print(f"report: {page}\nagainst the truth, every quantity: {table}")
    raise typer.Exit(show.exit_code(findings))


@study_app.command("init")
def study_init(
    directory: Dir,
    protocol: Annotated[str, typer.Option(help="Shipped protocol to start from.")] = "lumen",
    json: Json = False,
) -> None:
    """Lay out an empty study with a protocol to edit."""
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        study = StudyFolder.create(directory, protocol)
    if json:
        show.print_json({"study": str(study.root), "protocol": str(study.root / "protocol.toml")})
    else:
        show.out.print(f"{study.root}: edit protocol.toml, then: lutra study add {directory} PATH")


@study_app.command("add")
def study_add(
    directory: Dir,
    paths: Annotated[
        list[Path] | None, typer.Argument(help="DICOM files, folders, zip, tar or gz files.", show_default=False)
    ] = None,
    *,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the files into the study instead of referring to them.")
    ] = False,
    labels: Annotated[Path | None, typer.Option(help="NIfTI label map; is added as DICOM SEG.")] = None,
    names: Annotated[
        Path | None, typer.Option(help="Names of the labels: TOML, JSON or CSV, or totalsegmentator-total.")
    ] = None,
    series: Annotated[str | None, typer.Option("--for", help="Series UID the label map belongs to.")] = None,
    deidentify: Annotated[
        bool, typer.Option("--deidentify", help="Copy the files without their patients; dates move, numbers stay.")
    ] = False,
    key: Annotated[Path | None, typer.Option(help="Pseudonym key, made if it is not there. Outside the study.")] = None,
    pseudonyms: Annotated[
        Path | None, typer.Option(help="CSV with patient_id and pseudonym, to choose them. Outside the study.")
    ] = None,
    descriptions: Annotated[
        str, typer.Option(help="Text typed by people: clean (known words stay), remove or keep.")
    ] = "clean",
    word: Annotated[list[str] | None, typer.Option(help="Another word that may stay; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Add images, contours, segmentations and label maps. The files are never modified."""
    from lutra.core.errors import UsageError
    from lutra.pipeline.deidentified import Deidentification
    from lutra.pipeline.label_maps import add_label_map
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        if (labels is None) != (series is None) or not (paths or labels):
            raise UsageError("nothing to add", required="a path, or --labels FILE with --for SERIES_UID")
        options = Deidentification(key, pseudonyms, descriptions, tuple(word or ()))
        if not deidentify and options != Deidentification():
            raise UsageError(
                "--key, --pseudonyms, --descriptions and --word go with --deidentify", do="add --deidentify"
            )
        wanted = options if deidentify else None
        study = StudyFolder(directory)
        with show.progress_bar() as bar:
            task = bar.add_task("reading files")
            new, findings = study.add(
                paths or [],
                copy=copy,
                deidentified=wanted,
                progress=lambda n, of: bar.update(task, completed=n, total=of),
            )
        if labels is not None and series is not None:
            more, doubts = add_label_map(study, labels, names, series, wanted)
            new, findings = new + more, (*findings, *doubts)
    if json:
        subjects = list(study.ledger.subject_ids())
        show.print_json({"new_instances": new, "subjects": subjects, "findings": show.finding_json(findings)})
    else:
        show.print_findings(findings)
        show.out.print(f"{new} new instances; subjects: {', '.join(study.ledger.subject_ids()) or 'none'}")
    raise typer.Exit(show.exit_code(findings))


@study_app.command("pseudonym")
def study_pseudonym(
    patient_id: Annotated[list[str], typer.Argument(help="Patient identifiers.", show_default=False)],
    key: Annotated[Path, typer.Option(help="Pseudonym key of the study.", show_default=False)],
    json: Json = False,
) -> None:
    """Say which pseudonym a patient has in a study and by how many days its dates are moved, from the study's key."""
    from lutra.pipeline.deidentified import pseudonyms

    with show.reported():
        rows = pseudonyms(patient_id, key)
    if json:
        show.print_json({"subjects": [{"patient_id": p, "pseudonym": name, "shift_days": d} for p, name, d in rows]})
    else:
        show.out.print("\n".join(["patient_id,pseudonym,shift_days", *(f"{p},{name},{d}" for p, name, d in rows)]))


@study_app.command("check")
def study_check(
    directory: Dir,
    artifacts: Annotated[bool, typer.Option("--artifacts", help="Also hash every stored array.")] = False,
    json: Json = False,
) -> None:
    """Check the protocol and that every source file is still what it was."""
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        findings = StudyFolder(directory).check(artifacts=artifacts)
    if json:
        show.print_json({"findings": show.finding_json(findings)})
    else:
        show.print_findings(findings)
    raise typer.Exit(show.exit_code(findings))


@app.command()
def run(
    directory: Dir,
    subject: Annotated[list[str] | None, typer.Option(help="Only this subject; may be repeated.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the subjects; default: one per processor.")
    ] = None,
    json: Json = False,
) -> None:
    """Run every stage. Resumable; only what changed is computed again."""
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        summary = _run(StudyFolder(directory), tuple(subject or ()), workers)
    if json:
        show.print_json(
            {
                "subjects": list(summary.subjects),
                "computed": summary.computed,
                "found": summary.found,
                "findings": show.finding_json(summary.findings),
            }
        )
    else:
        show.print_findings(summary.findings)
        show.out.print(
            f"{len(summary.subjects)} subjects; {summary.computed} steps computed, {summary.found} found; "
            f"next: lutra report {directory}"
        )
    raise typer.Exit(show.exit_code(summary.findings))


@app.command()
def report(
    directory: Dir,
    for_reader: Annotated[
        bool, typer.Option("--for-reader", help="For readers of response: no dosimetry until a response is locked.")
    ] = False,
    pdf: Annotated[
        bool,
        typer.Option("--pdf", help="On paper too: dosimetry, decision and response of each subject, and the analysis."),
    ] = False,
    subject: Annotated[
        list[str] | None,
        typer.Option("--subject", help="With --pdf: of this subject alone; may be repeated.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Write the report of the last run: index, one page per subject, the analysis, tables as CSV and Parquet."""
    from lutra.pipeline.report import write_study_report
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        study = StudyFolder(directory)
        page = write_study_report(study, for_reader=for_reader, on_paper=pdf, paper_of=subject or ())
    if json:
        show.print_json({"report": str(page)})
    else:
        show.out.print(f"report: {page}")


@app.command()
def why(
    directory: Dir,
    result: Annotated[str | None, typer.Argument(help="Path of a result, or a part of it; none lists them.")] = None,
    instances: Annotated[bool, typer.Option("--instances", help="Print every SOP Instance UID.")] = False,
    json: Json = False,
) -> None:
    """Walk a result back to the DICOM instances it rests on."""
    from lutra.cli.why import print_chain, print_results
    from lutra.pipeline import why as provenance
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        ledger = StudyFolder(directory).ledger
        if result is None:
            print_results(ledger.results(), json)
            return
        row = provenance.find_result(ledger, result)
        links = provenance.Provenance(ledger).chain(row.receipt)
    if json:
        show.print_json(provenance.as_json(row, links))
    else:
        print_chain(row, links, instances)


@app.command()
def inspect(
    path: Annotated[list[Path], typer.Argument(help="DICOM files, folders, zip, tar or gz files.", show_default=False)],
    json: Json = False,
) -> None:
    """Say what each series is: geometry, unit, decay reference, SUV factor or why there is none."""
    from lutra.cli.inspect import print_series
    from lutra.core.errors import UsageError
    from lutra.pipeline.inspect import inspect as inspect_paths

    with show.reported():
        for each in path:
            if not each.exists():
                raise UsageError("no such file or folder", where=str(each), do="check the path")
        series, findings = inspect_paths(path)
    everything = (*findings, *(f for s in series for f in s.findings))
    if json:
        show.print_json({"series": [s.as_json() for s in series], "findings": show.finding_json(findings)})
    else:
        print_series(series)
        show.print_findings(everything)
    raise typer.Exit(show.exit_code(everything))


study_app.command("fetch")(archive.study_fetch)
app.command("fit")(fit.fit)
app.command("receive")(archive.receive)
app.command("send")(archive.send)


def _run(study: StudyFolder, subjects: tuple[str, ...], workers: int | None = None) -> RunSummary:
    from lutra.pipeline.workers import available_cores

    with show.progress_bar() as bar:
        task = bar.add_task("run", total=None)

        def on_subject(subject: str, n: int, of: int) -> None:
            bar.update(task, description=escape(subject), completed=n, total=of)

        def on_step(name: str, computed: bool) -> None:
            bar.update(task, description=escape(name if computed else f"{name} (known)"))

        return study.run(subjects, on_subject, on_step, workers or available_cores())


def main() -> None:
    """Entry point of the `lutra` command."""
    app()


if __name__ == "__main__":
    main()
