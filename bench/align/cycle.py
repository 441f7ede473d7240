"""One cycle of four SPECT/CT: three CTs registered to the first, organs and ten lesions moved to each. Target: 60 s on two cores.

A digital patient is scanned four times, in as many postures and breaths, on 256 x 256 x 150 voxels. The registrar is named on the
command line as in a protocol; `known-couch` is no registration at all, but the shift of the couch as it was.

    python bench/align/cycle.py [rigid|known-couch] [demons]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.imaging.regrid import regrid
from lutra.pipeline.plugins import available, load
from lutra.segment.propagate import propagate_region
from lutra.simulate.body import regions_on, sample_body
from lutra.simulate.ct import CtKind, hu_volume
from lutra.simulate.motion import Motion, sample_motion

SHAPE, SPACING_MM = (256, 256, 150), (1.95, 1.95, 2.6)
SCANS, LESIONS, LESION_MM, TARGET_S = 4, 10, 12.0, 60.0
ORGANS = ("liver", "spleen", "left kidney cortex", "right kidney cortex")


def scan(seed: int, number: int) -> tuple[Volume, Motion, dict[str, Region]]:
    """CT of the patient as he lies, and what is in it."""
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = -np.multiply(SHAPE, SPACING_MM) / 2 + [0, 0, 30]
    grid = Grid(SHAPE, affine, f"scan {number}")
    body = sample_body(seed)
    motion = sample_motion(seed, session=f"scan {number}", scan=f"scan {number}", size=body.build.size)
    painted = regions_on(body, (), grid, motion)
    return hu_volume(painted, grid, body, CtKind.LOW_DOSE, seed + number), motion, {r.name: r for r in painted}


def lesions(image: Volume, liver: Region) -> list[Region]:
    """Balls in the liver of the first scan."""
    rng = np.random.default_rng(0)
    inside = np.argwhere(liver.fraction > 0.99) + liver.start_ijk
    found = []
    for number, centre in enumerate(rng.choice(inside, LESIONS, replace=False)):
        fine = Grid((16, 16, 16), np.diag([1.0, 1, 1, 1]), image.grid.frame_of_reference)
        affine = np.array(fine.affine_lps_mm)
        affine[:3, 3] = image.grid.to_lps_mm(centre) - 7.5
        fine = Grid((16, 16, 16), affine, image.grid.frame_of_reference)
        depth = LESION_MM / 2 - np.linalg.norm(np.moveaxis(np.indices(fine.shape), 0, -1) - 7.5, axis=-1)
        start, share = regrid((0, 0, 0), np.clip(depth + 0.5, 0, 1).astype(np.float32), fine, image.grid)
        name = f"lesion {number}"
        found.append(Region(name, RegionKind.LESION, image.grid, start, share, None, RegionOrigin.DRAWN, "ball"))
    return found


def couch(fixed: Volume, moving: Volume, there: Motion, here: Motion) -> Transform:
    """Shift of the couch between two scans, as it was."""
    matrix = np.eye(4)
    matrix[:3, 3] = here.translation_mm - there.translation_mm
    frames = fixed.grid.frame_of_reference, moving.grid.frame_of_reference
    return Transform(*frames, matrix, None, "known shift of the couch")


def main() -> None:
    """Print seconds by step, and what is left of the error of the lesions."""
    rigid = sys.argv[1] if len(sys.argv) > 1 else "rigid" if "rigid" in available("registrar") else "known-couch"
    bent = sys.argv[2] if len(sys.argv) > 2 else None
    reference, posture, painted = scan(1, 0)
    drawn = [painted[name] for name in ORGANS if name in painted] + lesions(reference, painted["liver"])
    total = {rigid: 0.0, **({bent: 0.0} if bent else {}), "propagate": 0.0}
    for number in range(1, SCANS):
        image, lies, _ = scan(1, number)
        began = time.perf_counter()
        found = couch(image, reference, posture, lies)
        if rigid != "known-couch":
            outcome = load("registrar", rigid)[1].register(image, reference, FrozenMap(), 0)
            found = outcome.value or found
        total[rigid] += time.perf_counter() - began
        if bent:
            began = time.perf_counter()
            outcome = load("registrar", bent)[1].register(image, reference, FrozenMap(), 0, found)
            found = outcome.value or found
            total[bent] += time.perf_counter() - began
            said = ", ".join(f.code for f in outcome.findings) or "believed"
            checks = ", ".join(f"{key} {value:.3f}" for key, value in found.quality.items())
            print(f"scan {number}, {bent}: {said}, error stated {found.error_mm} mm, {checks}")
        began = time.perf_counter()
        moved = [propagate_region(region, found, image.grid).value for region in drawn]
        total["propagate"] += time.perf_counter() - began
        truth = [lies.scan_from_reference(posture.reference_from_scan(region.centroid_lps_mm)) for region in drawn]
        error = [np.linalg.norm(m.centroid_lps_mm - t) for m, t in zip(moved, truth, strict=True) if m is not None]
        print(
            f"scan {number}: {len(error)} of {len(drawn)} regions moved, centres off by {np.median(error):.2f} mm (median)"
        )
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in total.items())
    print(f"cycle: {steps}; together {sum(total.values()):.1f} s (target {TARGET_S:g} s)")


if __name__ == "__main__":
    main()
