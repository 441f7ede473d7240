"""The posterior of uptake and washout against integration by brute force, and what its Findings say."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.errors import ProtocolError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics import Bayesian, PreviousCycle, with_earlier_cycle
from lutra.kinetics.posterior import Lognormal, Prior, posterior

NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()
THREE, PHYSICAL_H = (24.0, 96.0, 168.0), 6.647 * 24


def shape(times_h: tuple[float, ...], half_life_h: float, uptake_h: float = 1.5) -> np.ndarray:
    t = np.array(times_h)
    return np.exp2(-t / half_life_h) - np.exp2(-t / uptake_h)


def curve(
    times_h: tuple[float, ...],
    values: np.ndarray,
    noise: float | np.ndarray | None = 0.05,
    tissue: str | None = None,
    **common: float | None,
) -> TimeActivityCurve:
    """Values in units of 100 MBq; noise as a share of each, or in their unit where it is an array."""
    points = []
    for n, value in enumerate(1e8 * values):
        own: dict[str, float | None] = {}
        if noise is not None:
            own = {f"noise: {n}": 1e8 * noise[n] if isinstance(noise, np.ndarray) else noise * value}
        shared = {name: None if part is None else part * value for name, part in common.items()}
        points.append(Estimate(value, Unit.BQ, own | shared))
    return TimeActivityCurve("L1", "Lu-177", np.multiply(times_h, HOUR_S), tuple(points), tissue)


def fitted(c: TimeActivityCurve, settings: FrozenMap[str, float | str | bool] = NO_SETTINGS) -> TacFit:
    fit = Bayesian().fit(c, settings, 3).value
    assert fit is not None
    return fit


def codes(c: TimeActivityCurve) -> list[str]:
    return [f.code for f in Bayesian().fit(c, NO_SETTINGS, 3).findings]


@pytest.mark.parametrize("times_h", [(96.0,), (24.0, 96.0), (4.0, 24.0, 96.0, 168.0)])
def test_the_grid_and_the_draws_agree_with_a_million_samples(times_h: tuple[float, ...]) -> None:
    """Importance sampling of the same posterior, size included, with nothing integrated analytically."""
    rng = np.random.default_rng(1)
    y = shape(times_h, 60) * (1 + 0.1 * rng.standard_normal(len(times_h)))
    u = 0.1 * shape(times_h, 60)
    prior = Prior(Lognormal(77 * HOUR_S, 0.32), Lognormal(1.4 * HOUR_S, 0.6), Lognormal(0.1, 0.3), PHYSICAL_H * HOUR_S)
    found = posterior(np.multiply(times_h, HOUR_S), y, u, None, prior)

    n = 1_000_000
    half_life, uptake = 77 * np.exp(0.32 * rng.standard_normal(n)), 1.4 * np.exp(0.6 * rng.standard_normal(n))
    t = np.array(times_h)
    f = np.exp2(-t / half_life[:, None]) - np.exp2(-t / uptake[:, None])
    good = (half_life < PHYSICAL_H) & (half_life > 1.5 * uptake)
    best = np.where(good, (f * y / u**2).sum(1) / (f * f / u**2).sum(1), 1.0)
    width = (f * f / u**2).sum(1) ** -0.5
    size = best + 2 * width * rng.standard_normal(n)  # a proposal twice as wide
    proposal = np.exp(-(((size - best) / (2 * width)) ** 2) / 2) / width
    target = np.exp(-(((y - size[:, None] * f) / u) ** 2).sum(1) / 2) / best
    weight = np.where(good & (size > 0), target / proposal, 0)
    tia = size * (half_life - uptake) / log(2)
    mean = (weight @ tia) / weight.sum()
    assert found.mean_integral() / HOUR_S == pytest.approx(mean, rel=0.01)
    order = np.argsort(tia)
    edges = np.cumsum(weight[order]) / weight.sum()
    exact = [tia[order][np.searchsorted(edges, p)] for p in (0.025, 0.5, 0.975)]
    size_drawn, half_life_drawn, uptake_drawn = found.draws(4000, 5)
    drawn = size_drawn * (half_life_drawn - uptake_drawn) / log(2) / HOUR_S
    assert np.quantile(drawn, (0.025, 0.5, 0.975)) == pytest.approx(exact, rel=0.02)


def test_precise_points_decide_whatever_the_population() -> None:
    """Five points known to .1 %: 45 h and 1.5 h are found under the population of tumours and of kidneys alike."""
    times_h = (1.0, 4.0, 24.0, 96.0, 168.0)
    for tissue in ("tumour", "kidney"):
        fit = fitted(curve(times_h, shape(times_h, 45), 0.001, tissue))
        assert fit.effective_half_life.value == pytest.approx(45 * HOUR_S, rel=2e-3)
        assert fit.time_integrated_activity.value == pytest.approx(1e8 * 43.5 * HOUR_S / log(2), rel=2e-3)
        assert fit.identifiable
    assert codes(curve(times_h, shape(times_h, 45), 0.001)) == []


def test_three_late_points_leave_only_the_uptake_to_the_population() -> None:
    assert codes(curve(THREE, shape(THREE, 60))) == ["kinetics.population-uptake"]


def test_one_point_takes_the_half_life_from_its_population() -> None:
    one = curve((96.0,), shape((96.0,), 60), tissue="tumour")
    outcome = Bayesian().fit(one, NO_SETTINGS, 3)
    assert [(f.severity, f.code) for f in outcome.findings] == [
        (Severity.WARNING, "kinetics.one-point-does-not-identify-a-curve"),
        (Severity.INFO, "kinetics.population-uptake"),
        (Severity.WARNING, "kinetics.population-half-life"),
    ]
    assert outcome.findings[2].evidence["population"] == "tumour"
    fit = outcome.value
    assert fit is not None
    assert not fit.identifiable
    assert fit.extrapolated_fraction == 1
    draws = fit.effective_half_life.draws
    assert draws is not None
    assert np.median(draws.values) == pytest.approx(77 * HOUR_S, rel=0.03)
    assert draws.values.max() <= PHYSICAL_H * HOUR_S


def test_the_order_of_choices_of_a_population() -> None:
    """Numbers of the protocol, then its tissue, then the curve's, then any."""

    def half_life_h(tissue: str | None, **settings: float | str) -> float:
        c = curve((96.0,), shape((96.0,), 60), tissue=tissue)
        return fitted(c, FrozenMap(settings)).effective_half_life.value / HOUR_S

    kidney, tumour = half_life_h("kidney"), half_life_h("tumour")
    assert kidney == pytest.approx(51, rel=0.05)
    assert half_life_h("tumour", population="kidney") == kidney
    assert half_life_h(None, population="tumour") == tumour
    own = {"half_life_median_h": 60.0, "half_life_low_h": 59.0, "half_life_high_h": 61.0}
    assert half_life_h("kidney", **own) == pytest.approx(60, rel=0.01)
    with pytest.raises(ProtocolError, match="0 < low < median < high"):
        half_life_h("kidney", half_life_low_h=90.0)


