"""Prints what `lutra inspect` found."""

from __future__ import annotations

from rich.markup import escape

from lutra.cli import show
from lutra.pipeline.inspect import SeriesInspection


def print_series(series: tuple[SeriesInspection, ...]) -> None:
    """One block per series."""
    for one in series:
        show.out.print(f"[bold]{escape(one.modality)}[/bold] {escape(one.description)} [dim]{one.series_uid}[/dim]")
        facts = show.table("", "")
        facts.show_header = False
        if one.grid:
            facts.add_row("grid", escape(one.grid.describe()))
        for name, value in (
            ("unit", one.unit),
            ("acquired", one.acquired_at),
            ("decay reference", one.decay_referenced_to),
        ):
            facts.add_row(name, escape(value) if value else "[magenta]undetermined[/magenta]")
        if one.modality in {"PT", "NM"}:
            factor = "[magenta]undetermined[/magenta]" if one.suv_bw_factor is None else f"{one.suv_bw_factor:.8g}"
            facts.add_row("SUVbw factor", f"{factor}: {escape(one.suv_bw_reason)}")
        if one.total_activity_mbq is not None:
            facts.add_row("total activity", f"{one.total_activity_mbq:.6g} MBq at the acquisition")
        show.out.print(facts)
