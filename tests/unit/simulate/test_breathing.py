"""The blur of a breath on the grids of clinical scanners: what it must keep, what it must smear, what it may cost."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
from attrs import evolve

from lutra.core.units import Unit
from lutra.simulate.images import held, painted, scene_for, spect_scene
from lutra.simulate.patient import DigitalPatient
from lutra.simulate.scene import Scene, lesion_activity_bq
from lutra.simulate.sizes import CLINICAL
from lutra.simulate.visits import Kind, Scan, planned_scans

STILL = evolve(CLINICAL, breathing_phases=1)


@pytest.fixture(scope="module")
def scan(digital: DigitalPatient) -> Scan:
    return next(s for s in planned_scans(digital) if s.kind is Kind.SPECT)


@pytest.fixture(scope="module")
def scenes(digital: DigitalPatient, scan: Scan) -> tuple[Scene, Scene, float]:
    """SPECT without and with the breath, and how much longer the second took to paint."""
    found, seconds = [], []
    for size in (STILL, CLINICAL):
        start = process_time()
        found.append(spect_scene(scene_for(digital, scan, size, "1.2.3"), size))
        seconds.append(process_time() - start)
    return found[0], found[1], seconds[1] / seconds[0]


def test_a_breath_neither_makes_nor_takes_activity(
    digital: DigitalPatient, scan: Scan, scenes: tuple[Scene, Scene, float]
) -> None:
    """Of lesions, which the kinetics fill, exactly; of the field within what moves across its edges: 0.2 %."""
    still, breathing, _ = scenes
    values = held(breathing, scan)
    assert len(breathing.seen) > 2
    for lesion in breathing.seen:
        one = breathing.filled({lesion.lesion_id: values[lesion.lesion_id]}, Unit.BQ_PER_ML)
        true = lesion_activity_bq(lesion, digital.therapy[0], scan.since_s or 0.0)
        assert one.integral() == pytest.approx(true, rel=1e-6)
    totals = [painted(scene, scan, held(scene, scan)).integral() for scene in (still, breathing)]
    assert totals[1] == pytest.approx(totals[0], rel=2e-3)


def test_a_breath_keeps_volumes_and_fills_no_voxel_twice(scenes: tuple[Scene, Scene, float]) -> None:
    """Mean postures of one that keeps volume: organs within 1 %."""
    still, breathing, _ = scenes
    for name in ("liver", "spleen", "left kidney cortex", "right kidney cortex"):
        assert breathing.regions[name].volume_ml == pytest.approx(still.regions[name].volume_ml, rel=0.01)
    covered = np.zeros(breathing.grid.shape)
    for region in breathing.regions.values():
        covered[region.box] += region.fraction
    assert covered.max() < 1 + 1e-5


def test_a_breath_smears_the_liver_more_than_the_spine(scenes: tuple[Scene, Scene, float]) -> None:
    """Depths of 0 to some 25 mm: more voxels are partly liver. Near the spine the movement is a third of that."""
    grown = {}
    for name in ("liver", "marrow L2"):
        still, breathing = (s.regions[name].fraction for s in scenes[:2])
        partly = [np.count_nonzero((f > 0.05) & (f < 0.95)) for f in (still, breathing)]
        grown[name] = partly[1] / partly[0]
    assert grown["liver"] > 1.3
    assert grown["marrow L2"] < grown["liver"]


def test_four_moments_cost_little_more_than_four_scans(scenes: tuple[Scene, Scene, float]) -> None:
    assert scenes[2] < 7
