"""Which names can tell one lesion from another."""

from __future__ import annotations

import pytest

from lutra.track.evidence import named_once, normalised, specific

from .scans import region


@pytest.mark.parametrize(
    "name", ["ROI 1", "roi_23", "GTV", "Lesion", "Segment_1", "new lesion", "17", "", "VOI region 2", "Target lesion"]
)
def test_generic(name: str) -> None:
    assert not specific(name)


@pytest.mark.parametrize("name", ["lesion 3", "GTV2", "liver R", "met segment 6", "L2", "Target 4", "a"])
def test_specific(name: str) -> None:
    assert specific(name)


def test_words_of_a_name() -> None:
    assert normalised(" LIVER-r__(2)") == "liver r 2"


def test_names_that_one_region_has() -> None:
    regions = [
        region(0, (n, 0, 0), name=name, digest=str(n)) for n, name in enumerate(["dome", "ROI 1", "hilum", "Hilum"])
    ]
    assert [c.region_name for c in named_once(regions)] == ["dome"]
