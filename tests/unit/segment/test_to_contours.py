"""Regions drawn as contours and rasterised again: the same voxels, or the same volume."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.finding import Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.segment import SegmentSettings, contours_of_region, regions_from_contours

AFFINE = np.array([[2.0, 0, 0, -7], [0, 0, 2.0, 5], [0, -2.0, 0, 100], [0, 0, 0, 1]])
GRID = Grid((40, 40, 30), AFFINE, "frame")
"""A coronal image."""


def region(fraction: npt.NDArray[np.float64], start: tuple[int, int, int] = (3, 4, 5)) -> Region:
    return Region("lesion", RegionKind.LESION, GRID, start, fraction, None, RegionOrigin.DRAWN, "", "1.2")


def again(drawn: Region, holes: str) -> Region:
    contours = contours_of_region(drawn, holes).value
    (back,) = regions_from_contours((contours,), GRID, SegmentSettings()).value
    return back


@pytest.mark.parametrize("holes", ["keyhole", "inner"])
def test_whole_voxels_come_back_exactly(holes: str) -> None:
    """Noise: holes, islands in holes and voxels that touch at corners only."""
    mask = (np.random.default_rng(2).random((20, 18, 6)) > 0.45).astype(float)
    back = again(region(mask), holes)
    whole, drawn = np.zeros(GRID.shape), np.zeros(GRID.shape)
    whole[back.box], drawn[region(mask).box] = back.fraction, mask
    np.testing.assert_allclose(whole, drawn, atol=1e-5)


def test_inner_contours_and_keyholes_count_differently() -> None:
    ring = np.ones((9, 9, 1))
    ring[3:6, 3:6] = 0
    assert len(contours_of_region(region(ring), "inner").value.contours_lps_mm) == 2
    (keyhole,) = contours_of_region(region(ring)).value.contours_lps_mm
    assert len(keyhole) == 4 + 4 + 2


def ball(radius: float, centre: float = 10.3, n: int = 21) -> npt.NDArray[np.float64]:
    """Share of each voxel within a ball, by 5 x 5 x 5 points."""
    fine = (np.arange(5 * n) + 0.5) / 5 - 0.5
    x, y, z = np.meshgrid(fine, fine, fine, indexing="ij")
    inside = (x - centre) ** 2 + (y - centre) ** 2 + (z - centre) ** 2 <= radius**2
    return inside.reshape(n, 5, n, 5, n, 5).mean(axis=(1, 3, 5))


@pytest.mark.parametrize("radius", [2.1, 3.4, 5.0, 8.7])
def test_partial_voxels_keep_their_volume(radius: float) -> None:
    """Within 1 %, as the function promises, from balls of 4 voxels across."""
    drawn = region(ball(radius))
    outcome = contours_of_region(drawn)
    assert outcome.findings == ()
    assert again(drawn, "keyhole").volume_ml == pytest.approx(drawn.volume_ml, rel=0.01)
    assert outcome.value.referenced_series_uid == "1.2"


def test_a_volume_that_cannot_be_kept_is_said() -> None:
    """A plate of voxels that are 0.4 full: a contour goes round all of it or none."""
    outcome = contours_of_region(region(np.full((6, 6, 1), 0.4)))
    assert [f.code for f in outcome.findings] == ["segment.contours-change-volume"]
    assert outcome.findings[0].severity is Severity.WARNING


def test_nothing_to_draw_is_refused() -> None:
    outcome = contours_of_region(region(np.zeros((3, 3, 2))))
    assert outcome.value is None
    assert [f.code for f in outcome.findings] == ["segment.no-outline"]
