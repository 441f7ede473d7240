"""Marrow of L2 to L4 in vertebrae whose bodies and marrow are known."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from attrs import evolve

from lutra.core.finding import Outcome
from lutra.core.grid import Grid
from lutra.core.region import ConceptCode, Region, RegionKind, RegionOrigin
from lutra.reference.region_names import code_of_name
from lutra.segment import SegmentSettings, marrow_region
from lutra.segment.marrow import vertebral_body
from lutra.simulate.skeleton import CORTEX_MM, VERTEBRAE_MM, spine_y_mm, vertebra

STEP_MM = 2.0
ALONE = SegmentSettings()


def grid() -> Grid:
    low = np.array([-60.0, spine_y_mm(VERTEBRAE_MM["L3"]) - 45, VERTEBRAE_MM["L4"] - 30])
    high = np.array([60.0, spine_y_mm(VERTEBRAE_MM["L3"]) + 75, VERTEBRAE_MM["L2"] + 30])
    affine = np.diag([STEP_MM, STEP_MM, STEP_MM, 1])
    affine[:3, 3] = low
    return Grid(np.ceil((high - low) / STEP_MM).astype(int), affine, "frame")


GRID = grid()


def painted(
    level_mm: npt.NDArray[np.float64], name: str, code: ConceptCode | None = None, kind: str = "organ"
) -> Region:
    share = np.clip(level_mm / STEP_MM + 0.5, 0, 1)
    return Region(name, RegionKind(kind), GRID, (0, 0, 0), share, code, RegionOrigin.IMPORTED, "painted")


@cache
def points() -> npt.NDArray[np.float64]:
    return GRID.to_lps_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))


@cache
def spine() -> tuple[tuple[Region, ...], npt.NDArray[np.float32]]:
    """Three whole vertebrae of the digital body, and the shares of their true marrow."""
    bones, marrow = [], np.zeros(GRID.shape, np.float32)
    for level in ("L2", "L3", "L4"):
        bone, inner = vertebra(level, 1.0)
        bones.append(painted(bone.level_mm(points()), f"vertebrae_{level}", code_of_name(f"vertebrae_{level}")))
        marrow = np.maximum(marrow, painted(inner.level_mm(points()), "m").fraction)
    return tuple(bones), marrow


def lesion(centre: str, radius_mm: float) -> Region:
    middle = (0.0, spine_y_mm(VERTEBRAE_MM[centre]), VERTEBRAE_MM[centre])
    return painted(radius_mm - np.linalg.norm(points() - middle, axis=-1), "metastasis", kind="lesion")


def codes(outcome: Outcome[Region]) -> list[str]:
    return [finding.code for finding in outcome.findings]


def whole(region: Region) -> npt.NDArray[np.float32]:
    share = np.zeros(GRID.shape, np.float32)
    share[region.box] = region.fraction
    return share


def test_it_lies_in_the_true_marrow_alone() -> None:
    """The digital vertebra's marrow is that of its body. All of the region is in it, and a third of it or more is found."""
    bones, marrow = spine()
    outcome = marrow_region(bones, ALONE)
    assert outcome.findings == ()
    assert outcome.value is not None
    found = whole(outcome.value)
    assert np.minimum(found, marrow).sum() > 0.999 * found.sum()
    assert found.sum() > marrow.sum() / 3
    assert outcome.value.code == ConceptCode("14016003", "SCT", "Bone marrow")
    assert outcome.value.source.startswith("bodies of L2, L3, L4, 5 mm inside; “L2” + “L3” + “L4”")


@pytest.mark.parametrize("level", ["L2", "L3", "L4"])
def test_the_body_is_found_without_its_arch(level: str) -> None:
    """Of a whole vertebra, as of its body alone, 97 % of the body is found, with 3 % of arch at most."""
    bone, inner = vertebra(level, 1.0)
    body = painted(inner.level_mm(points()) + CORTEX_MM, "body")
    for drawn in (painted(bone.level_mm(points()), level), body):
        found = vertebral_body(drawn)
        assert found is not None
        both = float(np.minimum(whole(found), body.fraction).sum())
        assert both > 0.97 * body.fraction.sum()
        assert both > 0.97 * found.fraction.sum()


def test_lesions_and_their_surroundings_are_left_out() -> None:
    """A small lesion takes a bite; no voxel of what is left is nearer to it than the margin."""
    bones, _ = spine()
    small = lesion("L3", 4.0)
    settings = SegmentSettings(marrow_lesion_margin_mm=3.0)
    outcome = marrow_region((*bones, small), settings)
    assert codes(outcome) == ["segment.marrow-lesion"]
    assert outcome.value is not None
    middle = (0.0, spine_y_mm(VERTEBRAE_MM["L3"]), VERTEBRAE_MM["L3"])
    nearest_mm = np.linalg.norm(points() - middle, axis=-1)[whole(outcome.value) > 0.5].min()
    assert nearest_mm == pytest.approx(7.0, abs=1.0)
    assert "3 mm away from every lesion (1)" in outcome.value.source


def test_a_diseased_level_is_left_out() -> None:
    bones, _ = spine()
    outcome = marrow_region((*bones, lesion("L4", 10.0)), ALONE)
    assert codes(outcome) == ["segment.marrow-replaced"]
    assert outcome.value is not None
    assert outcome.value.source.startswith("bodies of L2, L3, ")


def test_missing_doubled_and_collapsed_levels_say_so() -> None:
    (l2, l3, l4), _ = spine()
    assert codes(marrow_region((l2, l3), ALONE)) == ["segment.marrow-level-missing"]
    assert codes(marrow_region((l2, l3, l4, evolve(l4, name="other L4")), ALONE)) == ["segment.marrow-level-missing"]
    flat = evolve(l3, fraction=l3.fraction[:, :, 40:46], start_ijk=(0, 0, 40))
    assert codes(marrow_region((l2, flat, l4), ALONE)) == ["segment.marrow-no-body"]


def test_without_vertebrae_or_with_too_little_left_there_is_none() -> None:
    bones, _ = spine()
    nothing = marrow_region((lesion("L3", 5.0),), ALONE)
    assert nothing.value is None
    assert codes(nothing) == ["segment.marrow-level-missing"] * 3
    little = marrow_region(bones, SegmentSettings(marrow_erosion_mm=10.0))
    assert little.value is None
    assert "segment.marrow-too-small" in codes(little)
