r"""How many counts of an energy window are scatter, read from narrow windows beside it.

The spectrum of scattered photons under a peak is taken as the trapezium between its two sides:

.. math:: S = \left(\frac{C_l}{W_l} + \frac{C_u}{W_u}\right)\frac{W_p}{2}

with counts C and widths W of the lower, upper and peak window. Without an upper window its height is taken as zero, which holds
where nothing above the peak scatters down into it: for the 208 keV peak of 177Lu nearly, for its 113 keV peak not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64


@frozen(eq=False)
class ScatterEstimate:
    """Scatter in the peak window.

    Parameters
    ----------
    scatter, scatter_sd
        Scattered counts and their standard uncertainty from counting.
    primary, primary_sd
        What is left; negative where noise wins, because cutting it off would bias sums upwards.
    """

    scatter: npt.NDArray[np.float64] = field(converter=float64)
    scatter_sd: npt.NDArray[np.float64] = field(converter=float64)
    primary: npt.NDArray[np.float64] = field(converter=float64)
    primary_sd: npt.NDArray[np.float64] = field(converter=float64)


def scatter_from_windows(
    peak: npt.ArrayLike,
    peak_kev: float,
    lower: npt.ArrayLike,
    lower_kev: float,
    upper: npt.ArrayLike | None = None,
    upper_kev: float | None = None,
) -> ScatterEstimate:
    """Estimate scatter from two side windows, or from the lower alone.

    Parameters
    ----------
    peak, lower, upper
        Counts, single or as arrays of one shape. Uncertainties are those of raw counts (Poisson); after smoothing or
        reconstruction they are not.
    peak_kev, lower_kev, upper_kev
        Widths of the windows. [keV]

    Raises
    ------
    OutsideValidity
        If a width is not positive, or the counts are negative.

    References
    ----------
    Ogawa et al., IEEE Trans Med Imaging 10:408 (1991). Jaszczak et al., J Nucl Med 25:893 (1984), for the lower window alone.
    """
    counts = [np.asarray(c, float) for c in (peak, lower, 0.0 if upper is None else upper)]
    widths = [peak_kev, lower_kev, upper_kev if upper is not None and upper_kev is not None else 1.0]
    if min(widths) <= 0 or (upper is None) != (upper_kev is None) or any((c < 0).any() for c in counts):
        raise OutsideValidity(
            f"windows of {peak_kev}, {lower_kev} and {upper_kev} keV, lowest counts {[float(c.min()) for c in counts]}",
            required="positive widths, counts that are not negative, and both or none of the upper window's",
        )
    in_peak, below, above = counts
    scatter = (below / widths[1] + above / widths[2]) * peak_kev / 2
    variance = (below / widths[1] ** 2 + above / widths[2] ** 2) * (peak_kev / 2) ** 2
    return ScatterEstimate(scatter, np.sqrt(variance), in_peak - scatter, np.sqrt(in_peak + variance))
