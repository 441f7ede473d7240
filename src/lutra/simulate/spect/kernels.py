"""The inner loops of the projector: what happens to one view, compiled.

A volume is (i, j, k) with k, the axis of rotation, fastest, and one empty voxel around it in i and j. A view sees it turned so that
planes lie parallel to the detector; planes are made one after another and never stored. Each function is the plain loop of a
linear map, and :func:`back_views` is the transpose of :func:`forward_views` step by step, in reverse order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lutra.physics.compiled import compiled


@compiled
def gather(volume: Any, plane: Any, i: int, n: int, c: float, s: float) -> None:
    """Fill plane i of the turned volume by bilinear interpolation; zero outside."""
    middle, nz = 0.5 * (n - 1), plane.shape[1]
    for j in range(n):
        x = c * (i - middle) - s * (j - middle) + middle + 1.0
        y = s * (i - middle) + c * (j - middle) + middle + 1.0
        row = plane[j]
        if 0.0 <= x < n + 1 and 0.0 <= y < n + 1:
            i0, j0 = int(x), int(y)
            fx, fy = np.float32(x - i0), np.float32(y - j0)
            one = np.float32(1)
            w00, w10, w01, w11 = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
            a, b, d, e = volume[i0, j0], volume[i0 + 1, j0], volume[i0, j0 + 1], volume[i0 + 1, j0 + 1]
            for z in range(nz):
                row[z] = w00 * a[z] + w10 * b[z] + w01 * d[z] + w11 * e[z]
        else:
            for z in range(nz):
                row[z] = np.float32(0)


@compiled
def spread(plane: Any, volume: Any, i: int, n: int, c: float, s: float) -> None:
    """Add plane i of the turned volume to the volume: the transpose of :func:`gather`."""
    middle, nz = 0.5 * (n - 1), plane.shape[1]
    for j in range(n):
        x = c * (i - middle) - s * (j - middle) + middle + 1.0
        y = s * (i - middle) + c * (j - middle) + middle + 1.0
        if 0.0 <= x < n + 1 and 0.0 <= y < n + 1:
            row = plane[j]
            i0, j0 = int(x), int(y)
            fx, fy = np.float32(x - i0), np.float32(y - j0)
            one = np.float32(1)
            w00, w10, w01, w11 = (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy
            a, b, d, e = volume[i0, j0], volume[i0 + 1, j0], volume[i0, j0 + 1], volume[i0 + 1, j0 + 1]
            for z in range(nz):
                a[z] += w00 * row[z]
                b[z] += w10 * row[z]
                d[z] += w01 * row[z]
                e[z] += w11 * row[z]


@compiled
def blur_step(plane: Any, out: Any, row: Any, eu: Any, ez: Any) -> None:
    """Blur by (e, 1 - 2e, e) along both axes, nothing coming in from outside; a symmetric map, its own transpose."""
    n, nz = plane.shape
    cu, cz = np.float32(1) - eu - eu, np.float32(1) - ez - ez
    for j in range(n):
        here = plane[j]
        for z in range(nz):
            row[z + 1] = cu * here[z]
        if j > 0:
            before = plane[j - 1]
            for z in range(nz):
                row[z + 1] += eu * before[z]
        if j < n - 1:
            after = plane[j + 1]
            for z in range(nz):
                row[z + 1] += eu * after[z]
        to = out[j]
        for z in range(nz):
            to[z] = cz * row[z + 1] + ez * (row[z] + row[z + 2])


@compiled
def blur(plane: Any, out: Any, between: Any, ku: Any, kz: Any) -> None:
    """Blur by half kernels ku, kz (centre first), nothing coming in from outside; a symmetric map, its own transpose."""
    n, nz = plane.shape
    for j in range(n):
        for z in range(nz):
            between[j, z] = ku[0] * plane[j, z]
        for m in range(1, ku.size):
            if j >= m:
                for z in range(nz):
                    between[j, z] += ku[m] * plane[j - m, z]
            if j + m < n:
                for z in range(nz):
                    between[j, z] += ku[m] * plane[j + m, z]
    for j in range(n):
        for z in range(nz):
            out[j, z] = kz[0] * between[j, z]
        for m in range(1, kz.size):
            for z in range(m, nz):
                out[j, z] += kz[m] * between[j, z - m]
            for z in range(nz - m):
                out[j, z] += kz[m] * between[j, z + m]


@compiled
def forward_views(volume: Any, loss: Any, turns: Any, blurs: Any, views: Any) -> None:
    """Project: from the far plane to the near one, blur, attenuate by half a voxel of either plane, add the plane."""
    count, n, nz = views.shape
    steps, eu, ez, ku, kz = blurs
    attenuates = loss.shape[0] > 1
    seen, other, plane = np.empty((n, nz), np.float32), np.empty((n, nz), np.float32), np.empty((n, nz), np.float32)
    lost, lost_before = np.zeros((n, nz), np.float32), np.zeros((n, nz), np.float32)
    row, one = np.zeros(nz + 2, np.float32), np.float32(1)
    for v in range(count):
        c, s = math.cos(turns[v]), math.sin(turns[v])
        seen[:] = 0
        lost_before[:] = 0
        for i in range(n):
            for _ in range(steps[v, i]):
                blur_step(seen, other, row, eu, ez)
                seen, other = other, seen
            gather(volume, plane, i, n, c, s)
            if attenuates:
                gather(loss, lost, i, n, c, s)
                for j in range(n):
                    for z in range(nz):
                        seen[j, z] = seen[j, z] * (one - lost[j, z]) * (one - lost_before[j, z]) + plane[j, z]
                lost, lost_before = lost_before, lost
            else:
                for j in range(n):
                    for z in range(nz):
                        seen[j, z] += plane[j, z]
        blur(seen, views[v], other, ku[v], kz[v])


@compiled
def back_views(views: Any, loss: Any, turns: Any, blurs: Any, volume: Any) -> None:
    """Add the transpose of :func:`forward_views` to the volume."""
    count, n, nz = views.shape
    steps, eu, ez, ku, kz = blurs
    attenuates = loss.shape[0] > 1
    seen, other = np.empty((n, nz), np.float32), np.empty((n, nz), np.float32)
    lost, lost_next = np.zeros((n, nz), np.float32), np.zeros((n, nz), np.float32)
    row, one = np.zeros(nz + 2, np.float32), np.float32(1)
    for v in range(count):
        c, s = math.cos(turns[v]), math.sin(turns[v])
        blur(views[v], seen, other, ku[v], kz[v])
        if attenuates:
            gather(loss, lost, n - 1, n, c, s)
        for i in range(n - 1, -1, -1):
            spread(seen, volume, i, n, c, s)
            if i and attenuates:
                gather(loss, lost_next, i - 1, n, c, s)
                for j in range(n):
                    for z in range(nz):
                        seen[j, z] *= (one - lost[j, z]) * (one - lost_next[j, z])
                lost, lost_next = lost_next, lost
            for _ in range(steps[v, i]):
                blur_step(seen, other, row, eu, ez)
                seen, other = other, seen
