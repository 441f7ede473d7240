"""Apparent diffusion coefficient by a weighted straight line through the logarithms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

Floats = npt.NDArray[np.float64]


@frozen(eq=False)
class AdcFit:
    """A fitted exponential per voxel; 0 where it could not be fitted.

    Parameters
    ----------
    adc_mm2_per_s, s0
        Diffusion coefficient [mm2/s] and signal at b = 0 [signal]. (voxels)
    adc_sd_mm2_per_s
        Standard uncertainty; None with two b-values and unknown noise. [mm2/s] (voxels)
    fitted
        Where at least two b-values have a positive signal. (voxels)
    """

    adc_mm2_per_s: Floats
    s0: Floats
    adc_sd_mm2_per_s: Floats | None
    fitted: npt.NDArray[np.bool_]


def fit_log_linear(
    b_s_per_mm2: npt.ArrayLike, log_signals: Sequence[Floats], weights: Sequence[Floats], noise_sd: float | None = None
) -> AdcFit:
    r"""Fit :math:`\ln S_i = \ln S_0 - b_i D` by weighted least squares, all voxels at once.

    .. math:: D = -\frac{\sum w_i (b_i - \bar b) \ln S_i}{\sum w_i (b_i - \bar b)^2},
              \qquad \bar b = \frac{\sum w_i b_i}{\sum w_i}

    With w = S^2 the errors of the logarithms are weighted as Gaussian noise of the signal makes them. Near the noise floor
    the magnitude signal does not fall to zero and D comes out too low: below a signal-to-noise ratio of about 3 at the highest
    b-value use :func:`lutra.quantify.rician.fit_rician`.

    Parameters
    ----------
    b_s_per_mm2
        B-values, at least two different ones. [s/mm2] (n)
    log_signals, weights
        Per b-value; weight 0 leaves the point of a voxel out. [1], [signal^2] (n) of (voxels)
    noise_sd
        Standard deviation of the signal's noise, if known; else it is taken from the residuals of each voxel. [signal]

    References
    ----------
    [salvador2005] Salvador et al., Hum Brain Mapp 24:144, for the weights and the covariance.
    """
    b = np.asarray(b_s_per_mm2, float)
    shape = np.shape(log_signals[0])
    total, first, points = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int16)
    for bi, w in zip(b, weights, strict=True):
        total += w
        first += w * bi
        points += w > 0
    fitted = points >= 2
    safe_total = np.where(total > 0, total, 1.0)
    centre = first / safe_total
    spread, slope, level = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for bi, y, w in zip(b, log_signals, weights, strict=True):
        lever = w * (bi - centre)
        spread += lever * (bi - centre)
        slope += lever * y
        level += w * y
    safe_spread = np.where(fitted, spread, 1.0)
    adc = np.where(fitted, -slope / safe_spread, 0.0)
    log_s0 = level / safe_total + adc * centre
    s0 = np.where(fitted, np.exp(np.minimum(log_s0, 700.0)), 0.0)  # above 709 the exponential overflows
    sd = _sd(b, log_signals, weights, adc, log_s0, points, safe_spread, noise_sd)
    return AdcFit(adc, s0, None if sd is None else np.where(fitted, sd, 0.0), fitted)


def _sd(
    b: Floats,
    log_signals: Sequence[Floats],
    weights: Sequence[Floats],
    adc: Floats,
    log_s0: Floats,
    points: npt.NDArray[np.int16],
    spread: Floats,
    noise_sd: float | None,
) -> Floats | None:
    if noise_sd is not None:
        return noise_sd / np.sqrt(spread)
    if len(b) < 3:
        return None
    residual = np.zeros_like(adc)
    for bi, y, w in zip(b, log_signals, weights, strict=True):
        residual += w * (y - log_s0 + bi * adc) ** 2
    freedom = points - 2
    # A voxel with two usable points has no residual to judge by: infinite, never zero.
    scatter = np.where(freedom > 0, residual / np.maximum(freedom, 1), np.inf)
    sd: Floats = np.sqrt(scatter / spread)
    return sd
