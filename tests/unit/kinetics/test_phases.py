"""Models of exponential phases on curves whose integral is known by hand, and what they refuse."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.errors import ProtocolError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.units import HOUR_S
from lutra.kinetics import Akaike, Biexponential, Monoexponential, Triexponential, TwoPhaseWashout
from lutra.ports import KineticsModel

NO_SETTINGS: FrozenMap[str, float | str | bool] = FrozenMap()


def curve(
    times_h: tuple[float, ...], values_mbq: np.ndarray, noise: float | None = 0.02, **common: float
) -> TimeActivityCurve:
    def budget(n: int, bq: float) -> dict[str, float]:
        own = {} if noise is None else {f"noise: {n}": noise * bq}
        return own | {name: part * bq for name, part in common.items()}

    activities = tuple(Estimate(1e6 * v, Unit.BQ, budget(n, 1e6 * v)) for n, v in enumerate(values_mbq))
    return TimeActivityCurve("L1", "Lu-177", np.multiply(times_h, HOUR_S), activities)


def sums(times_h: tuple[float, ...], *phases: tuple[float, float]) -> np.ndarray:
    """Sum of amplitude and half-life in h."""
    t = np.array(times_h)
    return np.sum([a * np.exp2(-t / h) for a, h in phases], axis=0)


def mbq_h(outcome: Outcome[TacFit]) -> float:
    assert outcome.value is not None, outcome.findings
    return outcome.value.time_integrated_activity.value / HOUR_S / 1e6


EARLY = (1.0, 4.0, 24.0, 96.0, 168.0)
MANY = (0.5, 2.0, 6.0, 24.0, 48.0, 96.0, 168.0, 240.0)


@pytest.mark.parametrize(
    ("model", "times_h", "phases"),
    [
        (Monoexponential(), EARLY, ((100, 60),)),
        (Biexponential(), EARLY, ((100, 60), (-100, 1.5))),
        (TwoPhaseWashout(), MANY, ((20, 50), (80, 2))),
        (Triexponential(), MANY, ((60, 80), (40, 10), (-100, 1))),
    ],
)
def test_exact_curves_integrate_to_amplitude_times_mean_life(
    model: KineticsModel, times_h: tuple[float, ...], phases: tuple[tuple[float, float], ...]
) -> None:
    outcome = model.fit(curve(times_h, sums(times_h, *phases)), NO_SETTINGS, 0)
    assert mbq_h(outcome) == pytest.approx(sum(a * h for a, h in phases) / log(2), rel=1e-6)
    fit = outcome.value
    assert fit is not None
    assert fit.effective_half_life.value == pytest.approx(phases[0][1] * HOUR_S, rel=1e-5)
    assert sum(p.amplitude_bq / p.rate_per_s for p in fit.phases) == pytest.approx(
        fit.time_integrated_activity.value, rel=1e-9
    )
    inside = sum(a * h / log(2) * (2 ** (-times_h[0] / h) - 2 ** (-times_h[-1] / h)) for a, h in phases)
    assert fit.extrapolated_fraction == pytest.approx(1 - inside / mbq_h(outcome), rel=1e-4)


def test_the_spread_of_repeated_fits_is_the_stated_one() -> None:
    """150 noisy curves of uptake and washout: their spread is known to 6 %."""
    rng, exact = np.random.default_rng(4), sums(EARLY, (100, 60), (-100, 1.5))
    found = [
        Biexponential().fit(curve(EARLY, exact * (1 + 0.02 * rng.standard_normal(5))), NO_SETTINGS, 0)
        for _ in range(150)
    ]
    values = [mbq_h(outcome) for outcome in found if outcome.value]
    assert len(values) > 140
    stated = Biexponential().fit(curve(EARLY, exact), NO_SETTINGS, 0).value
    assert stated is not None
    assert np.std(values) == pytest.approx(stated.time_integrated_activity.sd / HOUR_S / 1e6, rel=0.18)  # type: ignore[operator]


def test_a_camera_factor_stays_whole() -> None:
    fit = Biexponential().fit(curve(EARLY, sums(EARLY, (100, 60), (-100, 1.5)), camera=0.05), NO_SETTINGS, 0).value
    assert fit is not None
    tia = fit.time_integrated_activity
    assert tia.budget["camera"] == pytest.approx(0.05 * tia.value, rel=1e-6)
    assert fit.effective_half_life.budget["camera"] == pytest.approx(0, abs=1e-6 * fit.effective_half_life.value)


def test_the_physical_tail_by_hand() -> None:
    """Until 168 h as fitted, from there on 100 MBq 2^(-168/60) with the half-life of 177Lu, 6.647 d."""
    settings = FrozenMap({"tail": "physical"})
    outcome = Monoexponential().fit(curve(EARLY, sums(EARLY, (100, 60))), settings, 0)
    left = 2 ** (-168 / 60)
    assert mbq_h(outcome) == pytest.approx(100 * (60 * (1 - left) + 6.647 * 24 * left) / log(2), rel=1e-6)
    assert "kinetics.physical-tail" in [f.code for f in outcome.findings]
    with pytest.raises(ProtocolError, match="tail = 'endless'"):
        Monoexponential().fit(curve(EARLY, sums(EARLY, (100, 60))), FrozenMap({"tail": "endless"}), 0)


@pytest.mark.parametrize(
    ("model", "times_h", "phases", "says"),
    [
        (Biexponential(), (4.0, 24.0, 96.0), ((100, 60), (-100, 1.5)), "3 of at least 4 points"),
        (Biexponential(), (48.0, 72.0, 96.0, 168.0), ((100, 60),), "after the peak"),
        (TwoPhaseWashout(), (24.0, 48.0, 72.0, 96.0, 168.0), ((100, 60),), "amplitude|apart|rate"),
        (Triexponential(), EARLY, ((100, 60), (-100, 1.5)), "5 of at least 6 points"),
    ],
)
def test_points_that_do_not_identify_a_model_are_refused(
    model: KineticsModel, times_h: tuple[float, ...], phases: tuple[tuple[float, float], ...], says: str
) -> None:
    outcome = model.fit(curve(times_h, sums(times_h, *phases)), NO_SETTINGS, 0)
    assert outcome.value is None
    (finding,) = outcome.findings
    assert (finding.severity, finding.code) == (Severity.UNDETERMINED, "kinetics.not-identifiable")
    assert any(word in finding.text for word in says.split("|")), finding.text


def test_points_on_one_side_of_the_peak_are_refused() -> None:
    """A curve that still rises at the last scan: peak at 76 h for half-lives of 100 and 30 h."""
    times_h = (2.0, 6.0, 12.0, 20.0)
    outcome = Biexponential().fit(curve(times_h, sums(times_h, (100, 100), (-100, 20)), noise=0.005), NO_SETTINGS, 0)
    assert outcome.value is None
    assert "before the peak" in outcome.findings[0].text or "end of what is possible" in outcome.findings[0].text


def test_akaike_takes_the_simplest_that_describes_the_points() -> None:
    """Without uptake the mono-exponential, with it the bi-exponential; the average lies between and is wider."""
    rng = np.random.default_rng(2)
    late = (12.0, 24.0, 48.0, 96.0, 168.0, 240.0)
    washout = sums(late, (100, 60)) * (1 + 0.02 * rng.standard_normal(6))
    chosen = Akaike().fit(curve(late, washout), NO_SETTINGS, 0)
    assert chosen.value is not None
    assert chosen.value.model == "monoexponential"
    rising = sums(MANY, (100, 60), (-100, 1.5)) * (1 + 0.02 * rng.standard_normal(8))
    found = Akaike().fit(curve(MANY, rising), NO_SETTINGS, 0)
    assert found.value is not None
    assert found.value.model == "biexponential"
    averaged = Akaike().fit(curve(MANY, rising), FrozenMap({"method": "average"}), 0)
    assert mbq_h(averaged) == pytest.approx(mbq_h(found), rel=0.02)
    assert averaged.value is not None
    assert "choice of the curve: L1" in averaged.value.time_integrated_activity.budget
    assert "kinetics.akaike" in [f.code for f in averaged.findings]


def test_akaike_weights_by_hand() -> None:
    """Two nested models of 8 points, p = 2 and 3: AICc differs by chi-square and 2p + 2p(p+1)/(n-p-1)."""
    from lutra.kinetics.model_choice import aicc

    points = curve(MANY, sums(MANY, (100, 60), (-100, 0.3)))
    two = Biexponential().fit(points, NO_SETTINGS, 0).value
    assert two is not None
    assert aicc(points, two) == pytest.approx(0 + 6 + 24 / 4, abs=1e-6)


def test_akaike_refuses_what_no_model_describes() -> None:
    outcome = Akaike().fit(curve(EARLY, np.array([1.0, 9, 2, 9, 1])), NO_SETTINGS, 0)
    assert outcome.value is None
    assert "chi-square" in outcome.findings[0].text
