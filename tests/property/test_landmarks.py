"""Paired landmarks give back any rigid motion exactly, whatever it is and in whatever order they come."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lutra.align import from_landmarks


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 12), extent_mm=st.floats(20, 400))
def test_any_rigid_motion_comes_back(seed: int, n: int, extent_mm: float) -> None:
    """To 1e-7 mm over a metre."""
    rng = np.random.default_rng(seed)
    moving = rng.uniform(-extent_mm, extent_mm, (n, 3))
    if np.linalg.svd(moving - moving.mean(0), compute_uv=False)[1] / np.sqrt(n) < 2:
        return  # as good as on a line
    turn, shift = Rotation.random(rng=rng), rng.uniform(-1000, 1000, 3)
    order = rng.permutation(n)
    outcome = from_landmarks((turn.apply(moving) + shift)[order], moving[order], "f", "m")
    transform = outcome.value
    assert transform is not None
    points = rng.uniform(-500, 500, (20, 3))
    np.testing.assert_allclose(transform.fixed_points(points), turn.apply(points) + shift, atol=1e-7)
    assert transform.error_mm is not None
    assert transform.error_mm < 1e-6
    assert {finding.code for finding in outcome.findings} <= {"align.few-landmarks"}
