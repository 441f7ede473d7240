"""How often forecasts of doses hold what came, in studies of 25 simulated patients.

    python bench/dose_forecast.py [studies]
"""

from __future__ import annotations

import sys

import numpy as np

from lutra.predict.dose_forecast import (
    Forecast,
    fit_first_dose,
    fit_later_doses,
    forecast_first_dose,
    forecast_later_doses,
)

PATIENTS, NEW, CYCLES = 25, 40, 4


def main(studies: int) -> None:
    """Print the shares of new and of known patients, and of each later cycle."""
    rng = np.random.default_rng(3)
    first, later = [], []
    for _ in range(studies):
        patients = np.repeat(np.arange(PATIENTS), 1 + rng.poisson(4, size=PATIENTS))
        deviations, falls = 0.35 * rng.normal(size=PATIENTS + NEW), 0.06 * rng.normal(size=PATIENTS + NEW)
        suv, doses = course(rng, patients, deviations, falls)
        names = [str(p) for p in patients]
        asked = np.arange(PATIENTS + NEW)
        new_suv, came = course(rng, asked, deviations, falls)
        ahead = forecast_first_dose(fit_first_dose(suv, doses[:, 0], names), new_suv, [str(p) for p in asked])
        first.append(inside(ahead, came[:, 0]))
        doses[rng.random(doses.shape) < 0.1] = np.nan
        further = forecast_later_doses(fit_later_doses(doses, names), came[PATIENTS:, 0], np.arange(2, CYCLES + 1))
        later.append(inside(further, came[PATIENTS:, 1:]))
    held = np.array(first)
    print(f"cycle 1, known patients: {100 * held[:, :PATIENTS].mean():.1f} % of {studies * PATIENTS}")
    print(f"cycle 1, new patients:   {100 * held[:, PATIENTS:].mean():.1f} % of {studies * NEW}")
    for cycle, share in enumerate(np.mean(later, axis=(0, 1)), start=2):
        print(f"cycle {cycle}, new patients:   {100 * share:.1f} % of {studies * NEW}")


def course(
    rng: np.random.Generator, patients: np.ndarray, deviations: np.ndarray, falls: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw uptakes and doses of lesions: 40 % within patients, 15 % from cycle to cycle."""
    suv = 15 * np.exp(0.6 * rng.normal(size=len(patients)))
    level = 0.8 + 0.8 * np.log(suv) + deviations[patients] + 0.4 * rng.normal(size=len(patients))
    fall = (falls[patients] - 0.1)[:, None] * np.arange(CYCLES)
    return suv, np.exp(level[:, None] + fall + 0.15 * rng.normal(size=(len(patients), CYCLES)))


def inside(ahead: Forecast, came: np.ndarray) -> np.ndarray:
    """Say which intervals hold what came."""
    return (ahead.low_gy < came) & (came < ahead.high_gy)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
