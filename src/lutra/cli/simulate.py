"""Commands that make digital patients, and compare a study of them with the truth."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lutra.cli import show

if TYPE_CHECKING:
    from lutra.pipeline.study import StudyFolder
    from lutra.simulate import TrialSettings, WrittenTrial
    from lutra.simulate.anatomy import LabelledAnatomy
    from lutra.simulate.compare import Agreement, Comparison

app = typer.Typer(
    no_args_is_help=True, help="Digital patients with known truth, as DICOM; and a study of them against it."
)

HEADLINE = (
    ("cycle", "absorbed-dose.sphere"),
    ("cycle", "effective-half-life"),
    ("therapy-spect", "activity"),
    ("organ, therapy-spect", "activity"),
    ("sstr-pet", "suv-mean"),
    ("fdg-pet", "suv-mean"),
    ("dwi", "adc-median"),
    ("ct", "longest-diameter"),
    ("ct", "volume"),
)
"""Image and quantity of the lines that the demo prints."""


class SizeName(StrEnum):
    """How finely is imaged."""

    SMALL = "small"
    CLINICAL = "clinical"


class ModeName(StrEnum):
    """How SPECT is simulated."""

    FAST = "fast"
    FULL = "full"


class ScenarioName(StrEnum):
    """What dose does to a lesion."""

    NONE = "none"
    WEAK = "weak"
    STRONG = "strong"
    G2_ONLY = "g2-only"


Out = Annotated[Path, typer.Argument(help="Folder to make; must be empty or not exist.", show_default=False)]
Patients = Annotated[int, typer.Option(min=1, help="Number of patients.")]
Seed = Annotated[int, typer.Option(help="Everything random follows from it.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes that share the patients; default: one per processor.")
]
Size = Annotated[SizeName, typer.Option(help="small: reduced grids; clinical: those of clinical scanners.")]
Spect = Annotated[ModeName, typer.Option(help="fast: blur and noise; full: projections and reconstruction.")]
Scenario = Annotated[ScenarioName, typer.Option(help="What dose does to a lesion.")]
Reader = Annotated[
    float,
    typer.Option(min=0.0, help="Standard deviation of the border a reader draws on CT, against the true one. [mm]"),
]
Complete = Annotated[bool, typer.Option("--complete", help="Nobody misses a scan.")]
Fields = Annotated[
    bool, typer.Option("--fields", help="Also keep label maps and displacement fields of every scan: large.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("patient")
def patient(
    out: Out,
    *,
    seed: Seed = 1,
    size: Size = SizeName.SMALL,
    spect: Spect = ModeName.FAST,
    scenario: Scenario = ScenarioName.STRONG,
    reader_error: Reader = 0.0,
    complete: Complete = False,
    fields: Fields = False,
    anatomy_ct: Annotated[
        Path | None, typer.Option(help="CT as NIfTI that is the body, in HU; with --anatomy-labels.")
    ] = None,
    anatomy_labels: Annotated[Path | None, typer.Option(help="Label map of its organs, as NIfTI on its grid.")] = None,
    names: Annotated[
        str | None,
        typer.Option(help="Table of label numbers and names, or totalsegmentator-total; default: those in the file."),
    ] = None,
    json: Json = False,
) -> None:
    """Make one patient: all images of the study, and the truth beside them."""
    from lutra.simulate import simulate_patient

    with show.reported():
        anatomy = _anatomy(anatomy_ct, anatomy_labels, names)
        settings = _settings(size, spect, scenario, reader_error, complete=complete, fields=fields, anatomy=anatomy)
        with show.progress_bar() as bar:
            task = bar.add_task("digital patient", total=None)
            written = simulate_patient(
                out, seed, settings, lambda what, n, of: bar.update(task, description=what, completed=n, total=of)
            )
    _say(written, json)
    if anatomy and anatomy.cut_organs and not json:
        show.out.print(
            f"the CT ends within {', '.join(anatomy.cut_organs)}: their masses are drawn from the population, and their "
            "volume and activity, in images and truth, are of the part in the field of view"
        )


@app.command("trial")
def trial(
    out: Out,
    *,
    patients: Patients = 6,
    seed: Seed = 1,
    size: Size = SizeName.SMALL,
    spect: Spect = ModeName.FAST,
    scenario: Scenario = ScenarioName.STRONG,
    reader_error: Reader = 0.0,
    complete: Complete = False,
    fields: Fields = False,
    tables: Annotated[
        int, typer.Option(min=0, help="In place of images: so many trials as tables of lesions and patients.")
    ] = 0,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Make a virtual trial. The same seed gives the same bytes for any number of workers."""
    if tables:
        _table_trials(out, tables, patients, seed, json)
        return
    with show.reported():
        settings = _settings(size, spect, scenario, reader_error, complete=complete, fields=fields)
        written = make_trial(out, patients, seed, settings, workers)
    _say(written, json)


