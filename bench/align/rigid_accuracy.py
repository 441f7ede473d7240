"""Rigid registration held against known motion: how far off, how often wrong, and whether it says so.

Right pairs: the labelled real CT and a digital patient, moved rigidly by up to 60 mm along each axis and turned by up to 10 degrees
about each. Errors are distances at the centres of gravity of the organs. A miss is a median above 2 mm; it is silent if no Finding
comes with it. Targets: median <= 0.5 mm, no silent miss. Of pairs that have no answer at least 99 % are to be reported as failed.
Bent pairs are digital patients who breathe and bend: there the error that is stated is held against the one that is true.

    python bench/align/rigid_accuracy.py DATA [--per-kind 25] [--of right bent wrong] [--only WORD]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from lutra.align.rigid import RigidRegistration
from lutra.core.finding import Outcome
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.transform import Transform
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest import read_label_map
from lutra.reference.label_names import shipped_labels
from lutra.simulate.body import Body, regions_on, sample_body
from lutra.simulate.ct import hu_volume
from lutra.simulate.motion import Motion, sample_motion
from lutra.simulate.moved import cut, moved, noisy, other_contrast

MISS_MM = 2.0
Points = npt.NDArray[np.float64]
Rng = np.random.Generator


@frozen(eq=False)
class Pair:
    """Two images, and points of the fixed one with the place where they are in the moving one; none if they share nothing."""

    fixed: Volume
    moving: Volume
    fixed_mm: Points | None = None
    moving_mm: Points | None = None


@frozen(eq=False)
class Material:
    """The real CT with the centres of its organs."""

    ct: Volume
    organs_mm: Points


def read(data: Path) -> Material:
    """Read the labelled CT."""
    folder = data / "ct_labelled"
    regions = read_label_map(
        folder / "example_seg_fast_force_split.nii.gz", shipped_labels("totalsegmentator-total")
    ).value
    if regions is None:
        raise SystemExit(f"no labels in {folder}")
    values = np.asarray(nib.load(folder / "example_ct.nii.gz").dataobj, np.float32)
    ct = Volume(values, evolve(regions[0].grid, frame_of_reference="1"), Unit.HU)
    return Material(ct, np.array([region.centroid_lps_mm for region in regions]))


def laid_again(material: Material, rng: Rng, most_deg: float = 10.0) -> Pair:
    """Move the real CT at random; the other noise is that of a second scan."""
    shift = rng.uniform(-60, 60, 3)
    scan, truth = moved(material.ct, rng.uniform(-most_deg, most_deg, 3), shift, "2", int(rng.integers(1 << 30)))
    scan = noisy(scan, 15.0, int(rng.integers(1 << 30)))
    return Pair(material.ct, scan, material.organs_mm, truth.moving_points(material.organs_mm))


def part(image: Volume, rng: Rng, share: float = 0.4) -> Volume:
    """Cut the field of view at random."""
    first = rng.uniform(0, 1 - share)
    return cut(image, first, first + share)


def fixed_cut(m: Material, rng: Rng) -> Pair:
    """Field of view of the fixed image cut to 40 %."""
    pair = laid_again(m, rng)
    return evolve(pair, fixed=part(pair.fixed, rng))


def moving_cut(m: Material, rng: Rng) -> Pair:
    """Field of view of the moving image cut to 40 %."""
    pair = laid_again(m, rng)
    return evolve(pair, moving=part(pair.moving, rng))


def both_cut(m: Material, rng: Rng) -> Pair:
    """Two fields of 65 % that share about 30 % of the body's length."""
    pair = laid_again(m, rng)
    ends = (0.0, 0.65), (0.35, 1.0)
    one, other = ends if rng.random() < 0.5 else ends[::-1]
    return evolve(pair, fixed=cut(pair.fixed, *one), moving=cut(pair.moving, *other))


def couch(m: Material, rng: Rng) -> Pair:
    """Patient laid 60 to 100 mm away along each axis."""
    shift = rng.uniform(60, 100, 3) * rng.choice([-1, 1], 3)
    scan, truth = moved(m.ct, rng.uniform(-3, 3, 3), shift, "2", int(rng.integers(1 << 30)))
    return Pair(m.ct, noisy(scan, 15.0, int(rng.integers(1 << 30))), m.organs_mm, truth.moving_points(m.organs_mm))


