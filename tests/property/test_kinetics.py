"""Laws of every time-integrated activity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lutra.core.curve import TimeActivityCurve
from lutra.core.estimate import Estimate, Unit
from lutra.core.frozen import FrozenMap
from lutra.kinetics import Monoexponential, PopulationTail

NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()
activities = st.lists(st.floats(1e5, 1e9), min_size=1, max_size=5)
start_h = st.floats(0.5, 100)


def curve(values: list[float], first_h: float, scale: float = 1, relative: float = 0.0) -> TimeActivityCurve:
    times_s = 3600 * (first_h + 24 * np.arange(len(values)))
    estimates = tuple(Estimate(scale * v, Unit.BQ, {"camera calibration": relative * scale * v}) for v in values)
    return TimeActivityCurve("L1", "Lu-177", times_s, estimates)


def tia(c: TimeActivityCurve) -> Estimate:
    fit = PopulationTail().fit(c, NO_SETTINGS, 5).value
    assert fit is not None
    return fit.time_integrated_activity


@settings(max_examples=12, deadline=None)
@given(values=activities, first_h=start_h, scale=st.floats(1e-3, 1e3))
def test_integral_and_uncertainty_scale_with_the_activity(values: list[float], first_h: float, scale: float) -> None:
    one, other = tia(curve(values, first_h)), tia(curve(values, first_h, scale))
    assert other.value == pytest.approx(scale * one.value, rel=1e-9)
    assert other.evaluated_sd == pytest.approx(scale * one.evaluated_sd, rel=1e-6)


@settings(max_examples=12, deadline=None)
@example(values=[1e5], first_h=23.0, relative=0.25)
@example(values=[1e5, 1e5, 1e5], first_h=4.0, relative=0.1)
@given(values=activities, first_h=start_h, relative=st.floats(0.001, 0.3))
def test_a_common_relative_error_is_the_relative_error_of_the_integral(
    values: list[float], first_h: float, relative: float
) -> None:
    """The integral is of first degree in the activities (Euler), whatever they do."""
    found = tia(curve(values, first_h, relative=relative))
    assert found.budget["camera calibration"] == pytest.approx(relative * found.value, rel=1e-4)  # a numeric gradient


@settings(max_examples=12, deadline=None)
@given(values=st.lists(st.floats(1e5, 1e9), min_size=3, max_size=5), first_h=start_h, more=st.floats(1.01, 3))
def test_more_activity_in_the_last_scan_is_more_integral(values: list[float], first_h: float, more: float) -> None:
    raised = [*values[:-1], values[-1] * more]
    assert tia(curve(raised, first_h)).value > tia(curve(values, first_h)).value


@settings(max_examples=30, deadline=None)
@given(half_life_h=st.floats(10, 150), first_h=st.floats(0.5, 30), a=st.floats(1e5, 1e10))
def test_the_mono_exponential_finds_what_made_the_points(half_life_h: float, first_h: float, a: float) -> None:
    times_h = first_h + np.array([0, 24, 72, 140])
    points = tuple(Estimate(v, Unit.BQ, {}) for v in a * 2 ** (-times_h / half_life_h))
    fit = Monoexponential().fit(TimeActivityCurve("L1", "Lu-177", 3600 * times_h, points), NO_SETTINGS, 0).value
    assert fit is not None
    assert fit.effective_half_life.value == pytest.approx(3600 * half_life_h, rel=1e-6)
    assert fit.time_integrated_activity.value == pytest.approx(a * 3600 * half_life_h / np.log(2), rel=1e-6)
