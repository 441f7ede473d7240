"""`lutra patient-model`: who responds, from lesions; made once, kept, and used for new patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from lutra.cli import show

app = typer.Typer(no_args_is_help=True, help="A model of who responds by RECIST 1.1: make, keep and use it.")


@app.command("fit")
def fit(
    lesions: Annotated[Path, typer.Argument(metavar="LESIONS.csv", help="One row per lesion.", show_default=False)],
    patients: Annotated[Path, typer.Argument(metavar="PATIENTS.csv", help="One row per patient.", show_default=False)],
    spec: Annotated[Path, typer.Option(help="What it is made of, as TOML: docs/predict.md.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to keep the model in.", show_default=False)],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Make the model, validate it by patient beside the comparator fixed in advance, and keep it as one JSON file."""
    from json import dumps

    from lutra.core.finding import Finding
    from lutra.pipeline.patient_model import make_patient_model

    with show.reported():
        with show.progress_bar() as bar:
            task = bar.add_task("validating", total=None)
            kept = make_patient_model(
                lesions, patients, spec, progress=lambda n, of: bar.update(task, completed=n, total=of)
            )
        out.write_text(dumps(kept, indent=1), "utf-8")
    findings = tuple(Finding(f["severity"], f["code"], f["text"]) for f in kept["findings"])
    if json:
        show.print_json(kept)
    else:
        show.out.print(f"{kept['n']['lesions']} lesions of {kept['n']['patients']} patients: {out}")
        _print_validation(kept["validation"])
        show.print_findings(findings)
    raise typer.Exit(show.exit_code(findings))


def _print_validation(validation: dict[str, Any] | None) -> None:
    if validation is None:
        return
    listing = show.table("validated by patient", "apparent", "corrected", "95 %", "cross-validated")
    for name in ("model", "mean_lesion_probability"):
        for measure in ("auc", "brier", "slope", "intercept"):
            own = validation[name]
            ends = own["corrected_ci95"][measure]
            band = "" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"
            apparent, corrected, held = (
                _number(own[kind][measure]) for kind in ("apparent", "corrected", "cross_validated")
            )
            listing.add_row(f"{name.replace('_', ' ')}, {measure}", apparent, corrected, band, held)
    show.out.print(listing)


def _number(value: float | None) -> str:
    return "undetermined" if value is None else f"{value:.3f}"


def _banded(probability: float, ends: tuple[float, float]) -> str:
    return f"{probability:.0%} ({ends[0]:.0%} to {ends[1]:.0%})"


@app.command("predict")
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL.json", help="As made by fit.", show_default=False)],
    lesions: Annotated[
        Path, typer.Argument(metavar="LESIONS.csv", help="Lesions of new patients.", show_default=False)
    ],
    patients: Annotated[
        Path | None, typer.Option(help="Where the model needs columns of patients.", show_default=False)
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Predict CR or PR, SD, PD and a new lesion for new patients, with intervals, and say where that extrapolates."""
    from attrs import asdict

    from lutra.ingest.data_table import read_data_table
    from lutra.pipeline.patient_model import predict_new_patients, read_patient_model

    with show.reported():
        people = None if patients is None else read_data_table(patients)
        found = predict_new_patients(read_patient_model(model), read_data_table(lesions), people)
    findings = tuple(f for _, _, own in found for f in own)
    if json:
        rows = [
            {
                "patient": name,
                "prediction": None if p is None else asdict(p),
                "findings": [{"severity": f.severity.value, "code": f.code, "text": f.text} for f in own],
            }
            for name, p, own in found
        ]
        show.print_json({"patients": rows})
    else:
        listing = show.table("patient", "CR or PR", "SD", "PD", "new lesion", "mean change of the sum")
        for name, p, own in found:
            doubt = " *" if own else ""
            if p is None:
                listing.add_row(escape(name) + doubt, "undetermined", "", "", "", "")
                continue
            new = "" if p.new_lesion is None else f"{p.new_lesion:.0%}"
            listing.add_row(
                escape(name) + doubt,
                _banded(p.response, p.response_95),
                _banded(p.stable, p.stable_95),
                _banded(p.progression, p.progression_95),
                new,
                f"{p.expected_change:+.0%}",
            )
        show.out.print(listing)
        show.print_findings(findings)
    raise typer.Exit(show.exit_code(findings))
