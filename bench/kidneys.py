"""Kidney activity from simulated SPECT of digital patients against the truth, by whole kidney and by small spheres.

PYTHONPATH=src python bench/kidneys.py [--patients 6] [--full] [--seed 5]

Per kidney and scan, deviation from the true activity in percent:
raw      mean in the true region x its volume
sphere   divided by the recovery of a sphere of equal volume, as `partial_volume = "sphere"` does
shape    by that of its own shape, what its surroundings spill in taken off: `partial_volume = "shape"`
spread   mean of five 2 mL spheres spread over the kidney x its volume, not corrected
highest  the same, spheres at the highest uptake
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from datetime import UTC, datetime

import numpy as np
from attrs import evolve

from lutra.core.estimate import Estimate
from lutra.core.region import ConceptCode, Region, RegionKind
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, measure, measure_small_vois
from lutra.segment import SegmentSettings, small_vois
from lutra.simulate.clinic import ClinicSettings
from lutra.simulate.images import Site, held, painted, scene_for, spect_image, spect_scene
from lutra.simulate.patient import PatientSettings, digital_patient, patient_seed
from lutra.simulate.pet import SCANNERS
from lutra.simulate.scene import Scene, united
from lutra.simulate.sizes import CLINICAL
from lutra.simulate.visits import Kind, planned_scans

METHODS = ("raw", "sphere", "shape", "spread", "highest")
PELVIS = ConceptCode("25990002", "SCT", "Renal pelvis")
TARGET_PERCENT = 5.0


def main() -> None:
    """Print one line per kidney and scan, and mean, spread and worst of every method."""
    options = argparse.ArgumentParser()
    options.add_argument("--patients", type=int, default=6)
    options.add_argument("--seed", type=int, default=5)
    options.add_argument("--full", action="store_true", help="views and reconstruction instead of the fast mode")
    given = options.parse_args()
    size = CLINICAL if not given.full else evolve(CLINICAL, breathing_phases=1)
    settings = PatientSettings(clinic=ClinicSettings(cycles=1), form="fast")
    found: dict[str, list[float]] = defaultdict(list)
    print(
        f"{'patient':8s}{'h':>5s} {'side':6s}{'mL':>7s}{'MBq':>8s}"
        + "".join(f"{m:>9s}" for m in METHODS)
        + "  findings"
    )
    for number in range(given.patients):
        patient = digital_patient(
            f"SIM-{number + 1:03d}", patient_seed(given.seed, number), datetime(2026, 3, 23, tzinfo=UTC), settings
        )
        site = Site(patient.seed, next(iter(SCANNERS)), mode="full" if given.full else "fast")
        for scan in [s for s in planned_scans(patient) if s.kind is Kind.SPECT][: 1 if given.full else 3]:
            scene = spect_scene(scene_for(patient, scan, size, "1.2.3"), size)
            holds = held(scene, scan)
            image = spect_image(painted(scene, scan, holds), scene, site, number).volume
            fwhm_mm = site.character(scene.grid.spacing_mm[0]).fwhm_mm
            for side in ("left", "right"):
                kidney, true_bq = kidney_of(scene, side, holds)
                values, codes = measured(image, scene, kidney, fwhm_mm)
                percent = {m: 100 * (v / true_bq - 1) for m, v in values.items()}
                for method, value in percent.items():
                    found[method].append(value)
                numbers = "".join(f"{percent[m]:+9.1f}" if m in percent else f"{'-':>9s}" for m in METHODS)
                since_h = (scan.since_s or 0) / 3600
                print(
                    f"{patient.subject_id:8s}{since_h:5.0f} {side:6s}{kidney.volume_ml:7.0f}{true_bq / 1e6:8.2f}{numbers}  {codes}",
                    flush=True,
                )
    print(f"\n{'method':8s}{'n':>5s}{'mean %':>9s}{'sd %':>8s}{'worst %':>9s}  within {TARGET_PERCENT:g} %")
    for method in METHODS:
        all_of = np.array(found[method])
        within = int(np.sum(np.abs(all_of) <= TARGET_PERCENT))
        print(
            f"{method:8s}{len(all_of):5d}{all_of.mean():+9.2f}{all_of.std(ddof=1):8.2f}{all_of[np.argmax(np.abs(all_of))]:+9.1f}"
            f"  {within} of {len(all_of)}"
        )


def kidney_of(scene: Scene, side: str, holds: dict[str, float]) -> tuple[Region, float]:
    """Region of a kidney with its pelvis, and the activity in it. [Bq]"""
    parts = [r for name, r in scene.regions.items() if name.startswith(f"{side} kidney")]
    true_bq = sum(holds[part.name] * part.volume_ml for part in parts)
    return united(f"{side} kidney", parts), true_bq


def measured(image: Volume, scene: Scene, kidney: Region, fwhm_mm: float) -> tuple[dict[str, float], str]:
    """Activity by every method. [Bq]"""
    how = QuantifySettings(partial_volume="sphere", spect_fwhm_mm=fwhm_mm)
    found = {}
    for name, settings in (
        ("raw", QuantifySettings()),
        ("sphere", how),
        ("shape", evolve(how, partial_volume="shape")),
    ):
        measurements = measure(image, kidney, kidney.name, "spect", settings).value
        if measurements:
            found[name] = measurements.values["activity"].value
    others = tuple(
        evolve(r, kind=RegionKind.ORGAN, code=PELVIS) if "pelvis" in name else r
        for name, r in scene.regions.items()
        if name in ("liver", "spleen", f"{kidney.name} pelvis") or r.kind is RegionKind.LESION
    )
    codes = []
    for placement in ("spread", "highest"):
        outcome = small_vois(image, kidney, others, SegmentSettings(small_voi_placement=placement))
        codes += [f.code.removeprefix("segment.small-voi-") for f in outcome.findings if placement == "spread"]
        if outcome.value:
            size = Estimate(kidney.volume_ml, Unit.ML)
            value = measure_small_vois(image, outcome.value, size, kidney.name, "spect", how).value
            if value:
                found[placement] = value.values["activity"].value
    return found, " ".join(codes)


if __name__ == "__main__":
    main()
