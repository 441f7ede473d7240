"""Contours to regions: what they mean, and every way they can be unusable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.errors import ProtocolError
from lutra.core.finding import Severity
from lutra.core.grid import Grid
from lutra.core.region import ContourSet, RegionKind
from lutra.segment import SegmentSettings, regions_from_contours

GRID = Grid((30, 30, 10), np.diag([2.0, 2, 3, 1]), "frame")
ALONE = SegmentSettings()


def square(z: float, low: float = 10, high: float = 20) -> npt.NDArray[np.float64]:
    return np.array([[low, low, z], [high, low, z], [high, high, z], [low, high, z]])


def tilted() -> npt.NDArray[np.float64]:
    corners = square(6)
    corners[1, 2] += 2
    return corners


def drawn(name: str, *contours: npt.NDArray[np.float64], frame: str = "frame") -> ContourSet:
    return ContourSet(name, contours or (square(6), square(9)), frame, None, "1.2.3")


def codes(outcome: object) -> list[str]:
    return [finding.code for finding in outcome.findings]


@pytest.mark.parametrize(
    ("name", "kind", "meaning"),
    [
        ("lesion1 liver R lobe", RegionKind.LESION, "Lesion"),
        ("GTV-1", RegionKind.LESION, "Lesion"),
        ("GTV_Mass", RegionKind.LESION, "Lesion"),
        ("GTVp", RegionKind.LESION, "Lesion"),
        ("Tumour left kidney", RegionKind.LESION, "Lesion"),
        ("liver met 3", RegionKind.LESION, "Lesion"),
        ("GTV_Edema", RegionKind.OTHER, "Edema"),
        ("Lung-Left", RegionKind.ORGAN, "Left lung"),
        ("Lt Lung", RegionKind.ORGAN, "Left lung"),
        ("KIDNEY_R", RegionKind.ORGAN, "Right kidney"),
        ("Spinal-Cord", RegionKind.ORGAN, "Spinal cord"),
        ("Liver", RegionKind.ORGAN, "Liver"),
    ],
)
def test_names_that_authors_give(name: str, kind: RegionKind, meaning: str) -> None:
    outcome = regions_from_contours((drawn(name),), GRID, ALONE)
    (region,) = outcome.value
    assert (region.kind, region.code.meaning) == (kind, meaning)
    assert region.code.scheme == "SCT"
    assert outcome.findings == ()


@pytest.mark.parametrize("name", ["Liver minus lesions", "Lungs-GTV", "PTV 60", "Tumor Bed"])
def test_regions_named_after_a_tumour_that_are_none(name: str) -> None:
    (region,) = regions_from_contours((drawn(name),), GRID, ALONE).value
    assert region.kind is RegionKind.OTHER


@pytest.mark.parametrize("name", ["metal artefact", "Scar", "delivery", "Deliverable"])
def test_a_word_inside_another_word_means_nothing(name: str) -> None:
    outcome = regions_from_contours((drawn(name),), GRID, ALONE)
    assert outcome.value[0].kind is RegionKind.OTHER
    assert codes(outcome) == ["segment.unknown-name"]


def test_the_study_may_add_names() -> None:
    settings = SegmentSettings((r"^target \d+$",))
    outcome = regions_from_contours((drawn("Target_7"),), GRID, settings)
    assert outcome.value[0].kind is RegionKind.LESION
    assert not outcome.findings


def test_a_broken_pattern_names_the_setting() -> None:
    with pytest.raises(ProtocolError, match="lesion_name_patterns"):
        regions_from_contours((drawn("x"),), GRID, SegmentSettings(("(",)))


def test_volume_by_hand() -> None:
    """Two squares of 10 mm on slices of 3 mm: 0.6 mL, centred at (15, 15, 7.5)."""
    (region,) = regions_from_contours((drawn("lesion"),), GRID, ALONE).value
    assert region.volume_ml == pytest.approx(0.6, rel=1e-5)
    assert region.centroid_lps_mm == pytest.approx([15, 15, 7.5], abs=1e-4)
    assert region.source == "contours of 1.2.3"


def test_overlap_says_both_volumes() -> None:
    """Two squares of 100 mm2 that share half: 0.3 mL on the first slice, 0.3 mL of 0.45 on the second."""
    outcome = regions_from_contours((drawn("lesion", square(6), square(9), np.add(square(9), (5, 0, 0))),), GRID, ALONE)
    assert outcome.value[0].volume_ml == pytest.approx(0.6, rel=1e-4)
    assert "0.15 mL" in outcome.findings[0].text


def test_holes_and_islands_are_no_overlap() -> None:
    outer, hole, island = square(9, 4, 34), square(9, 10, 28), square(9, 14, 20)
    outcome = regions_from_contours((drawn("lesion", square(6), outer, hole, island),), GRID, ALONE)
    assert outcome.findings == ()
    assert outcome.value[0].volume_ml == pytest.approx((100 + 900 - 324 + 36) * 3e-3, rel=1e-4)


def test_a_line_of_many_points_is_no_contour() -> None:
    """Three points of which two are the same enclose nothing."""
    line = np.array([[10.0, 10, 9], [20, 10, 9], [10, 10, 9]])
    outcome = regions_from_contours((drawn("lesion", square(6), square(9), line),), GRID, ALONE)
    assert codes(outcome) == ["segment.degenerate-contour"]


def test_contours_of_each_series_go_to_it() -> None:
    """One file over two series: each takes its own; a third of the same frame takes all."""
    sets = tuple(
        ContourSet("lesion", (square(z), square(z + 3)), "frame", uid, "1.2.3") for z, uid in ((6, "a"), (15, "b"))
    )
    for uid, centre in (("a", 7.5), ("b", 16.5)):
        (region,) = regions_from_contours(sets, GRID, ALONE, uid).value
        assert region.centroid_lps_mm[2] == pytest.approx(centre, abs=1e-4)
        assert region.referenced_series_uid == uid
    assert len(regions_from_contours(sets, GRID, ALONE, "c").value) == 2


def test_sagittal_contours_are_used() -> None:
    """Two sagittal squares of 12 mm, 2 mm apart: 0.576 mL."""
    contours = [np.roll(square(x, 9, 21), 1, axis=1) for x in (10, 12)]
    outcome = regions_from_contours((drawn("lesion", *contours),), GRID, ALONE)
    assert outcome.findings == ()
    assert outcome.value[0].volume_ml == pytest.approx(0.576, rel=1e-4)


@pytest.mark.parametrize("frame", ["another", ""])
def test_another_frame_of_reference_is_not_used(frame: str) -> None:
    outcome = regions_from_contours((drawn("lesion", frame=frame),), GRID, ALONE)
    assert outcome.value is None
    assert codes(outcome) == ["segment.other-frame"]
    assert outcome.findings[0].severity is Severity.UNDETERMINED
    assert "frame" in outcome.findings[0].text


def test_an_unknown_frame_matches_no_other_unknown_frame() -> None:
    unknown = Grid(GRID.shape, GRID.affine_lps_mm, "")
    assert regions_from_contours((drawn("lesion", frame=""),), unknown, ALONE).value is None


@pytest.mark.parametrize(
    ("contours", "code", "kept"),
    [
        ((square(6, 200, 220),), "segment.unusable-contours", False),
        ((tilted(),), "segment.unusable-contours", False),
        ((square(6), square(6)), "segment.unusable-contours", False),
        ((square(6)[:2],), "segment.unusable-contours", False),
        ((square(6, -8, 20), square(9)), "segment.cut-by-edge", True),
        ((square(6), square(9), square(15)), "segment.slices-left-out", True),
        ((square(6), square(9), np.add(square(9), (5, 0, 0))), "segment.contours-overlap", True),
        ((square(6), square(9), square(9)), "segment.contours-overlap", True),
        ((square(6),), "segment.single-plane", True),
        ((square(6), square(9), square(9)[:2]), "segment.degenerate-contour", True),
        ((square(24), square(27), square(30)), "segment.cut-by-edge", True),
    ],
)
def test_doubtful_contours(contours: tuple[npt.NDArray[np.float64], ...], code: str, kept: bool) -> None:
    outcome = regions_from_contours((drawn("lesion", *contours), drawn("liver")), GRID, ALONE)
    assert codes(outcome) == [code]
    assert [region.name for region in outcome.value] == (["lesion", "liver"] if kept else ["liver"])
    assert "“lesion”" in outcome.findings[0].text