def much_noise(m: Material, rng: Rng) -> Pair:
    """Noise of 80 HU in one image and of 40 HU in the other."""
    pair = laid_again(m, rng)
    seeds = rng.integers(1 << 30, size=2).tolist()
    return evolve(pair, fixed=noisy(pair.fixed, 40.0, seeds[0]), moving=noisy(pair.moving, 80.0, seeds[1]))


def contrast(m: Material, rng: Rng) -> Pair:
    """Contrast of another modality, with noise."""
    pair = laid_again(m, rng)
    return evolve(pair, moving=noisy(other_contrast(pair.moving), 25.0, int(rng.integers(1 << 30))))


def everything(m: Material, rng: Rng) -> Pair:
    """Field cut to 40 %, other contrast and noise at once."""
    pair = contrast(m, rng)
    return (
        evolve(pair, fixed=part(pair.fixed, rng)) if rng.random() < 0.5 else evolve(pair, moving=part(pair.moving, rng))
    )


def digital(body: Body, motion: Motion, frame: str, seed: int, kind: str) -> tuple[Volume, Points]:
    """Scan a digital patient on 4 mm voxels; and where the centres of the organs are."""
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = np.array([-200, -160, -180]) + motion.translation_mm
    grid = Grid((100, 80, 90), affine, frame)
    coarse = Grid(
        (40, 32, 36), np.diag([10.0, 10, 10, 1]) + np.pad([[-195.0], [-155], [-175]], ((0, 1), (3, 0))), frame
    )
    reference = np.array([region.centroid_lps_mm for region in regions_on(body, (), coarse)])
    scan = hu_volume(
        regions_on(body, (), grid, motion), grid, body, kind, seed, table_below_mm=150 + motion.translation_mm[1]
    )
    return scan, motion.scan_from_reference(reference)


def digital_pair(rng: Rng, motions: tuple[Motion, Motion], seeds: tuple[int, int]) -> Pair:
    """Two scans of one digital patient, or of two."""
    one, here = digital(sample_body(seeds[0]), motions[0], "1", int(rng.integers(1 << 30)), "diagnostic")
    other, there = digital(sample_body(seeds[1]), motions[1], "2", int(rng.integers(1 << 30)), "low-dose")
    return Pair(one, other, here, there) if seeds[0] == seeds[1] else Pair(one, other)


def digital_rigid(m: Material, rng: Rng) -> Pair:  # noqa: ARG001 all kinds have one form
    """Move a digital patient rigidly, scanned with and without contrast medium."""
    motion = Motion(0, rng.uniform(-60, 60, 3), rng.uniform(-10, 10, 3))
    seed = int(rng.integers(1000))
    return digital_pair(rng, (Motion(), motion), (seed, seed))


def digital_bent(m: Material, rng: Rng) -> Pair:  # noqa: ARG001
    """Scan a digital patient in two postures and breaths."""
    seed = int(rng.integers(1000))
    return digital_pair(rng, (sample_motion(seed, "a", breathing="none"), sample_motion(seed, "b")), (seed, seed))


def two_people(m: Material, rng: Rng) -> Pair:  # noqa: ARG001
    """Two digital patients."""
    one, other = (int(n) for n in rng.choice(1000, 2, replace=False))
    return digital_pair(rng, (sample_motion(one, "a", breathing="none"), sample_motion(other, "b")), (one, other))


def digital_and_real(m: Material, rng: Rng) -> Pair:
    """Take a digital patient and the real one."""
    pair = two_people(m, rng)
    return Pair(pair.fixed, m.ct) if rng.random() < 0.5 else Pair(m.ct, pair.fixed)


def nothing_shared(m: Material, rng: Rng) -> Pair:
    """Upper and lower third of one body."""
    pair = laid_again(m, rng)
    ends = (0.0, 0.35), (0.65, 1.0)
    one, other = ends if rng.random() < 0.5 else ends[::-1]
    moving = other_contrast(pair.moving) if rng.random() < 0.3 else pair.moving
    return Pair(cut(pair.fixed, *one), cut(moving, *other))


def flipped(m: Material, rng: Rng) -> Pair:
    """Upside down, mirrored, or prone, as a wrong orientation in a file makes it."""
    pair = laid_again(m, rng)
    flip = [(slice(None),) * 2 + (slice(None, None, -1),), (slice(None, None, -1),), (slice(None, None, -1),) * 2]
    return Pair(m.ct, evolve(pair.moving, values=pair.moving.values[flip[rng.integers(3)]]))


def noise_only(m: Material, rng: Rng) -> Pair:
    """Take an image of noise."""
    return Pair(m.ct, evolve(m.ct, values=rng.normal(0, 300, m.ct.grid.shape)))


