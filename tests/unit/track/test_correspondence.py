"""The table of lesions and images."""

from __future__ import annotations

import pytest

from lutra.core.lesion import Sighting
from lutra.track import correspondences

from .scans import covers, found, region


def test_one_row_for_each_lesion_and_image() -> None:
    candidates = (
        region(0, (0, 0, 0), 4, digest="a0"), region(0, (80, 0, 0), 2, digest="b0"), region(1, (3, 4, 0), 5, digest="a1"),
        region(2, None, 3, digest="x2", name="elsewhere"),
    )  # fmt: skip
    lesions = found(*candidates, images=(covers(0), covers(1)))
    rows = {(r.lesion_id, r.series_uid): r for r in correspondences(lesions, candidates)}
    assert len(rows) == 2 * 2 + 3
    same = rows["L01", "series 1"]
    assert (same.region, same.matched_by, same.merged_into) == ("a1", "position and size", None)
    assert same.distance_mm == pytest.approx(5)
    assert same.volume_ratio == pytest.approx(1.25)
    assert rows["L01", "series 0"].distance_mm == 0
    gone = rows["L02", "series 1"]
    assert (gone.sighting, gone.region, gone.distance_mm, gone.volume_ratio) == (Sighting.NOT_SEEN, None, None, None)
    assert rows["L03", "series 0"].sighting is Sighting.NOT_ASSESSABLE


def test_no_distance_without_a_common_frame() -> None:
    candidates = (region(0, None, 4, name="dome"), region(1, None, 2, name="dome"))
    _, later = correspondences(found(*candidates), candidates)
    assert (later.distance_mm, later.volume_ratio) == (None, 0.5)
