"""A cohort of the table-level virtual trial, for tests of what readers and the calendar make of it.

Log ratio of diameters at the landmark = -.20 - .09 (D - 80)/50 + .07 log2(FDG/4) + u(.12) + e(.14); what grew until then goes on
growing, what shrank stays. New lesions come at .02 per month and are 8 mm when they can be seen first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lutra.simulate.reads import ReadLesion

LANDMARK_D, LAST_D, VISIT_EVERY_D = 342, 1460, 84
DAYS = np.arange(-30, LAST_D + 1, 3.0)


class Patient(NamedTuple):
    seed: int
    lesions: tuple[ReadLesion, ...]


def patient(seed: int) -> Patient:
    r = np.random.default_rng([seed, 77])
    g2 = r.random() < 0.44
    n = int(np.clip(1 + r.negative_binomial(3, 3 / (3 + 5.0)), 1, 20))
    first = 22 * np.exp(r.normal(0, 0.5) + r.normal(0, 0.5, n))
    keeps = (0.86 if g2 else 0.94) ** np.arange(4)
    dose = (first[:, None] * keeps * np.exp(r.normal(0, 0.12, (n, 4)))).sum(axis=1)
    fdg_log2 = (r.normal(0, 0.45) + 0.35 * (g2 - 0.44) + r.normal(0, 0.35, n)) / np.log(2)
    change = -0.20 - 0.09 * (dose - 80) / 50 + 0.07 * fdg_log2 + r.normal(0, 0.12) + r.normal(0, 0.14, n)
    size = np.clip(26 * np.exp(r.normal(0, 0.45, n)), 10, 120)
    answered = np.clip(1 - np.exp(-np.maximum(DAYS, 0) / 150), 0, None) / (1 - np.exp(-LANDMARK_D / 150))
    later = np.maximum(DAYS / LANDMARK_D - 1, 0)
    organs = r.choice(["liver", "node", "bone", "other"], p=[0.62, 0.18, 0.12, 0.08], size=n)
    lesions = []
    for k in range(n):
        long_mm = size[k] * np.exp(change[k] * np.minimum(answered, 1) + np.maximum(change[k], 0) * later)
        lesions.append(ReadLesion(f"lesion {k + 1}", str(organs[k]), DAYS, long_mm, 0.75 * long_mm))
    day, new = 0.0, 0
    while (day := day + r.exponential(30.44 / 0.02)) < LAST_D:
        new += 1
        long_mm = np.where(day <= DAYS, 8.0 * np.exp(0.0006 * (DAYS - day)), 0.0)
        lesions.append(ReadLesion(f"new {new}", "liver", DAYS, long_mm, 0.75 * long_mm))
    return Patient(seed, tuple(lesions))


def visit_days() -> list[int]:
    return [-7, *range(VISIT_EVERY_D, LAST_D + 1, VISIT_EVERY_D)]


def kaplan_meier(times: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and survival after each of them."""
    order = np.argsort(times)
    t, e = times[order], events[order]
    steps = np.unique(t[e])
    survival = np.cumprod([1 - (e & (t == s)).sum() / (t >= s).sum() for s in steps])
    return steps, survival


def median_survival(times: np.ndarray, events: np.ndarray) -> float:
    steps, survival = kaplan_meier(times, events)
    below = np.flatnonzero(survival <= 0.5)
    return float(steps[below[0]]) if below.size else np.inf
