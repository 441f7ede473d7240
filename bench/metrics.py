"""Metrics of 100 lesions on a PET of 400 x 400 x 300 voxels, without reading it. Target: 2 s for everything.

Beside it, what one would write first: labels over the whole image, scipy.ndimage statistics by label and one convolution of the
whole image with the 1 mL sphere. It knows no partial voxels and gives maximum, mean, peak, volume and total only. Both get the same
image, one after the other in the same process. Processor time is what is compared: neither runs in threads, and a busy machine
does not count.
"""

from __future__ import annotations

import time

import numpy as np
from scipy import ndimage

from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import Role
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.imaging.spheres import sphere_shares
from lutra.quantify import QuantifySettings, measure, measure_features
from lutra.quantify.peak import PEAK_RADIUS_MM

SHAPE, SPACING_MM, LESIONS, ROUNDS, TARGET_S = (400, 400, 300), 2.0, 100, 3, 2.0


def image() -> Volume:
    """Noise of SUV 2 with a resolution of about 6 mm."""
    values = np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32)
    values = ndimage.gaussian_filter(values, 1.3, output=np.float32)
    grid = Grid(SHAPE, np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0]), "1")
    return Volume(np.maximum(2 + values, 0), grid, Unit.SUV_BW)


def lesions(grid: Grid) -> list[Region]:
    """Balls of 1 to 100 mL that do not touch, their surface voxels counted in part."""
    rng = np.random.default_rng(2)
    radii = (3 * 1000 * np.geomspace(1, 100, LESIONS) / (4 * np.pi)) ** (1 / 3) / SPACING_MM
    places = [(i, j, k) for i in range(40, 400, 66) for j in range(40, 400, 66) for k in range(30, 280, 60)]
    found = []
    for radius, n in zip(radii, rng.permutation(len(places))[:LESIONS], strict=True):
        half = int(radius) + 2
        axis = np.arange(-half, half + 1.0)
        distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
        fraction = np.clip(radius - distance + 0.5, 0, 1)
        start = tuple(int(c) - half for c in places[n])
        found.append(
            Region(f"L{n}", RegionKind.LESION, grid, start, fraction, None, RegionOrigin.DRAWN, "bench")  # type: ignore[arg-type]
        )
    return found


def ours(volume: Volume, regions: list[Region]) -> list[float]:
    """Everything a run measures of these lesions; their peaks."""
    settings = QuantifySettings(pet_fwhm_mm=6.0)
    peaks = []
    for region in regions:
        found = measure(volume, region, region.name, "1", settings, role=Role.FDG_PET).value
        features = measure_features(volume, region, region.name, "1").value
        if found is None or features is None:
            raise SystemExit("a lesion could not be measured")
        peaks.append(found.values["suv_peak"].value)
    return peaks


def straightforward(volume: Volume, labels: np.ndarray) -> list[float]:
    """Five numbers of each lesion over the whole image; their peaks."""
    index = np.arange(1, LESIONS + 1)
    kernel = sphere_shares(PEAK_RADIUS_MM, volume.grid.spacing_mm)
    means = ndimage.convolve(volume.values, (kernel / kernel.sum()).astype(np.float32), mode="nearest")
    for statistic in (ndimage.maximum, ndimage.mean, ndimage.sum_labels):
        statistic(volume.values, labels, index)
    np.bincount(labels.ravel())
    return [float(p) for p in ndimage.maximum(means, labels, index)]


def main() -> None:
    """Print both times and how far the peaks agree."""
    volume = image()
    regions = lesions(volume.grid)
    labels = np.zeros(SHAPE, np.int16)
    for n, region in enumerate(regions, start=1):
        labels[region.box][region.fraction >= 0.5] = n
    ours(volume, regions[:1])  # kernels are made once per voxel size
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        peaks = ours(volume, regions)
        times.append(time.process_time() - start)
    start = time.process_time()
    theirs = straightforward(volume, labels)
    whole = time.process_time() - start
    apart = max(abs(a / b - 1) for a, b in zip(peaks, theirs, strict=True))
    ml = sum(region.volume_ml for region in regions)
    print(f"{LESIONS} lesions, {ml:.0f} mL, {' × '.join(map(str, SHAPE))} voxels of {SPACING_MM:g} mm")
    print(f"all metrics and 66 features: {min(times):.2f} s, best of {ROUNDS} (target {TARGET_S:g} s)")
    print(
        f"five numbers over the whole image: {whole:.2f} s, {whole / min(times):.1f} times as long; peaks agree to {apart:.1e}"
    )
    if min(times) > TARGET_S:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
