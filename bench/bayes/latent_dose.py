"""What an error of 40 % does to the slope of a dose, and what regression calibration and a latent dose give back.

Needs the extra `bayes`; half a minute per trial.

    python bench/bayes/latent_dose.py [trials]
"""

from __future__ import annotations

import sys

import numpy as np

from lutra.simulate.table_trial import TableTrial, simulate_tables
from lutra.stats.bayesian import Latent, sample_linear
from lutra.stats.linear_mixed import fit_linear_mixed
from lutra.stats.measurement_error import expected_truth

CV, TRUTH, FIRST_SEED = 0.4, -0.09, 100


def main(trials: int) -> None:
    """Print mean slopes per 50 Gy with their error over trials, and how often the posterior's 95 % holds the truth."""
    slopes, held = [], []
    for trial in range(trials):
        lesions = simulate_tables(TableTrial(dose_cv=CV, reader_mm=0.0), FIRST_SEED + trial).lesions
        x = np.column_stack([lesions[name].astype(float) for name in ("dose", "x_fdg", "x_adc")])
        _, patients = np.unique(lesions["pat"], return_inverse=True)
        change = lesions["y"].astype(float)

        def slope(
            dose: np.ndarray, x: np.ndarray = x, change: np.ndarray = change, patients: np.ndarray = patients
        ) -> float:
            design = np.column_stack([np.ones(len(x)), dose / 50, x[:, 1:]])
            return float(fit_linear_mixed(design, change, [patients]).coefficients[1])

        found = sample_linear(x, change, patients, latent=[Latent(0, CV)], seed=trial)
        if not found.converged:
            continue
        low, high = found.interval()
        held.append(50 * low[1] < TRUTH < 50 * high[1])
        calibrated = slope(expected_truth(x[:, 0], patients, CV, x[:, 1:]))
        slopes.append(
            (slope(lesions["dose_true"].astype(float)), slope(x[:, 0]), calibrated, 50 * float(found.mean[1]))
        )
    mean, error = np.mean(slopes, axis=0), np.std(slopes, axis=0, ddof=1) / np.sqrt(len(slopes))
    for name, m, e in zip(("true dose", "naive", "calibrated", "latent"), mean, error, strict=True):
        print(f"{name:12} {m:.4f} +- {e:.4f}   (truth {TRUTH})")
    print(
        f"latent: {len(held)} of {trials} converged, the others are left out; 95 % interval holds the truth in {sum(held)}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
