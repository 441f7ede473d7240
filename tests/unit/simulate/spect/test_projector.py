"""The projector against its transpose, against counting, and against the resolution it was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lutra.core.errors import GridMismatch, OutsideValidity
from lutra.simulate.spect.camera import gamma_camera
from lutra.simulate.spect.projector import projector

CAMERA = gamma_camera("symbia-melp")
TURNS = 2 * np.pi * np.arange(24) / 24


@given(
    n=st.integers(4, 20),
    nz=st.integers(1, 12),
    views=st.integers(1, 7),
    radius_mm=st.floats(0, 300),
    spacing_mm=st.tuples(st.floats(3, 9), st.floats(3, 9)),
    attenuates=st.booleans(),
    seed=st.integers(0, 99),
)
@example(n=20, nz=8, views=3, radius_mm=149.0, spacing_mm=(9.0, 3.0), attenuates=True, seed=0)
@settings(max_examples=40, deadline=None)
def test_the_adjoint_is_the_transpose(
    n: int, nz: int, views: int, radius_mm: float, spacing_mm: tuple[float, float], attenuates: bool, seed: int
) -> None:
    """<A x, y> = <x, A' y> for whatever volume, views, orbit, voxel and attenuation, to rounding in single precision."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, n, nz), np.float32), rng.random((views, n, nz), np.float32)
    mu = 0.03 * rng.random((n, n, nz)) if attenuates else None
    system = projector(x.shape, spacing_mm, rng.uniform(0, 7, views), radius_mm, CAMERA.sigma_mm, mu)
    one = np.sum(system.forward(x).astype(np.float64) * y)
    other = np.sum(x * system.adjoint(y).astype(np.float64))
    assert one == pytest.approx(other, rel=1e-6)


def test_the_adjoint_holds_element_by_element() -> None:
    """Columns of A by unit volumes, rows by unit views: random sums could hide what cancels."""
    rng = np.random.default_rng(5)
    shape, views = (5, 5, 3), 4
    system = projector(shape, (5.0, 4.0), [0.0, 0.4, 2.0, 4.0], 60.0, CAMERA.sigma_mm, 0.02 * rng.random(shape))
    columns = [system.forward(e.reshape(shape)).ravel() for e in np.eye(75, dtype=np.float32)]
    rows = [system.adjoint(e.reshape(views, 5, 3)).ravel() for e in np.eye(60, dtype=np.float32)]
    np.testing.assert_allclose(np.transpose(columns), rows, rtol=1e-5, atol=1e-7)


def test_counts_are_kept_without_attenuation() -> None:
    """Every view of an object inside the field holds its whole content, within 0.2 %; all together within 0.02 %."""
    i, j, k = np.indices((48, 48, 40)) - np.array([23.5, 23.5, 19.5])[:, None, None, None]
    ball = (((i - 5) ** 2 + (j + 3) ** 2 + k**2) < 9**2).astype(np.float32)
    seen = projector(ball.shape, (4.8, 4.8), TURNS, 180.0, CAMERA.sigma_mm).forward(ball)
    per_view = seen.sum(axis=(1, 2), dtype=np.float64) / ball.sum()
    assert per_view == pytest.approx(1, abs=2e-3)
    assert per_view.mean() == pytest.approx(1, abs=2e-4)


def test_attenuation_of_a_slab_by_hand() -> None:
    """A voxel in the middle of 21 of 5 mm with 0.0136/mm: exp(-10 x 5 x 0.0136) from its centre to that of the last one."""
    activity = np.zeros((21, 21, 1), np.float32)
    activity[10, 10] = 1
    mu = np.full(activity.shape, 0.0136)
    system = projector(activity.shape, (5.0, 5.0), [0.0, np.pi / 2], 100.0, np.zeros_like, mu)
    seen = system.forward(activity).sum(axis=(1, 2))
    assert seen == pytest.approx(np.exp(-10 * 5 * 0.0136), rel=1e-6)


