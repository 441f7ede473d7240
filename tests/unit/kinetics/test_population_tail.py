"""Integrals with a population's tail against hand calculation, and what two points must admit."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
from scipy.integrate import trapezoid

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.errors import ProtocolError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.population_tail import PopulationTail

TWO_SCANS_H = (3.741111, 27.725278)
"""When the two real scans were made."""
FOUR_SCANS_H = (*TWO_SCANS_H, 103.094167, 123.983611)
NARROW = FrozenMap({"half_life_median_h": 77.0, "half_life_low_h": 76.999, "half_life_high_h": 77.001})
NO_SETTINGS: FrozenMap[str, float] = FrozenMap()


def curve(
    values_bq: list[float], times_h: tuple[float, ...] = TWO_SCANS_H, **relative: float | None
) -> TimeActivityCurve:
    activities = tuple(
        Estimate(v, Unit.BQ, {name.format(n=n): None if r is None else r * v for name, r in relative.items()})
        for n, v in enumerate(values_bq)
    )
    return TimeActivityCurve("L1", "Lu-177", np.multiply(times_h, HOUR_S), activities, tissue="tumour")


def fitted(
    c: TimeActivityCurve, settings: FrozenMap[str, float] = NO_SETTINGS, seed: int = 7
) -> tuple[TacFit, tuple[Finding, ...]]:
    outcome = PopulationTail().fit(c, settings, seed)
    assert outcome.value is not None
    return outcome.value, outcome.findings


def test_two_falling_points_by_hand() -> None:
    """100 then 80 MBq: uptake between triangle and back-extrapolation, exponential between, 77 h after."""
    t1, t2 = TWO_SCANS_H
    rate = log(100 / 80) / (t2 - t1)
    triangle, back = 100 * t1 / 2, 100 * (exp(rate * t1) - 1) / rate
    between, tail = (100 - 80) / rate, 80 * 77 / log(2)
    fit, _ = fitted(curve([100e6, 80e6]), NARROW)
    total_mbq_h = (triangle + back) / 2 + between + tail
    assert fit.time_integrated_activity.value / HOUR_S / 1e6 == pytest.approx(total_mbq_h, rel=1e-6)
    assert fit.time_integrated_activity.budget["uptake phase"] / HOUR_S / 1e6 == pytest.approx(
        (back - triangle) / 2 / sqrt(3), rel=1e-6
    )
    assert fit.extrapolated_fraction == pytest.approx(1 - between / total_mbq_h, rel=1e-6)
    assert not fit.identifiable


def test_two_rising_points_by_hand() -> None:
    """80 then 100 MBq: a plateau bounds the uptake phase, the interval is a straight line."""
    t1, t2 = TWO_SCANS_H
    fit, findings = fitted(curve([80e6, 100e6]), NARROW)
    total = (0.5 + 1) / 2 * 80 * t1 + 90 * (t2 - t1) + 100 * 77 / log(2)
    assert fit.time_integrated_activity.value / HOUR_S / 1e6 == pytest.approx(total, rel=1e-6)
    assert "the last two rise" in findings[0].text


def test_one_point_by_hand() -> None:
    """50 MBq at 27.7 h: half triangle, half back-extrapolation with the population, then the tail."""
    (t,), half_life = TWO_SCANS_H[1:], 77.0
    k = log(2) / half_life
    fit, findings = fitted(curve([50e6], TWO_SCANS_H[1:]), NARROW)
    total = (50 * t / 2 + 50 * (exp(k * t) - 1) / k) / 2 + 50 / k
    assert fit.time_integrated_activity.value / HOUR_S / 1e6 == pytest.approx(total, rel=1e-6)
    assert fit.extrapolated_fraction == pytest.approx(1)
    assert findings[0].code == "kinetics.one-point-does-not-identify-a-curve"


def test_two_points_say_what_they_do_not_know() -> None:
    """Half-life 24 h x ln 2 / ln(100/50) apart; mono-exponential integral 50 MBq 2^(t2/T) T / ln 2."""
    t1, t2 = TWO_SCANS_H
    fit, findings = fitted(curve([100e6, 50e6]))
    warning = findings[0]
    mono = 50e6 * 2 ** (t2 / (t2 - t1)) * (t2 - t1) * HOUR_S / log(2)
    assert (warning.severity, warning.code) == (
        Severity.WARNING,
        "kinetics.two-points-do-not-identify-a-curve",
    )
    assert f"{t2 - t1:.1f} h" in warning.text
    assert f"{mono / fit.time_integrated_activity.value:.2f} times" in warning.text
    assert f"{fit.extrapolated_fraction:.0%}" in warning.text


def test_the_default_population_names_its_standing() -> None:
    _, findings = fitted(curve([100e6, 80e6]))
    assert (findings[1].severity, findings[1].code) == (Severity.WARNING, "kinetics.population-half-life")
    assert "commonly cited population value; replace by your own" in findings[1].text
    _, findings = fitted(curve([100e6, 80e6]), NARROW)
    assert findings[1].severity is Severity.INFO


def test_the_tail_is_the_truncated_lognormal() -> None:
    """Median 77 h and sigma ln(140/40)/(2 x 1.96), cut at 159.5 h: quantiles p of the rest, p x 0.9886 of the whole."""
    fit, _ = fitted(curve([100e6, 80e6]))
    draws = fit.effective_half_life.draws
    assert draws is not None
    assert draws.values.size >= 2000
    assert draws.values.max() < 6.647 * 24 * HOUR_S
    sigma = log(140 / 40) / 3.919928
    for z, p in ((-1.0, 0.158655), (0.0, 0.5), (1.0, 0.841345)):
        cut = p / 0.98868  # Phi(ln(159.528 / 77) / sigma) = Phi(2.2793)
        assert np.quantile(draws.values, cut) / HOUR_S == pytest.approx(77 * exp(sigma * z), rel=2e-3)


def test_value_and_interval_come_from_the_same_draws() -> None:
    tia = fitted(curve([100e6, 80e6]))[0].time_integrated_activity
    assert tia.draws is not None
    assert tia.draws.sources == ("tail half-life: L1",)
    assert tia.value == pytest.approx(tia.draws.values.mean())
    assert tia.budget["tail half-life: L1"] == pytest.approx(tia.draws.values.std())
    low, high = tia.evaluated_interval()
    assert low < tia.value < high
    assert high - tia.value > tia.value - low  # a lognormal leans to the right


def test_sources_keep_their_nature() -> None:
    """Common factors stay whole, noise of two scans stays two sources, the unknown stays unknown."""
    c = curve([100e6, 80e6], **{"camera calibration": 0.05, "recovery: L1": None, "noise: L1 {n}": 0.02})
    tia = fitted(c)[0].time_integrated_activity
    assert tia.budget["camera calibration"] == pytest.approx(0.05 * tia.value, rel=1e-6)
    assert tia.budget["recovery: L1"] is None
    first, last = tia.budget["noise: L1 0"], tia.budget["noise: L1 1"]
    assert first is not None
    assert last is not None
    assert first + last == pytest.approx(0.02 * tia.value, rel=1e-6)
    assert last > 3 * first  # the tail hangs on the last point
    assert tia.sd is None


def test_the_same_seed_gives_the_same_draws() -> None:
    one, same, other = (fitted(curve([100e6, 80e6]), seed=s)[0].time_integrated_activity for s in (1, 1, 2))
    assert one.draws is not None
    assert same.draws is not None
    assert np.array_equal(one.draws.values, same.draws.values)
    assert other.value == pytest.approx(one.value, rel=1e-3)
    assert not np.array_equal(one.draws.values, other.draws.values if other.draws else ())


@pytest.mark.parametrize(
    ("organ", "values_mbq", "tia_mbq_h"),
    [("left kidney", (98.561, 73.599, 25.396, 19.047), 7643), ("spleen", (87.207, 77.633, 34.655, 27.943), 9543)],
)
def test_two_real_scans_hold_what_four_scans_know(organ: str, values_mbq: tuple[float, ...], tia_mbq_h: float) -> None:
    """A patient with four scans: the interval from the first two must contain the bi-exponential integral of all four."""
    values = [1e6 * v for v in values_mbq]
    two, _ = fitted(curve(values[:2]))
    low, high = two.time_integrated_activity.evaluated_interval()
    assert low < tia_mbq_h * 1e6 * HOUR_S < high, organ
    four, _ = fitted(curve(values, FOUR_SCANS_H))
    low_4, high_4 = four.time_integrated_activity.evaluated_interval()
    assert low_4 < tia_mbq_h * 1e6 * HOUR_S < high_4, organ
    assert high_4 - low_4 < (high - low) / 2


def test_the_band_integrates_to_the_value() -> None:
    fit, _ = fitted(curve([100e6, 80e6]))
    band = fit.band
    assert np.all(band.low_bq <= band.activity_bq)
    assert np.all(band.activity_bq <= band.high_bq)
    inside = trapezoid(band.activity_bq, band.times_s)
    draws = fit.effective_half_life.draws
    assert draws is not None
    rest = 80e6 * np.mean(np.exp2(-(band.times_s[-1] - TWO_SCANS_H[1] * HOUR_S) / draws.values) * draws.values) / log(2)
    assert inside + rest == pytest.approx(fit.time_integrated_activity.value, rel=2e-3)  # 1 h steps of a straight line


def test_impossible_settings_and_activities() -> None:
    with pytest.raises(ProtocolError, match="0 < low < median < high"):
        PopulationTail().fit(curve([1e8, 8e7]), FrozenMap({"half_life_low_h": 90.0}), 0)
    with pytest.raises(ProtocolError, match="half_life"):
        PopulationTail().fit(curve([1e8, 8e7]), FrozenMap({"half_life": 90.0}), 0)
    outcome = PopulationTail().fit(curve([1e8, 0.0]), NO_SETTINGS, 0)
    assert outcome.value is None
    assert outcome.findings[0].code == "kinetics.activity-not-positive"
