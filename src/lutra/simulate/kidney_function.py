"""Filtration of the kidneys over years, and the creatinine a laboratory finds for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DAYS_PER_YEAR = 365.25
BED_SLOPE_PER_GY_YEAR = 0.12
"""Loss per year and Gy of BED above the threshold; tuned. [mL/min/1.73m2 per year per Gy]"""
BED_THRESHOLD_GY, BED_THRESHOLD_AT_RISK_GY = 40.0, 28.0
"""Without and with hypertension or diabetes [bodei2008]."""
UMOL_PER_MG_DL = 88.42
CKD_EPI = {"F": (0.7, -0.241, 1.012), "M": (0.9, -0.302, 1.0)}
"""Knee [mg/dL], exponent below it and factor by sex [inker2021]."""
CKD_EPI_ABOVE, CKD_EPI_LEVEL, CKD_EPI_PER_YEAR = -1.2, 142.0, 0.9938


def egfr_over_days(
    egfr: float,
    slope_per_year: float,
    beds: Sequence[tuple[float, float]],
    days: npt.ArrayLike,
    *,
    threshold_gy: float,
    renal_effect: bool = True,
) -> Array:
    """Filtration on days since the first treatment; never below 5. [mL/min/1.73m2]

    The BED of the cycles adds up; what exceeds the threshold makes the loss per year steeper from then on.

    Parameters
    ----------
    egfr
        On day 0. [mL/min/1.73m2]
    slope_per_year
        Loss by age plus the patient's own. [mL/min/1.73m2 per year]
    beds
        Day and kidney BED of every cycle. [d], [Gy]
    renal_effect
        False: dose does nothing. Published results contradict each other.

    References
    ----------
    [bodei2008] Bodei et al., Eur J Nucl Med Mol Imaging 35:1847.
    """
    t = np.asarray(days, float)
    found = egfr - slope_per_year * t / DAYS_PER_YEAR
    so_far = 0.0
    for day, bed_gy in beds if renal_effect else ():
        before, so_far = max(so_far - threshold_gy, 0), so_far + bed_gy
        steeper = BED_SLOPE_PER_GY_YEAR * (max(so_far - threshold_gy, 0) - before)
        found = found - steeper * np.maximum(t - day, 0) / DAYS_PER_YEAR
    return np.maximum(found, 5.0)


def egfr_ckd_epi(creatinine_umol_per_l: npt.ArrayLike, age_y: npt.ArrayLike, sex: str) -> Array:
    """Filtration estimated from creatinine, equation of 2021. [mL/min/1.73m2]

    References
    ----------
    [inker2021] Inker et al., N Engl J Med 385:1737.
    """
    knee, below, factor = CKD_EPI[sex]
    x = np.asarray(creatinine_umol_per_l, float) / UMOL_PER_MG_DL / knee
    age = CKD_EPI_PER_YEAR ** np.asarray(age_y, float)
    return np.asarray(CKD_EPI_LEVEL * factor * age * np.minimum(x, 1) ** below * np.maximum(x, 1) ** CKD_EPI_ABOVE)


def creatinine_from_egfr(egfr: npt.ArrayLike, age_y: npt.ArrayLike, sex: str) -> Array:
    """Creatinine that :func:`egfr_ckd_epi` turns into this filtration. [umol/L]"""
    knee, below, factor = CKD_EPI[sex]
    ratio = np.asarray(egfr, float) / (CKD_EPI_LEVEL * factor * CKD_EPI_PER_YEAR ** np.asarray(age_y, float))
    return np.asarray(np.where(ratio >= 1, ratio ** (1 / below), ratio ** (1 / CKD_EPI_ABOVE)) * knee * UMOL_PER_MG_DL)


def clearance_cockcroft_gault(
    creatinine_umol_per_l: npt.ArrayLike, age_y: npt.ArrayLike, sex: str, weight_kg: float
) -> Array:
    """Creatinine clearance. [mL/min]

    References
    ----------
    [cockcroft1976] Cockcroft and Gault, Nephron 16:31.
    """
    mg_dl = np.asarray(creatinine_umol_per_l, float) / UMOL_PER_MG_DL
    return np.asarray((140 - np.asarray(age_y, float)) * weight_kg / (72 * mg_dl) * (0.85 if sex == "F" else 1.0))
