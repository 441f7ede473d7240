"""Laws of region algebra, for any partial voxels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.segment import SegmentSettings, evaluate_algebra
from lutra.segment.algebra import difference, intersection, union

GRID = Grid((7, 6, 5), np.diag([2.0, 3.0, 4.0, 1.0]), "frame")


@st.composite
def region(draw: st.DrawFn, name: str) -> Region:
    """A box of shares in 32nds anywhere in the grid, so that sums of float32 are exact."""
    start = [draw(st.integers(0, n - 1)) for n in GRID.shape]
    shape = [draw(st.integers(1, n - a)) for n, a in zip(GRID.shape, start, strict=True)]
    seed = draw(st.integers(0, 2**32 - 1))
    share = np.random.default_rng(seed).integers(0, 33, shape) / 32
    return Region(name, RegionKind.ORGAN, GRID, start, share, None, RegionOrigin.DRAWN, "by hand")


def whole(region: Region | None) -> npt.NDArray[np.float64]:
    share = np.zeros(GRID.shape)
    if region is not None:
        share[region.box] = region.fraction
    return share


@settings(max_examples=60, deadline=None)
@given(region("a"), region("b"))
def test_difference_and_intersection_part_a_region(a: Region, b: Region) -> None:
    np.testing.assert_array_equal(whole(difference("d", a, b)) + whole(intersection("i", a, b)), whole(a))


@settings(max_examples=60, deadline=None)
@given(region("a"), region("b"))
def test_union_and_intersection_have_the_volume_of_both(a: Region, b: Region) -> None:
    both = [union("u", a, b), intersection("i", a, b)]
    assert sum(r.volume_ml for r in both if r) == pytest.approx(a.volume_ml + b.volume_ml, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(region("a"), region("b"), region("c"))
def test_order_and_grouping_do_not_matter_and_parts_are_taken_out_together(a: Region, b: Region, c: Region) -> None:
    """Union and intersection commute, associate, distribute and absorb; parts taken out one by one take no less than together."""

    def value(text: str) -> npt.NDArray[np.float64]:
        outcome = evaluate_algebra((a, b, c), SegmentSettings(algebra=FrozenMap({"x": text})))
        assert outcome.value is not None
        return whole(outcome.value[0]) if outcome.value else np.zeros(GRID.shape)

    laws = [
        ("a + b + c", "c + (b + a)"),
        ("a & b & c", "c & (b & a)"),
        ("a & (b + c)", "a & b + a & c"),
        ("a + b & c", "(a + b) & (a + c)"),
        ("a & (a + b)", "a"),
    ]
    for left, right in laws:
        np.testing.assert_array_equal(value(left), value(right))
    assert (value("a - (b + c)") >= value("a - b - c")).all()


@settings(max_examples=40, deadline=None)
@given(region("a"), region("b"))
def test_whole_voxels_are_sets(a: Region, b: Region) -> None:
    """With shares of 0 and 1 alone the operations are those of sets of voxels."""
    one, other = (
        Region(r.name, r.kind, GRID, r.start_ijk, np.round(r.fraction), None, r.origin, r.source) for r in (a, b)
    )
    x, y = whole(one) > 0, whole(other) > 0
    np.testing.assert_array_equal(whole(union("u", one, other)), x | y)
    np.testing.assert_array_equal(whole(intersection("i", one, other)), x & y)
    np.testing.assert_array_equal(whole(difference("d", one, other)), x & ~y)
