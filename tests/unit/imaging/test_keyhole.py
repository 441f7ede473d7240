"""Borders of pixels, and holes joined to their outline, against areas by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.core.grid import Grid
from lutra.imaging.contours import rasterise
from lutra.imaging.isolines import borders, outlines
from lutra.imaging.keyhole import keyholes


def signed_area(line: npt.NDArray[np.float64]) -> float:
    x, y = line.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def test_border_of_one_pixel_is_its_square() -> None:
    mask = np.zeros((4, 5), bool)
    mask[2, 3] = True
    (line,) = borders(mask)
    assert sorted(map(tuple, line.tolist())) == [(1.5, 2.5), (1.5, 3.5), (2.5, 2.5), (2.5, 3.5)]


def test_border_of_a_rectangle_has_four_corners() -> None:
    mask = np.zeros((9, 9), bool)
    mask[1:8, 2:5] = True
    (line,) = borders(mask)
    assert len(line) == 4
    assert signed_area(line) == 21


@pytest.mark.parametrize("seed", range(5))
def test_borders_of_noise_enclose_its_pixels(seed: int) -> None:
    """Islands, holes and pixels that touch at corners: signed areas add up to their number; rasterising gives them back."""
    mask = np.random.default_rng(seed).random((14, 11)) > 0.5
    lines = borders(mask)
    assert sum(map(signed_area, lines)) == pytest.approx(mask.sum())
    assert lines
    start, fraction = rasterise(
        [np.column_stack([p, np.zeros(len(p))]) for p in lines], Grid((14, 11, 1), np.eye(4), "f")
    )
    back = np.zeros((14, 11))
    back[start[0] : start[0] + fraction.shape[0], start[1] : start[1] + fraction.shape[1]] = fraction[:, :, 0]
    np.testing.assert_allclose(back, mask, atol=1e-6)


def test_two_holes_become_one_contour_of_the_same_area() -> None:
    """A block of 12 x 9 less holes of 2 x 2 and 1 x 3, an island in a hole apart: 2 contours, the same pixels."""
    mask = np.ones((20, 9), bool)
    mask[12:] = False
    mask[2:4, 2:4] = mask[8, 3:6] = False
    mask[16:19, 2:8] = True
    joined = keyholes(borders(mask))
    assert len(joined) == 2
    assert sum(abs(signed_area(line)) for line in joined) == mask.sum()


def test_an_island_within_a_hole_stays_by_itself() -> None:
    mask = np.ones((11, 11), bool)
    mask[2:9, 2:9] = False
    mask[5, 5] = True
    joined = sorted(keyholes(borders(mask)), key=len)
    assert [abs(signed_area(line)) for line in joined] == [1, 121 - 49]


def test_a_level_below_one_half_encloses_more() -> None:
    """From 1 to 0 between pixel centres the line lies where the field is the level."""
    field = np.zeros((7, 7))
    field[3, 3] = 1
    (line,) = outlines(field, 0.25)
    assert line[:, 0].max() == pytest.approx(3.75)