def test_a_point_goes_where_geometry_says() -> None:
    """The detector at angle a lies towards (cos a, sin a); its bins run along (-sin a, cos a). To a tenth of a voxel."""
    point = np.zeros((33, 33, 1), np.float32)
    point[22, 13] = 1  # 6 along the first axis, -3 along the second, from the middle
    seen = projector(point.shape, (4.0, 4.0), TURNS, 200.0, np.zeros_like).forward(point)[:, :, 0]
    where = (seen * (np.arange(33) - 16)).sum(axis=1) / seen.sum(axis=1)
    assert where == pytest.approx(-6 * np.sin(TURNS) - 3 * np.cos(TURNS), abs=0.1)


@pytest.mark.parametrize("at", [(24, 24), (34, 22), (38, 32)])
def test_resolution_is_that_of_the_camera_at_the_distance_of_the_point(at: tuple[int, int]) -> None:
    """Second moments of a point, averaged over the views, within 3 % along the detector and 1 % along the axis.

    Bilinear interpolation adds to the first what depends on where between voxels the point falls.
    """
    spacing, radius = 4.8, 180.0
    point = np.zeros((49, 49, 41), np.float32)
    point[at[0], at[1], 20] = 1
    turns = 2 * np.pi * np.arange(120) / 120
    seen = projector(point.shape, (spacing, spacing), turns, radius, CAMERA.sigma_mm).forward(point).astype(np.float64)
    towards = ((at[0] - 24) * np.cos(turns) + (at[1] - 24) * np.sin(turns)) * spacing
    wanted = float(np.mean(CAMERA.sigma_mm(radius - towards) ** 2))
    for axis, bins, within in ((2, np.arange(49) - 24, 0.03), (1, np.arange(41) - 20, 0.01)):
        profile = seen.sum(axis=axis)
        middle = (profile * bins).sum(axis=1) / profile.sum(axis=1)
        second = (profile * (bins - middle[:, None]) ** 2).sum(axis=1) / profile.sum(axis=1) * spacing**2
        assert np.sqrt(second.mean()) == pytest.approx(np.sqrt(wanted), rel=within)


def test_threads_change_no_byte() -> None:
    rng = np.random.default_rng(1)
    x, y, mu = rng.random((20, 20, 6)), rng.random((24, 20, 6)), 0.02 * rng.random((20, 20, 6))
    one, two = (projector(x.shape, (5.0, 5.0), TURNS, 150.0, CAMERA.sigma_mm, mu, threads) for threads in (1, 2))
    assert one.forward(x).tobytes() == two.forward(x).tobytes()
    assert one.adjoint(y).tobytes() == two.adjoint(y).tobytes()


def test_a_subset_is_a_part_of_the_whole() -> None:
    x = np.random.default_rng(2).random((16, 16, 4))
    system = projector(x.shape, (5.0, 5.0), TURNS, 150.0, CAMERA.sigma_mm)
    np.testing.assert_array_equal(system.forward(x, [3, 7, 20]), system.forward(x)[[3, 7, 20]])


def test_attenuation_in_per_cm_is_refused() -> None:
    with pytest.raises(OutsideValidity, match="divide by 10 if it is in 1/cm"):
        projector((8, 8, 4), (5.0, 5.0), TURNS, 150.0, CAMERA.sigma_mm, np.full((8, 8, 4), 0.136))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OutsideValidity, match="a square"):
        projector((8, 9, 4), (5.0, 5.0), TURNS, 150.0, CAMERA.sigma_mm)
    system = projector((8, 8, 4), (5.0, 5.0), TURNS, 150.0, CAMERA.sigma_mm)
    with pytest.raises(GridMismatch):
        system.forward(np.zeros((8, 8, 5)))
    with pytest.raises(GridMismatch):
        system.adjoint(np.zeros((3, 8, 4)))
