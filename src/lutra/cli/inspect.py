"""Prints what `lutra inspect` found."""

from __future__ import annotations

from collections import Counter

from attrs import astuple
from rich.markup import escape
from rich.table import Table

from lutra.cli import show
from lutra.pipeline.inspect import SeriesInspection

SUV_FACTORS = {"suv_bw": "SUVbw", "sul": "SUL", "sul_james": "SUL (James)", "suv_bsa": "SUVbsa, cm²/mL,"}


def print_series(series: tuple[SeriesInspection, ...]) -> None:
    """One block per series."""
    for one in series:
        show.out.print(f"[bold]{escape(one.modality)}[/bold] {escape(one.description)} [dim]{one.series_uid}[/dim]")
        facts = show.table("", "")
        facts.show_header = False
        if one.grid:
            facts.add_row("grid", escape(one.grid.describe()))
        for line in one.holds:
            facts.add_row("holds", escape(line))
        nuclear = one.modality in {"PT", "NM"}
        expected = {"unit": one.unit, "acquired": one.acquired_at}
        expected |= {"decay reference": one.decay_referenced_to} if nuclear else {}
        for name, value in expected.items():
            if not one.holds:
                facts.add_row(name, escape(value) if value else "[magenta]undetermined[/magenta]")
        if nuclear:
            facts.add_row("SUV rule", f"{escape(one.suv_case or '')}: {escape(one.suv_bw_reason)}")
            for name, title in SUV_FACTORS.items():
                facts.add_row(f"{title} factor", _factor(one.suv_factors.get(name, ())))
        if one.b_values_s_per_mm2:
            counted = Counter(one.b_values_s_per_mm2)
            listed = ", ".join(f"{b:g}" + (f" ({n} volumes)" if n > 1 else "") for b, n in sorted(counted.items()))
            facts.add_row("b-values", f"{listed} s/mm²")
        if one.total_activity_mbq is not None:
            facts.add_row("total activity", f"{one.total_activity_mbq:.6g} MBq at the acquisition")
        if one.modality == "NM":
            _add_camera(facts, one)
        show.out.print(facts)


def _add_camera(facts: Table, one: SeriesInspection) -> None:
    """Add what a calibration file must say, and what a camera factor is computed from."""
    camera = one.camera
    if camera:
        facts.add_row("camera", escape(", ".join(part for part in astuple(camera) if part)))
    for window in one.energy_windows:
        facts.add_row("energy window", escape(f"{window.name} {window.lower_kev:g} to {window.upper_kev:g} keV"))
    if one.total_counts:
        facts.add_row(
            "total activity", "[magenta]undetermined[/magenta]: counts need a camera factor, docs/calibration.md"
        )
        facts.add_row("total counts", ", ".join(f"{counts:.6g}" for counts in one.total_counts))
    if one.acquisition_duration_s:
        facts.add_row("counted for", f"{one.acquisition_duration_s:g} s")


def _factor(values: tuple[float, ...]) -> str:
    if not values:
        return "[magenta]undetermined[/magenta]"
    return f"{values[0]:.8g}" if len(values) == 1 else f"{min(values):.8g} to {max(values):.8g}, slice by slice"
