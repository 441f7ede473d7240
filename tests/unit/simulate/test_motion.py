"""Motion against its own definition: inverse, volume, and who moves how far."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.simulate.motion import MAX_BREATH_MM, Motion, breathing_phases, sample_motion

SPACE = np.random.default_rng(3).uniform((-180, -130, -330), (180, 130, 330), (4000, 3))
LIVER, RIGHT_KIDNEY, SPLEEN = (-75, -10, 80), (-62, 50, -15), (100, 34, 92)
L2, BLADDER, LUNG_APEX, BACK = (0, 40, -20), (0, -8, -262), (-60, 10, 310), (0, 108, 0)

motions = st.builds(
    Motion,
    st.floats(0, MAX_BREATH_MM),
    st.tuples(*[st.floats(-20, 20)] * 3),
    st.tuples(*[st.floats(-8, 8)] * 3),
    st.tuples(*[st.floats(-40, 40)] * 2),
)


@given(motions)
@settings(max_examples=40, deadline=None)
def test_there_and_back_within_a_hundredth_of_a_millimetre(motion: Motion) -> None:
    there = motion.scan_from_reference(SPACE)
    np.testing.assert_allclose(motion.reference_from_scan(there), SPACE, atol=0.01)
    back = motion.reference_from_scan(SPACE)
    np.testing.assert_allclose(motion.scan_from_reference(back), SPACE, atol=0.01)


@given(motions)
@settings(max_examples=40, deadline=None)
def test_nothing_folds(motion: Motion) -> None:
    """The Jacobian is positive everywhere, so that no two points of a scan are the same point of the body."""
    assert motion.jacobian(SPACE).min() > 0.2


def test_laying_down_elsewhere_and_bending_keep_every_volume() -> None:
    motion = Motion(0, (5, -3, 8), (2, -3, 4), (20, -15))
    np.testing.assert_allclose(motion.jacobian(SPACE), 1, atol=1e-6)


def test_jacobian_is_the_ratio_of_volumes() -> None:
    """A small cube of the scan, taken to the reference by its corners, has the volume the Jacobian says."""
    motion = Motion(20.0)
    corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]) * 0.2
    for point in SPACE[:50]:
        edges = np.diff(motion.reference_from_scan(point + corners)[[0, 1, 0, 2, 0, 3]], axis=0)[::2]
        assert motion.jacobian(point + 0.1) == pytest.approx(np.linalg.det(edges / 0.2), abs=5e-3)


@pytest.mark.parametrize(
    ("place", "low", "high"),
    [
        (LIVER, 0.9, 1),
        (RIGHT_KIDNEY, 0.6, 1),
        (SPLEEN, 0.6, 1),
        (L2, 0, 0.25),
        (BLADDER, 0, 0.02),
        (LUNG_APEX, 0, 0.1),
        (BACK, 0, 0.65),
    ],
)
def test_breathing_moves_who_breathes(place: tuple[float, ...], low: float, high: float) -> None:
    """Downwards (to the feet) by this share of the depth of breath [keall2006: kidneys 11-16 mm where the liver moves 13-17]."""
    point = np.array([place], float)
    moved = Motion(14.0).scan_from_reference(point) - point
    assert low * 14 <= -moved[0, 2] <= high * 14
    assert moved[0, 1] <= 1e-9  # and to the front
    assert moved[0, 0] == 0


def test_displacement_is_reference_minus_scan_at_every_voxel() -> None:
    grid = Grid((5, 4, 6), [[40, 0, 0, -80], [0, 40, 0, -60], [0, 0, 50, -100], [0, 0, 0, 1]], "1")
    motion = Motion(14, (3, 0, 0), (0, 0, 2))
    field = motion.displacement_on(grid)
    assert field.shape == (5, 4, 6, 3)
    point = grid.to_lps_mm((1, 2, 3))
    np.testing.assert_allclose(field[1, 2, 3], motion.reference_from_scan(point) - point)
    assert not Motion().displacement_on(grid).any()


def test_single_precision_stays_within_a_thousandth() -> None:
    motion = sample_motion(4, "a", "b")
    exact, single = motion.reference_from_scan(SPACE), motion.reference_from_scan(SPACE.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, atol=1e-3)


def test_scans_of_a_session_lie_alike_and_breathe_differently() -> None:
    ct, spect, other = (
        sample_motion(1, "cycle 1", "ct"),
        sample_motion(1, "cycle 1", "spect"),
        sample_motion(1, "cycle 2", "ct"),
    )
    np.testing.assert_array_equal(ct.translation_mm, spect.translation_mm)
    np.testing.assert_array_equal(ct.bend_mm, spect.bend_mm)
    assert ct.breath_mm != spect.breath_mm
    assert (ct.translation_mm != other.translation_mm).all()
    again = sample_motion(1, "cycle 1", "ct")
    assert (again.breath_mm, again.turn_deg.tolist()) == (ct.breath_mm, ct.turn_deg.tolist())


def test_sampled_spreads_are_those_asked_for() -> None:
    drawn = [sample_motion(seed, "s", "t") for seed in range(600)]
    assert np.std([m.translation_mm for m in drawn]) == pytest.approx(4, rel=0.08)
    assert np.std([m.turn_deg for m in drawn]) == pytest.approx(1.2, rel=0.08)
    assert np.median([m.breath_mm for m in drawn]) == pytest.approx(14 * 0.375, rel=0.06)
    assert np.mean([sample_motion(s, breathing="expiration").breath_mm for s in range(400)]) < 2
    assert sample_motion(3, breathing="none").breath_mm == 0
    with pytest.raises(OutsideValidity, match="quiet"):
        sample_motion(1, breathing="deep")


def test_phases_of_breathing_average_to_the_mean() -> None:
    phases = breathing_phases(Motion(5.0, (1, 2, 3)), 8)
    assert np.mean([p.breath_mm for p in phases]) == pytest.approx(5)
    assert max(p.breath_mm for p in phases) > 10
    assert all(p.translation_mm.tolist() == [1, 2, 3] for p in phases)


def test_a_breath_that_would_fold_the_body_is_refused() -> None:
    with pytest.raises(OutsideValidity, match="breathing"):
        Motion(60)
    with pytest.raises(OutsideValidity, match="bent"):
        Motion(0, bend_mm=(90, 0))
