"""The inner loops of mutual information, compiled: what a point meets in the moving image, and who meets whom how often.

Each loop runs in one thread and adds in a fixed order, so its result does not depend on the number of processors. It is fast
because a sample costs little: one interpolation gives value and slope together.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lutra.physics.compiled import compiled

OUTSIDE = -1.0
"""Value of a point that the moving image does not hold. Grey levels are positive."""
LEVELS, BODY, BLANK = 16, 64, 255
"""Scan of offsets: grey levels, the mark of a voxel within the body, and a voxel that no image holds."""


@compiled
def look_up(points: Any, moving: Any, matrix: Any, seen: Any) -> None:
    """Interpolate the moving image at points of the fixed one.

    Parameters
    ----------
    points
        [mm] (n, 3)
    moving
        Grey levels. (i, j, k)
    matrix
        Index of a point in `moving`. (3, 4)
    seen
        Filled with the value and its slope along i, j and k, or OUTSIDE. (n, 4)
    """
    ni, nj, nk = moving.shape
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        i = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
        j = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
        k = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
        if not (0.0 <= i <= ni - 1 and 0.0 <= j <= nj - 1 and 0.0 <= k <= nk - 1):
            seen[n, 0] = OUTSIDE
            continue
        i0, j0, k0 = min(int(i), ni - 2), min(int(j), nj - 2), min(int(k), nk - 2)
        a, b, c = i - i0, j - j0, k - k0
        v000, v001 = moving[i0, j0, k0], moving[i0, j0, k0 + 1]
        v010, v011 = moving[i0, j0 + 1, k0], moving[i0, j0 + 1, k0 + 1]
        v100, v101 = moving[i0 + 1, j0, k0], moving[i0 + 1, j0, k0 + 1]
        v110, v111 = moving[i0 + 1, j0 + 1, k0], moving[i0 + 1, j0 + 1, k0 + 1]
        v00, v01 = v000 + c * (v001 - v000), v010 + c * (v011 - v010)
        v10, v11 = v100 + c * (v101 - v100), v110 + c * (v111 - v110)
        v0, v1 = v00 + b * (v01 - v00), v10 + b * (v11 - v10)
        seen[n, 0] = v0 + a * (v1 - v0)
        seen[n, 1] = v1 - v0
        seen[n, 2] = (1 - a) * (v01 - v00) + a * (v11 - v10)
        d0 = (1 - b) * (v001 - v000) + b * (v011 - v010)
        d1 = (1 - b) * (v101 - v100) + b * (v111 - v110)
        seen[n, 3] = (1 - a) * d0 + a * d1


@compiled
def count(fixed: Any, seen: Any, joint: Any) -> int:
    """Add the samples to a joint histogram and return how many lie in both images.

    A sample counts fully in its fixed bin and is spread over four moving bins by a cubic B-spline, so that the histogram, and
    with it mutual information, changes smoothly with the transform [mattes2003].
    """
    inside = 0
    for n in range(fixed.shape[0]):
        v = seen[n, 0]
        if v < 0:
            continue
        inside += 1
        m, f = int(v), fixed[n]
        t = v - m
        u = 1 - t
        joint[f, m - 1] += u * u * u / 6
        joint[f, m] += (3 * t * t * t - 6 * t * t + 4) / 6
        joint[f, m + 1] += (3 * u * u * u - 6 * u * u + 4) / 6
        joint[f, m + 2] += t * t * t / 6
    return inside


@compiled
def moments(points: Any, fixed: Any, seen: Any, slope: Any, out: Any) -> None:
    """Derive a function of the joint histogram by the matrix of :func:`look_up`.

    Parameters
    ----------
    slope
        Derivative of the function by each cell of the histogram. (bins, bins)
    out
        Filled with the derivative by each element of the matrix. (3, 4)
    """
    for n in range(fixed.shape[0]):
        v = seen[n, 0]
        if v < 0:
            continue
        m, f = int(v), fixed[n]
        t = v - m
        u = 1 - t
        change = (
            -slope[f, m - 1] * u * u / 2
            + slope[f, m] * (1.5 * t * t - 2 * t)
            - slope[f, m + 1] * (1.5 * u * u - 2 * u)
            + slope[f, m + 2] * t * t / 2
        )
        for row in range(3):
            g = change * seen[n, 1 + row]
            out[row, 0] += g * points[n, 0]
            out[row, 1] += g * points[n, 1]
            out[row, 2] += g * points[n, 2]
            out[row, 3] += g


@compiled
def entropy(counts: Any, total: int, weighted: Any) -> Any:
    """Entropy of a histogram, corrected for the finite number of samples by (filled cells - 1) / 2 n [miller1955]. [nat]

    Parameters
    ----------
    weighted
        n log n for whole numbers up to `total`.
    """
    sum_, filled = 0.0, 0
    for n in range(counts.shape[0]):
        if counts[n] > 0:
            filled += 1
            sum_ += weighted[counts[n]]
    return (weighted[total] - sum_) / total + (filled - 1) / (2 * total)


@compiled
def scan(fixed: Any, moving: Any, offsets: Any, score: Any) -> None:
    """Normalised mutual information of two images on one grid for shifts by whole voxels, where either body is.

    Parameters
    ----------
    fixed, moving
        Grey levels below LEVELS, plus BODY within the body; BLANK outside the image. (i, j, k) each, uint8
    offsets
        What is added to a fixed index to give the moving one. (n, 3)
    score
        Filled with (H(F) + H(M)) / H(F, M); 0 for images without contrast. (n,)
    """
    joint = np.zeros((LEVELS, LEVELS), np.int64)
    rows, columns = np.zeros(LEVELS, np.int64), np.zeros(LEVELS, np.int64)
    weighted = np.zeros(fixed.size + 1)
    for n in range(2, len(weighted)):
        weighted[n] = n * math.log(n)
    for n in range(offsets.shape[0]):
        di, dj, dk = offsets[n, 0], offsets[n, 1], offsets[n, 2]
        joint[:], rows[:], columns[:] = 0, 0, 0
        total = 0
        for i in range(max(0, -di), min(fixed.shape[0], moving.shape[0] - di)):
            for j in range(max(0, -dj), min(fixed.shape[1], moving.shape[1] - dj)):
                for k in range(max(0, -dk), min(fixed.shape[2], moving.shape[2] - dk)):
                    f, m = fixed[i, j, k], moving[i + di, j + dj, k + dk]
                    if max(f, m) < BLANK and (f | m) & BODY:
                        joint[f & (LEVELS - 1), m & (LEVELS - 1)] += 1
                        total += 1
        for f in range(LEVELS):
            for m in range(LEVELS):
                rows[f] += joint[f, m]
                columns[m] += joint[f, m]
        together = entropy(joint.ravel(), total, weighted) if total else 0.0
        if together > 0:
            score[n] = (entropy(rows, total, weighted) + entropy(columns, total, weighted)) / together