def test_unknown_noise_is_said_and_follows_the_scatter() -> None:
    times_h = (1.0, 4.0, 24.0, 48.0, 72.0, 96.0, 168.0)
    rng = np.random.default_rng(3)
    z = rng.standard_normal(7)
    widths = []
    for noise in (0.02, 0.10):
        c = curve(times_h, shape(times_h, 60) * (1 + noise * z), None)
        assert "kinetics.noise-assumed" in codes(c)
        widths.append(fitted(c).time_integrated_activity.sd)
    assert widths[0] is not None
    assert widths[1] is not None
    assert widths[1] > 1.3 * widths[0]


@pytest.mark.parametrize(("noise", "says"), [(0.03, "chi-square"), (None, "rms relative residual")])
def test_points_that_no_washout_describes_are_refused(noise: float | None, says: str) -> None:
    times_h = (4.0, 24.0, 48.0, 96.0, 120.0, 168.0)
    outcome = Bayesian().fit(curve(times_h, np.array([1, 0.1, 1, 0.1, 2, 0.1]), noise), NO_SETTINGS, 0)
    assert outcome.value is None
    assert outcome.findings[0].code == "kinetics.not-identifiable"
    assert says in outcome.findings[0].text


def test_a_half_life_unlike_its_population_is_said() -> None:
    assert "kinetics.unlike-population" in codes(curve(THREE, shape(THREE, 140), 0.01, "kidney"))


