"""Red marrow dose from a table of blood samples and numbers of the body, without a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lutra.core.dose import DoseResult, MarrowDose
from lutra.core.errors import UsageError
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S, Unit
from lutra.dose.marrow import MarrowSettings, marrow_dose
from lutra.dose.region_means import self_dose
from lutra.pipeline.curve_fits import BQ_PER_MBQ, fit_curves

BLOOD_MODELS = ("two-phase-washout", "biexponential", "monoexponential", "population-tail")
"""Asked in this order: blood falls in two phases, fullest at the start."""
BODY = "body as a sphere"


def marrow_of_tables(
    nuclide: str,
    settings: MarrowSettings,
    seed: int,
    blood: Path | None = None,
    body: tuple[float, float] | None = None,
    image: tuple[float, float] | None = None,
) -> Outcome[MarrowDose]:
    """Dose of red marrow by what is given.

    Parameters
    ----------
    blood
        Table as of `lutra fit` with one curve, in MBq per mL.
    body
        Time-integrated activity of the body [MBq h] and its mass [kg]; photons of the body reach marrow as they reach the rest of
        it on average.
    image
        Dose of the region in the lumbar vertebrae, and the part of it that photons bring. [Gy]

    Raises
    ------
    UsageError
        If the table holds more than one curve.
    """
    findings: tuple[Finding, ...] = ()
    concentration = None
    if blood is not None:
        fits = fit_curves(blood, nuclide, BLOOD_MODELS, None, seed)
        if len(fits) != 1:
            raise UsageError(f"{len(fits)} curves", where=str(blood), required="one curve, that of blood")
        findings = fits[0].findings
        concentration = fits[0].fit.time_integrated_activity if fits[0].fit else None
    cross = None if body is None else _of_body(nuclide, *body)
    seen = None
    if image is not None:
        total, photons = image
        dose = Estimate(total, Unit.GY, FrozenMap({"dose of the region": None}))
        seen = DoseResult("marrow", "given", dose, Estimate(1.0, Unit.G), None, {"photons": photons})
    outcome = marrow_dose(nuclide, cross, settings, concentration, seen)
    return Outcome(outcome.value, (*findings, *outcome.findings))


def _of_body(nuclide: str, mbq_h: float, mass_kg: float) -> Estimate:
    s = self_dose(nuclide, mass_kg * 1e3, 1.03).photons
    return Estimate(mbq_h * BQ_PER_MBQ * HOUR_S * s, Unit.GY, FrozenMap({BODY: None}))


def rows(found: MarrowDose) -> Sequence[dict[str, float | str | None]]:
    """One row per method. [Gy]"""
    return [
        {
            "method": m.name,
            "own_gy": m.own.value,
            "cross_gy": None if m.cross is None else m.cross.value,
            "total_gy": m.total.value,
            "u_gy": m.total.sd,
            "not_evaluated": "; ".join(m.total.not_evaluated),
        }
        for m in found.methods
    ]
