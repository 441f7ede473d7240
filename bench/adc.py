"""ADC of 128 x 128 x 40 voxels and 6 b-values, against a loop of numpy.polyfit over the voxels. Target: at most 1 s.

The loop runs over a sample of the same voxels and is scaled up; both are timed in turn, so the ratio holds on a busy machine.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader, VolumeKey
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, fit_diffusion

SHAPE, B, SAMPLE, ROUNDS, TARGET_S = (128, 128, 40), (0.0, 100.0, 200.0, 400.0, 600.0, 800.0), 2000, 5, 1.0


def series() -> tuple[SeriesHeader, tuple[Volume, ...]]:
    """Signals of organs between 0.5 and 3e-3 mm2/s at a signal-to-noise ratio of 30."""
    rng = np.random.default_rng(1)
    d = rng.uniform(0.5e-3, 3e-3, SHAPE)
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 5.0, 1.0]), "1")
    signals = [1000 * np.exp(-b * d) for b in B]
    volumes = tuple(
        Volume(np.hypot(s + rng.normal(0, 30, SHAPE), rng.normal(0, 30, SHAPE)), grid, Unit.STORED) for s in signals
    )
    names = ("series_uid", "study_uid", "subject_id", "sop_class_uid", "description", "manufacturer", "model")
    header = SeriesHeader(
        **dict.fromkeys(names, ""),
        modality="MR",
        image_type=(),
        frame_of_reference="1",
        instances=(),
        grid=grid,
        volumes=tuple(VolumeKey(b) for b in B),
    )
    return header, volumes


def loop(volumes: tuple[Volume, ...]) -> tuple[float, np.ndarray]:
    """Fit the sample voxel by voxel with weights S^2; time for the whole image [s] and the coefficients. [mm2/s]"""
    places = np.random.default_rng(2).choice(np.prod(SHAPE), SAMPLE, replace=False)
    signals = np.stack([v.values.ravel()[places] for v in volumes], axis=1).astype(float)
    start = time.perf_counter()
    found = [-np.polyfit(B, np.log(s), 1, w=s)[0] for s in signals]  # polyfit squares its weights
    return (time.perf_counter() - start) * np.prod(SHAPE) / SAMPLE, np.array(found)


def main() -> None:
    """Print both times and their ratio, round by round."""
    header, volumes = series()
    places = np.random.default_rng(2).choice(np.prod(SHAPE), SAMPLE, replace=False)
    here = []
    for n in range(ROUNDS):
        start = time.perf_counter()
        maps = fit_diffusion(header, volumes, QuantifySettings()).value
        here.append(time.perf_counter() - start)
        theirs, coefficients = loop(volumes)
        if maps is None:
            raise SystemExit("no ADC")
        worst = np.abs(maps.maps["adc_all_b"].values.ravel()[places] - coefficients).max()
        print(
            f"round {n + 1}: Lutra {here[-1]:.2f} s (two maps and the uncertainty), numpy.polyfit {theirs:.0f} s, "
            f"{theirs / here[-1]:.0f} times; largest difference {worst:.1e} mm2/s"
        )
    print(f"ADC of {' x '.join(map(str, SHAPE))} x {len(B)}: median {median(here):.2f} s (target {TARGET_S} s)")


if __name__ == "__main__":
    main()
