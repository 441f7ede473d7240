"""Counts against hand calculation, and scatter against a Monte Carlo calculation."""

from __future__ import annotations

from math import exp, log
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import GridMismatch, OutsideValidity, UnitMismatch
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate.spect.acquire import Acquisition, acquire, check, from_square, orbit, square_side, to_square
from lutra.simulate.spect.camera import gamma_camera

CAMERA = gamma_camera("symbia-melp")
BARE = Acquisition(
    views=24, subsets=4, radius_mm=240.0, attenuation=False, scatter=False, tails=False, dead_time=False, noise=False
)


def ball(trunk: Any, bq_per_ml: float = 1e6) -> Volume:
    return trunk.activity(bq_per_ml * trunk.ball((20, 10, 0), (50, 50, 50)))


def test_counts_are_activity_times_sensitivity_times_time(trunk: Any) -> None:
    """24 views of 60 s, 9.3 cps/MBq each; 12 views of a head take 720 s, in which 177Lu falls to .9996 on average."""
    activity = ball(trunk)
    views = acquire(activity, trunk.attenuation, CAMERA, BARE, 0)
    mbq = activity.integral() / 1e6
    decayed = log(2) / 574300.8 * 720
    assert views.counts.sum(dtype=float) == pytest.approx(mbq * 9.3 * 24 * 60 * (1 - exp(-decayed)) / decayed, rel=5e-4)


def test_poisson_counts_have_the_expected_mean_and_variance(trunk: Any) -> None:
    how = evolve(BARE, noise=True)
    seen = [acquire(ball(trunk, 3e4), trunk.attenuation, CAMERA, how, seed) for seed in range(4)]
    counts, expected = np.array([v.counts for v in seen]), seen[0].expected
    assert (counts == np.rint(counts)).all()
    busy = expected > 1
    chi2 = float(np.mean((counts[:, busy] - expected[busy]) ** 2 / expected[busy]))
    assert chi2 == pytest.approx(1, abs=5 * (2 / busy.sum() / 4) ** 0.5)


