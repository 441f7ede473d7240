"""What a cross-dose is made of, against transport of one source at a time, and whose names its uncertainty has."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.dose import DoseProblem, DoseResult, DoseTarget
from lutra.core.estimate import Draws, Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.volume import Volume
from lutra.dose import Hybrid

GRID = Grid((24, 24, 24), np.diag([5.0, 5.0, 5.0, 1.0]), "1.2.3")
PLACES = {"cold": (4, 10, 10), "near": (9, 10, 10), "far": (17, 12, 9)}
EDGE = 4
CAMERA, NAMES = 0.05, ("near", "far", "rest")


def fit(name: str, mbq_h: float, draws: Draws | None = None) -> TacFit:
    curve = TimeActivityCurve(name, "Lu-177", [3600.0], (Estimate(1e6, Unit.BQ),))
    value = mbq_h * 3.6e9
    own = {draws.sources[0]: float(draws.values.std())} if draws else {f"fit: {name}": 0.1 * value}
    tia = Estimate(value, Unit.BQ_S, {"camera calibration": CAMERA * value, **own}, draws)
    band = CurveBand([0, 1], [1, 1], [1, 1], [1, 1])
    return TacFit(curve, "test", {}, tia, Estimate(1e5, Unit.S), 0.0, identifiable=True, band=band)


def target(name: str, of: TacFit | None) -> DoseTarget:
    region = Region(name, RegionKind.LESION, GRID, PLACES[name], np.ones((EDGE,) * 3), None, RegionOrigin.DRAWN, "")
    return DoseTarget(region, of, Estimate(region.volume_ml * 1.03, Unit.G, {}), name)


def cold(fits: dict[str, TacFit], *, measured: bool = True) -> DoseResult:
    """Dose of a region without activity, among others that have some."""
    targets = [target("cold", None), *(target(n, fits[n]) for n in ("near", "far") if n in fits)]
    image = Volume(np.ones(GRID.shape), GRID, Unit.BQ_PER_ML)
    ct = Volume(np.full(GRID.shape, 14.0), GRID, Unit.HU)
    rest = fits.get("rest", fit("rest", 0.0)) if measured else None
    value = (
        Hybrid().dose(DoseProblem("Lu-177", image, tuple(targets), rest, ct), FrozenMap({"histories": 3e6}), 1).value
    )
    assert value is not None
    return value.results[0]


def test_shares_are_those_of_one_source_at_a_time() -> None:
    """Near, far and all around, whose photons are followed one after another. Scatter from beyond this small field, which the rough
    division knows nothing of, moves 6 % of the dose from what is around to what is farther; photons drawn scatter by 1 %.
    """
    fits = {name: fit(name, mbq_h) for name, mbq_h in zip(NAMES, (100.0, 400.0, 800.0), strict=True)}
    whole = cold(fits)
    alone = {name: cold({name: one}).absorbed_dose.value for name, one in fits.items()}
    assert sum(alone.values()) == pytest.approx(whole.absorbed_dose.value, rel=0.04)
    for name, gy in alone.items():
        assert whole.absorbed_dose.budget[f"fit: {name}"] == pytest.approx(
            0.1 * gy, abs=0.1 * 0.07 * whole.absorbed_dose.value
        )
    assert whole.absorbed_dose.budget["camera calibration"] == pytest.approx(CAMERA * whole.absorbed_dose.value)


def test_what_a_source_holds_as_draws_is_summed_up_and_what_is_not_measured_stays_unknown() -> None:
    values = np.array([0.8, 1.0, 1.2]) * 100 * 3.6e9
    drawn = fit("near", 100.0, Draws(("tail half-life: near",), values))
    dose = cold({"near": drawn}).absorbed_dose
    assert dose.draws is None
    assert "tail half-life: near" not in dose.budget
    assert dose.budget["cross-dose"] == pytest.approx(dose.value * values.std() / values.mean())
    without = cold({"near": drawn}, measured=False).absorbed_dose
    assert without.budget["cross-dose"] is None
    assert without.sd is None
