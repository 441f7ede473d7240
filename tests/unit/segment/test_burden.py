"""Tumour burden of a body of spheres: what is tumour, what is an organ's own, what is said about the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lutra.core.burden import TumourBurden
from lutra.core.digest import canonical
from lutra.core.errors import GridMismatch, UnitMismatch
from lutra.core.finding import Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import Role
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.segment import BurdenSettings, tumour_burden
from lutra.store.codec import Codec

VOXEL_MM = 3.0
GRID = Grid((60, 60, 60), np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0]), "frame")
PLACES = GRID.to_lps_mm(np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing="ij"), axis=-1))
LIVER, KIDNEY, BLADDER = ((45, 45, 120), 70, 6.0), ((130, 130, 120), 40, 20.0), ((90, 90, 30), 40, 30.0)
BONE, LIVER_LESION, BESIDE_KIDNEY = ((130, 40, 60), 24, 12.0), ((45, 45, 120), 24, 25.0), ((130, 94, 120), 24, 15.0)
FLAT = BurdenSettings()


def mask(centre: Sequence[float], diameter_mm: float) -> np.ndarray:
    return np.linalg.norm(PLACES - np.asarray(centre), axis=-1) <= diameter_mm / 2


def body(*spheres: tuple[Sequence[float], float, float]) -> Volume:
    """SUV 1 with spheres (centre, diameter, SUV), the later ones in place of the earlier, blurred by 6 mm."""
    values = np.ones(GRID.shape)
    for centre, diameter_mm, suv in spheres:
        values[mask(centre, diameter_mm)] = suv
    return Volume(gaussian_filter(values, 6 / 2.355 / VOXEL_MM), GRID, Unit.SUV_BW)


def drawn(name: str, sphere: tuple[Sequence[float], float, float]) -> Region:
    kind = RegionKind.ORGAN
    return Region(name, kind, GRID, (0, 0, 0), mask(sphere[0], sphere[1]), None, RegionOrigin.DRAWN, "test")


ORGANS = (
    drawn("liver", LIVER), drawn("Right kidney", KIDNEY), drawn("Left kidney", ((20, 150, 20), 20, 0)),
    drawn("spleen", ((150, 20, 150), 20, 0)), drawn("Urinary bladder", BLADDER),
)  # fmt: skip


def codes(outcome: Outcome[TumourBurden]) -> set[str]:
    return {finding.code for finding in outcome.findings}


def above(volume: Volume, sphere: tuple[Sequence[float], float, float], suv: float) -> float:
    """Volume above a threshold near a sphere, by counting voxels. [mL]"""
    near = mask(sphere[0], sphere[1] + 18)
    return float((near & (volume.values >= suv)).sum()) * GRID.voxel_volume_ml


def test_a_body_without_tumour_has_none_and_organs_keep_their_blur() -> None:
    outcome = tumour_burden(body(LIVER, KIDNEY, BLADDER), Role.SSTR_PET, FLAT, ORGANS)
    burden = outcome.value
    assert burden.components == ()
    assert (burden.volume.value, burden.uptake.value) == (0, 0)
    assert burden.excluded_ml["Urinary bladder"] > 33.5  # more than the drawn 40 mm sphere: its blur too
    assert codes(outcome) == {"segment.burden-excluded"}


def test_lesions_in_bone_and_liver_are_found_with_their_own_thresholds() -> None:
    """Twice the same count by hand: SUV 4 in bone, and 1.5 times the liver's 6 (and no spread) in the liver."""
    image = body(LIVER, LIVER_LESION, KIDNEY, BLADDER, BONE)
    burden = tumour_burden(image, Role.SSTR_PET, FLAT, ORGANS).value
    assert burden.threshold_suv == 4.0
    assert burden.liver_threshold_suv == pytest.approx(9.0, rel=0.1)
    volumes = sorted(c.volume.value for c in burden.components)
    expected = sorted([above(image, BONE, 4.0), above(image, LIVER_LESION, burden.liver_threshold_suv)])
    assert volumes == pytest.approx(expected, rel=0.06)  # partial voxels against whole ones
    assert burden.volume.value == pytest.approx(sum(volumes))
    assert burden.rule.startswith("fixed: SUV of at least 4, in the liver 9")


def test_uptake_is_mean_times_volume_and_its_error_that_of_a_moved_border() -> None:
    burden = tumour_burden(body(BONE), Role.SSTR_PET, FLAT, ORGANS[1:]).value
    (bone,) = burden.components
    mean = bone.uptake.value / bone.volume.value
    assert 4 < mean < 12
    assert bone.suv_max == pytest.approx(12, rel=0.06)
    (source,) = bone.volume.budget
    relative = bone.uptake.budget[source] / bone.uptake.value
    assert relative == pytest.approx(bone.volume.budget[source] / bone.volume.value * 4 / mean)


