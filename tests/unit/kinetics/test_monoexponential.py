"""Mono-exponential fits against curves whose integral is known by hand."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.errors import ProtocolError
from lutra.core.estimate import K_95, Estimate, Unit
from lutra.core.finding import Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics.monoexponential import Monoexponential

NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()
TIMES_H = (4.0, 28.0, 100.0, 168.0)
PHYSICAL_H = 6.647 * 24


def curve(values_bq: list[float], times_h: tuple[float, ...] = TIMES_H, **relative: float | None) -> TimeActivityCurve:
    activities = tuple(
        Estimate(
            value,
            Unit.BQ,
            {name.format(n=n): None if part is None else part * value for name, part in relative.items()},
        )
        for n, value in enumerate(values_bq)
    )
    return TimeActivityCurve("L1", "Lu-177", np.multiply(times_h, HOUR_S), activities)


def exact(half_life_h: float, times_h: tuple[float, ...] = TIMES_H) -> list[float]:
    return [1e8 * 2 ** (-t / half_life_h) for t in times_h]


def fit(c: TimeActivityCurve) -> Outcome[TacFit]:
    return Monoexponential().fit(c, NO_SETTINGS, 0)


def fitted(c: TimeActivityCurve) -> TacFit:
    value = fit(c).value
    assert value is not None
    return value


def test_an_exact_exponential_is_found() -> None:
    """100 MBq at the start with T = 50 h integrate to 100 MBq x 50 h / ln 2."""
    found = fitted(curve(exact(50)))
    assert found.time_integrated_activity.value == pytest.approx(1e8 * 50 * HOUR_S / log(2), rel=1e-9)
    assert found.effective_half_life.value == pytest.approx(50 * HOUR_S, rel=1e-9)
    assert found.extrapolated_fraction == pytest.approx(1 - 2 ** (-4 / 50) + 2 ** (-168 / 50), rel=1e-9)
    assert found.identifiable


def test_a_camera_factor_common_to_all_scans_does_not_average_out() -> None:
    """5 % of the factor in each of four scans is 5 % of the integral, not 2.5 %; and it does not touch the half-life."""
    found = fitted(curve(exact(50), **{"camera calibration": 0.05, "noise: L1 {n}": 0.02}))
    tia = found.time_integrated_activity
    assert tia.budget["camera calibration"] == pytest.approx(0.05 * tia.value, rel=1e-9)
    assert found.effective_half_life.budget["camera calibration"] == pytest.approx(
        0, abs=1e-9 * found.effective_half_life.value
    )


def test_counting_noise_becomes_the_fit_uncertainty_by_the_textbook_formula() -> None:
    """Relative weights make the problem linear in ln A: the sd of k is sigma / sqrt(sum (t - mean t)^2)."""
    found = fitted(curve(exact(50), **{"noise: L1 {n}": 0.02}))
    times_s = np.multiply(TIMES_H, HOUR_S)
    assert found.parameters["washout_rate"].budget["fit: L1"] == pytest.approx(
        0.02 / sqrt(((times_s - times_s.mean()) ** 2).sum()), rel=1e-6
    )
    assert set(found.time_integrated_activity.budget) == {"fit: L1"}


def test_repeated_noise_scatters_as_the_budget_says() -> None:
    """The spread over 400 simulated curves is the truth the propagated sd must meet (a sd of 400 is known to 3.5 %).

    A chi-square test at the 1 % level refuses 4 of 400 good curves, give or take 2.
    """
    rng = np.random.default_rng(1)
    truth = np.array(exact(50))
    noise = {"noise: L1 {n}": 0.02}
    fits = [fit(curve(list(truth * (1 + 0.02 * rng.standard_normal(4))), **noise)).value for _ in range(400)]
    values = [f.time_integrated_activity.value for f in fits if f]
    assert 0 < 400 - len(values) <= 10
    stated = fitted(curve(list(truth), **noise)).time_integrated_activity.sd
    assert stated == pytest.approx(np.std(values), rel=0.11)  # three of those 3.5 %


def test_without_noise_the_residuals_speak_with_students_width() -> None:
    """Residuals of ln A, one degree of freedom, Student's 97.5 % quantile 12.706 instead of 1.96."""
    times_h = (4.0, 52.0, 100.0)
    values = [1e8 * 2 ** (-t / 50) * f for t, f in zip(times_h, (1.01, 0.99, 1.01), strict=True)]
    found = fitted(curve(values, times_h))
    residual = log(1.01 / 0.99) / 2  # three equidistant points: (1, -2, 1)/3 of the kink
    sigma = sqrt(6 * (2 / 3 * residual) ** 2)
    k_sd = sigma / (48 * HOUR_S * sqrt(2)) * 12.7062 / K_95
    assert found.parameters["washout_rate"].budget["fit: L1"] == pytest.approx(k_sd, rel=0.03)


