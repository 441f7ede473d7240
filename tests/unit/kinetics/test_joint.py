"""Curves that share parameters: what sharing buys, and what it refuses."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from lutra.core.curve import TimeActivityCurve
from lutra.core.errors import UsageError
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics import Cost, JointFit, Monoexponential, fit_jointly
from lutra.kinetics.phase_model import BIEXPONENTIAL, MONOEXPONENTIAL

THREE, ONE = (24.0, 96.0, 168.0), (24.0,)
NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()


def curve(region: str, times_h: tuple[float, ...], values: np.ndarray, noise: float | None = 0.05) -> TimeActivityCurve:
    points = tuple(
        Estimate(v, Unit.BQ, {"camera": 0.05 * v} | ({} if noise is None else {f"noise: {region} {n}": noise * v}))
        for n, v in enumerate(1e8 * values)
    )
    return TimeActivityCurve(region, "Lu-177", np.multiply(times_h, HOUR_S), points)


def washout(times_h: tuple[float, ...], half_life_h: float) -> np.ndarray:
    return np.exp2(-np.array(times_h) / half_life_h)


def joined(*costs: Cost) -> JointFit:
    outcome = fit_jointly(costs)
    assert outcome.value is not None, outcome.findings
    return outcome.value


def test_sharing_nothing_is_fitting_each_alone() -> None:
    rng = np.random.default_rng(1)
    curves = [
        curve(f"L{n}", THREE, washout(THREE, h) * (1 + 0.05 * rng.standard_normal(3))) for n, h in ((1, 50), (2, 90))
    ]
    together = joined(*(Cost(c, MONOEXPONENTIAL) for c in curves))
    for c in curves:
        alone = Monoexponential().fit(c, NO_SETTINGS, 0).value
        assert alone is not None
        assert together.integrals[c.region].value == pytest.approx(alone.time_integrated_activity.value, rel=1e-6)
        assert together.parameters[f"washout_rate: {c.region}"].value == pytest.approx(
            alone.parameters["washout_rate"].value, rel=1e-6
        )


def test_a_second_cycle_of_one_scan_takes_the_washout_of_the_first() -> None:
    """One scan and a shared rate: 0.7 x 1e8 Bq x 50 h / ln 2, and its noise is that of one scan and of the shared rate."""
    first, second = curve("cycle 1", THREE, washout(THREE, 50)), curve("cycle 2", ONE, 0.7 * washout(ONE, 50))
    shared = {"washout_rate": "washout"}
    found = joined(Cost(first, MONOEXPONENTIAL, shared), Cost(second, MONOEXPONENTIAL, shared))
    assert set(found.parameters) == {"activity_at_start: cycle 1", "washout", "activity_at_start: cycle 2"}
    tia = found.integrals["cycle 2"]
    assert tia.value == pytest.approx(0.7e8 * 50 * HOUR_S / log(2), rel=1e-6)
    assert tia.budget["camera"] == pytest.approx(0.05 * tia.value, rel=1e-6)
    rate = found.parameters["washout"]
    slope = 1 - 24 * log(2) / 50  # d ln(TIA) / d ln(T) of one scan
    expected = np.hypot(0.05, slope * rate.budget["joint fit"] / rate.value)
    assert tia.budget["joint fit"] == pytest.approx(expected * tia.value, rel=0.02)


def test_two_curves_of_one_washout_know_it_better_by_the_root_of_two() -> None:
    curves = [curve(f"L{n}", THREE, n * washout(THREE, 60)) for n in (1, 2)]
    shared = joined(*(Cost(c, MONOEXPONENTIAL, {"washout_rate": "washout"}) for c in curves)).parameters["washout"]
    alone = joined(Cost(curves[0], MONOEXPONENTIAL)).parameters["washout_rate: L1"]
    assert shared.budget["joint fit"] == pytest.approx(alone.budget["joint fit"] / 2**0.5, rel=1e-6)  # type: ignore[operator]


def test_an_uptake_shared_with_a_curve_that_shows_it() -> None:
    """One lesion has early scans, the other none: with the uptake shared, both integrals are found."""
    early = (1.0, 4.0, 24.0, 96.0, 168.0)

    def risen(times_h: tuple[float, ...], half_life_h: float) -> np.ndarray:
        return washout(times_h, half_life_h) - washout(times_h, 2.0)

    costs = [
        Cost(curve("L1", early, risen(early, 60)), BIEXPONENTIAL, {"uptake_rate": "uptake"}),
        Cost(curve("L2", THREE, risen(THREE, 80)), BIEXPONENTIAL, {"uptake_rate": "uptake"}),
    ]
    found = joined(*costs)
    for region, half_life in (("L1", 60), ("L2", 80)):
        assert found.integrals[region].value == pytest.approx(1e8 * (half_life - 2) * HOUR_S / log(2), rel=1e-5)
    assert found.degrees_of_freedom == 3


def test_what_cannot_be_shared_or_determined() -> None:
    three, one = curve("L1", THREE, washout(THREE, 60)), curve("L2", ONE, washout(ONE, 60))
    outcome = fit_jointly((Cost(three, MONOEXPONENTIAL), Cost(one, MONOEXPONENTIAL)))
    assert outcome.value is None
    assert outcome.findings[0].code == "kinetics.not-identifiable"
    with pytest.raises(UsageError, match="washout_rat of L1"):
        fit_jointly((Cost(three, MONOEXPONENTIAL, {"washout_rat": "k"}),))
    with pytest.raises(UsageError, match="an amplitude in one curve and a rate"):
        fit_jointly((Cost(three, MONOEXPONENTIAL, {"washout_rate": "k", "activity_at_start": "k"}),))
    with pytest.raises(UsageError, match="noise of L1"):
        fit_jointly((Cost(curve("L1", THREE, washout(THREE, 60), None), MONOEXPONENTIAL),))
    with pytest.raises(UsageError, match="one name for each curve"):
        fit_jointly((Cost(three, MONOEXPONENTIAL), Cost(three, MONOEXPONENTIAL)))
