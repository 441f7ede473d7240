"""Patients drawn anew: the unit of every bootstrap is the patient, never the lesion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.intp]


def resampled(patients: Codes, rng: np.random.Generator) -> tuple[Codes, Codes]:
    """Rows of patients drawn with replacement, and new codes: a patient drawn twice is two."""
    known = np.unique(patients)
    drawn = rng.choice(known, len(known))
    rows = [np.flatnonzero(patients == patient) for patient in drawn]
    return np.concatenate(rows), np.repeat(np.arange(len(rows)), [len(r) for r in rows])
