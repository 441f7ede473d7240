"""Marching squares by hand, and its closed, oriented lines."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lutra.imaging.isolines import outlines


def signed_area(line: npt.NDArray[np.float64]) -> float:
    x, y = line.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def test_single_pixel_is_a_diamond() -> None:
    """Half way to each of the four neighbours: a square on its corner with area 1/2."""
    field = np.zeros((5, 5))
    field[2, 3] = 1
    (line,) = outlines(field)
    assert sorted(map(tuple, line.tolist())) == [(1.5, 3), (2, 2.5), (2, 3.5), (2.5, 3)]
    assert signed_area(line) == pytest.approx(0.5)


def test_line_lies_where_the_interpolated_field_is_one_half() -> None:
    """From 1 to 0.2 it crosses 0.5 at 5/8 of the way."""
    (line,) = outlines(np.array([[1.0], [0.2]]))
    assert line[:, 0].max() == pytest.approx(0.625)


def test_ring_has_an_outer_line_and_a_hole() -> None:
    field = np.ones((7, 7))
    field[2:5, 2:5] = 0
    outer, hole = outlines(field)
    assert signed_area(outer) == pytest.approx(7 * 7 - 0.5)
    assert signed_area(hole) == pytest.approx(-(3 * 3 - 0.5))


def test_pixels_touching_at_a_corner() -> None:
    """Mean of the four pixels 0.5: one part. Below 0.5: two."""
    assert len(outlines(np.array([[1.0, 0], [0, 1]]))) == 1
    assert len(outlines(np.array([[0.9, 0], [0, 0.9]]))) == 2


def test_region_on_the_border_is_closed() -> None:
    (line,) = outlines(np.ones((3, 4)))
    assert line.min() == pytest.approx(-0.5)
    assert signed_area(line) == pytest.approx(3 * 4 - 0.5)


def test_nothing_reaches_one_half() -> None:
    assert outlines(np.full((4, 4), 0.49)) == []


def test_every_line_is_made_of_short_steps() -> None:
    """On noise with many saddles no line jumps: successive points share a cell."""
    for line in outlines(np.random.default_rng(7).random((40, 30))):
        steps = np.abs(np.roll(line, -1, axis=0) - line)
        assert steps.max() <= 1
