"""Diffusion of weak signals: the noise of a magnitude image is Rician, its floor is not zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import i0e, i1e

from lutra.quantify.adc_fit import AdcFit

Floats = npt.NDArray[np.float64]

RAYLEIGH_MEAN_OVER_SD = (np.pi / (4 - np.pi)) ** 0.5
"""1.913: the ratio in a region of pure noise of one receiver channel [gudbjartsson1995]."""
RAYLEIGH_TOLERANCE = 0.1
"""Relative deviation of that ratio up to which a corner is taken as air."""
CORNER_SHARE = 0.1
"""Edge of a corner as a share of the image's edge."""
MIN_AIR_VOXELS = 100
"""Gives sigma to 5 % (its relative standard error is 1 / (2 sqrt(n)))."""
LARGEST_MM2_PER_S = 1e-2
"""Three times free water: where all but the first signal lie in the noise, the likelihood only says that D is large."""
ITERATIONS = 60
MIN_INFORMATION = 0.1
"""Keeps a step finite where a signal says next to nothing."""
CONVERGED = 1e-5
"""Largest relative step at which a voxel is done."""


def noise_sd_from_air(image: npt.NDArray[np.floating]) -> float | None:
    r"""Estimate the noise of a magnitude image from its corners.

    .. math:: \sigma^2 = \langle S^2 \rangle / 2

    in air. Corners count only if they look like air seen by one channel: positive, and with the mean and standard deviation
    of a Rayleigh distribution. Images whose background was set to zero or combined from many channels do not.

    Parameters
    ----------
    image
        One volume. (i, j, k)

    Returns
    -------
    float or None
        Standard deviation of the noise in each of the two channels [signal]; None if no air is seen.

    References
    ----------
    [gudbjartsson1995] Gudbjartsson and Patz, Magn Reson Med 34:910.
    """
    edge = [max(1, round(n * CORNER_SHARE)) for n in image.shape[:2]]
    sides = [(slice(0, e), slice(-e, None)) for e in edge]
    squares, n_voxels = 0.0, 0
    for i in sides[0]:
        for j in sides[1]:
            corner = np.asarray(image[i, j], float).ravel()
            corner = corner[corner > 0] if (corner > 0).mean() > 0.99 else corner[:0]
            if (
                corner.size
                and abs(corner.mean() / (corner.std() or np.inf) / RAYLEIGH_MEAN_OVER_SD - 1) < RAYLEIGH_TOLERANCE
            ):
                squares += float((corner**2).sum())
                n_voxels += corner.size
    return (squares / n_voxels / 2) ** 0.5 if n_voxels >= MIN_AIR_VOXELS else None


def fit_rician(
    b_s_per_mm2: npt.ArrayLike, signals: Sequence[Floats], repetitions: Sequence[int], start: AdcFit, noise_sd: float
) -> AdcFit:
    r"""Maximise the Rician likelihood of :math:`A_i = S_0 e^{-b_i D}` given the noise, all voxels at once.

    The score is that of least squares with every signal S replaced by :math:`S\,r`, r = I1(x)/I0(x), x = A S / sigma^2
    [sijbers1998], the information of one signal :math:`1 - S^2 (1 - r^2 - r/x) / \sigma^2`: 1 far above the noise, 0 in it.
    Scoring steps with it, limited in length, climb the likelihood.

    Parameters
    ----------
    b_s_per_mm2
        B-values of the signals, at least two different ones. [s/mm2] (n)
    signals
        Magnitude signals. (n) of (voxels)
    repetitions
        How many measurements each signal is the mean of. (n)
    start
        A log-linear fit of the same signals.
    noise_sd
        Standard deviation in each channel of one measurement. [signal]

    Returns
    -------
    AdcFit
        Diffusion coefficients from 0 to 1e-2 mm2/s; 0 where the start was not fitted.

    References
    ----------
    [sijbers1998] Sijbers et al., IEEE Trans Med Imaging 17:357.
    """
    b = np.asarray(b_s_per_mm2, float)
    measured = np.stack(signals)[:, start.fitted] / noise_sd
    counts = np.asarray(repetitions, float)[:, None]
    log_s0 = np.log(np.maximum(start.s0[start.fitted] / noise_sd, 1e-3))
    adc = np.clip(start.adc_mm2_per_s[start.fitted], 0.0, LARGEST_MM2_PER_S)
    active = np.arange(measured.shape[1])
    for _ in range(ITERATIONS):
        step_s0, step_adc, _ = _step(b, measured[:, active], counts, log_s0[active], adc[active])
        step_s0 = np.clip(step_s0, -0.5, 0.5)
        step_adc = np.clip(step_adc, -0.5 / b.max(), 0.5 / b.max())
        before = adc[active]
        log_s0[active] += step_s0
        adc[active] = np.clip(before + step_adc, 0.0, LARGEST_MM2_PER_S)
        moved = np.maximum(np.abs(step_s0), np.abs(adc[active] - before) * b.max())
        active = active[moved > CONVERGED]
        if not active.size:
            break
    sd = _step(b, measured, counts, log_s0, adc)[2]
    out = [np.zeros(start.fitted.shape) for _ in range(3)]
    for full, values in zip(out, (adc, np.exp(log_s0) * noise_sd, sd), strict=True):
        full[start.fitted] = values
    return AdcFit(out[0], out[1], out[2], start.fitted)


def _step(b: Floats, measured: Floats, counts: Floats, log_s0: Floats, adc: Floats) -> tuple[Floats, Floats, Floats]:
    """Scoring step of ln S0 and of D, and the standard uncertainty of D. Signals in units of the noise."""
    model = np.exp(log_s0 - b[:, None] * adc)
    x = np.maximum(model * measured, 1e-9)
    ratio = i1e(x) / i0e(x)
    information = np.clip(1 - measured**2 * (1 - ratio**2 - ratio / x), MIN_INFORMATION, 1.0)
    pull = counts * (measured * ratio - model) * model
    squared = counts * information * model**2
    n00, n01, n11 = squared.sum(0), -(b[:, None] * squared).sum(0), (b[:, None] ** 2 * squared).sum(0)
    r0, r1 = pull.sum(0), -(b[:, None] * pull).sum(0)
    determinant = np.maximum(n00 * n11 - n01**2, 1e-30)
    return (n11 * r0 - n01 * r1) / determinant, (n00 * r1 - n01 * r0) / determinant, np.sqrt(n00 / determinant)