def test_the_seed_decides_the_noise(trunk: Any) -> None:
    how = evolve(BARE, noise=True)
    one, again, other = (acquire(ball(trunk), trunk.attenuation, CAMERA, how, seed).counts for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


def test_tails_move_counts_and_keep_them(trunk: Any) -> None:
    """6.5 % of the counts go to an exponential of 60 mm: some leave this detector, none are added."""
    bare = acquire(ball(trunk), trunk.attenuation, CAMERA, BARE, 0).counts
    with_tails = acquire(ball(trunk), trunk.attenuation, CAMERA, evolve(BARE, tails=True), 0).counts
    kept = with_tails.sum(dtype=float) / bare.sum(dtype=float)
    assert 1 - 0.065 < kept < 1
    assert with_tails.max() < bare.max()
    far = bare < 1e-6 * bare.max()
    assert with_tails[far].min() > 0


def test_dead_time_by_hand(trunk: Any) -> None:
    """10 GBq in air: 93 kcps per head in the peak, 5.5 times that in all; x .55 us = .2813: 1 - e^-.2813 = 24.5 % are lost."""
    activity = ball(trunk)
    activity = evolve(activity, values=activity.values * np.float32(1e10 / activity.integral()))
    views = acquire(activity, trunk.attenuation, CAMERA, evolve(BARE, dead_time=True, s_per_view=1.0), 0)
    assert views.lost_share == pytest.approx(1 - exp(-10_000 * 9.3 * 5.5 * 0.55e-6), rel=2e-3)


@pytest.mark.parametrize(
    ("centre", "semi_axis", "monte_carlo"),
    [
        (None, 0, 0.230),
        ((0, 0, 0), 20, 0.555),
        ((-80, -20, 40), 55, 0.369),
        ((60, 60, -30), 30, 0.326),
        ((0, -105, 0), 12, 0.156),
    ],
)
def test_scatter_over_primary(
    trunk: Any, centre: tuple[float, ...] | None, semi_axis: float, monte_carlo: float
) -> None:
    """Within 10 % of a Monte Carlo calculation for this trunk (Klein-Nishina, forced detection, up to seven collisions)."""
    shape = trunk.body if centre is None else trunk.ball(centre, (semi_axis,) * 3)
    views = acquire(
        trunk.activity(1e4 * shape), trunk.attenuation, CAMERA, evolve(BARE, attenuation=True, scatter=True), 0
    )
    ratio = float(views.scatter.sum() / views.expected.sum())
    assert ratio == pytest.approx(monte_carlo, rel=0.1)


def test_scatter_of_a_patient_is_in_the_published_range(trunk: Any) -> None:
    """Scatter over primary of 0.25 to 0.35 in the peak for a trunk with liver, spleen and kidneys in a faint background."""
    activity = 1.0 * trunk.body
    for centre, axes, level in (
        ((-75, -15, 60), (75, 70, 70), 10),
        ((105, 30, 60), (30, 35, 45), 40),
        ((65, 55, -20), (25, 25, 50), 50),
        ((-65, 55, -20), (25, 25, 50), 50),
    ):
        activity[trunk.ball(centre, axes)] = level
    views = acquire(
        trunk.activity(1e3 * activity), trunk.attenuation, CAMERA, evolve(BARE, attenuation=True, scatter=True), 0
    )
    assert 0.25 <= float(views.scatter.sum() / views.expected.sum()) <= 0.35


def test_side_windows_overestimate_scatter_as_they_do_in_practice(trunk: Any) -> None:
    """By 10 to 15 %: the windows beside the peak, read by the trapezium of physics.energy_windows."""
    views = acquire(ball(trunk), trunk.attenuation, CAMERA, evolve(BARE, attenuation=True, scatter=True), 0)
    assert views.beside is not None
    assert 1.10 <= float(views.beside.scatter().sum() / views.scatter.sum()) <= 1.15


def test_an_orbit_follows_the_body(trunk: Any) -> None:
    """Half axes of 170 and 120 mm, 30 mm of clearance; the surface is where the outer voxel centres are."""
    side = square_side(ball(trunk), trunk.attenuation)
    mu = to_square(trunk.attenuation.values, side)
    radii = orbit(mu, trunk.grid, np.array([0, np.pi / 2, np.pi]), Acquisition())
    assert radii == pytest.approx([200, 150, 200], abs=8)
    with pytest.raises(OutsideValidity, match="give radius_mm"):
        orbit(np.zeros_like(mu), trunk.grid, np.zeros(1), Acquisition())


def test_a_square_holds_the_body_at_every_turn_and_gives_back_what_it_took(trunk: Any) -> None:
    side = square_side(ball(trunk), trunk.attenuation)
    assert side * 8 >= 2 * 170
    values = np.random.default_rng(0).random((5, 8, 3)).astype(np.float32)
    assert to_square(values, 9).sum() == pytest.approx(values.sum())
    np.testing.assert_array_equal(from_square(to_square(values, 9), values.shape), values)


def test_what_cannot_be_scanned_is_refused(trunk: Any) -> None:
    good, mu = ball(trunk), trunk.attenuation
    with pytest.raises(UnitMismatch):
        check(evolve(good, unit=Unit.STORED), mu)
    with pytest.raises(OutsideValidity, match="none below zero"):
        check(evolve(good, values=-good.values), mu)
    longer = Grid(trunk.grid.shape, trunk.grid.affine_lps_mm @ np.diag([1.1, 1, 1, 1]), trunk.grid.frame_of_reference)
    with pytest.raises(GridMismatch, match="activity and attenuation"):
        check(good, evolve(mu, grid=longer))
    with pytest.raises(OutsideValidity, match="square in the plane"):
        check(evolve(good, grid=longer), evolve(mu, grid=longer))
