"""Projection and reconstruction at clinical size, against a plain rotate-and-blur projector run beside it.

Case: 128 x 128 x 128 voxels of 4.8 mm, 120 views, attenuation and depth-dependent resolution; 4 iterations of 8 subsets.
Targets on two cores: projection <= 5 s, reconstruction <= 60 s. PyTomography took 66 s and about 770 s for this case on two cores.
The plain projector (scipy.ndimage: rotate, exp of a cumulated sum, gaussian_filter per plane) does four views; its time is scaled.

The shortest of the runs counts, because other work on the machine only adds. Compilation is reported and not counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from lutra.core.grid import Grid
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate.spect import Acquisition, character_of, gamma_camera, simulate_spect
from lutra.simulate.spect.osem import osem
from lutra.simulate.spect.phantom import centred_grid
from lutra.simulate.spect.projector import projector

N, MM, VIEWS, RADIUS_MM, RUNS = 128, 4.8, 120, 250.0, 5
PLAIN_VIEWS = 4
Image = npt.NDArray[np.float32]


def trunk(grid: Grid) -> tuple[Image, Image]:
    """Make an elliptical trunk with a liver and two kidneys: activity [1] and attenuation [1/mm]."""
    x, y, z = np.moveaxis(grid.to_lps_mm(np.stack(np.indices(grid.shape), axis=-1)), -1, 0)
    body = (x / 170) ** 2 + (y / 115) ** 2 < 1
    activity = body * 1.0
    activity[((x + 75) / 75) ** 2 + (y / 70) ** 2 + ((z - 60) / 70) ** 2 < 1] = 12.0
    for side in (-1, 1):
        activity[((x - 65 * side) / 25) ** 2 + ((y - 55) / 25) ** 2 + ((z + 20) / 50) ** 2 < 1] = 60.0
    return activity.astype(np.float32), (0.0136 * body).astype(np.float32)


def shortest(work: Callable[[], Any], runs: int) -> float:
    """Shortest wall time of some runs. [s]"""
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)


def plain_view(activity: Image, mu: Image, degrees: float, sigma_mm: npt.NDArray[np.float64]) -> Image:
    """Project one view as a textbook would."""
    turned, attenuating = (
        ndimage.rotate(v, -degrees, axes=(0, 1), reshape=False, order=1, mode="constant") for v in (activity, mu)
    )
    towards = np.cumsum(attenuating[::-1], axis=0)[::-1] - 0.5 * attenuating
    turned *= np.exp(-towards * MM)
    return np.sum([ndimage.gaussian_filter(p, s / MM) for p, s in zip(turned, sigma_mm, strict=True)], axis=0)


def main() -> None:
    """Print the times, and how far the two projectors are apart."""
    camera = gamma_camera("symbia-melp")
    activity, mu = trunk(centred_grid((N * MM, N * MM, N * MM), MM))
    turns = 2 * np.pi * np.arange(VIEWS) / VIEWS
    start = time.perf_counter()
    tiny = projector((8, 8, 8), (MM, MM), turns[:2], RADIUS_MM, camera.sigma_mm, mu[:8, :8, :8])
    tiny.adjoint(tiny.forward(activity[:8, :8, :8]))
    print(f"compile or load from disk            {time.perf_counter() - start:8.2f} s")

    system = projector(activity.shape, (MM, MM), turns, RADIUS_MM, camera.sigma_mm, mu)
    views = system.forward(activity)
    forward = shortest(lambda: system.forward(activity), RUNS)
    print(f"forward, {VIEWS} views                   {forward:8.2f} s   target 5 s")
    print(f"adjoint, {VIEWS} views                   {shortest(lambda: system.adjoint(views), RUNS):8.2f} s")
    recon = shortest(lambda: osem(system, views, None, 4, 8), 2)
    print(f"OSEM 4 x 8                           {recon:8.2f} s   target 60 s")

    depth = np.maximum(RADIUS_MM - (np.arange(N) - (N - 1) / 2) * MM, 0)
    sigma = camera.sigma_mm(depth)
    picked = np.arange(PLAIN_VIEWS) * VIEWS // PLAIN_VIEWS + 7
    plain = shortest(lambda: [plain_view(activity, mu, np.degrees(turns[q]), sigma) for q in picked[:1]], 2) * VIEWS
    print(f"plain projector, {VIEWS} views, one core  {plain:8.2f} s   {plain / forward:.0f} times as long")
    other = np.array([plain_view(activity, mu, float(np.degrees(turns[q])), sigma) for q in picked])
    apart = np.abs(other - views[picked]).max() / views.max()
    print(f"largest difference between the two   {apart:8.2%} of the maximum")

    grid = centred_grid((64 * 6.4, 64 * 6.4, 56 * 6.4), 6.4)
    small, attenuating = trunk(grid)
    here = Volume(small * 1500, grid, Unit.BQ_PER_ML), Volume(attenuating, grid, Unit.ONE)
    how = Acquisition()
    character = character_of(camera, how, 6.4)
    fast = shortest(lambda: simulate_spect(*here, camera, how, 1, "fast", character=character), 10)
    print(f"fast mode, {' x '.join(map(str, grid.shape))}              {fast:8.3f} s   target 0.1 s")


if __name__ == "__main__":
    main()
