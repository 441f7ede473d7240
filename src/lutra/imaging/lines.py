"""Diameters a person draws: from the points clicked to a :class:`~lutra.core.response.DiameterPair`, and whether they can stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.core.errors import InputError
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.response import DiameterPair
from lutra.imaging.diameters import short_axis_across

ON_SLICE = 0.5
"""An end further than this from the centre of a slice lies in another one. [slices]"""
SQUARE_DEG = 5.0
"""The short axis may be off square by as much: a hand on a mouse. Its length changes by 0.4 %. [degrees]"""
ROUNDING_MM = 0.01
"""Ends come as text with so many decimals at least; lengths must fit them. [mm]"""


def drawn_diameters(
    grid: Grid, long_ends_lps_mm: npt.ArrayLike, short_ends_lps_mm: npt.ArrayLike, drawn_by: str
) -> DiameterPair:
    """Make a pair of lines of four points that somebody clicked, and check it.

    Parameters
    ----------
    grid
        Grid of the image they were clicked on.
    long_ends_lps_mm, short_ends_lps_mm
        End points in patient coordinates. [mm] (2, 3)
    drawn_by
        The person's account.

    Raises
    ------
    InputError
        As :func:`check_lines`.
    """
    long, short = _two_points("longest diameter", long_ends_lps_mm), _two_points("short axis", short_ends_lps_mm)
    pair = DiameterPair(_length_mm(long), _length_mm(short), long, short, _slice_of(long, grid), drawn_by)
    check_lines(pair, grid)
    return pair


def drawn_on_region(region: Region, long_ends_lps_mm: npt.ArrayLike, drawn_by: str) -> DiameterPair:
    """Make a pair of lines of two clicked points; the short axis is the region's widest extent square to them in their slice.

    Raises
    ------
    InputError
        As :func:`check_lines`.
    OutsideValidity
        If the region has no outline in that slice.
    """
    long = _two_points("longest diameter", long_ends_lps_mm)
    slice_k = _slice_of(long, region.grid)
    _check_ends("longest diameter", long, _length_mm(long), slice_k, region.grid)
    return drawn_diameters(region.grid, long, short_axis_across(region, long, slice_k), drawn_by)


def check_lines(pair: DiameterPair, grid: Grid) -> None:
    """Refuse lines that cannot be the two diameters of something in one slice of an image.

    Raises
    ------
    InputError
        If nobody is named, an end lies in another slice or outside the image, a length does not fit its ends or is zero, the
        short axis is not square to the longest diameter, or is longer than it.
    """
    if not pair.drawn_by.strip():
        raise InputError(
            "a line without the name of who drew it", required="the account of a person", do="sign in and draw it"
        )
    for what, ends, length_mm in (
        ("longest diameter", pair.long_ends_lps_mm, pair.long_mm),
        ("short axis", pair.short_ends_lps_mm, pair.short_mm),
    ):
        _check_ends(what, ends, length_mm, pair.slice_k, grid)
    long, short = (ends[1] - ends[0] for ends in (pair.long_ends_lps_mm, pair.short_ends_lps_mm))
    cosine = abs(float(long @ short)) / float(np.linalg.norm(long) * np.linalg.norm(short))
    off_deg = float(np.rad2deg(np.arcsin(min(cosine, 1.0))))
    if off_deg > SQUARE_DEG:
        raise InputError(
            f"the short axis is {off_deg:.0f} degrees off square to the longest diameter",
            required=f"within {SQUARE_DEG:g} degrees",
            do="draw the short axis again, or leave it out to have it measured",
        )
    if pair.short_mm > pair.long_mm + ROUNDING_MM:
        raise InputError(
            f"the short axis of {pair.short_mm:.1f} mm is longer than the longest diameter of {pair.long_mm:.1f} mm",
            required="the longer line first",
            do="draw the longest diameter along the longer of the two",
        )


def _check_ends(what: str, ends: npt.NDArray[np.float64], length_mm: float, slice_k: int, grid: Grid) -> None:
    ijk = grid.to_ijk(ends)
    if (
        np.any(ijk[:, :2] < -0.5)
        or np.any(ijk[:, :2] > np.subtract(grid.shape[:2], 0.5))
        or not 0 <= slice_k < grid.shape[2]
    ):
        raise InputError(
            f"the {what} leaves the image: indices {np.round(ijk, 1).tolist()} on {' × '.join(map(str, grid.shape))} voxels",
            required="ends within the field of view",
            do="draw it on this image; if the lesion is cut by the edge of the field, record it as not assessable",
        )
    off = np.abs(ijk[:, 2] - slice_k)
    if off.max() > ON_SLICE:
        raise InputError(
            f"the {what} leaves slice {slice_k} by {off.max() * grid.spacing_mm[2]:.1f} mm",
            required="both ends in one slice",
            do="draw both lines in the same slice",
        )
    found_mm = _length_mm(ends)
    if found_mm < ROUNDING_MM:
        raise InputError(f"the {what} has no length", required="two different points", do="draw it again")
    if abs(found_mm - length_mm) > 2 * ROUNDING_MM:
        raise InputError(
            f"the {what} is said to be {length_mm:.2f} mm, and its ends are {found_mm:.2f} mm apart",
            required="a length that fits the ends",
            do="make the line from its ends, with imaging.lines.drawn_diameters",
        )


def _two_points(what: str, ends: npt.ArrayLike) -> npt.NDArray[np.float64]:
    points = np.asarray(ends, np.float64)
    if points.shape != (2, 3) or not np.all(np.isfinite(points)):
        raise InputError(
            f"the {what} has coordinates of shape {points.shape}",
            required="two points of x, y, z in mm",
            do="draw it again",
        )
    return points


def _length_mm(ends: npt.NDArray[np.float64]) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _slice_of(ends: npt.NDArray[np.float64], grid: Grid) -> int:
    return int(np.rint(grid.to_ijk(ends)[:, 2].mean()))
