"""Fits the curves of a table, without a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from lutra.core.curve import TacFit
from lutra.core.errors import UsageError
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding
from lutra.core.units import HOUR_S, Unit
from lutra.ingest.curve_table import read_curves
from lutra.kinetics import KineticsSettings, fit_first
from lutra.pipeline import plugins
from lutra.pipeline.seeds import seed_from
from lutra.reference.nuclides import nuclide as nuclide_named
from lutra.reference.populations import tissues

BQ_PER_MBQ = 1e6
SHOWN = {Unit.BQ: (1 / BQ_PER_MBQ, "MBq"), Unit.PER_S: (HOUR_S, "/h"), Unit.S: (1 / HOUR_S, "h")}


@frozen(eq=False)
class CurveFit:
    """A curve of a table and what became of it."""

    curve: str
    fit: TacFit | None
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """Give plain data in MBq and h, without the Findings; None for what could not be determined."""
        fit = self.fit
        if fit is None:
            names = ("model", "parameters", "tia_mbq_h", "u_tia_mbq_h", "interval_95", "effective_half_life_h")
            return {"curve": self.curve, **dict.fromkeys((*names, "extrapolated_fraction"))}
        tia = fit.time_integrated_activity
        per = BQ_PER_MBQ * HOUR_S
        interval = tia.interval()
        return {
            "curve": self.curve,
            "model": fit.model,
            "parameters": {name: _shown(estimate) for name, estimate in fit.parameters.items()},
            "tia_mbq_h": tia.value / per,
            "u_tia_mbq_h": None if tia.sd is None else tia.sd / per,
            "interval_95": None if interval is None else [max(bound, 0.0) / per for bound in interval],
            "effective_half_life_h": fit.effective_half_life.value / HOUR_S,
            "extrapolated_fraction": fit.extrapolated_fraction,
        }


def fit_curves(
    table: Path, nuclide: str, models: Sequence[str], population: str | None, seed: int
) -> tuple[CurveFit, ...]:
    """Fit every curve with the first model its points identify.

    Parameters
    ----------
    models
        Names of plugins; none: those of the default protocol.
    population
        Tissue whose half-lives stand in where the points leave them open; None: any.
    seed
        A curve's draws follow from it and the curve's name, whatever else the table holds.

    Raises
    ------
    InputError
        If the table cannot be read.
    UsageError
        If nuclide or population is not known.
    """
    nuclide_named(nuclide)
    if population is not None and population not in tissues(nuclide):
        known = ", ".join(tissues(nuclide)) or "none"
        raise UsageError(f"no population of half-lives for {population!r} and {nuclide}", required=f"one of: {known}")
    settings = KineticsSettings(models=tuple(models)) if models else KineticsSettings()
    loaded = [plugins.load("kinetics", name) for name in settings.models]
    fits = []
    for curve in read_curves(table, nuclide, population):
        outcome = fit_first(curve, loaded, {}, seed_from(seed, curve.region), settings.extrapolated_fraction_flag)
        fits.append(CurveFit(curve.region, outcome.value, outcome.findings))
    return tuple(fits)


def _shown(estimate: Estimate) -> dict[str, float | str | None]:
    factor, unit = SHOWN[estimate.unit]
    return {
        "value": estimate.value * factor,
        "u": None if estimate.sd is None else estimate.sd * factor,
        "unit": unit,
    }
