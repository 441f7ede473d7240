"""Blood counts against their stated nadirs and an independent solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lutra.core.errors import OutsideValidity
from lutra.simulate.blood_counts import CHAINS, CellLine, Exposure, chain_count, dose_until, lymphocyte_count

CYCLES_8_WEEKS = [Exposure(56 * c, 0.22, 50) for c in range(4)]
DAYS = np.arange(0, 400.0)


def by_scipy(line: CellLine, exposures: list[Exposure]) -> np.ndarray:
    """The five equations as written, with killing in P, in steps too short to jump over an administration."""
    k = 4 / line.transit_d

    def slope(t: float, y: np.ndarray) -> list[float]:
        mu = np.log(2) * 24 / 50
        rate = sum(e.dose_gy * mu * np.exp(-mu * (t - e.day)) for e in exposures if t >= e.day)
        p, a, b, c, blood = y
        growth = k * p * (blood**-line.feedback - 1)
        return [growth - line.kill_per_gy * rate * p, k * (p - a), k * (a - b), k * (b - c), k * (c - blood)]

    return np.asarray(solve_ivp(slope, (0, 400), np.ones(5), t_eval=DAYS, max_step=0.25, rtol=1e-7).y[4])


@pytest.mark.parametrize("cell", CHAINS)
def test_agrees_with_an_independent_solver(cell: str) -> None:
    ours = chain_count(CHAINS[cell], CYCLES_8_WEEKS, DAYS)
    assert ours == pytest.approx(by_scipy(CHAINS[cell], CYCLES_8_WEEKS), abs=1e-3)


@pytest.mark.parametrize(("cell", "nadir", "day"), [("platelets", 0.71, 36), ("neutrophils", 0.77, 25)])
def test_nadir_after_one_cycle(cell: str, nadir: float, day: float) -> None:
    """Stated for .22 Gy; the day of the platelets is the published 5.1 weeks."""
    t = np.arange(0, 56, 0.5)
    count = chain_count(CHAINS[cell], CYCLES_8_WEEKS[:1], t)
    assert count.min() == pytest.approx(nadir, abs=0.01)
    assert t[count.argmin()] == pytest.approx(day, abs=1)


def test_sensitive_platelets() -> None:
    """43 % at 5 per Gy; stated to a per cent, we find 44.4."""
    assert chain_count(CHAINS["platelets"], CYCLES_8_WEEKS[:1], DAYS, 5.0).min() == pytest.approx(0.43, abs=0.015)


def test_cycles_every_eight_weeks() -> None:
    """Stated: platelets 83 % at 12 weeks, haemoglobin 96 % at 8 weeks and 88 % after three cycles."""
    assert chain_count(CHAINS["platelets"], CYCLES_8_WEEKS, [84])[0] == pytest.approx(0.83, abs=0.01)
    haemoglobin = chain_count(CHAINS["haemoglobin"], CYCLES_8_WEEKS, [56, 168])
    assert haemoglobin == pytest.approx([0.96, 0.88], abs=0.01)


def test_lymphocytes_every_twelve_weeks() -> None:
    """Stated for .6 Gy per cycle: nadir 41 %, and 66 % when twelve weeks have passed since the fourth."""
    count = lymphocyte_count([Exposure(84 * c, 0.6, 50) for c in range(4)], DAYS)
    assert count.min() == pytest.approx(0.41, abs=0.01)
    assert count[336] == pytest.approx(0.66, abs=0.01)


def test_lymphocytes_by_hand() -> None:
    """A dose given at once leaves exp(-a D); then the gap closes by half in 90 days. exp(-1) = .368, and .684 after 90 d."""
    count = lymphocyte_count([Exposure(0, 1.0, 0.01)], [0.2, 90.0], 1.0)
    assert count == pytest.approx([np.exp(-1), 1 - (1 - np.exp(-1)) / 2], abs=2e-3)


@pytest.mark.parametrize("exposures", [[], [Exposure(0, 0.0, 50), Exposure(84, 0.0, 50)]])
def test_without_dose_counts_stay(exposures: list[Exposure]) -> None:
    for line in CHAINS.values():
        assert chain_count(line, exposures, DAYS) == pytest.approx(np.ones(400), abs=1e-12)
    assert lymphocyte_count(exposures, DAYS) == pytest.approx(np.ones(400), abs=1e-5)


def test_dose_adds_up() -> None:
    assert dose_until(CYCLES_8_WEEKS, [1e4])[0] == pytest.approx(0.88)
    assert dose_until(CYCLES_8_WEEKS, [50 / 24])[0] == pytest.approx(0.11)


def test_before_treatment_counts_are_the_baseline() -> None:
    assert chain_count(CHAINS["platelets"], CYCLES_8_WEEKS, [-14.0, 0.0]) == pytest.approx([1, 1])


def test_impossible_exposure_is_refused() -> None:
    with pytest.raises(OutsideValidity, match="half-life"):
        chain_count(CHAINS["platelets"], [Exposure(0, 0.2, 0)], [10])