def test_a_lesion_beside_the_kidney_is_cut_from_it_and_said() -> None:
    image = body(KIDNEY, BESIDE_KIDNEY)
    outcome = tumour_burden(image, Role.SSTR_PET, FLAT, ORGANS)
    assert "segment.burden-beside-organ" in codes(outcome)
    (lesion,) = outcome.value.components
    alone = tumour_burden(body(BESIDE_KIDNEY), Role.SSTR_PET, FLAT, ORGANS).value
    assert lesion.volume.value == pytest.approx(alone.volume.value, rel=0.25)


def test_organs_that_are_not_given_are_named() -> None:
    outcome = tumour_burden(body(KIDNEY, BONE), Role.SSTR_PET, FLAT, ORGANS[:1])
    (finding,) = [f for f in outcome.findings if f.code == "segment.burden-organs-missing"]
    assert finding.severity is Severity.WARNING
    assert outcome.value.missing_organs == ("spleen", "left kidney", "right kidney", "urinary bladder")
    assert "right kidney" in finding.text
    assert len(outcome.value.components) == 2  # the kidney is taken for tumour: that is what the Finding says


def test_fdg_misses_other_organs() -> None:
    assert tumour_burden(body(BONE), Role.FDG_PET, FLAT, ORGANS).value.missing_organs == ("brain", "heart")


def test_what_is_on_the_list_is_told_from_the_rest() -> None:
    image = body(LIVER, LIVER_LESION, BONE)
    burden = tumour_burden(image, Role.SSTR_PET, FLAT, ORGANS, (drawn("L01", BONE),)).value
    assert [c.lesions for c in burden.listed] == [("L01",)]
    assert len(burden.unlisted) == 1
    assert sum(c.volume.value for c in (*burden.listed, *burden.unlisted)) == pytest.approx(burden.volume.value)


def test_small_components_are_left_out_and_said() -> None:
    image = body(BONE, ((60, 140, 60), 9, 30.0))
    outcome = tumour_burden(image, Role.SSTR_PET, BurdenSettings(volume_floor_ml=2.0), ORGANS)
    assert len(outcome.value.components) == 1
    assert 0 < outcome.value.left_out_ml < 2
    assert "segment.burden-small" in codes(outcome)


@pytest.mark.parametrize(("rule", "needs"), [("liver", "liver"), ("blood-pool", "blood pool")])
def test_a_rule_without_its_organ_gives_no_burden(rule: str, needs: str) -> None:
    outcome = tumour_burden(body(BONE), Role.FDG_PET, BurdenSettings(rule=rule), ORGANS[1:])
    assert outcome.value is None
    assert needs in outcome.findings[0].text
    assert codes(outcome) == {"segment.burden-no-reference"}


def test_the_blood_pool_sets_the_threshold_where_the_liver_cannot() -> None:
    aorta = drawn("Aorta", ((20, 100, 60), 20, 1.0))
    burden = tumour_burden(body(BONE), Role.FDG_PET, BurdenSettings(rule="blood-pool"), (aorta,)).value
    assert burden.threshold_suv == pytest.approx(2.0, abs=0.01)


def test_scaling_image_and_threshold_scales_the_uptake_alone() -> None:
    image = body(LIVER, LIVER_LESION, BONE)
    twice = Volume(2 * image.values, GRID, Unit.SUV_BW)
    one = tumour_burden(image, Role.SSTR_PET, FLAT, ORGANS).value
    two = tumour_burden(twice, Role.SSTR_PET, BurdenSettings(threshold_suv=8.0), ORGANS).value
    assert two.volume.value == pytest.approx(one.volume.value, rel=1e-5)
    assert two.uptake.value == pytest.approx(2 * one.uptake.value, rel=1e-5)


def test_units_and_grids_are_checked() -> None:
    with pytest.raises(UnitMismatch):
        tumour_burden(Volume(np.ones(GRID.shape), GRID, Unit.BQ_PER_ML), Role.SSTR_PET, FLAT)
    other = Region("spleen", "organ", Grid((9, 9, 9), np.eye(4)), (0, 0, 0), np.ones((9, 9, 9)), None, "drawn", "x")
    with pytest.raises(GridMismatch, match="spleen"):
        tumour_burden(body(BONE), Role.SSTR_PET, FLAT, (other,))


def test_the_store_gives_back_what_it_got() -> None:
    burden = tumour_burden(body(BONE), Role.SSTR_PET, FLAT, ORGANS[1:]).value
    arrays: dict[str, np.ndarray] = {}
    back = Codec().decode(canonical(burden, arrays), arrays.__getitem__)
    assert (back.rule, back.missing_organs) == (burden.rule, ("liver",))
    assert back.volume.value == burden.volume.value
    np.testing.assert_array_equal(back.components[0].region.fraction, burden.components[0].region.fraction)
