"""Biologically effective dose of a dose rate that decays while tissue repairs, and what a distribution of doses is worth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import FrozenMap, float64

Array = npt.NDArray[np.float64]
LN2 = float(np.log(2))


@frozen(eq=False)
class DoseRate:
    """Dose rate as a sum of exponentials, sum of R_i exp(-l_i t) from the start of the administration.

    Parameters
    ----------
    amplitude
        R_i, in any unit; an uptake phase is negative. (n)
    decay_per_s
        l_i. [1/s] (n)
    """

    amplitude: Array = field(converter=float64)
    decay_per_s: Array = field(converter=float64)

    def __attrs_post_init__(self) -> None:
        if self.amplitude.shape != self.decay_per_s.shape or not self.amplitude.size or self.decay_per_s.min() <= 0:
            raise OutsideValidity(
                f"a dose rate of amplitudes {self.amplitude.tolist()} and rates {self.decay_per_s.tolist()} /s",
                required="as many amplitudes as rates, rates above 0",
            )
        if self.integral <= 0:
            raise OutsideValidity(f"a dose rate whose integral is {self.integral:g}", required="above 0")

    @property
    def integral(self) -> float:
        """Dose, in the unit of the amplitudes times s."""
        return float((self.amplitude / self.decay_per_s).sum())


def protraction(rate: DoseRate, repair_half_life_s: float) -> float:
    r"""Lea-Catcheside factor G: the share of two-hit damage left by repair while the dose is given. [1]

    .. math:: D^2 G = 2 \sum_{ij} R_i R_j / [(\mu + l_i)(l_i + l_j)]

    It is 1 for a dose given at once. Repair is mono-exponential.

    Raises
    ------
    OutsideValidity
        If the half-life is not positive.

    References
    ----------
    [lea-catcheside] Lea and Catcheside, J Genet 44:216; [dale] Dale, Br J Radiol 58:515; [gustafsson] Gustafsson et al.,
    Med Phys 40:062503: sums of exponentials.
    """
    if not repair_half_life_s > 0:
        raise OutsideValidity(f"a repair half-life of {repair_half_life_s:g} s", required="above 0")
    repair_per_s = LN2 / repair_half_life_s
    r, decay = rate.amplitude, rate.decay_per_s
    pairs = np.outer(r, r) / ((repair_per_s + decay)[:, None] * (decay[:, None] + decay[None, :]))
    return float(2 * pairs.sum()) / rate.integral**2


@frozen
class Tissue:
    """How a tissue answers to dose.

    Parameters
    ----------
    alpha_beta_gy
        Ratio of the linear-quadratic model. [Gy]
    repair_half_life_s
        [s]
    source
        Where the two come from.
    """

    alpha_beta_gy: float
    repair_half_life_s: float
    source: str

    def __attrs_post_init__(self) -> None:
        if not (self.alpha_beta_gy > 0 and self.repair_half_life_s > 0):
            raise OutsideValidity(
                f"alpha/beta {self.alpha_beta_gy:g} Gy, repair {self.repair_half_life_s:g} s", required="both above 0"
            )


KIDNEY = Tissue(2.6, 2.8 * 3600.0, "alpha/beta 2.6 Gy, repair 2.8 h [wessels2008]")
TUMOUR = Tissue(10.0, 1.5 * 3600.0, "alpha/beta 10 Gy, repair 1.5 h: commonly used, not measured for this treatment")
MARROW = Tissue(10.0, 1.5 * 3600.0, "alpha/beta 10 Gy, repair 1.5 h: commonly used for early-responding tissue")
TISSUES = FrozenMap({"kidney": KIDNEY, "tumour": TUMOUR, "marrow": MARROW})
"""Defaults. [wessels2008] MIRD pamphlet 20, J Nucl Med 49:1884."""


def bed_gy(dose_gy: npt.ArrayLike, g: float, alpha_beta_gy: float) -> Array:
    """Biologically effective dose, D + G D^2 / (alpha/beta); of a number or a map. Cycles add. [Gy]"""
    dose = np.asarray(dose_gy, np.float64)
    effective: Array = dose + g * dose**2 / alpha_beta_gy
    return effective


def eqd2_gy(bed: npt.ArrayLike, alpha_beta_gy: float) -> Array:
    """Dose in fractions of 2 Gy with the same effect. [Gy]"""
    equivalent: Array = np.asarray(bed, np.float64) / (1 + 2 / alpha_beta_gy)
    return equivalent


def generalised_eud_gy(dose_gy: Array, weights: Array, a: float) -> float:
    """Equivalent uniform dose of Niemierko: the power mean of order `a` over the mass. [Gy]

    Parameters
    ----------
    dose_gy, weights
        Dose of each voxel, and its share of the region. (n)
    a
        1 is the mean; large and positive the maximum, for organs that fail as a whole with a part; negative for tumours, whose
        coldest part decides.

    Raises
    ------
    OutsideValidity
        If `a` is 0, or negative with a voxel without dose.
    """
    if a == 0 or (a < 0 and np.any(dose_gy[weights > 0] <= 0)):
        raise OutsideValidity(
            f"an equivalent uniform dose of order {a:g} with voxels of no dose", required="another order"
        )
    # Over the largest dose first, so that no power overflows.
    top = float(dose_gy.max())
    return top * float(np.average((dose_gy / top) ** a, weights=weights) ** (1 / a))


def survival_eud_gy(bed: Array, weights: Array, alpha_per_gy: float) -> float:
    """Uniform BED that leaves as many cells alive as the distribution does. [Gy]

    References
    ----------
    [odonoghue] O'Donoghue, J Nucl Med 40:1337.
    """
    least = float(bed[weights > 0].min())
    alive = float(np.average(np.exp(-alpha_per_gy * (bed - least)), weights=weights))
    return least - float(np.log(alive)) / alpha_per_gy
