"""Lines that a person clicked: what becomes of them, and which cannot stand."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from lutra.core.errors import InputError, OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.lines import check_lines, drawn_diameters, drawn_on_region

GRID = Grid((60, 60, 10), np.array([[1.0, 0, 0, -30], [0, 1, 0, -20], [0, 0, 4, 100], [0, 0, 0, 1]]), "frame")
LONG, SHORT = [[-10.0, 5, 112], [20, 5, 112]], [[4.0, -5, 112], [4, 13, 112]]


def test_four_points_make_a_pair_that_says_who_drew_it() -> None:
    pair = drawn_diameters(GRID, LONG, SHORT, "reader 1")
    assert (pair.long_mm, pair.short_mm, pair.slice_k, pair.drawn_by) == (30, 18, 3, "reader 1")
    assert np.array_equal(pair.long_ends_lps_mm, LONG)


def test_two_points_get_the_width_of_the_region_square_to_them() -> None:
    """An ellipse of 32 x 20 mm; the line along its long axis is drawn 2 mm short, the width is that of the ellipse."""
    i, j = np.meshgrid((np.arange(600) + 0.5) / 10 - 0.5, (np.arange(600) + 0.5) / 10 - 0.5, indexing="ij")
    ellipse = ((i - 35) / 16) ** 2 + ((j - 25) / 10) ** 2 <= 1
    share = ellipse.reshape(60, 10, 60, 10).mean(axis=(1, 3))[:, :, None]
    region = Region("lesion", RegionKind.LESION, GRID, (0, 0, 3), share, None, RegionOrigin.DRAWN, "test")
    pair = drawn_on_region(region, [[-10, 5, 112], [20, 5, 112]], "reader 1")
    assert (pair.long_mm, pair.slice_k) == (30, 3)
    assert pair.short_mm == pytest.approx(20, abs=0.1)
    with pytest.raises(OutsideValidity, match="no outline in slice 4"):
        drawn_on_region(region, [[-10, 5, 116], [20, 5, 116]], "reader 1")


@pytest.mark.parametrize(
    ("long", "short", "by", "message"),
    [
        (LONG, SHORT, " ", "without the name"),
        ([[-10, 5, 112], [20, 5, 116]], SHORT, "r", "leaves slice"),
        (LONG, [[4, -5, 116], [4, 13, 116]], "r", "short axis leaves slice 3"),
        ([[-40, 5, 112], [20, 5, 112]], SHORT, "r", "leaves the image"),
        ([[-10, 5, 300], [20, 5, 300]], SHORT, "r", "leaves the image"),
        (LONG, [[4, -5, 112], [8, 13, 112]], "r", "13 degrees off square"),
        (SHORT, LONG, "r", "longer than the longest"),
        ([[1, 1, 112], [1, 1, 112]], SHORT, "r", "no length"),
        ([[1, 1], [2, 2]], SHORT, "r", "two points"),
        ([[np.nan, 1, 112], [2, 2, 112]], SHORT, "r", "two points"),
    ],
)
def test_lines_that_cannot_stand(long: list[list[float]], short: list[list[float]], by: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        drawn_diameters(GRID, long, short, by)
    assert error.value.required
    assert error.value.do


def test_a_hand_may_be_a_few_degrees_off_square() -> None:
    assert drawn_diameters(GRID, LONG, [[4, -5, 112], [5.5, 13, 112]], "r").short_mm == pytest.approx(18.06, abs=0.01)


def test_a_length_must_fit_its_ends() -> None:
    pair = drawn_diameters(GRID, LONG, SHORT, "r")
    with pytest.raises(InputError, match=r"ends are 30\.00 mm apart"):
        check_lines(evolve(pair, long_mm=33.0), GRID)
