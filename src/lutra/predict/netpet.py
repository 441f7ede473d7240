"""NETPET grade: what PET with FDG and PET of somatostatin receptors say together of a patient.

| grade | receptors | FDG |
|---|---|---|
| P0 | not above background | not above background |
| P1 | above | not above |
| P2, P3, P4 | above | above: less than, like, more than receptors |
| P5 | not above | above |

Readers assign it by eye [chan2017]. Here uptake is compared in multiples of each scan's background, and alike is what differs by
less than a quarter: both are Lutra's own choice, and which of P2, P3 and P4 it is depends on them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.errors import OutsideValidity

Array = npt.NDArray[np.float64]
SIMILAR = 1.25
"""Ratio of the two uptakes, in multiples of background, up to which they are alike; Lutra's own choice. [1]"""
WORST = 5
MANY = 3


@frozen
class NetpetGrade:
    """Grade of a patient.

    Parameters
    ----------
    grade
        0 to 5: the highest of its lesions.
    lesions
        That show it.
    """

    grade: int
    lesions: int

    @property
    def text(self) -> str:
        """`P4b`; of P2 to P5 `a` for one or two lesions that show it, `b` for three or more."""
        part = "" if self.grade < 2 else "b" if self.lesions >= MANY else "a"
        return f"P{self.grade}{part}"


def netpet_of_lesions(
    fdg_suv: npt.ArrayLike,
    sstr_suv: npt.ArrayLike,
    fdg_background: npt.ArrayLike,
    sstr_background: npt.ArrayLike,
    similar: float = SIMILAR,
) -> Array:
    """Grade lesions one by one, 0 to 5.

    Parameters
    ----------
    fdg_suv, sstr_suv
        NaN where a scan is missing. 0 is a value. (n,)
    fdg_background, sstr_background
        SUV of normal tissue about the lesion; above 0. (n,), or one for all
    similar
        At least 1.

    Returns
    -------
    Array
        NaN where what is known leaves more than one grade. (n,)

    Raises
    ------
    OutsideValidity
        If an uptake is negative, a background not positive, or `similar` below 1.

    References
    ----------
    [chan2017] Chan et al., Theranostics 7:1149.
    """
    fdg, sstr, fdg_normal, sstr_normal = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (fdg_suv, sstr_suv, fdg_background, sstr_background))
    )
    if (fdg < 0).any() or (sstr < 0).any() or (fdg_normal <= 0).any() or (sstr_normal <= 0).any() or not similar >= 1:
        raise OutsideValidity(
            "a negative uptake, a background of 0 or less, or a ratio below 1",
            required="uptakes and backgrounds in SUV",
        )
    fdg_ratio, sstr_ratio = fdg / fdg_normal, sstr / sstr_normal
    fdg_up, sstr_up = fdg_ratio > 1, sstr_ratio > 1
    both = fdg_up & sstr_up
    found = np.select(
        [
            np.isnan(fdg_ratio) | np.isnan(sstr_ratio),
            both & (fdg_ratio * similar < sstr_ratio),
            both & (fdg_ratio > sstr_ratio * similar),
            both,
            fdg_up,
            sstr_up,
        ],
        [np.nan, 2.0, 4.0, 3.0, 5.0, 1.0],
        0.0,
    )
    return np.asarray(found, dtype=np.float64)


def netpet_grade(
    fdg_suv: npt.ArrayLike,
    sstr_suv: npt.ArrayLike,
    fdg_background: npt.ArrayLike,
    sstr_background: npt.ArrayLike,
    similar: float = SIMILAR,
) -> NetpetGrade | None:
    """Grade a patient by all its lesions; see :func:`netpet_of_lesions`.

    Returns
    -------
    NetpetGrade | None
        None where it is not determined: there is no lesion, or one without a grade while no other has P5, the highest.
    """
    grades = netpet_of_lesions(fdg_suv, sstr_suv, fdg_background, sstr_background, similar)
    known = grades[np.isfinite(grades)]
    if not known.size or (known.size < grades.size and known.max() < WORST):
        return None
    return NetpetGrade(int(known.max()), int((known == known.max()).sum()))
