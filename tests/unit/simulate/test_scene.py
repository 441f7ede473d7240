"""What stands in front of a scanner holds what the kinetics say, on any grid and in any posture."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lutra.core.units import Unit
from lutra.simulate.images import held, painted, posture, scene_for, spect_scene
from lutra.simulate.patient import DigitalPatient
from lutra.simulate.scene import Scene, coarser_scene, fdg_of_lesions, lesion_activity_bq, texture
from lutra.simulate.sizes import SMALL, coarser, widened
from lutra.simulate.visits import Kind, Scan, planned_scans

from .conftest import TINY


def first(patient: DigitalPatient, kind: Kind) -> Scan:
    return next(s for s in planned_scans(patient) if s.kind is kind)


@pytest.fixture(scope="module")
def on_ct(digital: DigitalPatient) -> Scene:
    return scene_for(digital, first(digital, Kind.LOW_DOSE_CT), SMALL, "1.2.3")


def test_a_lesion_holds_what_the_kinetics_say(digital: DigitalPatient, on_ct: Scene) -> None:
    """Sum of concentration times volume over the lesion's own share of the voxels; its necrotic core holds nothing."""
    scan, scene = first(digital, Kind.SPECT), spect_scene(on_ct, SMALL)
    values = held(scene, scan)
    assert scene.seen
    for lesion in scene.seen:
        one = scene.filled({lesion.lesion_id: values[lesion.lesion_id]}, Unit.BQ_PER_ML)
        true = lesion_activity_bq(lesion, digital.therapy[0], scan.since_s or 0.0)
        assert one.integral() == pytest.approx(true, rel=1e-6)
        assert f"{lesion.lesion_id} core" not in values


def test_uptake_varies_within_a_lesion_as_drawn(digital: DigitalPatient, on_ct: Scene) -> None:
    """Spread of the logarithm over its inner voxels is the coefficient that was drawn; few grains make it uncertain by a third."""
    for lesion in on_ct.seen:
        own = digital.disease.course(lesion.parts[0]).lesion
        inside = on_ct.regions[lesion.lesion_id].fraction > 0.99
        if inside.sum() * on_ct.grid.voxel_volume_ml * 1000 > 40 * own.uptake_length_mm**3:
            spread = np.log(on_ct.texture_in(lesion)[inside]).std()
            assert spread == pytest.approx(own.uptake_cv, rel=0.35)


def test_without_texture_the_same_activity_is_even(on_ct: Scene) -> None:
    """Texture moves activity within a lesion, and neither makes nor takes any."""
    name = on_ct.seen[0].lesion_id
    rough, even = (on_ct.filled({name: 1e6}, Unit.BQ_PER_ML, texture=t) for t in (True, False))
    assert rough.integral() == pytest.approx(even.integral(), rel=1e-6)
    full = on_ct.regions[name].fraction == 1
    box = on_ct.regions[name].box
    assert np.ptp(even.values[box][full]) < 1
    assert rough.values[box][full].std() > 5e4


def test_most_of_the_activity_of_the_body_is_in_the_field(digital: DigitalPatient, on_ct: Scene) -> None:
    """The trunk holds liver, spleen, kidneys and lesions; arms, legs and head, with a third of the rest, are outside."""
    scan, scene = first(digital, Kind.SPECT), spect_scene(on_ct, SMALL)
    found = painted(scene, scan, held(scene, scan)).integral()
    uptake = digital.therapy[0]
    whole = sum(float(uptake.activity_bq(region, scan.since_s or 0.0)) for region in uptake.regions)
    assert 0.4 * whole < found < 0.95 * whole


def test_blocks_keep_volume_and_activity(digital: DigitalPatient, on_ct: Scene) -> None:
    grid, before = widened(coarser(on_ct.grid, 2), (64, 64, 64))
    scene = coarser_scene(on_ct, grid, 2, before)
    assert before == tuple((64 - n // 2) // 2 for n in on_ct.grid.shape)
    for name, region in on_ct.regions.items():
        assert scene.regions[name].volume_ml == pytest.approx(region.volume_ml, rel=1e-4)
        moved = scene.regions[name].centroid_lps_mm - region.centroid_lps_mm
        assert (
            np.abs(moved).max() < on_ct.grid.spacing_mm[0] / 2 + 1e-6
        )  # no voxel is further from the middle of its block
    assert digital.disease.seen(on_ct.day)


def test_texture_belongs_to_the_tissue_and_not_to_the_scan() -> None:
    points = np.random.default_rng(0).uniform(-50, 50, (4000, 3))
    rough = texture(points, 6.0, 1, "lesion 1")
    np.testing.assert_array_equal(rough[::2], texture(points[::2], 6.0, 1, "lesion 1"))
    assert rough.mean() == pytest.approx(0, abs=0.1)
    assert rough.std() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(rough, texture(points, 6.0, 1, "lesion 2"))[0, 1]) < 0.1


def test_texture_varies_over_its_length() -> None:
    """The full width at half maximum is its length: half of it away the correlation is one half."""
    points = np.random.default_rng(1).uniform(-2000, 2000, (20000, 3))
    together = [
        np.corrcoef(texture(points, 8.0, s, "x"), texture(points + np.array([4.0, 0, 0]), 8.0, s, "x"))[0, 1]
        for s in range(12)
    ]
    assert np.mean(together) == pytest.approx(0.5, abs=0.05)


def test_spect_and_ct_of_a_session_share_the_posture_and_other_scans_do_not(digital: DigitalPatient) -> None:
    ct, spect = first(digital, Kind.LOW_DOSE_CT), first(digital, Kind.SPECT)
    point = np.array([[-60.0, -10.0, 60.0]])
    there = [posture(digital, scan).scan_from_reference(point) for scan in (ct, spect, first(digital, Kind.CT))]
    np.testing.assert_array_equal(there[0], there[1])
    assert np.linalg.norm(there[0] - there[2]) > 1


def test_a_lesion_across_the_edge_of_the_field_is_not_measured(digital: DigitalPatient) -> None:
    scan = first(digital, Kind.CT)
    lesion = digital.disease.seen(scan.day)[0]
    z = float(lesion.shape.bounds_lps_mm[:, 2].mean())
    low = evolve(TINY, field_mm=(*TINY.field_mm[:2], (z, z + 112)))
    seen = [le.lesion_id for le in scene_for(digital, scan, low, "1.2.3").seen]
    assert lesion.lesion_id not in seen


def test_a_lesion_that_has_lost_its_receptors_takes_up_fdg(digital: DigitalPatient) -> None:
    """At least 1.3 times the liver; the others what was drawn for them."""
    lost, *others = digital.kinetics.lesions
    kinetics = evolve(digital.kinetics, lesions=(evolve(lost, discordant=True), *others))
    before, after = fdg_of_lesions(digital), fdg_of_lesions(evolve(digital, kinetics=kinetics))
    assert after[lost.lesion_id] >= 1.3 * digital.fdg_suv["liver"]
    assert {k: v for k, v in after.items() if k != lost.lesion_id} == {
        k: v for k, v in before.items() if k != lost.lesion_id
    }
