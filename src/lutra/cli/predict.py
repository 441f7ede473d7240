"""`lutra predict`: models of tables of lesions and patients, without a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from lutra.cli import show

if TYPE_CHECKING:
    from lutra.predict import ModelResult


def predict(
    lesions: Annotated[Path, typer.Argument(metavar="LESIONS.csv", help="One row per lesion.", show_default=False)],
    patients: Annotated[Path, typer.Argument(metavar="PATIENTS.csv", help="One row per patient.", show_default=False)],
    spec: Annotated[Path, typer.Option(help="Models to fit, as TOML: docs/predict.md.", show_default=False)],
    *,
    intervals: Annotated[
        Path | None, typer.Option(help="One row per patient and interval, for values that change.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Fit models of clustered outcomes and survival; lesions of one patient are never taken as independent."""
    from lutra.pipeline.predict_tables import predict_tables

    with show.reported():
        found = predict_tables(lesions, patients, spec, intervals)
    if json:
        show.print_json(found.as_json())
    else:
        for model in found.models:
            _print(model)
        show.print_findings(found.findings)
    raise typer.Exit(show.exit_code(found.findings))


def _print(model: ModelResult) -> None:
    state = "" if model.converged else ", [magenta]no result[/magenta]"
    show.out.print(
        f"[bold]{escape(model.name)}[/bold]: {model.kind}, {model.n} rows, {model.n_clusters} patients{state}"
    )
    if model.coefficients:
        listing = show.table("effect", "estimate", "SE", "95 %", "p")
        for name, c in model.coefficients.items():
            p = "" if c.p is None else f"{c.p:.3g}"
            listing.add_row(escape(name), f"{c.estimate:.5g}", f"{c.se:.3g}", f"{c.ci95[0]:.4g} to {c.ci95[1]:.4g}", p)
        show.out.print(listing)
    if imputed := model.numbers.get("imputed"):
        _print_imputed(imputed)
    if validation := model.numbers.get("validation"):
        _print_validation(validation)
    if model.kind == "auc" and model.converged:
        _print_areas(model)
    if posterior := model.numbers.get("posterior"):
        _print_posterior(posterior)
    if forecasts := model.numbers.get("forecasts"):
        listing = show.table("row", "cycle", "forecast dose [Gy]", "95 % of such lesions")
        for f in forecasts:
            low, high = f["prediction95"]
            listing.add_row(str(f["row"]), str(f["cycle"]), f"{f['dose_gy']:.1f}", f"{low:.1f} to {high:.1f}")
        show.out.print(listing)
    numbers = [f"{name} {value:.6g}" for name, value in model.numbers.items() if isinstance(value, float)]
    if numbers:
        show.out.print(f"[dim]{escape(', '.join(numbers))}[/dim]")


def _print_posterior(posterior: Mapping[str, Any]) -> None:
    refits = posterior["prior_sensitivity"]
    listing = show.table("posterior", "mean", "SD", "95 %", *(f"{name} the prior's width" for name in refits))
    for name, found in posterior["parameters"].items():
        low, high = found["ci95"]
        others = [f"{r['parameters'][name]['mean']:.5g}" if r["converged"] else "no result" for r in refits.values()]
        listing.add_row(escape(name), f"{found['mean']:.5g}", f"{found['sd']:.3g}", f"{low:.4g} to {high:.4g}", *others)
    show.out.print(listing)


def _print_validation(validation: Mapping[str, Any]) -> None:
    listing = show.table("validated by patient", "apparent", "corrected", "95 %", "cross-validated")
    for name, corrected in validation["corrected"].items():
        ends = validation["corrected_ci95"][name]
        band = "" if ends is None else f"{ends[0]:.3g} to {ends[1]:.3g}"
        values = (validation["apparent"][name], corrected, validation["cross_validated"][name])
        apparent, own, held = ("undetermined" if v is None else f"{v:.3g}" for v in values)
        listing.add_row(name, apparent, own, band, held)
    show.out.print(listing)


def _print_areas(model: ModelResult) -> None:
    each = model.numbers.get("predictors") or {"": model.numbers}
    cuts = model.numbers.get("cut_off") or {}
    listing = show.table(
        "predictor", "area", "95 %, clustered", "cut-off", "95 % of cut-offs", "sensitivity, specificity, corrected"
    )
    for name, area in each.items():
        ends, cut = area["ci95"], cuts if "value" in cuts else cuts.get(name)
        band = "not determined" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"
        more = ("", "", "")
        if cut:
            rates = f"{cut['sensitivity_corrected']:.2f}, {cut['specificity_corrected']:.2f}"
            more = (f"{cut['value']:.4g}", f"{cut['ci95'][0]:.4g} to {cut['ci95'][1]:.4g}", rates)
        listing.add_row(escape(name), f"{area['estimate']:.4f}", band, *more)
    show.out.print(listing)


def _print_imputed(imputed: Mapping[str, Any]) -> None:
    title = f"{imputed['m']} imputed sets, {imputed['n']} rows"
    listing = show.table(title, "estimate", "SE", "95 %", "p", "information missing")
    for name, c in imputed["coefficients"].items():
        band = f"{c['ci95'][0]:.4g} to {c['ci95'][1]:.4g}"
        cells = (f"{c['estimate']:.5g}", f"{c['se']:.3g}", band, f"{c['p']:.3g}", f"{c['missing_information']:.0%}")
        listing.add_row(escape(name), *cells)
    show.out.print(listing)
