"""Regions moved to other images: volumes and places are known in closed form."""

from __future__ import annotations

import time

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import GridMismatch
from lutra.core.finding import Severity
from lutra.core.grid import Grid
from lutra.core.region import ConceptCode, Region, RegionKind, RegionOrigin
from lutra.core.transform import DisplacementField, Transform
from lutra.segment.propagate import propagate_region

CODE = ConceptCode("64033007", "SCT", "Kidney")
RADIUS_MM, CENTRE_MM = 24.0, np.array([80.0, 75.0, 70.0])


def grid(spacing_mm: tuple[float, float, float], frame: str, size_mm: float = 160.0) -> Grid:
    return Grid([round(size_mm / s) for s in spacing_mm], np.diag([*spacing_mm, 1.0]), frame)


def ball(spacing_mm: tuple[float, float, float] = (2, 2, 3), centre: np.ndarray = CENTRE_MM) -> Region:
    on = grid(spacing_mm, "moving")
    depth = RADIUS_MM - np.linalg.norm(on.to_lps_mm(np.moveaxis(np.indices(on.shape), 0, -1)) - centre, axis=-1)
    share = np.clip(depth / 2.3 + 0.5, 0, 1)
    names = {"tracking_id": "K1", "tracking_uid": "2.25.7", "referenced_series_uid": "1.2.3"}
    return Region("left kidney", RegionKind.ORGAN, on, (0, 0, 0), share, CODE, RegionOrigin.DRAWN, "reader A", **names)


def turned(degree: float, shift_mm: tuple[float, float, float] = (0, 0, 0), scale: float = 1.0) -> Transform:
    c, s = np.cos(np.radians(degree)), np.sin(np.radians(degree))
    matrix = np.eye(4)
    matrix[:3, :3] = scale * np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    matrix[:3, 3] = CENTRE_MM - matrix[:3, :3] @ CENTRE_MM + shift_mm
    return Transform("fixed", "moving", matrix, 1.0, "rigid by hand")


def test_a_turned_region_keeps_its_volume_place_and_names() -> None:
    """Turned and shifted onto other voxels: volume within 0.5 %, centre where the map sends it."""
    region, transform = ball(), turned(17, (4, -6, 3))
    outcome = propagate_region(region, transform, grid((2.7, 2.3, 2.5), "fixed"))
    moved = outcome.value
    assert outcome.findings == ()
    assert moved.volume_ml == pytest.approx(region.volume_ml, rel=0.005)
    np.testing.assert_allclose(moved.centroid_lps_mm, transform.fixed_points(region.centroid_lps_mm), atol=0.05)
    assert (moved.origin, moved.grid.frame_of_reference) == (RegionOrigin.PROPAGATED, "fixed")
    assert moved.source == "drawn: reader A; moved by rigid by hand"
    kept = ("name", "kind", "code", "tracking_id", "tracking_uid", "referenced_series_uid")
    assert [getattr(moved, name) for name in kept] == [getattr(region, name) for name in kept]
    assert np.any((moved.fraction > 0.05) & (moved.fraction < 0.95))


def test_an_affine_map_changes_the_volume_by_its_determinant() -> None:
    outcome = propagate_region(ball(), turned(10, scale=1.2), grid((2, 2, 2), "fixed"))
    assert outcome.value.volume_ml == pytest.approx(1.2**3 * ball().volume_ml, rel=0.005)
    assert outcome.findings == ()  # asked for by the map, whatever made it


def bent(amplitude_mm: float, swell: float = 0.0) -> Transform:
    """Waves along z, plus a swelling about the centre that is the same everywhere."""
    own = grid((5, 5, 5), "fixed", 200)
    points = own.to_lps_mm(np.moveaxis(np.indices(own.shape), 0, -1))
    u_mm = swell * (points - CENTRE_MM)
    u_mm[..., 2] += amplitude_mm * np.cos(2 * np.pi * points[..., 0] / 160)
    return evolve(turned(5, (2, 3, 1)), displacement=DisplacementField(own, u_mm), method="bent")


