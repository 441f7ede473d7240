"""Which model answers, and what becomes of the refusals."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.curve import TimeActivityCurve
from lutra.core.errors import ProtocolError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.kinetics import KineticsSettings, Monoexponential, PopulationTail, fit_first

MODELS = (("lutra.monoexponential@0.1", Monoexponential()), ("lutra.population-tail@0.1", PopulationTail()))


def curve(times_h: tuple[float, ...]) -> TimeActivityCurve:
    activities = tuple(Estimate(1e8 * 2 ** (-t / 60), Unit.BQ, {}) for t in times_h)
    return TimeActivityCurve("L1", "Lu-177", np.multiply(times_h, 3600.0), activities)


def test_enough_points_are_answered_by_the_first_model() -> None:
    outcome = fit_first(curve((4.0, 28.0, 100.0, 168.0)), MODELS, {}, 1)
    assert outcome.value is not None
    assert outcome.value.model == "lutra.monoexponential@0.1"
    assert [f.code for f in outcome.findings] == ["kinetics.uptake-not-modelled"]


def test_two_points_fall_through_and_the_refusal_becomes_the_reason() -> None:
    outcome = fit_first(curve((3.741111, 27.725278)), MODELS, {}, 1)
    assert outcome.value is not None
    assert outcome.value.model == "lutra.population-tail@0.1"
    assert [(f.severity, f.code) for f in outcome.findings] == [
        (Severity.INFO, "kinetics.not-identifiable"),
        (Severity.WARNING, "kinetics.two-points-do-not-identify-a-curve"),
        (Severity.WARNING, "kinetics.population-half-life"),
        (Severity.WARNING, "kinetics.extrapolated"),
    ]
    assert outcome.findings[0].text.endswith("lutra.population-tail@0.1 was used instead")


def test_when_all_refuse_nothing_is_given() -> None:
    outcome = fit_first(curve((3.741111, 27.725278)), MODELS[:1], {}, 1)
    assert outcome.value is None
    assert [f.severity for f in outcome.findings] == [Severity.UNDETERMINED]
    assert fit_first(curve((3.7, 27.7)), (), {}, 1).findings[0].code == "kinetics.no-model"


@pytest.mark.parametrize("key", ["population-tail", "lutra.population-tail@0.1"])
def test_options_reach_their_model_by_either_name(key: str) -> None:
    options = {key: FrozenMap({"half_life_median_h": 50.0, "half_life_low_h": 49.9, "half_life_high_h": 50.1})}
    outcome = fit_first(curve((3.741111, 27.725278)), MODELS, options, 1)
    assert outcome.value is not None
    assert outcome.value.effective_half_life.value == pytest.approx(50 * 3600, rel=1e-4)


def test_the_flag_is_a_setting() -> None:
    codes = [f.code for f in fit_first(curve((4.0, 28.0, 100.0)), MODELS, {}, 1, 0.9).findings]
    assert "kinetics.extrapolated" not in codes
    codes = [f.code for f in fit_first(curve((4.0, 28.0, 100.0)), MODELS, {}, 1).findings]
    assert "kinetics.extrapolated" in codes  # 1 - 2^(-4/60) + 2^(-100/60) = 36 %


def test_options_of_a_model_that_is_not_used_are_an_error() -> None:
    with pytest.raises(ProtocolError, match="population-tial"):
        KineticsSettings(options={"population-tial": {}})
