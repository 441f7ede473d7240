"""Rigid registration of a real CT moved in known ways; bench/align/rigid_accuracy.py does the same two hundred times."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from attrs import evolve

from lutra.align.rigid import RigidRegistration
from lutra.core.finding import Outcome
from lutra.core.frozen import FrozenMap
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest import read_label_map
from lutra.reference.label_names import shipped_labels
from lutra.simulate.moved import cut, moved, noisy, other_contrast


@pytest.fixture(scope="module")
def labelled(shared_data: Path) -> tuple[Volume, np.ndarray]:
    """CT, and the centres of gravity of its organs. [mm]"""
    folder = shared_data / "ct_labelled"
    names = shipped_labels("totalsegmentator-total")
    regions = read_label_map(folder / "example_seg_fast_force_split.nii.gz", names).value
    assert regions is not None
    values = np.asarray(nib.load(folder / "example_ct.nii.gz").dataobj, np.float32)
    ct = Volume(values, evolve(regions[0].grid, frame_of_reference="1"), Unit.HU)
    return ct, np.array([region.centroid_lps_mm for region in regions])


def register(fixed: Volume, moving: Volume, seed: int = 1) -> Outcome[Transform]:
    return RigidRegistration().register(fixed, moving, FrozenMap(), seed)


def test_known_moves_are_found(labelled: tuple[Volume, np.ndarray]) -> None:
    """Fields cut to 40 %, the couch 60 mm off, turns to 10 degrees, noise and another contrast: median within 0.5 mm.

    Two run side by side, and one of them again alone: the answer is the same to the last bit.
    """
    ct, organs_mm = labelled
    scans = [
        moved(ct, turn, shift, "2", seed)
        for seed, (turn, shift) in enumerate(
            [
                ((9, -8, 5), (-30, 20, 40)),
                ((2, 1, -3), (60, 60, -60)),
                ((-6, 4, 9), (10, -50, 20)),
                ((3, -9, -2), (25, 5, -80)),
            ]
        )
    ]
    pairs = [
        (cut(ct, 0.35, 0.75), noisy(scans[0][0], 20, 1)),
        (noisy(ct, 40, 2), noisy(scans[1][0], 60, 3)),
        (ct, noisy(other_contrast(scans[2][0]), 25, 4)),
        (ct, noisy(other_contrast(cut(scans[3][0], 0.0, 0.4)), 25, 5)),
    ]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda pair: register(*pair), pairs))
    for outcome, (_, truth) in zip(outcomes, scans, strict=True):
        assert outcome.value is not None, outcome.findings
        off_mm = np.linalg.norm(outcome.value.moving_points(organs_mm) - truth.moving_points(organs_mm), axis=1)
        assert np.median(off_mm) < 0.5
        assert np.median(off_mm) < 3 * outcome.value.error_mm
        assert not outcome.findings
    alone = register(*pairs[0]).value
    np.testing.assert_array_equal(alone.fixed_from_moving, outcomes[0].value.fixed_from_moving)


def test_what_has_no_answer_gets_none(labelled: tuple[Volume, np.ndarray]) -> None:
    """Upper and lower third of one body; a mirror image; the same upside down in another contrast."""
    ct, _ = labelled
    scan, _ = moved(ct, (3, 4, -5), (10, -20, 30), "2", 9)
    upside_down = evolve(scan, values=scan.values[:, :, ::-1])
    for fixed, moving in (
        (cut(ct, 0.0, 0.35), cut(scan, 0.65, 1.0)),
        (ct, evolve(scan, values=scan.values[::-1])),
        (ct, other_contrast(upside_down)),
    ):
        outcome = register(fixed, moving)
        assert outcome.value is None
        assert [finding.code for finding in outcome.findings] == ["align.failed"]
