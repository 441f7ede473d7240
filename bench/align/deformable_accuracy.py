"""Deformable registration of a real CT to itself in other postures, all displacements known; and of what cannot be registered.

Targets: median error in the organs at most 1.5 mm, Dice of propagated kidneys, liver and spleen at least .95, 99 % of failures
reported.
How the images are made so that nothing is inverted that was made the same way: tests/unit/align/known_warps.py.

    python bench/align/deformable_accuracy.py FOLDER_OF_THE_LABELLED_CT [warps] [failures] [registrars]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from attrs import evolve

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "unit" / "align"))
from known_warps import (
    ORGANS,
    Labelled,
    Warped,
    best_rigid,
    labelled_ct,
    mirrored,
    soft_dice,
    warped_ct,
)

from lutra.core.finding import Outcome
from lutra.core.frozen import FrozenMap
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.pipeline.plugins import load
from lutra.segment.propagate import propagate_region

FAILED_MM = 5.0
"""A registration whose median error in the organs is above this has failed, whatever it says of itself. [mm]"""
FIRST_FAILURE = 1000


def register(name: str, fixed: Volume, moving: Volume, start: Transform) -> tuple[Outcome[Transform], float]:
    """Register and take the time. [s]"""
    began = time.perf_counter()
    outcome = load("registrar", name)[1].register(fixed, moving, FrozenMap(), 1, start)
    return outcome, time.perf_counter() - began


def dice(transform: Transform, labelled: Labelled, warped: Warped, name: str) -> float:
    """Overlap of the propagated organ with the truth, by shares of voxels. [1]"""
    moved = propagate_region(labelled.region(name), transform, warped.image.grid).value
    share = np.zeros(warped.image.grid.shape)
    if moved is not None:
        share[moved.box] = moved.fraction
    return soft_dice(share, warped.truth(labelled, name))


def accuracy(labelled: Labelled, warps: int, registrars: list[str]) -> None:
    """Print error and overlap per organ, over warps without and with contrast medium in turn."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in range(warps):
        warped = warped_ct(labelled, seed, contrast=bool(seed % 2))
        start = best_rigid(warped)
        for name in ("rigid", *registrars):
            outcome, took_s = (
                (Outcome(start), 0.0) if name == "rigid" else register(name, warped.image, labelled.ct, start)
            )
            if outcome.value is None:
                print(f"warp {seed}: {name} gave up: {', '.join(f.code for f in outcome.findings)}", flush=True)
                continue
            errors = {organ: warped.error_mm(outcome.value, organ) for organ in ORGANS}
            for organ, error in errors.items():
                found.setdefault((organ, name), []).append(
                    (float(np.median(error)), dice(outcome.value, labelled, warped, organ))
                )
            everywhere = np.concatenate(list(errors.values()))
            print(
                f"warp {seed}{' with medium' if seed % 2 else ''}: {name} {took_s:.0f} s, median {np.median(everywhere):.2f} mm, "
                f"rms {np.sqrt(np.mean(everywhere**2)):.2f} mm, stated {outcome.value.error_mm or float('nan'):.2f} mm, "
                + ", ".join(f"{key} {value:.3f}" for key, value in outcome.value.quality.items()),
                flush=True,
            )
    print("\norgan           registrar   median error mm (worst warp)   Dice (worst warp)")
    for (organ, name), rows in sorted(found.items()):
        error, overlap = np.array(rows).T
        print(
            f"{organ:15s} {name:10s} {np.median(error):6.2f} ({error.max():.2f}) {np.median(overlap):20.3f} ({overlap.min():.3f})"
        )


def failures(labelled: Labelled, count: int, name: str) -> None:
    """Print how many of the registrations that must fail are reported: wrong anatomy, wrong start, warps beyond reach."""
    reported, failed = 0, 0
    for seed in range(FIRST_FAILURE, FIRST_FAILURE + count):
        rng = np.random.default_rng(seed)
        kind = ("mirrored", "upside down", "wrong start", "huge warp")[seed % 4]
        warped = warped_ct(labelled, seed, scale=float(rng.uniform(4, 8)) if kind == "huge warp" else 1.0)
        start, moving = best_rigid(warped), labelled.ct
        if kind == "wrong start":
            matrix = np.array(start.fixed_from_moving)
            matrix[2, 3] += rng.choice([-1, 1]) * rng.uniform(40, 120)
            start = evolve(start, fixed_from_moving=matrix)
        elif kind != "huge warp":
            moving = mirrored(moving, 0 if kind == "mirrored" else 2)
        outcome, _ = register(name, warped.image, moving, start)
        error = np.inf if moving is not labelled.ct else np.nan
        if outcome.value is not None and moving is labelled.ct:
            error = float(np.median(np.concatenate([warped.error_mm(outcome.value, organ) for organ in ORGANS])))
        if outcome.value is None or error > FAILED_MM:
            failed += 1
            reported += outcome.value is None
        print(
            f"failure {seed}, {kind}: {', '.join(f.code for f in outcome.findings) or f'not reported, {error:.1f} mm'}",
            flush=True,
        )
    print(f"{name}: {reported} of {failed} failures reported")


def main() -> None:
    """Run both."""
    labelled = labelled_ct(Path(sys.argv[1]))
    warps, count = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((2, 20), (3, 100)))
    registrars = sys.argv[4].split(",") if len(sys.argv) > 4 else ["demons", "bspline"]
    accuracy(labelled, warps, registrars)
    for name in registrars if count else ():
        failures(labelled, count, name)


if __name__ == "__main__":
    main()
