"""Marrow and kidney tools on the real labelled CT: against its labels, its CT numbers and the anatomy."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from attrs import evolve

from lutra.core.frozen import FrozenMap
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.ingest import read_label_map, read_label_names
from lutra.segment import SegmentSettings, evaluate_algebra, marrow_region, regions_on_grid
from lutra.segment.marrow import vertebral_body

Labelled = tuple[dict[str, Region], npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def labelled(shared_data: Path) -> Labelled:
    """Regions as the product reads and names them, and the CT in HU."""
    folder = shared_data / "ct_labelled"
    read = read_label_map(folder / "example_seg_fast_force_split.nii.gz", read_label_names("totalsegmentator-total"))
    assert read.value is not None
    grid = evolve(read.value[0].grid, frame_of_reference="1.2.3")
    placed = regions_on_grid(read.value, grid, SegmentSettings()).value
    assert placed is not None
    ct = np.asarray(nib.load(folder / "example_ct.nii.gz").dataobj, np.float32)
    return {region.name: region for region in placed}, ct


def shares(region: Region) -> npt.NDArray[np.float64]:
    share = np.zeros(region.grid.shape)
    share[region.box] = region.fraction
    return share


@pytest.mark.parametrize("level", ["T12", "L1", "L2", "L3", "L4", "L5"])
def test_vertebral_bodies_lie_in_front_of_the_cord(labelled: Labelled, level: str) -> None:
    """A body holds half to two thirds of its vertebra, none of the cord's label, and lies 5 to 15 mm before its middle."""
    regions, _ = labelled
    vertebra = regions[f"vertebrae_{level}"]
    body = vertebral_body(vertebra)
    assert body is not None
    assert 0.5 < body.volume_ml / vertebra.volume_ml < 0.7
    assert np.minimum(shares(body), shares(regions["spinal_cord"])).sum() == 0
    forward_mm = vertebra.centroid_lps_mm[1] - body.centroid_lps_mm[1]
    assert 5 < forward_mm < 15


def test_marrow_is_spongy_bone_of_three_levels(labelled: Labelled) -> None:
    """30 to 60 mL, all in its labels, as dense as trabecular bone (50 to 200 HU), less than whole vertebrae with their cortex."""
    regions, ct = labelled
    outcome = marrow_region(tuple(regions.values()), SegmentSettings())
    assert outcome.findings == ()
    assert outcome.value is not None
    assert 30 < outcome.value.volume_ml < 60
    bones = sum(shares(regions[f"vertebrae_{level}"]) for level in ("L2", "L3", "L4"))
    share = shares(outcome.value)
    assert (share <= bones + 1e-6).all()
    inside, whole = (float(np.average(ct, weights=weights)) for weights in (share, bones))
    assert 50 < inside < 200
    assert inside < whole - 50


def test_a_metastasis_takes_its_level_away(labelled: Labelled) -> None:
    """A lesion of 12 mm painted into the middle of L3."""
    regions, _ = labelled
    grid = regions["liver"].grid
    body = vertebral_body(regions["vertebrae_L3"])
    assert body is not None
    points = grid.to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    depth_mm = 6.0 - np.linalg.norm(points - body.centroid_lps_mm, axis=-1)
    share = np.clip(depth_mm / 3 + 0.5, 0, 1)
    lesion = Region("L07", RegionKind.LESION, grid, (0, 0, 0), share, None, RegionOrigin.DRAWN, "by hand")
    outcome = marrow_region((*regions.values(), lesion), SegmentSettings())
    assert [finding.code for finding in outcome.findings] == ["segment.marrow-replaced"]
    assert outcome.value is not None
    assert np.minimum(shares(outcome.value), shares(regions["vertebrae_L3"])).sum() == 0


def test_expressions_over_the_labels(labelled: Labelled) -> None:
    """Labels do not overlap, so differences change nothing and unions add; both kidneys are found by what their codes say."""
    regions, _ = labelled
    settings = SegmentSettings(algebra=FrozenMap({"both": "Nieren", "soft": "liver + spleen - kidneys"}))
    outcome = evaluate_algebra(tuple(regions.values()), settings)
    assert outcome.findings == ()
    both, soft = outcome.value or ()
    assert both.volume_ml == pytest.approx(regions["kidney_left"].volume_ml + regions["kidney_right"].volume_ml)
    assert soft.volume_ml == pytest.approx(regions["liver"].volume_ml + regions["spleen"].volume_ml)
