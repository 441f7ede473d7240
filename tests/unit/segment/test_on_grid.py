"""Regions of voxels put on an image: untouched where the voxels coincide, with a Finding where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lutra.core.finding import Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import ConceptCode, Region, RegionKind, RegionOrigin
from lutra.segment import SegmentSettings, regions_on_grid

IMAGE = Grid((20, 20, 10), np.diag([2.0, 2, 3, 1]), "frame")
ALONE = SegmentSettings()
SHARE = (np.random.default_rng(3).random((4, 5, 3)) > 0.3).astype(np.float32)


def region(grid: Grid = IMAGE, name: str = "lesion", start: tuple[int, int, int] = (2, 3, 4), **more: object) -> Region:
    given = {"code": None, "kind": RegionKind.OTHER, **more}
    return Region(
        name=name,
        grid=grid,
        start_ijk=start,
        fraction=SHARE,
        origin=RegionOrigin.IMPORTED,
        source="segment 1 of 1.2.3",
        **given,
    )


def codes(outcome: Outcome[tuple[Region, ...]]) -> list[str]:
    return [finding.code for finding in outcome.findings]


def moved(
    by_mm: tuple[float, float, float], spacing: tuple[float, float, float] = (2, 2, 3), frame: str = "frame"
) -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = by_mm
    return Grid((20, 20, 10), affine, frame)


def test_the_same_voxels_are_not_touched() -> None:
    """Slices in reverse and a grid that begins elsewhere: the voxels are those of the image, so nothing is said."""
    affine = IMAGE.affine_lps_mm.copy()
    affine[:3, 2] *= -1
    affine[:3, 3] = [4, 2, 18]
    outcome = regions_on_grid((region(Grid((10, 10, 6), affine, "frame"), start=(0, 1, 0)),), IMAGE, ALONE)
    (placed,) = outcome.value
    assert outcome.findings == ()
    assert placed.start_ijk == (2, 2, 4)
    np.testing.assert_array_equal(placed.fraction, SHARE[:, :, ::-1])


def test_other_voxels_keep_the_volume_and_say_so() -> None:
    outcome = regions_on_grid((region(moved((3.1, 2, 1), (2.5, 1.5, 2))),), IMAGE, ALONE)
    assert codes(outcome) == ["segment.resampled"]
    assert outcome.findings[0].severity is Severity.INFO
    assert outcome.value[0].volume_ml == pytest.approx(region(moved((3.1, 2, 1), (2.5, 1.5, 2))).volume_ml, rel=1e-5)


def test_what_leaves_the_image_is_cut_with_a_warning() -> None:
    outcome = regions_on_grid((region(moved((-6, 0, 0))),), IMAGE, ALONE)
    assert codes(outcome) == ["segment.cut-by-edge"]
    lost = SHARE[:1].sum() * 0.012
    assert f"{lost:.3g} of its" in outcome.findings[0].text
    assert outcome.value[0].volume_ml == pytest.approx(SHARE[1:].sum() * 0.012, rel=1e-6)


def test_outside_and_another_frame_are_refused() -> None:
    elsewhere, foreign = region(moved((500, 0, 0)), "far"), region(moved((0, 0, 0), frame="another"), "foreign")
    outcome = regions_on_grid((elsewhere, foreign, region()), IMAGE, ALONE)
    assert codes(outcome) == ["segment.outside-image", "segment.other-frame"]
    assert [r.name for r in outcome.value] == ["lesion"]
    assert regions_on_grid((foreign,), IMAGE, ALONE).value is None


def test_without_a_frame_the_voxels_must_coincide_or_somebody_must_say_so() -> None:
    """A NIfTI label map: same voxels are taken with a warning; others only if added for this very series."""
    same, other = region(moved((0, 0, 0), frame="")), region(moved((1, 0, 0), frame=""))
    outcome = regions_on_grid((same,), IMAGE, ALONE)
    assert [(f.code, f.severity) for f in outcome.findings] == [("segment.frame-assumed", Severity.WARNING)]
    assert outcome.value[0].grid.frame_of_reference == "frame"
    assert codes(regions_on_grid((other,), IMAGE, ALONE)) == ["segment.other-frame"]
    said = evolve(other, referenced_series_uid="1.2")
    assert codes(regions_on_grid((said,), IMAGE, ALONE, "1.2")) == ["segment.frame-assumed", "segment.resampled"]


def test_regions_of_the_series_are_used_alone() -> None:
    ours, theirs = region(name="ours", referenced_series_uid="1"), region(name="theirs", referenced_series_uid="2")
    for uid, names in (("1", ["ours"]), ("2", ["theirs"]), ("3", ["ours", "theirs"])):
        assert [r.name for r in regions_on_grid((ours, theirs), IMAGE, ALONE, uid).value] == names


@pytest.mark.parametrize(
    ("name", "code", "kind", "doubt"),
    [
        ("Neoplasm, Secondary 3", ConceptCode("14799000", "SCT", "Neoplasm, Secondary"), RegionKind.LESION, False),
        ("Segment_1", ConceptCode("10200004", "SCT", "Liver"), RegionKind.ORGAN, False),
        ("Segment_1", ConceptCode("79654002", "SCT", "Edema"), RegionKind.OTHER, False),
        ("tumour 3", None, RegionKind.LESION, False),
        ("Segment_1", ConceptCode("29092000", "SCT", "Vein"), RegionKind.OTHER, True),
    ],
)
def test_codes_say_more_than_names(name: str, code: ConceptCode | None, kind: RegionKind, doubt: bool) -> None:
    outcome = regions_on_grid((region(name=name, code=code),), IMAGE, ALONE)
    assert outcome.value[0].kind is kind
    assert outcome.value[0].code == code or code is None
    assert codes(outcome) == (["segment.unknown-name"] if doubt else [])


def test_an_organ_of_an_unknown_code_stays_one() -> None:
    """The reader knows from the segment's category that an aorta is anatomy, though no table of ours lists it."""
    aorta = region(name="aorta", code=ConceptCode("15825003", "SCT", "Aorta"), kind=RegionKind.ORGAN)
    outcome = regions_on_grid((aorta,), IMAGE, ALONE)
    assert (outcome.value[0].kind, outcome.findings) == (RegionKind.ORGAN, ())
