"""Sums over cycles: what is shared adds, what is not does not."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.curve import CurveBand, TacFit, TimeActivityCurve
from lutra.core.dose import DoseResult
from lutra.core.estimate import Draws, Estimate, Unit
from lutra.dose.cumulative import cumulative_dose

BAND = CurveBand([0, 1], [1, 1], [1, 1], [1, 1])
CURVE = TimeActivityCurve("spleen", "Lu-177", [3600.0], (Estimate(1e6, Unit.BQ),))


def fit(*, identifiable: bool) -> TacFit:
    return TacFit(CURVE, "t", {}, Estimate(1e12, Unit.BQ_S), Estimate(1e5, Unit.S), 0.1, identifiable, BAND)


def drawn(seed: int, mean: float = 5.0, sd: float = 0.5) -> DoseResult:
    values = np.random.default_rng(seed).normal(mean, sd, 4000)
    source = "fit: spleen"
    budget = {source: float(values.std()), "camera": 0.1 * mean, "photon histories": 0.01}
    return DoseResult(
        "spleen", "hybrid", Estimate(mean, Unit.GY, budget, Draws((source,), values)), Estimate(150, Unit.G)
    )


@pytest.mark.parametrize(("identifiable", "expected"), [(True, 0.5 * np.sqrt(3)), (False, 1.5)])
def test_fits_of_their_own_points_are_independent_and_populations_are_not(identifiable: bool, expected: float) -> None:
    doses, fits = tuple(drawn(n) for n in (1, 2, 3)), (fit(identifiable=identifiable),) * 3
    total = cumulative_dose(doses, fits, (1, 2, 3), (1, 2, 3)).value
    assert total is not None
    dose = total.absorbed_dose
    assert dose.value == pytest.approx(15.0)
    assert dose.draws is not None
    assert dose.draws.values.std() == pytest.approx(expected, rel=0.03)
    assert dose.budget["camera"] == pytest.approx(1.5)
    of_fits = np.hypot.reduce([sd for name, sd in dose.budget.items() if name.startswith("fit: ")])
    assert of_fits == pytest.approx(expected, rel=0.03)
    assert sum(name.startswith("photon histories") for name in dose.budget) == 3


def test_a_cycle_that_is_missing_is_said() -> None:
    outcome = cumulative_dose((drawn(1), drawn(2)), (fit(identifiable=True),) * 2, (1, 3), (1, 2, 3))
    assert outcome.value is not None
    assert outcome.value.missing == (2,)
    assert [f.code for f in outcome.findings] == ["dose.cycles-missing"]
