"""Margins around bodies whose enlarged and reduced volumes are known exactly."""

from __future__ import annotations

from math import pi

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.imaging.margins import with_margin


def grid(*spacing: float, n: int = 40) -> Grid:
    return Grid((n, n, n), np.diag([*spacing, 1.0]), "frame")


def ball(on: Grid, radius_mm: float, parts: int = 3) -> npt.NDArray[np.float32]:
    """Shares of a ball about a point off the voxel centres, by counting 27 points in each voxel."""
    centre = on.to_lps_mm(np.array(on.shape) / 2 + 0.21)
    offsets = (np.arange(parts) + 0.5) / parts - 0.5
    share = np.zeros(on.shape, np.float32)
    index = np.moveaxis(np.indices(on.shape), 0, -1).astype(float)
    for step in np.stack(np.meshgrid(offsets, offsets, offsets), axis=-1).reshape(-1, 3):
        share += ((on.to_lps_mm(index + step) - centre) ** 2).sum(axis=-1) <= radius_mm**2
    return share / parts**3


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.5, 1.5, 3.0), (4.8, 4.8, 4.8)])
@pytest.mark.parametrize("distance_mm", [-10.0, -5.0, -1.0, 3.0, 8.0])
def test_a_ball_keeps_its_shape(spacing: tuple[float, float, float], distance_mm: float) -> None:
    """Radius 18 mm becomes 18 mm + d, within 0.2 mm; the centre stays within 0.2 mm."""
    on = Grid([int(64 / step) for step in spacing], np.diag([*spacing, 1.0]), "frame")
    share = ball(on, 18.0)
    found = with_margin((0, 0, 0), share, on, distance_mm)
    assert found is not None
    start, new = found
    radius_mm = (float(new.sum(dtype=np.float64)) * np.prod(spacing) * 3 / (4 * pi)) ** (1 / 3)
    assert radius_mm == pytest.approx(18.0 + distance_mm, abs=0.2)
    index = np.moveaxis(np.indices(new.shape), 0, -1).reshape(-1, 3)
    centre = np.average(on.to_lps_mm(index + start), axis=0, weights=new.ravel())
    np.testing.assert_allclose(centre, on.to_lps_mm(np.array(on.shape) / 2 + 0.21), atol=0.2)


def test_a_box_follows_steiner() -> None:
    """Inwards the edges lose 2 d each; outwards V + S d + pi d2 (a + b + c) + 4/3 pi d3."""
    on = grid(2.0, 2.0, 2.0)
    share = np.ones((10, 12, 14), np.float32)
    a, b, c = 20.0, 24.0, 28.0
    inner = with_margin((12, 12, 12), share, on, -4.0)
    assert inner is not None
    assert inner[0] == (14, 14, 14)
    assert float(inner[1].sum()) * 8 == pytest.approx((a - 8) * (b - 8) * (c - 8), rel=1e-6)
    outer = with_margin((12, 12, 12), share, on, 6.0)
    assert outer is not None
    steiner = a * b * c + 2 * (a * b + b * c + c * a) * 6 + pi * 36 * (a + b + c) + 4 / 3 * pi * 216
    assert float(outer[1].sum()) * 8 == pytest.approx(steiner, rel=0.01)


def test_smaller_lies_within_and_larger_holds_and_the_edge_cuts() -> None:
    on = grid(3.0, 3.0, 3.0, n=20)
    share = np.random.default_rng(1).random((6, 6, 6)).astype(np.float32)
    smaller, larger = with_margin((0, 7, 7), share, on, -2.0), with_margin((0, 7, 7), share, on, 5.0)
    whole = np.zeros((3, 20, 20, 20))
    for n, (start, part) in enumerate([((0, 7, 7), share), smaller, larger]):  # type: ignore[misc]
        whole[n][tuple(slice(s, s + m) for s, m in zip(start, part.shape, strict=True))] = part
    assert (whole[1] <= whole[0]).all()
    assert (whole[2] >= whole[0]).all()
    assert larger is not None
    assert larger[0][0] == 0  # nothing beyond the image


def test_nothing_left_is_none_and_a_leaning_stack_is_refused() -> None:
    assert with_margin((3, 3, 3), np.ones((2, 2, 2), np.float32), grid(2, 2, 2), -3.0) is None
    assert with_margin((3, 3, 3), np.zeros((2, 2, 2), np.float32), grid(2, 2, 2), 3.0) is None
    affine = np.eye(4)
    affine[0, 2] = 0.3
    with pytest.raises(OutsideValidity, match="right angles"):
        with_margin((0, 0, 0), np.ones((2, 2, 2), np.float32), Grid((9, 9, 9), affine, "frame"), 1.0)