def test_a_source_nobody_evaluated_stays_unknown() -> None:
    found = fitted(curve(exact(50), **{"camera calibration": None, "noise: L1 {n}": 0.02}))
    assert found.time_integrated_activity.sd is None
    assert found.effective_half_life.sd is not None  # an unknown common factor cannot change the shape


@pytest.mark.parametrize(
    ("values", "times_h", "relative", "says"),
    [
        ([9e7, 7e7], (3.741111, 27.725278), {}, "2 of at least 3 points"),
        ([1e8, 2e8, 3e8], (4.0, 28.0, 100.0), {}, "rms relative residual"),
        ([1e8, 4e7, 6e7], (4.0, 28.0, 100.0), {"noise: L1 {n}": 0.03}, "chi-square"),
        ([1e8, 4e7, 0.0], (4.0, 28.0, 100.0), {}, "not positive"),
    ],
)
def test_points_that_do_not_identify_it_are_refused(
    values: list[float], times_h: tuple[float, ...], relative: dict[str, float], says: str
) -> None:
    outcome = fit(curve(values, times_h, **relative))
    assert outcome.value is None
    assert [(f.severity, f.code) for f in outcome.findings] == [(Severity.UNDETERMINED, "kinetics.not-identifiable")]
    assert says in outcome.findings[0].text


def test_early_points_alone_are_refused_because_they_leave_the_integral_open() -> None:
    """Three points in 4 h with 5 % noise fit a 60 h half-life well and know nothing of it."""
    outcome = fit(curve(exact(60, (1.0, 2.0, 4.0)), (1.0, 2.0, 4.0), **{"noise: L1 {n}": 0.05}))
    assert outcome.value is None
    assert "uncertainty of the integral" in outcome.findings[0].text


def test_nothing_washes_out_slower_than_it_decays() -> None:
    """Points with T = 200 h, longer than physical: the rate stays at decay, and that is said."""
    outcome = fit(curve(exact(200), **{"noise: L1 {n}": 0.05, "camera calibration": 0.05}))
    assert outcome.value is not None
    assert not outcome.value.identifiable
    assert outcome.value.effective_half_life.value == pytest.approx(PHYSICAL_H * HOUR_S, rel=1e-3)
    tia = outcome.value.time_integrated_activity
    assert tia.budget["camera calibration"] == pytest.approx(0.05 * tia.value, rel=1e-9)
    assert "kinetics.washout-at-physical-decay" in [f.code for f in outcome.findings]


def test_the_band_holds_the_curve_and_the_shared_factor() -> None:
    band = fitted(curve(exact(50), **{"camera calibration": 0.05, "noise: L1 {n}": 1e-6})).band
    assert band.activity_bq[0] == pytest.approx(1e8, rel=1e-9)
    assert band.times_s[-1] == pytest.approx(300 * HOUR_S)
    assert band.activity_bq[-1] == pytest.approx(1e8 * exp(-log(2) * 6), rel=1e-9)
    assert band.high_bq[0] / band.activity_bq[0] == pytest.approx(1 + 0.05 * K_95, rel=1e-6)


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="minimum_pionts"):
        Monoexponential().fit(curve(exact(50)), FrozenMap({"minimum_pionts": 4.0}), 0)
