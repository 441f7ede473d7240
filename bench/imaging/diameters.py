"""Errors of diameters on ellipsoids and concave shapes whose true outline is known, in voxels, and the time of one. About 1 min.

Targets: bias within 0.15 voxel, standard deviation within 0.3 voxel, 20 ms each.

200 ellipsoids with three random semi-axes, turned at random in space, on slices 1 to 4 pixels apart; 20 concave shapes (letters C,
kidneys, dumbbells, crescents) cut through by one slice in 10 random places each. The truth of an ellipsoid is the longest section
among those its slices cut, from its matrix; that of a concave shape is the farthest pair of 720 points of its analytic outline.
Nothing of it uses the program. Masks are of two kinds: shares of pixels, each the mean of 24 x 24 points of the pixel in the plane
of the slice, as from drawn contours; and whole voxels whose centre is inside, as in a segmentation.

The short axis of a C or a crescent hangs on which of many almost equally long lines is the longest, so that it is not counted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from skimage.measure import points_in_poly

from lutra.core.errors import OutsideValidity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.imaging.diameters import longest_axial_diameter

ELLIPSOIDS, CONCAVE, PLACES, SAMPLES, SMALL = 200, 20, 10, 24, 5.0
Points = npt.NDArray[np.float64]
Inside = Callable[[Points], npt.NDArray[np.bool_]]


def masks(inside: Inside, shape: tuple[int, int, int], slice_pixels: float) -> dict[str, Region]:
    """Both masks of a shape given in pixels, on slices `slice_pixels` apart."""
    grid = Grid(shape, np.diag([1.0, 1, slice_pixels, 1]), "bench")
    centres = grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    whole = inside(centres).astype(np.float32)
    partial = whole.copy()
    # Only pixels whose neighbours differ can be cut by the border.
    near = np.zeros(shape, dtype=bool)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            near |= np.roll(whole, (i, j), axis=(0, 1)) != whole
    offset = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    grid_of_points = np.stack(np.meshgrid(offset, offset, [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    cut = centres[near]
    if len(cut):
        partial[near] = inside(cut[:, None] + grid_of_points).reshape(len(cut), -1).mean(axis=1)
    kinds = {"partial voxels": partial, "whole voxels": whole}
    return {
        kind: Region(kind, RegionKind.LESION, grid, (0, 0, 0), fraction, None, RegionOrigin.DRAWN, "bench")
        for kind, fraction in kinds.items()
    }


def random_ellipsoid(rng: np.random.Generator) -> tuple[Inside, tuple[int, int, int], float, Callable[[int], Points]]:
    """Make an ellipsoid of 3 to 40 pixels: its inside, a grid around it, its slice spacing, and true diameters in slice k."""
    semi = np.exp(rng.uniform(np.log(1.5), np.log(20))) * np.array([1, rng.uniform(0.6, 1), rng.uniform(0.6, 1)])
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = turn @ np.diag(semi**-2.0) @ turn.T
    slice_pixels = rng.uniform(1, 4)
    n, n_k = int(2 * semi.max()) + 8, int(2 * semi.max() / slice_pixels) + 4
    centre = np.array([n / 2, n / 2, slice_pixels * n_k / 2]) + rng.uniform(-0.5, 0.5, 3) * [1, 1, slice_pixels]

    def inside(points: Points) -> npt.NDArray[np.bool_]:
        offset = points - centre
        found: npt.NDArray[np.bool_] = np.einsum("...i,ij,...j->...", offset, matrix, offset) <= 1
        return found

    def diameters(k: int) -> Points:
        """Both axes of the section: the quadratic form with z held, completed to a square."""
        height = k * slice_pixels - centre[2]
        flat, mixed = matrix[:2, :2], matrix[:2, 2]
        rest = 1 - height**2 * (matrix[2, 2] - mixed @ np.linalg.solve(flat, mixed))
        short, long = 2 * np.sqrt(max(rest, 0.0) / np.linalg.eigvalsh(flat)[::-1])
        return np.array([long, short])

    return inside, (n, n, n_k), slice_pixels, diameters


def arc(radius: float, first: float, last: float, n: int, centre: tuple[float, float] = (0.0, 0.0)) -> Points:
    """Part of a circle."""
    angle = np.linspace(first, last, n)
    return np.column_stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)])


def letter_c(radius: float, width: float, half_angle: float) -> Points:
    """Part of a ring with round ends."""
    x, y = radius * np.cos(half_angle), radius * np.sin(half_angle)
    return np.concatenate(
        [
            arc(radius + width / 2, -half_angle, half_angle, 260),
            arc(width / 2, half_angle, half_angle + np.pi, 100, (x, y)),
            arc(radius - width / 2, half_angle, -half_angle, 260),
            arc(width / 2, np.pi - half_angle, 2 * np.pi - half_angle, 100, (x, -y)),
        ]
    )


def kidney(a: float, b: float, dent: float) -> Points:
    """Draw an ellipse with a dent in its long side."""
    angle = np.linspace(-np.pi, np.pi, 720, endpoint=False)
    radius = 1 - dent * np.exp(-((angle / 0.6) ** 2))
    return np.column_stack([a * radius * np.cos(angle), b * radius * np.sin(angle)])


def dumbbell(one: float, other: float, distance: float, neck: float) -> Points:
    """Two discs joined by a bar."""
    at_one, at_other = np.arcsin(neck / 2 / one), np.arcsin(neck / 2 / other)
    return np.concatenate(
        [
            arc(one, at_one, 2 * np.pi - at_one, 360, (-distance / 2, 0)),
            arc(other, at_other - np.pi, np.pi - at_other, 360, (distance / 2, 0)),
        ]
    )


def concave_shapes(rng: np.random.Generator) -> list[tuple[str, Points]]:
    """Shapes of 10 to 30 pixels."""
    shapes = []
    for n in range(CONCAVE):
        z = rng.uniform(0.6, 1.6)
        shapes.append(
            [
                ("letter C", letter_c(8 * z, rng.uniform(3, 6) * z, rng.uniform(1.2, 2.4))),
                ("kidney", kidney(7 * z, 11 * z, rng.uniform(0.3, 0.7))),
                ("dumbbell", dumbbell(5 * z, 4 * z, rng.uniform(12, 16) * z, 3 * z)),
                ("crescent", letter_c(6 * z, 3 * z, 1.8)),
            ][n % 4]
        )
    return shapes


def true_diameters(outline: Points) -> Points:
    """Farthest pair of points, and the longest extent square to it: between crossings with 2000 lines."""
    distance = cdist(outline, outline)
    i, j = np.unravel_index(distance.argmax(), distance.shape)
    long = distance[i, j]
    axis = (outline[j] - outline[i]) / long
    u, v = (outline - outline[i]) @ axis, (outline - outline[i]) @ [-axis[1], axis[0]]
    next_u, next_v = np.roll(u, -1), np.roll(v, -1)
    short = 0.0
    for x in np.linspace(0, long, 2001)[1:-1]:
        crossed = (u - x) * (next_u - x) < 0
        height = v[crossed] + (x - u[crossed]) / (next_u - u)[crossed] * (next_v - v)[crossed]
        short = max(short, float(np.ptp(height)) if len(height) else 0.0)
    return np.array([long, short])


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(5)
    errors: dict[tuple[str, str], list[Points]] = defaultdict(list)
    times: list[float] = []
    refused: dict[tuple[str, str], int] = defaultdict(int)

    def measure(shape: str, kind: str, region: Region, true: Points, *, short: bool) -> None:
        begin = time.process_time()
        try:
            pair = longest_axial_diameter(region)
        except OutsideValidity:
            refused[shape, kind] += 1
            return
        times.append(time.process_time() - begin)
        errors[shape, kind].append(np.array([pair.long_mm, pair.short_mm if short else np.nan]) - true)

    for _ in range(ELLIPSOIDS):
        inside, shape, slice_pixels, diameters = random_ellipsoid(rng)
        true = max((diameters(k) for k in range(shape[2])), key=lambda pair: pair[0])
        size = "ellipsoids below 5 voxels" if true[0] < SMALL else "ellipsoids from 5 voxels"
        for kind, region in masks(inside, shape, slice_pixels).items():
            for group in (size, "ellipsoids, all"):
                measure(group, kind, region, true, short=True)
    for name, outline in concave_shapes(rng):
        true = true_diameters(outline)
        for _ in range(PLACES):
            angle = rng.uniform(0, 2 * np.pi)
            turned = outline @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).T
            placed = turned - turned.min(axis=0) + 3 + rng.uniform(0, 1, 2)
            side = int(placed.max()) + 5

            def in_shape(points: Points, placed: Points = placed) -> npt.NDArray[np.bool_]:
                found: npt.NDArray[np.bool_] = points_in_poly(points[..., :2].reshape(-1, 2), placed)
                return found.reshape(points.shape[:-1])

            for kind, region in masks(in_shape, (side, side, 1), 1.0).items():
                for group in (name, "concave, all"):
                    measure(group, kind, region, true, short=name in {"kidney", "dumbbell"})

    print(f"{'shape':28}{'mask':16}{'n':>5}   {'longest: bias    sd':22}{'short: bias    sd':20}  no outline")
    for (shape, kind), found in sorted(errors.items()):
        each = np.array(found)
        short = each[np.isfinite(each[:, 1]), 1]
        across = f"{short.mean():+12.2f}{short.std():6.2f}" if len(short) else f"{'-':>12}{'-':>6}"
        print(
            f"{shape:28}{kind:16}{len(each):5}   {each[:, 0].mean():+12.2f}{each[:, 0].std():6.2f}    {across}"
            f"{refused[shape, kind]:12}"
        )
    print(f"{1e3 * np.mean(times):.1f} ms each, at most {1e3 * max(times):.1f} ms (processor time)")


if __name__ == "__main__":
    main()
