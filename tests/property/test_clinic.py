"""Laws of blood counts and of reading lesions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.simulate.blood_counts import CHAINS, Exposure, chain_count, lymphocyte_count
from lutra.simulate.reads import TRUTH, Reader, ReadLesion, read_course

DAYS = np.arange(0.0, 85)
VISITS = [0, 100, 200, 300]
doses = st.floats(0, 2)
rows = st.lists(
    st.tuples(st.sampled_from(["liver", "node", "bone", "lung"]), st.lists(st.floats(0, 90), min_size=4, max_size=4)),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)  # the first call compiles
@given(gy=doses, more=st.floats(1.01, 3), cell=st.sampled_from(sorted(CHAINS)))
def test_more_dose_never_gives_a_higher_nadir(gy: float, more: float, cell: str) -> None:
    low, high = (chain_count(CHAINS[cell], [Exposure(0, f * gy, 50)], DAYS).min() for f in (1, more))
    assert 0 < high <= low + 1e-12


@settings(deadline=None)  # the first call compiles
@given(gy=doses, sensitivity=st.floats(0.1, 10))
def test_dose_and_sensitivity_act_as_their_product(gy: float, sensitivity: float) -> None:
    one = chain_count(CHAINS["platelets"], [Exposure(0, gy, 50)], DAYS, sensitivity)
    other = chain_count(CHAINS["platelets"], [Exposure(0, gy * sensitivity, 50)], DAYS, 1.0)
    assert one == pytest.approx(other, rel=1e-9)


@settings(deadline=None)  # the first call compiles
@given(gy=st.lists(doses, min_size=1, max_size=4))
def test_lymphocytes_never_exceed_their_baseline(gy: list[float]) -> None:
    count = lymphocyte_count([Exposure(60.0 * n, d, 60) for n, d in enumerate(gy)], np.arange(0.0, 600))
    assert count.min() > 0
    assert count.max() <= 1 + 1e-5


@settings(max_examples=60, deadline=None)
@given(rows=rows, seed=st.integers(0, 99))
def test_the_order_of_lesions_changes_no_response(rows: list[tuple[str, list[float]]], seed: int) -> None:
    lesions = [ReadLesion(f"{n:02d}", organ, VISITS, mm, 0.8 * np.array(mm)) for n, (organ, mm) in enumerate(rows)]
    for reader in (TRUTH, Reader("A")):
        one, other = (read_course(order, VISITS, [reader], seed) for order in (lesions, lesions[::-1]))
        assert one.targets == other.targets
        assert [v.overall for v in one.visits] == [v.overall for v in other.visits]


@settings(max_examples=60, deadline=None)
@given(rows=rows)
def test_targets_obey_their_limits(rows: list[tuple[str, list[float]]]) -> None:
    lesions = [ReadLesion(f"{n:02d}", organ, VISITS, mm, 0.8 * np.array(mm)) for n, (organ, mm) in enumerate(rows)]
    found = read_course(lesions, VISITS, [TRUTH], 0)
    organs = [x.organ for x in lesions if x.lesion_id in found.targets]
    assert len(organs) <= 5
    assert all(organs.count(o) <= 2 for o in organs)
