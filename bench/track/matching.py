"""Matching of lesions between two scans: edge-F1, confidence and time.

Targets at 5 mm: .97 for 10 and 40 lesions, .95 for 120; 20 ms.

Two simulators that are built differently (`lutra.simulate.rescans`), each with splits, mergers, new and vanished lesions. Beside
ours: nearest neighbours within 15 mm taken greedily, contact of balls of equal volume, and ours with the true registration error
taken off ("known"), which nobody can beat by knowing the registration better; and ours where the registration states half or double
its error. Errors are one standard deviation along each axis. Times are of the processor, in one thread if OMP_NUM_THREADS=1.

`python bench/track/matching.py [PATIENTS]`
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

import numpy as np

from lutra.simulate.rescans import LesionScan, Rescan, clustered_rescan, treated_rescan
from lutra.track import Matching, Spots, match

COUNTS, ERRORS_MM = (10, 40, 120), (1.0, 2.5, 5.0, 8.0)
Edges = set[tuple[int, int]]
SIZE_LOG_SD = 0.6


def spots(scan: LesionScan, error_mm: float) -> Spots:
    """Lesions with the error the registration states."""
    n = len(scan.volume_ml)
    return Spots(
        scan.position_mm, np.full(n, max(error_mm, 0.3)), scan.volume_ml, scan.spread_mm2, np.full(n, SIZE_LOG_SD),
        np.zeros(n, bool),
    )  # fmt: skip


def ours(rescan: Rescan, stated_mm: float) -> Matching:
    """Match with an error that the registration states, right or wrong."""
    return match(spots(rescan.before, 0), spots(rescan.after, stated_mm))


def edges(found: Matching) -> Edges:
    """Pairs that are matched."""
    return {(e.lesion, e.region) for e in found.edges}


def shift_known(rescan: Rescan) -> Edges:
    """Match after the true error of the registration has been taken off."""
    after = rescan.after
    there = LesionScan(after.position_mm - rescan.shift_mm, after.volume_ml, after.spread_mm2)
    return edges(match(spots(rescan.before, 0), spots(there, 0)))


def nearest(rescan: Rescan, limit_mm: float = 15.0) -> Edges:
    """Take the nearest pair, then the next nearest of what is left."""
    apart = _apart(rescan)
    pairs: Edges = set()
    for i, j in zip(*np.unravel_index(np.argsort(apart, axis=None), apart.shape), strict=True):
        if apart[i, j] > limit_mm:
            break
        if all(i != a and j != b for a, b in pairs):
            pairs.add((int(i), int(j)))
    return pairs


def contact(rescan: Rescan) -> Edges:
    """Every pair whose balls of equal volume touch."""
    radii = [np.cbrt(3000 * s.volume_ml / (4 * np.pi)) for s in (rescan.before, rescan.after)]
    return {(int(i), int(j)) for i, j in np.argwhere(_apart(rescan) < radii[0][:, None] + radii[1])}


def _apart(rescan: Rescan) -> np.ndarray:
    return np.linalg.norm(rescan.before.position_mm[:, None] - rescan.after.position_mm[None], axis=-1)


def f1(found: Edges, true: Iterable[tuple[int, int]]) -> float:
    """Twice the right edges over all found and all true ones."""
    truth = set(true)
    return 2 * len(found & truth) / max(len(found) + len(truth), 1)


def row(make: Callable[[np.random.Generator, int, float], Rescan], count: int, error_mm: float, patients: int) -> str:
    """Everything about one kind of patient."""
    drawn = [make(np.random.default_rng([seed, count]), count, error_mm) for seed in range(patients)]
    start = time.process_time()
    found = [ours(rescan, error_mm) for rescan in drawn]
    ms = (time.process_time() - start) / patients * 1000
    sure = [
        ((e.lesion, e.region) in rescan.edges, e.confidence > 0.9)
        for rescan, one in zip(drawn, found, strict=True)
        for e in one.edges
    ]
    right = np.mean([ok for ok, confident in sure if confident])
    share = np.mean([confident for _, confident in sure])
    scores = [
        [f1(edges(one), rescan.edges) for rescan, one in zip(drawn, found, strict=True)],
        *([f1(how(rescan), rescan.edges) for rescan in drawn] for how in (shift_known, nearest, contact)),
        *([f1(edges(ours(r, wrong * error_mm)), r.edges) for r in drawn] for wrong in (0.5, 2)),
    ]
    columns = "".join(f"{np.mean(score):8.3f}" for score in scores)
    return f"{make.__name__[:9]:10}{count:5}{error_mm:6.1f}{columns}{share:9.2f}{right:8.4f}{ms:8.1f}"


def main() -> None:
    """Print the table."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    print(f"edge-F1 and confidence of {patients} patients each")
    print("patients  count    mm    ours   known nearest contact  half e double e  conf>.9 right      ms")
    ours(clustered_rescan(np.random.default_rng(0), 10, 1.0), 1.0)  # the first call loads libraries
    for make in (clustered_rescan, treated_rescan):
        for count in COUNTS:
            for error_mm in ERRORS_MM:
                print(row(make, count, error_mm, patients), flush=True)


if __name__ == "__main__":
    main()
