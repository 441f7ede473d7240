"""Matching by place and size: against patients whose truth is known, and in cases whose answer is plain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from lutra.simulate.rescans import LesionScan, Rescan, clustered_rescan, treated_rescan
from lutra.track import EdgeKind, Given, Matching, Spots, ball_spread_mm2, match
from lutra.track.local_shift import shift_at, shift_without_own

MAKERS = (clustered_rescan, treated_rescan)


def spots(
    places: npt.ArrayLike, volumes: npt.ArrayLike, error_mm: float = 1.0, spread: npt.ArrayLike | None = None
) -> Spots:
    volume = np.asarray(volumes, float)
    n = len(volume)
    return Spots(
        np.asarray(places, float), np.full(n, error_mm), volume, ball_spread_mm2(volume) if spread is None else spread,
        np.full(n, 0.6), np.zeros(n, bool),
    )  # fmt: skip


def of(scan: LesionScan, error_mm: float) -> Spots:
    return spots(scan.position_mm, scan.volume_ml, error_mm, scan.spread_mm2)


def found(rescan: Rescan, error_mm: float) -> Matching:
    return match(of(rescan.before, 0.3), of(rescan.after, error_mm))


def pairs(matching: Matching) -> set[tuple[int, int]]:
    return {(e.lesion, e.region) for e in matching.edges}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("count", "patients", "wanted"), [(10, 30, 0.97), (40, 10, 0.97), (120, 4, 0.95)])
def test_edges_at_5_mm_error(
    make: Callable[[np.random.Generator, int, float], Rescan], count: int, patients: int, wanted: float
) -> None:
    """With splits, mergers, new and vanished lesions. The larger study is bench/track/matching.py."""
    scores, sure = [], []
    for seed in range(patients):
        rescan = make(np.random.default_rng([100, seed, count]), count, 5.0)
        matching = found(rescan, 5.0)
        right = pairs(matching) & set(rescan.edges)
        scores.append(2 * len(right) / (len(matching.edges) + len(rescan.edges)))
        sure += [(e.lesion, e.region) in right for e in matching.edges if e.confidence > 0.9]
    assert np.mean(scores) >= wanted
    assert np.mean(sure) >= 0.985  # 0.99 over more patients


@pytest.mark.parametrize("make", MAKERS)
def test_the_order_of_lesions_does_not_matter(make: Callable[[np.random.Generator, int, float], Rescan]) -> None:
    rng = np.random.default_rng(5)
    rescan = make(rng, 40, 5.0)
    before, after = of(rescan.before, 0.3), of(rescan.after, 5.0)
    p, q = rng.permutation(len(before)), rng.permutation(len(after))

    def mixed(s: Spots, order: npt.NDArray[np.intp]) -> Spots:
        return spots(s.position_mm[order], s.volume_ml[order], float(s.error_mm[0]), s.spread_mm2[order])

    again = match(mixed(before, p), mixed(after, q))
    assert {(int(p[i]), int(q[j])) for i, j in pairs(again)} == pairs(match(before, after))


def test_probabilities_do_not_depend_on_where_the_patient_lies() -> None:
    rescan = clustered_rescan(np.random.default_rng(8), 20, 5.0)
    before, after = of(rescan.before, 0.3), of(rescan.after, 5.0)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]

    def moved(s: Spots) -> Spots:
        return spots(
            s.position_mm @ turn.T + (100, -50, 7), s.volume_ml, float(s.error_mm[0]), turn @ s.spread_mm2 @ turn.T
        )

    one, other = match(before, after), match(moved(before), moved(after))
    np.testing.assert_allclose(other.probability, one.probability, atol=1e-6)


def test_a_shift_that_all_share_is_found_from_the_neighbours() -> None:
    """Lesions 18 mm apart, all off by 13 mm: the nearest region is always the wrong one."""
    places = np.array([(18.0 * a, 18.0 * b, 0) for a in range(4) for b in range(4)])
    volumes = np.random.default_rng(0).lognormal(0, 1, 16)
    matching = match(spots(places, volumes, 0.3), spots(np.add(places, (13.0, 0, 0)), volumes, 8.0))
    assert pairs(matching) == {(n, n) for n in range(16)}
    np.testing.assert_allclose(matching.shift.mean_mm, np.tile((13.0, 0, 0), (16, 1)), atol=1.5)


def test_shift_without_own_is_the_shift_of_the_others() -> None:
    rng = np.random.default_rng(2)
    points, observed = rng.normal(0, 40, (7, 3)), rng.normal(0, 5, (7, 3))
    error, noise = rng.uniform(3, 6, 7), rng.uniform(1, 4, 7)
    shift = shift_without_own(points, error, observed, noise)
    for n in range(7):
        rest = np.arange(7) != n
        alone = shift_at(points[[n]], error[[n]], points[rest], error[rest], observed[rest], noise[rest])
        np.testing.assert_allclose(shift.mean_mm[n], alone.mean_mm[0], rtol=1e-9)
        assert shift.variance_mm2[n] == pytest.approx(alone.variance_mm2[0])


@pytest.mark.parametrize("stated_mm", [5.0, 2.5])
@pytest.mark.parametrize("make", MAKERS)
def test_a_registration_that_states_half_its_error(
    make: Callable[[np.random.Generator, int, float], Rescan], stated_mm: float
) -> None:
    """It is found out, and only it: the error is 5 mm."""
    patients = [make(np.random.default_rng([9, seed]), 40, 5.0) for seed in range(6)]
    matched = [found(rescan, stated_mm) for rescan in patients]
    assert sum(m.error_doubled for m in matched) == pytest.approx(
        6 if stated_mm < 5 else 0, abs=2 if stated_mm < 5 else 0
    )
    right = sum(len(pairs(m) & set(rescan.edges)) for m, rescan in zip(matched, patients, strict=True))
    assert 2 * right / sum(len(m.edges) + len(r.edges) for m, r in zip(matched, patients, strict=True)) > 0.97


HALVES = spots([(0, 0, 9), (0, 0, -9), (80, 0, 0)], [4, 4, 5])
WHOLE = spots([(0, 0, 0), (80, 0, 0)], [8, 5])


def test_two_halves_of_a_lesion() -> None:
    edges = match(WHOLE, HALVES).edges
    assert [(e.lesion, e.region, e.kind) for e in edges] == [
        (0, 0, EdgeKind.SPLIT), (0, 1, EdgeKind.SPLIT), (1, 2, EdgeKind.SAME),
    ]  # fmt: skip


def test_two_neighbours_become_one() -> None:
    edges = match(HALVES, WHOLE).edges
    assert [(e.lesion, e.region, e.kind) for e in edges] == [
        (0, 0, EdgeKind.MERGED), (1, 0, EdgeKind.MERGED), (2, 1, EdgeKind.SAME),
    ]  # fmt: skip


def test_neither_where_volumes_say_no() -> None:
    """As large as before, and a speck beside it: the lesion and a new one."""
    edges = match(WHOLE, spots([(0, 0, 0), (0, 0, 20), (80, 0, 0)], [8, 0.3, 5])).edges
    assert [(e.lesion, e.region, e.kind) for e in edges] == [(0, 0, EdgeKind.SAME), (1, 2, EdgeKind.SAME)]


def test_what_is_barred_is_not_matched_and_what_is_given_is() -> None:
    before, after = spots([(0, 0, 0), (60, 0, 0)], [4, 4]), spots([(1, 0, 0), (61, 0, 0)], [4, 4])
    barred = np.array([[True, False], [False, False]])
    assert pairs(match(before, after, Given(barred=barred))) == {(1, 1)}
    assert pairs(match(before, after, Given(fixed=[(0, 1)]))) == {(0, 1)}
    assert pairs(match(before, after, Given(closed=[(0, 1), (1, 0)]))) == {(0, 1), (1, 0)}


def test_a_given_match_leaves_room_for_a_lesion_that_has_grown_into_it() -> None:
    edges = match(HALVES, WHOLE, Given(fixed=[(1, 0)])).edges
    assert {(e.lesion, e.region) for e in edges} == {(0, 0), (1, 0), (2, 1)}
    assert {(e.lesion, e.region) for e in match(HALVES, WHOLE, Given(closed=[(1, 0)])).edges} == {(1, 0), (2, 1)}


def test_nothing_to_match() -> None:
    none = spots(np.zeros((0, 3)), [])
    for before, after in ((none, WHOLE), (WHOLE, none), (none, none)):
        assert match(before, after).edges == ()
