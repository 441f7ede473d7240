"""Coverage of the 95 % intervals of mean CT numbers: lesions of digital patients, and pure correlated noise.

    python bench/ct_means.py [PATIENTS]

`counted` takes every voxel as independent; `noise` reads the grain off the region; `all` adds what the border mixes in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from scipy.ndimage import gaussian_filter

from lutra.quantify.noise import border_effect, sd_of_mean
from lutra.quantify.weighted import Floats, independent_samples, weighted_sd
from lutra.simulate.clinic import ClinicSettings
from lutra.simulate.images import ct_image, scene_for
from lutra.simulate.patient import PatientSettings, digital_patient
from lutra.simulate.sizes import SMALL
from lutra.simulate.truth import scan_rows
from lutra.simulate.visits import Kind, planned_scans

Spacing = tuple[float, float, float]
Case = tuple[float, float, float, float]
"""Error of the mean, and its standard uncertainty by each of the three."""


def case(values: Floats, weights: Floats, spacing_mm: Spacing, true: float) -> Case:
    """Measure one region."""
    error = float(np.average(values, weights=weights)) - true
    counted = weighted_sd(values, weights) / independent_samples(weights, spacing_mm) ** 0.5
    noise = sd_of_mean(values, weights, spacing_mm) or np.nan
    return error, counted, noise, float(np.hypot(noise, border_effect(values, weights)))


def lesions(patients: int) -> Iterator[tuple[str, Case]]:
    """Lesions on one diagnostic and one low-dose CT of each patient."""
    settings = PatientSettings(clinic=ClinicSettings(cycles=1))
    for seed in range(1, patients + 1):
        patient = digital_patient("BENCH", seed, datetime(2026, 1, 12, tzinfo=UTC), settings)
        scans = planned_scans(patient)
        for kind in (Kind.CT, Kind.LOW_DOSE_CT):
            scan = next(s for s in scans if s.kind is kind)
            scene = scene_for(patient, scan, SMALL, "1.2.3")
            image = ct_image(scene, kind, seed)
            true = {r["lesion"]: float(r["value"] or 0) for r in scan_rows(scene, scan, "", {}) if r["unit"] == "HU"}
            for lesion in scene.seen:
                region = scene.whole(lesion)
                values, weights = image.values[region.box].astype(float), region.fraction.astype(float)
                yield kind.value, case(values, weights, scene.grid.spacing_mm, true[lesion.name])


def noise_alone(draws: int) -> Iterator[tuple[str, Case]]:
    """Spheres in smooth noise of 12 HU and independent noise of 9 HU, on voxels of 2.6 x 2.6 x 4 mm."""
    spacing, rng = (2.6, 2.6, 4.0), np.random.default_rng(0)
    for radius_mm in (9.0, 15.0, 25.0):
        counts = [2 * int(np.ceil(radius_mm / s)) + 3 for s in spacing]
        axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(counts, spacing, strict=True)]
        distance_mm = np.sqrt(sum(a**2 for a in np.meshgrid(*axes, indexing="ij")))
        weights = np.clip((radius_mm - distance_mm) / 3 + 0.5, 0, 1)
        for fwhm_mm in (0.1, 4.0, 6.0, 8.0):
            for _ in range(draws):
                white = rng.standard_normal([n + 16 for n in counts])
                smooth = gaussian_filter(white, [fwhm_mm / 2.3548 / s for s in spacing], mode="wrap")
                field = 12 * smooth / smooth.std() + 9 * rng.standard_normal(white.shape)
                name = f"sphere of {2 * radius_mm:g} mm, grain {fwhm_mm:g} mm"
                yield name, case(field[8:-8, 8:-8, 8:-8], weights, spacing, 0.0)


def main() -> None:
    """Print a table."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    cases: dict[str, list[Case]] = {}
    for name, found in (*lesions(patients), *noise_alone(100)):
        cases.setdefault(name, []).append(found)
    print(f"{'':36s} {'n':>5s} {'counted':>8s} {'noise':>8s} {'all':>8s}   median u of all / HU")
    for name, rows in cases.items():
        error, *sds = np.array(rows).T
        held = [np.mean(np.abs(error) < 1.96 * sd) for sd in sds]
        print(f"{name:36s} {len(error):5d}" + "".join(f" {h:8.2f}" for h in held) + f"   {np.median(sds[-1]):.1f}")


if __name__ == "__main__":
    main()
