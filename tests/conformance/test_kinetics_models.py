"""What every model behind the socket `KineticsModel` owes its callers, whoever wrote it."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from lutra.core.curve import TimeActivityCurve
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.pipeline import plugins
from lutra.ports import KineticsModel

NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()
MANY = (0.5, 2.0, 6.0, 24.0, 48.0, 96.0, 168.0, 240.0)
DESIGNS = ((96.0,), (24.0, 96.0), (24.0, 96.0, 168.0), MANY)
PHYSICAL_S = 6.647 * 24 * HOUR_S
EARLIER = Estimate(60 * HOUR_S, Unit.S, {"fit: L1": 3 * HOUR_S})

pytestmark = pytest.mark.parametrize("name", sorted(plugins.available("kinetics")))


def model(name: str) -> KineticsModel:
    loaded: KineticsModel = plugins.load("kinetics", name)[1]
    return loaded


def curve(
    times_h: tuple[float, ...], scale: float = 1.0, half_life_h: float = 60.0, noise: float = 0.03
) -> TimeActivityCurve:
    """Uptake and two washouts, with noise that is always the same."""
    t = np.array(times_h)
    exact = 0.8 * np.exp2(-t / half_life_h) + 0.2 * np.exp2(-t / 8) - np.exp2(-t)
    values = 1e8 * scale * exact * (1 + noise * np.random.default_rng(7).standard_normal(len(t)))
    points = tuple(Estimate(v, Unit.BQ, {f"noise: {n}": 0.03 * v, "camera": 0.05 * v}) for n, v in enumerate(values))
    return TimeActivityCurve("L1", "Lu-177", t * HOUR_S, points, "tumour", EARLIER)


@pytest.mark.parametrize("times_h", DESIGNS)
def test_a_value_keeps_the_law_of_scale_and_common_factors(name: str, times_h: tuple[float, ...]) -> None:
    """k times the activity is k times the integral and its uncertainty, the half-life stays; 5 % of the camera are 5 %."""
    one, many = (model(name).fit(curve(times_h, scale), NO_SETTINGS, 1) for scale in (1.0, 1000.0))
    assert (one.value is None) == (many.value is None)
    if one.value is None or many.value is None:
        return
    a, b = one.value.time_integrated_activity, many.value.time_integrated_activity
    assert b.value == pytest.approx(1000 * a.value, rel=1e-6)
    assert b.evaluated_sd == pytest.approx(1000 * a.evaluated_sd, rel=1e-4)
    assert many.value.effective_half_life.value == pytest.approx(one.value.effective_half_life.value, rel=1e-6)
    assert a.budget["camera"] == pytest.approx(0.05 * a.value, rel=1e-4)


@pytest.mark.parametrize("times_h", DESIGNS)
def test_a_fit_is_whole(name: str, times_h: tuple[float, ...]) -> None:
    """Units, a region of its own, an interval around the value, a share between 0 and 1, and a band that encloses its curve."""
    outcome = model(name).fit(curve(times_h), NO_SETTINGS, 1)
    if outcome.value is None:
        assert any(f.severity is Severity.UNDETERMINED for f in outcome.findings)
        return
    fit = outcome.value
    assert (fit.time_integrated_activity.unit, fit.effective_half_life.unit) == (Unit.BQ_S, Unit.S)
    low, high = fit.time_integrated_activity.evaluated_interval()
    assert low < fit.time_integrated_activity.value < high
    assert 0 <= fit.extrapolated_fraction <= 1 + 1e-9
    assert np.all(fit.band.low_bq <= fit.band.activity_bq * (1 + 1e-9))
    assert np.all(fit.band.activity_bq <= fit.band.high_bq * (1 + 1e-9))
    if fit.phases:
        assert sum(p.amplitude_bq / p.rate_per_s for p in fit.phases) == pytest.approx(
            fit.time_integrated_activity.value, rel=1e-6
        )
    if not fit.identifiable:
        assert any(f.severity is not Severity.INFO for f in outcome.findings), (
            "what stands in for the points is not said"
        )


@pytest.mark.parametrize("times_h", DESIGNS)
def test_nothing_outlives_physical_decay(name: str, times_h: tuple[float, ...]) -> None:
    """Points that fall with 400 h: no half-life above the physical one, no integral above that of the last point and decay."""
    points = curve(times_h, half_life_h=400.0, noise=0.0)
    outcome = model(name).fit(points, NO_SETTINGS, 1)
    if outcome.value is None:
        return
    fit = outcome.value
    assert fit.effective_half_life.value <= PHYSICAL_S * (1 + 1e-9)
    assert all(p.rate_per_s >= log(2) / PHYSICAL_S * (1 - 1e-9) for p in fit.phases)


def test_the_same_seed_is_the_same_fit(name: str) -> None:
    for times_h in DESIGNS:
        one, same = (model(name).fit(curve(times_h), NO_SETTINGS, 1).value for _ in range(2))
        assert (one is None) == (same is None)
        if one is not None and same is not None:
            a, b = one.time_integrated_activity, same.time_integrated_activity
            assert a.value == b.value
            assert a.evaluated_interval() == b.evaluated_interval()


def test_activities_that_are_not_positive_give_no_number(name: str) -> None:
    for values in ((0.0,), (1e8, 0.0), (1e8, 5e7, -1e6), (1e8, 9e7, 8e7, 5e7, 2e7, 1e7, 1e6, 0.0)):
        points = tuple(Estimate(v, Unit.BQ, {f"noise: {n}": 1e6}) for n, v in enumerate(values))
        times_s = 24 * HOUR_S * np.arange(1, len(values) + 1)
        outcome = model(name).fit(TimeActivityCurve("L1", "Lu-177", times_s, points, "tumour", EARLIER), NO_SETTINGS, 1)
        assert outcome.value is None
        assert any(f.severity is Severity.UNDETERMINED for f in outcome.findings)