@app.command("power")
def power(
    spec: Annotated[Path, typer.Argument(help="Planned study, as TOML: docs/predict.md.", show_default=False)],
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Power, type I error and coverage of the primary analysis of a planned study, on tables of virtual trials."""
    from attrs import asdict

    from lutra.pipeline.given_files import text_of
    from lutra.pipeline.workers import available_cores
    from lutra.simulate.power import operating_characteristics, parse_power_spec

    with show.reported():
        plan = parse_power_spec(text_of(spec), str(spec))
        with show.progress_bar() as bar:
            task = bar.add_task("virtual trials", total=None)
            found = operating_characteristics(
                plan, workers or available_cores(), lambda n, of: bar.update(task, completed=n, total=of)
            )
    if json:
        show.print_json({"plan": asdict(plan), "results": [asdict(o) for o in found]})
        return
    listing = show.table(
        "patients",
        "predictor",
        "true effect",
        "found in",
        "mean estimate",
        "95 % intervals hold it",
        "robust ones",
        "trials",
    )
    for o in found:
        what = "power" if o.truth else "type I"
        listing.add_row(
            str(o.patients),
            o.predictor,
            f"{o.truth:g}",
            f"{o.rejected:.1%} ({what})",
            f"{o.mean:.4f}",
            f"{o.coverage:.1%}",
            f"{o.coverage_robust:.1%}",
            str(o.fitted),
        )
    show.out.print(listing)


@app.command("compare")
def compare(
    directory: Annotated[Path, typer.Argument(help="Study folder, after lutra run.", show_default=False)],
    truth: Annotated[
        Path | None, typer.Option(help="Folder of the truth; default: in the study, beside it or beside the images.")
    ] = None,
    minimum_ml: Annotated[float, typer.Option(min=0.0, help="Leave out lesions that are truly smaller. [mL]")] = 0.0,
    json: Json = False,
) -> None:
    """Compare a study of digital patients with the truth: bias, spread, and what the 95 % intervals hold."""
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        found, table = compared(StudyFolder(directory), truth, minimum_ml)
    if json:
        from lutra.simulate.compare import as_json

        show.print_json({**as_json(found, pairs=False), "table": str(table)})
        return
    print_agreements(found.agreements)
    for words, rows in (
        ("no truth is known of", found.without_truth),
        ("the study has no result for", found.not_found),
    ):
        if rows:
            names = ", ".join(f"{image} {quantity} ({n})" for image, quantity, n in rows)
            show.out.print(f"[dim]{words}: {escape(names)}[/dim]")
    show.out.print(f"table: {table}")


def _table_trials(out: Path, number: int, patients: int, seed: int, json: bool) -> None:
    from lutra.pipeline.given_files import empty_folder
    from lutra.simulate.table_trial import TableTrial, write_table_trials

    with show.reported():
        written = write_table_trials(empty_folder(out), TableTrial(patients=patients), number, seed)
    if json:
        show.print_json({"files": [str(path) for path in written]})
    else:
        show.out.print(f"{number} trials of {patients} patients, as tables: {out}")


def compared(study: StudyFolder, truth: Path | None = None, minimum_ml: float = 0.0) -> tuple[Comparison, Path]:
    """Compare a study and write what was found beside the tables of its report; a later report removes it."""
    from lutra.simulate.compare import compare as compare_study
    from lutra.simulate.compare import write_comparison

    found = compare_study(study, truth, minimum_ml)
    table, _ = write_comparison(found, study.root / "report" / "tables")
    return found, table


def make_trial(out: Path, patients: int, seed: int, settings: TrialSettings, workers: int | None) -> WrittenTrial:
    """Simulate a trial with a progress bar."""
    from lutra.pipeline.workers import available_cores
    from lutra.simulate import simulate_trial

    with show.progress_bar() as bar:
        task = bar.add_task("digital patients", total=patients)
        return simulate_trial(
            out,
            patients,
            seed,
            settings,
            workers or available_cores(),
            lambda what, n, of: bar.update(task, description=f"simulated {what}", completed=n, total=of),
        )


def add_calibrations(written: WrittenTrial, study: StudyFolder) -> None:
    """Put the calibration files of a trial into a study of its images."""
    from lutra.pipeline.calibrations import FOLDER

    for file in sorted(written.calibration.glob("*.toml")):
        shutil.copyfile(file, study.root / FOLDER / file.name)


def print_agreements(rows: tuple[Agreement, ...], only: tuple[tuple[str, str], ...] = ()) -> None:
    """Print the summary as a table: all rows, or those of some images and quantities in their order."""
    chosen = [row for image, quantity in only for row in rows if (row.image, row.quantity) == (image, quantity)]
    listing = show.table("image", "quantity", "n", "median error", "quartiles", "RMSE", "95 % intervals that hold it")
    for row in chosen or rows:
        factor, sign = (100.0, " %") if row.relative else (1.0, f" {row.unit}")
        held = "not evaluated"
        if row.coverage is not None:
            held = f"{100 * row.coverage:.0f} % of {row.evaluated}"
        elif row.lower_bound_coverage is not None:
            held = f"{100 * row.lower_bound_coverage:.0f} % of {row.lower_bounds}, evaluated sources alone"
        listing.add_row(
            escape(row.image),
            escape(row.quantity),
            str(row.n),
            f"{factor * row.bias:+.1f}{sign}",
            f"{factor * row.lower_quartile:+.1f} to {factor * row.upper_quartile:+.1f}",
            f"{row.rmse:.3g} {row.unit}".strip(),
            held,
        )
    show.out.print(listing)


def _settings(
    size: SizeName,
    spect: ModeName,
    scenario: ScenarioName,
    reader_error: float,
    *,
    complete: bool,
    fields: bool,
    anatomy: LabelledAnatomy | None = None,
) -> TrialSettings:
    from lutra.simulate import TrialSettings
    from lutra.simulate.drawn import Hand
    from lutra.simulate.missing import MissingSettings
    from lutra.simulate.patient import PatientSettings
    from lutra.simulate.response import TruthScenario
    from lutra.simulate.sizes import size_of_name

    return TrialSettings(
        size_of_name(size.value),
        PatientSettings(scenario=TruthScenario(scenario.value), anatomy=anatomy),
        None if complete else MissingSettings(),
        Hand(reader_error),
        mode="full" if spect is ModeName.FULL else "fast",
        fields=fields,
    )


def _anatomy(ct: Path | None, labels: Path | None, names: str | None) -> LabelledAnatomy | None:
    from lutra.core.errors import UsageError
    from lutra.simulate.anatomy import read_anatomy

    if ct is None and labels is None and names is None:
        return None
    if ct is None or labels is None:
        raise UsageError("half an anatomy", required="--anatomy-ct and --anatomy-labels together")
    return read_anatomy(ct, labels, names)


def _say(written: WrittenTrial, json: bool) -> None:
    calibrations = sorted(str(path) for path in written.calibration.glob("*.toml"))
    places: dict[str, Any] = {"dicom": str(written.dicom), "truth": str(written.truth), "tables": str(written.tables)}
    if json:
        show.print_json({**places, "files": written.files, "calibration": calibrations})
        return
    show.out.print(f"{written.files} DICOM files: {written.dicom}\ntruth: {written.truth}\ntables: {written.tables}")
    if calibrations:
        show.out.print(f"calibrations, to be copied into STUDY/calibration: {written.calibration}")
