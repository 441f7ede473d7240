"""One frame of reference is the identity; two are never aligned by assumption."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.align import SharedFrame
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume


def image(frame: str) -> Volume:
    return Volume(np.zeros((4, 5, 6)), Grid((4, 5, 6), np.eye(4), frame), Unit.HU)


def test_one_frame() -> None:
    outcome = SharedFrame().register(image("1.2"), image("1.2"), FrozenMap(), 0)
    np.testing.assert_array_equal(outcome.value.fixed_from_moving, np.eye(4))
    assert (outcome.value.fixed_frame, outcome.value.moving_frame) == ("1.2", "1.2")
    assert outcome.value.error_mm is None  # the patient may have moved: not evaluated is not zero


@pytest.mark.parametrize(("fixed", "moving"), [("1.2", "1.3"), ("", ""), ("1.2", "")])
def test_two_frames_or_unknown_ones(fixed: str, moving: str) -> None:
    outcome = SharedFrame().register(image(fixed), image(moving), FrozenMap(), 0)
    assert outcome.value is None
    (finding,) = outcome.findings
    assert finding.severity is Severity.UNDETERMINED
    assert all((frame or "none") in finding.text for frame in (fixed, moving))