def test_a_bent_map_is_followed_voxel_by_voxel() -> None:
    """A shear in waves keeps every volume; the share of each voxel is that of 6 x 6 x 6 points sent one by one."""
    region, transform, on = ball(), bent(12), grid((2.7, 2.3, 2.5), "fixed")
    moved = propagate_region(region, transform, on).value
    assert moved.volume_ml == pytest.approx(region.volume_ml, rel=0.01)
    steps = (np.arange(6) + 0.5) / 6 - 0.5
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    index = np.argwhere(moved.fraction > 0)[::37] + moved.start_ijk
    points = on.to_lps_mm(index[:, None] + offsets)
    at = np.rint(region.grid.to_ijk(transform.moving_points(points))).astype(int)
    truth = region.fraction[tuple(np.moveaxis(np.clip(at, 0, np.subtract(region.grid.shape, 1)), -1, 0))].mean(axis=1)
    found = moved.fraction[tuple((index - moved.start_ijk).T)]
    assert np.abs(found - truth).max() < 0.1
    assert np.abs(found - truth).mean() < 0.01


def test_a_swollen_region_is_doubted() -> None:
    """u = 0.1 (p - c): a region is 1.1^3 times smaller here than it was where it was drawn."""
    outcome = propagate_region(ball(), bent(0, 0.1), grid((2, 2, 2), "fixed"))
    assert outcome.value.volume_ml == pytest.approx(ball().volume_ml / 1.1**3, rel=0.01)
    assert [(f.code, f.severity) for f in outcome.findings] == [("segment.volume-changed", Severity.WARNING)]


@pytest.mark.parametrize(
    "transform", [turned(0, (60, 0, 0)), evolve(bent(0), fixed_from_moving=turned(0, (60, 0, 0)).fixed_from_moving)]
)
def test_what_the_image_cuts_off_is_said(transform: Transform) -> None:
    """The ball is cut through by the edge of the grid; the share outside is that of a spherical cap."""
    outcome = propagate_region(ball(), transform, grid((2, 2, 2), "fixed", 150))
    (finding,) = outcome.findings
    height = RADIUS_MM - (149.0 - 140.0)
    cap = height**2 * (3 * RADIUS_MM - height) / (4 * RADIUS_MM**3)
    assert finding.code == "segment.cut-by-edge"
    assert float(finding.text.split("%")[0].split()[-1]) / 100 == pytest.approx(cap, abs=0.02)
    assert outcome.value.volume_ml == pytest.approx((1 - cap) * ball().volume_ml, rel=0.03)


def test_a_region_outside_is_no_region() -> None:
    outcome = propagate_region(ball(), turned(0, (0, 300, 0)), grid((2, 2, 2), "fixed"))
    assert outcome.value is None
    assert [(f.code, f.severity) for f in outcome.findings] == [("segment.out-of-field", Severity.UNDETERMINED)]


@pytest.mark.parametrize(("moving", "fixed"), [("other", "fixed"), ("moving", "other")])
def test_frames_must_meet(moving: str, fixed: str) -> None:
    region = ball()
    region = evolve(region, grid=evolve(region.grid, frame_of_reference=moving))
    with pytest.raises(GridMismatch, match="frame other"):
        propagate_region(region, turned(0), grid((2, 2, 2), fixed))


def test_a_liver_takes_less_than_a_second() -> None:
    """1.8 L on voxels of 2 x 2 x 3 mm, through a field; processor time, since others may use the machine."""
    on = Grid((256, 256, 150), np.diag([2, 2, 3, 1.0]), "moving")
    share = np.zeros((90, 80, 60), np.float32)
    depth = 1 - np.linalg.norm((np.moveaxis(np.indices(share.shape), 0, -1) - [45, 40, 30]) / [44, 39, 29], axis=-1)
    region = Region("liver", RegionKind.ORGAN, on, (80, 90, 50), np.clip(depth * 20 + 0.5, 0, 1), None, "drawn", "A")
    own = Grid((100, 100, 90), np.diag([5, 5, 5, 1.0]), "fixed")
    u_mm = 8 * np.sin(
        np.roll(np.moveaxis(np.indices(own.shape), 0, -1), 1, axis=-1) / 12.0
    )  # each along another axis: shears
    transform = Transform("fixed", "moving", np.eye(4), 1.0, "bent", DisplacementField(own, u_mm))
    start = time.process_time()
    moved = propagate_region(region, transform, evolve(on, frame_of_reference="fixed")).value
    took_s = time.process_time() - start
    assert moved.volume_ml == pytest.approx(region.volume_ml, rel=0.03)
    assert took_s < 2.0  # about 0.7 s alone on one core
