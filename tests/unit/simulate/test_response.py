"""Growth and killing against the equations themselves, integrated by an independent solver, and against hand calculation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lutra.core.errors import OutsideValidity
from lutra.simulate.response import (
    ALPHA_BETA_GY,
    COHORT_GY,
    DAYS_PER_MONTH,
    REPAIR_HALF_TIME_H,
    Growth,
    TruthScenario,
    effective_dose_gy,
    killed,
    tissue_over_days,
)

DAYS = np.arange(0, 721.0)
CYCLES = (0.0, 56.0, 112.0, 175.0)
LESIONS = (Growth(0.014, 0.055, 60.0, 0.15), Growth(0.05, 0.2, 25.0, 0.0), Growth(0.002, 0.01, 150.0, 0.4))


def test_an_untreated_lesion_without_stroma_grows_by_a_third_of_its_rate() -> None:
    """Diameter e^(g t / 3): 5.5 % a month over 12 months is a factor of e^.22 = 1.246."""
    tissue = tissue_over_days([Growth(0.014, 0.055, 60.0, 0.0)], [[0.0]], [0.0], [78.0], DAYS)
    np.testing.assert_allclose(tissue.diameter_ratio[0], np.exp(0.055 * DAYS / DAYS_PER_MONTH / 3), rtol=1e-12)
    assert tissue.diameter_ratio[0, 365] == pytest.approx(1.246, abs=1e-3)


def test_before_the_first_treatment_a_lesion_was_smaller() -> None:
    tissue = tissue_over_days([LESIONS[0]], [[20.0]], [0.0], [78.0], np.arange(-30, 2.0))
    assert tissue.live[0, 0] == pytest.approx(0.85 * np.exp(-0.055 * 30 / DAYS_PER_MONTH))
    assert tissue.total[0, 30] == pytest.approx(1, rel=1e-12)


def test_volumes_follow_the_equations() -> None:
    """LSODA on the right-hand sides as the module states them, restarted at every administration."""
    doses, half_lives = np.array([[24, 20, 18, 15], [40, 30, 20, 10], [5, 5, 0, 5.0]]), [78.0, 60.0, 100.0]
    found = tissue_over_days(LESIONS, doses, CYCLES, half_lives, DAYS)
    finer = tissue_over_days(LESIONS, doses, CYCLES, half_lives, np.arange(0, 720.1, 0.25)).total[:, ::4]
    for n, (growth, dose, half_life_h) in enumerate(zip(LESIONS, doses, half_lives, strict=True)):
        mu, repair = np.log(2) * 24 / half_life_h, np.log(2) * 24 / REPAIR_HALF_TIME_H
        beta = growth.alpha_per_gy / ALPHA_BETA_GY

        def rates(t: float, y: np.ndarray, g=growth, d=dose, mu=mu, repair=repair, beta=beta) -> list[float]:  # type: ignore[no-untyped-def]
            rate = sum(x * mu * np.exp(-mu * (t - c)) for x, c in zip(d, CYCLES, strict=True) if t >= c)
            k = (g.alpha_per_gy + 2 * beta * rate / (mu + repair)) * rate
            live, dead = y
            return [
                (g.growth_per_month / DAYS_PER_MONTH - k) * live,
                k * live - dead * np.log(2) / g.clearance_half_time_d,
            ]

        state, live, dead = np.array([1 - growth.inert_share, 0.0]), [1 - growth.inert_share], [0.0]
        for start, end in zip(CYCLES, (*CYCLES[1:], DAYS[-1]), strict=True):
            grid = DAYS[(start < DAYS) & (end >= DAYS)]
            solved = solve_ivp(
                rates, (start, end - 1e-9), state, "LSODA", np.minimum(grid, end - 1e-9), rtol=1e-9, atol=1e-12
            )
            live += list(solved.y[0])
            dead += list(solved.y[1])
            state = solved.y[:, -1]
        np.testing.assert_allclose(found.live[n], live, rtol=1e-6)  # closed form
        np.testing.assert_allclose(found.total[n], np.add(live, dead) + growth.inert_share, rtol=(1e-4, 1e-3, 1e-4)[n])
        np.testing.assert_allclose(finer[n], np.add(live, dead) + growth.inert_share, rtol=1e-4)


def test_lethal_events_of_one_cycle_by_hand() -> None:
    """To infinity alpha D + beta G D^2, and for exponential decay and repair G = mu / (mu + repair)."""
    mu, repair = np.log(2) * 24 / 78, np.log(2) * 24 / 1.5
    by_hand = 0.014 * 24 + 0.0014 * 24**2 * mu / (mu + repair)
    assert killed([1e4], [[24.0]], [0.0], [78.0], [0.014])[0, 0] == pytest.approx(by_hand, rel=1e-12)


def test_more_dose_never_leaves_more_living_tissue() -> None:
    doses = np.linspace(0, 60, 13)[:, None] * np.ones(4)
    live = tissue_over_days([LESIONS[0]] * 13, doses, CYCLES, np.full(13, 78.0), DAYS).live
    assert (np.diff(live[:, 1:], axis=0) < 0).all()


def test_what_the_scenarios_make_of_a_dose() -> None:
    given = [50.0, 40.0, 0.0, 0.0]  # stopped after two cycles
    np.testing.assert_allclose(effective_dose_gy(TruthScenario.STRONG, given, 1), given)
    np.testing.assert_allclose(
        effective_dose_gy(TruthScenario.NONE, given, 2), [COHORT_GY[0], COHORT_GY[1], 0, 0], rtol=5e-3
    )
    np.testing.assert_allclose(effective_dose_gy(TruthScenario.G2_ONLY, given, 2), given)
    np.testing.assert_allclose(
        effective_dose_gy(TruthScenario.G2_ONLY, given, 1), effective_dose_gy(TruthScenario.NONE, given, 1)
    )
    weak = effective_dose_gy(TruthScenario.WEAK, given, 1)
    assert COHORT_GY[0] < weak[0] < 50


@pytest.mark.parametrize(
    ("days", "cycles", "said"),
    [
        ((0, 0), (0,), "ascend"),
        ((0, 1), (5, 1), "cycles on days"),
        ((0, 1), (-3,), "cycles on days"),
        ((0, 1), (0, 9), "doses"),
    ],
)
def test_impossible_courses_are_refused(days: tuple[float, ...], cycles: tuple[float, ...], said: str) -> None:
    dose = [[10.0] * (1 if cycles != (5, 1) else 2)]
    with pytest.raises(OutsideValidity, match=said):
        tissue_over_days([LESIONS[0]], dose, cycles, [78.0], days)
