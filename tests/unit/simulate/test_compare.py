"""Agreement by hand: five pairs, their median, quartiles, root mean square, and intervals that hold the truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutra.core.errors import UsageError
from lutra.pipeline.study import StudyFolder
from lutra.simulate.compare import Pair, agreements, compare, find_truth


def pair(
    found: float, true: float, half: float | None = None, quantity: str = "activity", image: str = "cycle"
) -> Pair:
    ends = (None, None) if half is None else (found - half, found + half)
    return Pair(image, quantity, "MBq", "SIM-001", "lesion 1", found, true, *ends)


def test_bias_spread_and_coverage() -> None:
    pairs = [pair(11, 10, 2), pair(9, 10, 0.5), pair(10, 10, 1), pair(12, 10, 3), pair(26, 20)]
    (row,) = agreements(pairs)
    assert row.n == 5
    assert row.relative
    assert (row.lower_quartile, row.bias, row.upper_quartile) == pytest.approx((0, 0.1, 0.2))
    assert row.rmse == pytest.approx(((1 + 1 + 0 + 4 + 36) / 5) ** 0.5)
    assert (row.evaluated, row.coverage) == (4, 0.75)  # 9 +- 0.5 does not reach 10
    assert (row.lower_bounds, row.lower_bound_coverage) == (0, None)


def test_a_change_is_compared_by_its_difference() -> None:
    """A true change of +1 % found as -1 % is 2 percentage points off, not -200 %."""
    (row,) = agreements([pair(-1, 1, image="response"), pair(-31, -30, image="response")])
    assert not row.relative
    assert row.bias == pytest.approx(-1.5)


def test_images_and_quantities_are_kept_apart() -> None:
    rows = list(agreements([pair(1, 1), pair(2, 1, quantity="mass"), pair(3, 1, image="ct")]))
    assert [(row.image, row.quantity, row.bias) for row in rows] == [
        ("ct", "activity", 2.0), ("cycle", "activity", 0.0), ("cycle", "mass", 1.0),
    ]  # fmt: skip


def test_a_study_without_truth_or_results_is_refused(tmp_path: Path) -> None:
    study = StudyFolder.create(tmp_path / "study", "demo")
    with pytest.raises(UsageError, match="there is no truth"):
        find_truth(study)
    with pytest.raises(UsageError, match="cannot be read"):
        compare(study, tmp_path)
