"""Biologically effective dose without a study."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from lutra.cli import show


def bed(
    dose_gy: Annotated[float, typer.Option(min=0.0, help="Absorbed dose of one cycle. [Gy]", show_default=False)],
    effective_half_life_h: Annotated[float, typer.Option(help="Of the washout. [h]", show_default=False)],
    uptake_half_life_h: Annotated[
        float | None, typer.Option(help="Of the uptake; without one activity is there at once. [h]")
    ] = None,
    *,
    tissue: Annotated[str, typer.Option(help="kidney, tumour or marrow: alpha/beta and repair.")] = "kidney",
    alpha_beta_gy: Annotated[float | None, typer.Option(help="In place of the tissue's own. [Gy]")] = None,
    repair_half_life_h: Annotated[float | None, typer.Option(help="In place of the tissue's own. [h]")] = None,
    cycles: Annotated[int, typer.Option(min=1, help="Equal cycles, far enough apart to repair.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Biologically effective dose and its equivalent in fractions of 2 Gy, of a dose that is given while tissue repairs."""
    from lutra.core.errors import UsageError
    from lutra.core.units import HOUR_S
    from lutra.physics.radiobiology import LN2, TISSUES, DoseRate, Tissue, bed_gy, eqd2_gy, protraction

    with show.reported():
        if tissue not in TISSUES:
            raise UsageError(f"tissue {tissue!r}", required=f"one of: {', '.join(TISSUES)}")
        known = TISSUES[tissue]
        changed = [name for name, v in (("alpha/beta", alpha_beta_gy), ("repair", repair_half_life_h)) if v is not None]
        known = Tissue(
            known.alpha_beta_gy if alpha_beta_gy is None else alpha_beta_gy,
            known.repair_half_life_s if repair_half_life_h is None else repair_half_life_h * HOUR_S,
            f"{known.source}; {' and '.join(changed)} as given" if changed else known.source,
        )
        halves = [(1.0, effective_half_life_h)]
        if uptake_half_life_h is not None:
            halves.append((-1.0, uptake_half_life_h))
        if min(h for _, h in halves) <= 0:
            raise UsageError("a half-life of 0 h or less", required="half-lives above 0 h")
        rate = DoseRate([a for a, _ in halves], [LN2 / (h * HOUR_S) for _, h in halves])
        g = protraction(rate, known.repair_half_life_s)
        one = float(bed_gy(dose_gy, g, known.alpha_beta_gy))
        eqd2 = float(eqd2_gy(one, known.alpha_beta_gy))
    values = {
        "dose_gy": dose_gy,
        "g": g,
        "bed_gy": one,
        "eqd2_gy": eqd2,
        "cycles": cycles,
        "total_dose_gy": dose_gy * cycles,
        "total_bed_gy": one * cycles,
        "total_eqd2_gy": eqd2 * cycles,
        "alpha_beta_gy": known.alpha_beta_gy,
        "repair_half_life_h": known.repair_half_life_s / HOUR_S,
        "source": known.source,
    }
    if json:
        show.print_json(values)
    else:
        show.out.print(f"{dose_gy:g} Gy, G = {g:.4f}: BED {one:.4f} Gy, EQD2 {eqd2:.4f} Gy ({escape(known.source)})")
        if cycles > 1:
            show.out.print(
                f"{cycles} cycles: {dose_gy * cycles:g} Gy, BED {one * cycles:.4f} Gy, EQD2 {eqd2 * cycles:.4f} Gy"
            )
