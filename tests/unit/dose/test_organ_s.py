"""S values of the patient's own anatomy against the hybrid engine, and those of a table by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.dose import DoseProblem, DoseResult, DoseTarget
from lutra.core.errors import ProtocolError
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.volume import Volume
from lutra.dose import Hybrid, OrganS

GRID = Grid((24, 24, 24), np.diag([4.4, 4.4, 4.4, 1.0]), "1.2.3")
BAND = CurveBand([0, 1], [1, 1], [1, 1], [1, 1])


def target(name: str, corner: tuple[int, int, int], mbq_h: float, size: int = 6) -> DoseTarget:
    region = Region(name, RegionKind.ORGAN, GRID, corner, np.ones((size,) * 3), None, RegionOrigin.DRAWN, "")
    mass_g = region.volume_ml * 1.03
    decays = Estimate(mbq_h * 3.6e9, Unit.BQ_S, {"camera": 0.05 * mbq_h * 3.6e9})
    curve = TimeActivityCurve(name, "Lu-177", [3600.0], (Estimate(1e6, Unit.BQ),))
    fit = TacFit(curve, "t", {}, decays, Estimate(1e5, Unit.S), 0.1, True, BAND)
    return DoseTarget(region, fit, Estimate(mass_g, Unit.G, {f"volume: {name}": 0.1 * mass_g}), name)


def problem(*targets: DoseTarget) -> DoseProblem:
    image = Volume(np.ones(GRID.shape), GRID, Unit.BQ_PER_ML)
    return DoseProblem("Lu-177", image, targets, None, Volume(np.full(GRID.shape, 14.0), GRID, Unit.HU))


def doses(engine: OrganS | Hybrid, what: DoseProblem, **settings: float | str) -> dict[str, DoseResult]:
    value = engine.dose(what, FrozenMap(settings), 3).value
    assert value is not None
    return {r.region: r for r in value.results}


LEFT, RIGHT = target("left kidney", (3, 9, 9), 500.0), target("right kidney", (15, 9, 9), 300.0)


def test_own_monte_carlo_agrees_with_the_hybrid_engine() -> None:
    """The same photons, followed per source; a thousandth is statistics of 200 000 histories."""
    what = problem(LEFT, RIGHT)
    by_s, by_map = doses(OrganS(), what), doses(Hybrid(), what, histories=500_000)
    for name, result in by_s.items():
        assert result.absorbed_dose.value == pytest.approx(by_map[name].absorbed_dose.value, rel=3e-3)
        assert sum(result.parts.values()) == pytest.approx(result.absorbed_dose.value, rel=1e-9)
        assert result.absorbed_dose.budget["camera"] == pytest.approx(0.05 * result.absorbed_dose.value, rel=1e-3)


def test_photons_go_both_ways_alike() -> None:
    """Between two alike regions in one medium S is the same in both directions."""
    by_s = doses(OrganS(), problem(LEFT, RIGHT), histories=1_000_000)
    there = by_s["right kidney"].parts["left kidney"] / 500
    back = by_s["left kidney"].parts["right kidney"] / 300
    assert there == pytest.approx(back, rel=0.09)  # three standard errors of 2 % each


TABLE = """target,source,s_mgy_per_mbq_s,mass_g
left kidney,left kidney,1.5662e-4,153.0
right kidney,right kidney,1.5283e-4,157.0
right kidney,left kidney,5.42e-8,
"""


def test_a_table_is_scaled_to_the_patients_mass() -> None:
    """Self-doses by the ratio of masses, cross-dose as it is; a pair that is not there is said and not counted."""
    outcome = OrganS().dose(problem(LEFT, RIGHT), FrozenMap({"table": TABLE}), 1)
    assert [f.code for f in outcome.findings] == ["dose.no-s-value"]
    assert "left kidney from right kidney" in outcome.findings[0].text
    assert outcome.value is not None
    left, right = outcome.value.results
    assert left.absorbed_dose.value == pytest.approx(500 * 3.6e9 * 1.5662e-13 * 153.0 / LEFT.mass.value)
    assert right.parts["left kidney"] == pytest.approx(500 * 3.6e9 * 5.42e-17)
    assert left.absorbed_dose.budget["S value"] is None
    assert left.absorbed_dose.budget["volume: left kidney"] == pytest.approx(-0.1 * left.absorbed_dose.value)


@pytest.mark.parametrize("table", ["", "a,b\n1,2", TABLE.replace("1.5662e-4", "-1"), TABLE.replace("153.0", "heavy")])
def test_tables_that_cannot_be_read(table: str) -> None:
    with pytest.raises(ProtocolError, match=r"organ-s\.table"):
        OrganS().dose(problem(LEFT, RIGHT), FrozenMap({"table": table}), 1)
