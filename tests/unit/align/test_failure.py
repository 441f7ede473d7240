"""What is said of a registration, by the numbers it comes with."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.align.failure import LIMITS, beyond, impossible, judged
from lutra.align.settings import AlignSettings, numbers
from lutra.core.errors import ProtocolError
from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.transform import QUALITY, Transform

FIXED, MOVING = (Grid((9, 9, 9), np.eye(4), frame) for frame in ("1.2.3", "1.2.4"))
GOOD = {
    "error_mm": 0.3,
    "starts_agreeing": 1.0,
    "rival": 0.1,
    "body_dice": 0.98,
    "bone_dice": 0.8,
    "mutual_information": 1.3,
}


def test_good_numbers_need_no_words() -> None:
    assert judged(GOOD, FIXED, MOVING) is None
    assert judged({"starts_agreeing": 1.0}, FIXED, MOVING) is None  # what was not checked says nothing


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_each_check_alone_can_doubt_and_refuse(limit) -> None:
    assert limit.name in QUALITY or limit.name in {"error_mm", "rival"}
    step = 0.001 if limit.high_is_bad else -0.001
    doubtful = judged({**GOOD, limit.name: limit.doubtful + step}, FIXED, MOVING)
    failed = judged({**GOOD, limit.name: limit.failed + step}, FIXED, MOVING)
    assert doubtful is not None
    assert failed is not None
    assert (doubtful.code, doubtful.severity) == ("align.doubtful", Severity.WARNING)
    assert (failed.code, failed.severity) == ("align.failed", Severity.UNDETERMINED)
    for finding in (doubtful, failed):
        assert all(frame in finding.text for frame in ("1.2.3", "1.2.4"))
        assert limit.words in finding.text
        assert "landmarks" in finding.text
        assert limit.name in finding.evidence


def test_two_doubts_are_a_refusal() -> None:
    one, other = LIMITS[0], LIMITS[4]
    numbers = {**GOOD, one.name: one.doubtful + 0.1, other.name: other.doubtful - 0.1}
    assert judged(numbers, FIXED, MOVING).code == "align.failed"


def test_what_cannot_be_registered_is_named() -> None:
    finding = impossible("the fixed image is empty", FIXED, MOVING)
    assert finding.severity is Severity.UNDETERMINED
    assert "the fixed image is empty" in finding.text


def test_an_error_above_the_limit_of_the_study() -> None:
    def transform(error_mm: float | None) -> Transform:
        return Transform("a", "b", np.eye(4), error_mm, "rigid")

    assert beyond(transform(4.9), 5.0) is None
    for error_mm, words in ((5.1, "5.1 mm"), (None, "not evaluated")):
        finding = beyond(transform(error_mm), 5.0)
        assert finding is not None
        assert (finding.code, words in finding.text) == ("align.error-large", True)


def test_settings() -> None:
    assert AlignSettings().registrar == "rigid"
    assert numbers(FrozenMap({"voxel_mm": 2}), {"voxel_mm": 3.0}, "rigid") == {"voxel_mm": 2.0}
    for wrong in ({"voxels": 2.0}, {"voxel_mm": "fine"}, {"voxel_mm": 0.0}, {"voxel_mm": True}):
        with pytest.raises(ProtocolError, match=r"align\.options\.rigid"):
            numbers(FrozenMap(wrong), {"voxel_mm": 3.0}, "rigid")
