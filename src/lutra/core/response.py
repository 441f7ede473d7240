"""Size over time and the category it earns."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import FrozenMap, float64, frozen_map
from lutra.core.units import Unit


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
    drawn_by
        Who drew the lines: empty for the program, else the person's account.
    parts
        Separate parts of the lesion in this slice. [1]
    """

    long_mm: float
    short_mm: float
    long_ends_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    short_ends_lps_mm: npt.NDArray[np.float64] = field(converter=float64)
    slice_k: int
    drawn_by: str = ""
    parts: int = 1


@frozen
class VisitValues:
    """Everything a criterion may look at of one lesion or patient at one time.

    Parameters
    ----------
    series_uid
        Image, or name of the visit.
    values
        By name with its unit: `longest_diameter_mm`, `hu_mean`, `sul_peak`, `suv_max`, `liver_sul_mean`, `liver_sul_sd`, `tlg`.
    new_lesion
        Whether a new one is sure.
    """

    series_uid: str
    values: FrozenMap[str, float] = field(converter=frozen_map)
    new_lesion: bool = False


@frozen
class ResponseAssessment:
    """What one criterion concludes for one lesion or patient at one time.

    Parameters
    ----------
    lesion_id
        Or the subject, of criteria that look at the whole patient.
    quantity
        What was compared, with its unit: `longest_diameter_mm`.
    baseline, nadir, current
        Its values. [unit]
    category
        `PR`, `SD`, `PD`, `CR` or `NE`; metabolic ones `PMR`, `SMD`, `PMD`, `CMR`.
    change_from_baseline
        Relative change. [1]
    rule
        The rule that fired, in words.
    reader
        Who measured: a person's role, or the program.
    """

    lesion_id: str
    criterion: str
    series_uid: str
    baseline: float
    nadir: float
    current: float
    change_from_baseline: float
    category: str
    rule: str
    reader: str
    quantity: str = "longest_diameter_mm"


class ChangeVerdict(StrEnum):
    """Whether a value changed by more than it varies of itself."""

    INCREASE = "increase"
    DECREASE = "decrease"
    WITHIN_NOISE = "within noise"
    NOT_KNOWN = "not known"


@frozen
class RealChange:
    """A value of one lesion before and after, against the limits of repeatability.

    Parameters
    ----------
    quantity
        Role of the image and name of the value: `fdg-pet.suv_max`.
    tissue
        Where the lesion lies; None if that is not known.
    before, after
        The values. [unit]
    reason
        What the verdict rests on, or why there is none.
    change
        Relative change; None if there is none. [1]
    lower, upper
        Relative changes between which nothing is known to have changed; None if no limits are known. [1]
    confirmed
        Whether the limits were read in their source, or measured by the site.
    """

    quantity: str
    tissue: str | None
    unit: Unit = field(converter=Unit)
    before: float
    after: float
    verdict: ChangeVerdict = field(converter=ChangeVerdict)
    reason: str
    change: float | None = None
    lower: float | None = None
    upper: float | None = None
    confirmed: bool = False
    series_before: str = ""
    series_after: str = ""
