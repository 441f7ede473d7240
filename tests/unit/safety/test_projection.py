"""Projection of doses to the cycles to come."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest
from attrs import evolve

from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap
from lutra.core.projection import DoseLimit, GivenDose, Projection
from lutra.core.units import Unit
from lutra.reference.dose_trends import DoseTrend, dose_trend
from lutra.safety.projection import Outlook, project

PLAN = Outlook(4, 7.4e9, 0.5)
STEADY = DoseTrend(1.0, 1e-6, 1e-6, "nothing changes")


def given(
    cycle: int, dose_gy: float, own_sd: float = 0.0, shared_sd: float = 0.0, activity_bq: float = 7.4e9
) -> GivenDose:
    budget = {"camera": shared_sd * dose_gy, f"points, cycle {cycle}": own_sd * dose_gy}
    return GivenDose(cycle, activity_bq, Estimate(dose_gy, Unit.GY, FrozenMap(budget)), 0.9)


def projected(
    doses: list[GivenDose], *limits: DoseLimit, plan: Outlook = PLAN, trend: DoseTrend | None = STEADY
) -> Projection:
    outcome = project("left kidney", "kidney", doses, plan, limits, 1, trend)
    assert outcome.value is not None
    return outcome.value


def test_without_any_change_or_error_the_doses_go_on() -> None:
    found = projected([given(1, 4.0)], DoseLimit("dose", 23.0), DoseLimit("BED", 40.0, 2.6))
    assert [c.dose_gy.median for c in found.cycles] == pytest.approx([4.0] * 4, rel=1e-4)
    dose, bed = found.limits
    assert dose.after_all_gy is not None
    assert dose.after_all_gy.median == pytest.approx(16.0, rel=1e-4)
    # 23 / 4: five cycles in all and not six, so four more. BED of 4 Gy: 4 (1 + .9 x 4 / 2.6) = 9.538; 40 / 9.538 = 4.19.
    assert (dose.further_cycles, bed.further_cycles) == (4, 3)
    assert bed.so_far_gy.median == pytest.approx(9.5385, rel=1e-4)
    assert dose.exceeded_all == bed.exceeded_all == 0.0


def test_the_activity_that_fits_fills_the_limit() -> None:
    found = projected([given(1, 8.0), given(2, 8.0)], DoseLimit("dose", 20.0)).limits[0]
    assert found.fitting_activity_bq == pytest.approx(3.7e9, rel=0.01)
    assert found.exceeded_next == 1.0
    assert found.further_cycles == 0


def test_half_the_activity_gives_half_the_dose() -> None:
    found = projected([given(1, 2.0, activity_bq=3.7e9)])
    assert [c.dose_gy.median for c in found.cycles] == pytest.approx([2.0, 4.0, 4.0, 4.0], rel=1e-4)


def test_a_shared_error_does_not_average_out() -> None:
    """Four doses with an error of 10 % each: the sum is known to 5 % if they are independent, to 10 % if they are one error."""
    shared = projected([given(c, 4.0, shared_sd=0.1) for c in range(1, 5)], DoseLimit("dose", 16.0)).limits[0].so_far_gy
    own = projected([given(c, 4.0, own_sd=0.1) for c in range(1, 5)], DoseLimit("dose", 16.0)).limits[0].so_far_gy
    assert np.log(shared.high / shared.low) / 3.92 == pytest.approx(0.10, rel=0.05)
    assert np.log(own.high / own.low) / 3.92 == pytest.approx(0.05, rel=0.05)


def test_the_spread_of_the_next_cycle_is_that_of_the_normal_model() -> None:
    """One dose with an error s: the next has s, the cycle deviation of both, and the trend of the patient."""
    trend = DoseTrend(0.9, 0.05, 0.12, "test")
    found = projected([given(1, 4.0, own_sd=0.08)], trend=trend).cycles[1].dose_gy
    assert found.median == pytest.approx(3.6, rel=0.01)
    assert np.log(found.high / found.low) / 3.92 == pytest.approx(sqrt(0.08**2 + 2 * 0.12**2 + 0.05**2), rel=0.04)


def test_more_cycles_known_leave_less_doubt() -> None:
    doses = [given(c, 4.0, own_sd=0.08) for c in (1, 2, 3)]
    widths = []
    for n in (1, 2, 3):
        last = projected(doses[:n], trend=None).cycles[3].dose_gy
        widths.append(last.high / last.low)
    assert widths == sorted(widths, reverse=True)


def test_a_cycle_whose_dose_is_not_known_is_filled_in() -> None:
    found = projected([given(1, 4.0), given(3, 4.0)], DoseLimit("dose", 23.0))
    assert [(c.cycle, c.given) for c in found.cycles] == [(1, True), (2, False), (3, True), (4, False)]
    assert found.limits[0].so_far_gy.median == pytest.approx(12.0, rel=1e-4)


def test_more_dose_never_lets_more_activity_fit() -> None:
    fits = [projected([given(1, d)], DoseLimit("BED", 28.0, 2.6), trend=None).limits[0] for d in (2.0, 4.0, 6.0, 8.0)]
    activities, cycles = [f.fitting_activity_bq for f in fits], [f.further_cycles for f in fits]
    assert activities == sorted(activities, reverse=True)
    assert cycles == sorted(cycles, reverse=True)


def test_after_the_last_planned_cycle_nothing_is_to_come() -> None:
    limit = projected([given(c, 4.0) for c in range(1, 5)], DoseLimit("dose", 23.0)).limits[0]
    assert limit.after_next_gy is None
    assert limit.exceeded_all is None
    assert limit.further_cycles == 1


def test_the_probability_is_the_share_of_the_distribution() -> None:
    trend = evolve(STEADY, between_cycles_sd=0.2)
    found = projected([given(1, 4.0)], DoseLimit("dose", 4.0 + 4.0 * exp(0.2 * sqrt(2))), trend=trend).limits[0]
    assert found.exceeded_next == pytest.approx(0.159, abs=0.015)


def test_nothing_known_is_said() -> None:
    outcome = project("left kidney", "kidney", [], PLAN, (), 1)
    assert outcome.value is None
    assert [f.code for f in outcome.findings] == ["safety.nothing-to-project-from"]


def test_what_was_not_evaluated_is_named() -> None:
    dose = GivenDose(1, 7.4e9, Estimate(4.0, Unit.GY, FrozenMap({"camera": None, "points": 0.1})))
    assert projected([dose]).not_evaluated == ("camera",)


def test_trends_have_a_source() -> None:
    for tissue in ("kidney", "tumour", "spleen"):
        assert dose_trend(tissue).source
    assert dose_trend("tumour").per_cycle < 1
