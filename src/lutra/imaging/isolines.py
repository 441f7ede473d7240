"""Where a field on a plane crosses one half, and the edges of pixels: marching squares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEVEL = 0.5


def outlines(fraction_slice: npt.NDArray[np.floating], level: float = LEVEL) -> list[npt.NDArray[np.float64]]:
    """Draw closed lines around everything at or above a level, by default one half, linear between pixel centres.

    Parts come out counter-clockwise and holes clockwise, seen with the first axis to the right and the second upwards.
    Where two parts touch at a corner they are one part if the mean of the four pixels is at least the level.

    Parameters
    ----------
    fraction_slice
        Share of each pixel inside; everything beyond the array is outside. [1] (i, j)
    level
        Above 0.

    Returns
    -------
    list
        Polygons in fractional indices of the array, the last point not repeated. Each (n, 2)
    """
    values = np.pad(np.asarray(fraction_slice, dtype=np.float64), 1)
    if not np.any(values >= level):
        return []
    following = _following(values, level)
    remaining = dict(following)
    lines = []
    while remaining:
        first, edge = remaining.popitem()
        path = [first]
        while edge != first:
            path.append(edge)
            edge = remaining.pop(edge)
        lines.append(_points(values, np.array(path), level) - 1)
    return sorted(lines, key=len, reverse=True)


def borders(mask_slice: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float64]]:
    """Walk round the outer edges of whole pixels; direction and order as :func:`outlines`, which cuts their corners.

    Returns
    -------
    list
        Polygons in fractional indices of the array, corners only. Each (n, 2)
    """
    lines = []
    for line in outlines(mask_slice.astype(np.float64)):
        # Between two crossings the line turns about one corner of the pixels: the middle of the four centres around it.
        corner = np.floor((line + np.roll(line, -1, axis=0)) / 2) + 0.5
        before, after = corner - np.roll(corner, 1, axis=0), np.roll(corner, -1, axis=0) - corner
        lines.append(corner[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]])
    return lines


def _following(values: npt.NDArray[np.float64], level: float) -> list[tuple[int, int]]:
    """Pairs of pixel edges a line passes from and to, every crossed edge once on each side.

    The edge from pixel (i, j) to (i + 1, j) has the number of its first pixel, the edge to (i, j + 1) that number plus
    the number of pixels.
    """
    inside = values >= level
    number = np.arange(values.size).reshape(values.shape)
    corners = np.stack([inside[:-1, :-1], inside[1:, :-1], inside[1:, 1:], inside[:-1, 1:]])
    mixed = corners.any(axis=0) & ~corners.all(axis=0)
    corners, cell = corners[:, mixed], number[:-1, :-1][mixed]
    # Counter-clockwise round the cell: bottom, right, top, left.
    edges = np.stack([cell, cell + values.shape[1] + values.size, cell + 1, cell + values.size])
    after = np.roll(corners, -1, axis=0)
    leaves, enters = corners & ~after, ~corners & after
    saddle = leaves.sum(axis=0) == 2
    mean = (values[:-1, :-1] + values[1:, :-1] + values[1:, 1:] + values[:-1, 1:])[mixed] / 4

    # The line goes from where the walk round the cell leaves the inside to where it enters it, inside on its left.
    plain = np.flatnonzero(~saddle)
    pairs = [(edges[leaves[:, plain].argmax(axis=0), plain], edges[enters[:, plain].argmax(axis=0), plain])]
    for side in range(4):
        at = np.flatnonzero(saddle & leaves[side])
        partner = np.where(mean[at] >= level, (side + 1) % 4, (side - 1) % 4)
        pairs.append((edges[side, at], edges[partner, at]))
    return list(zip(*(np.concatenate(part).tolist() for part in zip(*pairs, strict=True)), strict=True))


def _points(values: npt.NDArray[np.float64], edges: npt.NDArray[np.int64], level: float) -> npt.NDArray[np.float64]:
    upwards, pixel = np.divmod(edges, values.size)
    begin = np.stack(np.divmod(pixel, values.shape[1]), axis=1)
    step = np.stack([1 - upwards, upwards], axis=1)
    low, high = values[tuple(begin.T)], values[tuple((begin + step).T)]
    points: npt.NDArray[np.float64] = begin + step * ((level - low) / (high - low))[:, None]
    return points
