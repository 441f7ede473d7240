"""Size over time and the category it earns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import float64


@frozen(eq=False)
class DiameterPair:
    """Longest transversal diameter of a lesion and the perpendicular short axis in the same axial slice.

    Parameters
    ----------
    long_mm, short_mm
        Lengths. [mm]
    long_ends_lps_mm, short_ends_lps_mm
        End points in patient coordinates. [mm] (2, 3)
    slice_k
        Index of the slice they lie in.
    """

    long_mm: float
    short_mm: float
    long_ends_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    short_ends_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    slice_k: int


@frozen
class ResponseAssessment:
    """What one criterion concludes for one lesion at one time.

    Parameters
    ----------
    category
        `PR`, `SD`, `PD`, `CR` or `NE`.
    change_from_baseline
        Relative change of the longest diameter. [1]
    rule
        The rule that fired, in words.
    reader
        Who measured: a person's role, or the program.
    """

    lesion_id: str
    criterion: str
    series_uid: str
    baseline_mm: float
    nadir_mm: float
    current_mm: float
    change_from_baseline: float
    category: str
    rule: str
    reader: str
