"""Madsen's and Haenscheid's formulas as models: values by hand, validity, intervals over the population."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from lutra.core.curve import TimeActivityCurve
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics import Haenscheid, Madsen

NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()


def scan(t_h: float, mbq: float = 50.0, tissue: str = "tumour") -> TimeActivityCurve:
    activity = Estimate(1e6 * mbq, Unit.BQ, {"camera": 5e4 * mbq})
    return TimeActivityCurve("L1", "Lu-177", [t_h * HOUR_S], (activity,), tissue)


def test_madsen_by_hand() -> None:
    """50 MBq at 96 h, T = 77 h: 50 x 2^(96/77) x 77 / ln 2 MBq h; 5 % of the camera are 5 % of it."""
    fit = Madsen().fit(scan(96), NO_SETTINGS, 1).value
    assert fit is not None
    tia = fit.time_integrated_activity
    assert tia.value == pytest.approx(50e6 * 2 ** (96 / 77) * 77 * HOUR_S / log(2), rel=1e-12)
    assert tia.budget["camera"] == pytest.approx(0.05 * tia.value)
    assert not fit.identifiable


def test_haenscheid_by_hand_and_its_interval_is_the_inverse_of_the_published_ratio() -> None:
    """2 x 96 h x 50 MBq / ln 2. A half-life of 48 h (x = 2) has ratio 1, one of 96 h (x = 1) as well; between, 1.061 at most."""
    fit = (
        Haenscheid()
        .fit(scan(96), FrozenMap({"half_life_median_h": 68.0, "half_life_low_h": 48.0, "half_life_high_h": 96.0}), 1)
        .value
    )
    assert fit is not None
    tia = fit.time_integrated_activity
    assert tia.value == pytest.approx(2 * 96 * 50e6 * HOUR_S / log(2), rel=1e-12)
    assert tia.draws is not None
    assert tia.draws.values.min() == pytest.approx(tia.value / 1.0615, rel=1e-3)


def test_both_contain_every_washout_of_their_population() -> None:
    """True curves with half-lives of the population: about 95 % of the intervals hold the truth."""
    rng = np.random.default_rng(2)
    half_lives = np.minimum(77 * np.exp(0.3196 * rng.standard_normal(300)), 159)
    for model in (Madsen(), Haenscheid()):
        inside = 0
        for half_life in half_lives:
            one = TimeActivityCurve(
                "L1", "Lu-177", [96 * HOUR_S], (Estimate(1e8 * 2 ** (-96 / half_life), Unit.BQ, {}),), "tumour"
            )
            fit = model.fit(one, NO_SETTINGS, 1).value
            assert fit is not None
            low, high = fit.time_integrated_activity.evaluated_interval()
            inside += low <= 1e8 * half_life * HOUR_S / log(2) <= high
        assert 0.92 <= inside / 300 <= 0.98


@pytest.mark.parametrize(
    ("model", "t_h"), [(Madsen(), 4.0), (Madsen(), 300.0), (Haenscheid(), 24.0), (Haenscheid(), 240.0)]
)
def test_a_scan_outside_the_range_is_said(model: Madsen | Haenscheid, t_h: float) -> None:
    assert "kinetics.outside-validity" in [f.code for f in model.fit(scan(t_h), NO_SETTINGS, 1).findings]


@pytest.mark.parametrize("model", [Madsen(), Haenscheid()])
def test_a_scan_inside_the_range_is_not(model: Madsen | Haenscheid) -> None:
    found = model.fit(scan(72, tissue="kidney"), NO_SETTINGS, 1).findings
    assert [f.code for f in found] == ["kinetics.population-half-life"]


@pytest.mark.parametrize("model", [Madsen(), Haenscheid()])
def test_several_points_are_for_other_models(model: Madsen | Haenscheid) -> None:
    two = TimeActivityCurve("L1", "Lu-177", [1e5, 2e5], (Estimate(1e6, Unit.BQ), Estimate(5e5, Unit.BQ)))
    assert model.fit(two, NO_SETTINGS, 1).value is None
    assert model.fit(scan(96, -1.0), NO_SETTINGS, 1).value is None