@pytest.mark.parametrize("noise", [0.05, np.array([0.05, 0.02, 0.01])])
def test_a_common_relative_error_is_that_of_the_integral(noise: float | np.ndarray) -> None:
    tia = fitted(curve(THREE, shape(THREE, 60), noise, camera=0.05, recovery=None)).time_integrated_activity
    assert tia.budget["camera"] == pytest.approx(0.05 * tia.value, rel=1e-9)
    assert tia.budget["recovery"] is None
    assert tia.draws is not None
    assert tia.draws.sources == ("fit: L1",)


def test_an_error_of_one_scan_counts_as_much_as_the_fit_follows_that_scan() -> None:
    """1 % of the last scan alone, against refitting with that scan 1 % higher."""
    values = shape(THREE, 60)
    points = curve(THREE, values, 0.05)
    last = points.activities[2].with_sources({"attenuation of the last scan": 0.01})
    tia = fitted(
        TimeActivityCurve("L1", "Lu-177", points.times_s, (*points.activities[:2], last))
    ).time_integrated_activity
    higher = fitted(curve(THREE, values * np.array([1, 1, 1.01]), 0.05)).time_integrated_activity
    assert tia.budget["attenuation of the last scan"] == pytest.approx(higher.value - tia.value, rel=0.02)


def test_the_seed_moves_only_the_draws() -> None:
    one, other = (Bayesian().fit(curve(THREE, shape(THREE, 60)), NO_SETTINGS, seed).value for seed in (1, 2))
    assert one is not None
    assert other is not None
    assert one.time_integrated_activity.value == other.time_integrated_activity.value
    assert one.effective_half_life.value == other.effective_half_life.value
    a, b = (f.time_integrated_activity.evaluated_interval() for f in (one, other))
    assert a == pytest.approx(b, rel=0.01)
    assert a != b


def test_band_and_phases_belong_to_the_value() -> None:
    fit = fitted(curve(THREE, shape(THREE, 60), camera=0.05))
    assert sum(p.amplitude_bq / p.rate_per_s for p in fit.phases) == pytest.approx(
        fit.time_integrated_activity.value, rel=1e-9
    )
    band = fit.band
    assert np.all(band.low_bq <= band.activity_bq)
    assert np.all(band.activity_bq <= band.high_bq)
    middle = np.interp(96 * HOUR_S, band.times_s, band.activity_bq)
    assert middle == pytest.approx(1e8 * shape((96.0,), 60)[0], rel=0.05)


def test_a_later_cycle_with_one_scan_uses_the_half_life_of_the_first() -> None:
    """A tumour of 45 h, far from the population's 77 h: one scan at 24 h is right only with what cycle 1 showed."""
    first = fitted(curve(THREE, shape(THREE, 45), 0.02, "tumour"))
    truth = 0.8e8 * 43.5 * HOUR_S / log(2)
    later = curve((24.0,), 0.8 * shape((24.0,), 45), 0.02, "tumour")
    outcome = PreviousCycle().fit(with_earlier_cycle(later, first), NO_SETTINGS, 1)
    assert outcome.value is not None
    tia = outcome.value.time_integrated_activity
    assert tia.value == pytest.approx(truth, rel=0.03)
    low, high = tia.evaluated_interval()
    assert low < truth < high
    assert "kinetics.half-life-of-earlier-cycle" in [f.code for f in outcome.findings]
    blind = fitted(later).time_integrated_activity
    assert abs(blind.value / truth - 1) > 0.2
    assert high - low < 0.4 * np.ptp(blind.evaluated_interval())


def test_without_an_earlier_cycle_there_is_nothing_to_use() -> None:
    later = curve((24.0,), shape((24.0,), 45))
    poor = fitted(later)  # one scan: its half-life was the population's
    for c in (later, with_earlier_cycle(later, poor), with_earlier_cycle(later, None)):
        outcome = PreviousCycle().fit(c, NO_SETTINGS, 1)
        assert outcome.value is None
        assert "no earlier cycle" in outcome.findings[0].text
