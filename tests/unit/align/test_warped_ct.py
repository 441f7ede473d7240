"""A real CT in a posture that is known: organs found, and followed by regions; see known_warps for why it cannot cheat."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lutra.align.demons import Demons
from lutra.core.frozen import FrozenMap
from lutra.segment.propagate import propagate_region

from .known_warps import ORGANS, best_rigid, labelled_ct, soft_dice, warped_ct


def test_organs_of_a_real_ct_are_followed(shared_data: Path) -> None:
    """Median error in the organs at most 1.5 mm where the best rigid map misses by more than 5; Dice at least 0.95."""
    labelled = labelled_ct(shared_data / "ct_labelled")
    warped = warped_ct(labelled, seed=2)
    start = best_rigid(warped)
    outcome = Demons().register(warped.image, labelled.ct, FrozenMap(), 0, start)
    assert outcome.findings == ()
    found = outcome.value
    before, after = (np.concatenate([warped.error_mm(t, name) for name in ORGANS]) for t in (start, found))
    assert np.median(before) > 5
    assert np.median(after) < 1.5
    assert 0.5 < found.error_mm / np.sqrt(np.mean(after**2)) < 2
    for name in ORGANS:
        moved = propagate_region(labelled.region(name), found, warped.image.grid).value
        share = np.zeros(warped.image.grid.shape)
        share[moved.box] = moved.fraction
        assert soft_dice(share, warped.truth(labelled, name)) > 0.95, name