def uniform_phantom(m: Material, rng: Rng) -> Pair:
    """Scan a cylinder of water, which looks the same turned and shifted, with the CT or with itself."""
    centre = m.ct.grid.to_lps_mm(np.array(m.ct.grid.shape) / 2)
    x, y, _ = np.moveaxis(m.ct.grid.to_lps_mm(np.moveaxis(np.indices(m.ct.grid.shape), 0, -1)) - centre, -1, 0)
    water = evolve(m.ct, values=np.where(x**2 + y**2 < rng.uniform(90, 140) ** 2, 0.0, -1000.0))
    one, other = (noisy(water, 15.0, int(seed)) for seed in rng.integers(1 << 30, size=2))
    return Pair(m.ct, one) if rng.random() < 0.5 else Pair(one, other)


def empty(m: Material, rng: Rng) -> Pair:
    """Take an image of one value."""
    blank = evolve(m.ct, values=np.full(m.ct.grid.shape, rng.choice([-1000.0, 0.0])))
    return Pair(blank, m.ct) if rng.random() < 0.5 else Pair(m.ct, blank)


ALLOWED: dict[str, Callable[[Any], float]] = {
    "right": lambda _: MISS_MM,
    "bent": lambda result: max(MISS_MM, 2 * result.stated_mm),
    "wrong": lambda _: 0.0,  # any answer is a miss
}
RIGHT = (laid_again, fixed_cut, moving_cut, both_cut, couch, much_noise, contrast, everything, digital_rigid)
BENT = (digital_bent,)
WRONG = (two_people, digital_and_real, nothing_shared, flipped, noise_only, uniform_phantom, empty)


@frozen
class Result:
    """What came of one pair."""

    error_mm: float | None
    stated_mm: float | None
    warned: bool
    took_s: float


def run(kind: Callable[[Material, Rng], Pair], material: Material, seed: int) -> Result:
    """Make a pair and register it."""
    pair = kind(material, np.random.default_rng([seed, *kind.__name__.encode()]))
    start = time.process_time()
    outcome: Outcome[Transform] = RigidRegistration().register(pair.fixed, pair.moving, FrozenMap(), seed)
    took_s = time.process_time() - start
    if outcome.value is None:
        return Result(None, None, warned=True, took_s=took_s)
    error = None
    if pair.fixed_mm is not None and pair.moving_mm is not None:
        apart = outcome.value.moving_points(pair.fixed_mm) - pair.moving_mm
        error = float(np.median(np.linalg.norm(apart, axis=1)))
    return Result(error, outcome.value.error_mm, bool(outcome.findings), took_s)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-kind", type=int, default=25)
    parser.add_argument("--of", choices=("right", "bent", "wrong"), nargs="*", default=("right", "bent", "wrong"))
    parser.add_argument("--only", default="", help="kinds with this word in their name")
    given = parser.parse_args()
    material = read(given.data)
    print(f"{'case':18}   n  median    95 %  stated failed warned  miss silent  cpu s")
    for name, kinds in {"right": RIGHT, "bent": BENT, "wrong": WRONG}.items():
        chosen = [kind for kind in kinds if name in given.of and given.only in kind.__name__]
        together: list[Result] = []
        for kind in chosen:
            results = [run(kind, material, seed) for seed in range(given.per_kind)]
            together += results
            print(line(kind.__name__, results, ALLOWED[name]), flush=True)
        if together:
            print(line(f"all {name}", together, ALLOWED[name]), flush=True)


def line(name: str, results: list[Result], allowed: Callable[[Result], float]) -> str:
    """One line of the table."""
    errors = [result.error_mm for result in results if result.error_mm is not None]
    stated = [result.stated_mm for result in results if result.stated_mm is not None]
    answered = [result for result in results if result.stated_mm is not None]
    missed = [result for result in answered if result.error_mm is None or result.error_mm > allowed(result)]
    middle = f"{np.median(errors):7.3f} {np.percentile(errors, 95):7.3f}" if errors else f"{'-':>7} {'-':>7}"
    return (
        f"{name:18} {len(results):3d} {middle} {np.median(stated) if stated else np.nan:7.3f} "
        f"{len(results) - len(answered):6d} {sum(r.warned for r in answered):6d} {len(missed):5d} "
        f"{sum(not r.warned for r in missed):6d} {np.median([r.took_s for r in results]):6.2f}"
    )


if __name__ == "__main__":
    main()
