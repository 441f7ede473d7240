"""Intravoxel incoherent motion: diffusion and the perfusion that looks like fast diffusion at low b-values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.errors import OutsideValidity
from lutra.quantify.adc_fit import fit_log_linear

Floats = npt.NDArray[np.float64]

MIN_LOW_B = 4
"""B-values below the split, b = 0 among them: fewer do not determine f and D*."""
MIN_HIGH_B = 2
D_MM2_PER_S = (0.0, 5e-3)
"""Up to well above free water at 37 C, 3.0e-3."""
D_STAR_MM2_PER_S = (5e-3, 0.2)
"""The range OSIPI TF2.4 fits its signals with."""
D_STAR_STARTS = (0.01, 0.03, 0.09)
"""The misfit has more than one valley in D*: each fit starts from the best of these. [mm2/s]"""
ITERATIONS = 100
CONVERGED = 1e-6
CHUNK = 20_000
"""Voxels fitted at once; bounds the memory."""


@frozen(eq=False)
class IvimFit:
    """Bi-exponential per voxel; 0 where it could not be fitted.

    Parameters
    ----------
    d_mm2_per_s, d_star_mm2_per_s
        Diffusion and pseudo-diffusion coefficient. [mm2/s] (voxels)
    f
        Perfusion fraction of the signal. [1] (voxels)
    segmented_d_mm2_per_s
        Diffusion coefficient of the first step, from high b-values alone. [mm2/s] (voxels)
    """

    d_mm2_per_s: Floats
    d_star_mm2_per_s: Floats
    f: Floats
    segmented_d_mm2_per_s: Floats
    fitted: npt.NDArray[np.bool_]


def fit_ivim(
    b_s_per_mm2: npt.ArrayLike, log_signals: Sequence[Floats], weights: Sequence[Floats], split_s_per_mm2: float
) -> IvimFit:
    r"""Fit :math:`S = S_0\,[(1-f)\,e^{-bD} + f\,e^{-bD^*}]`, all voxels at once.

    First segmented: D and the intercept from the b-values at or above the split, f from what the intercept lacks to the signal
    at the lowest b-value. From there a bounded Levenberg-Marquardt fit of all four parameters to the signals. D is sound; f
    and above all D* scatter widely at clinical noise, so they are for groups of voxels, not for one.

    Parameters
    ----------
    b_s_per_mm2
        B-values in rising order. [s/mm2] (n)
    log_signals, weights
        Per b-value as :func:`lutra.quantify.shells.log_signal` gives them. (n) of (voxels)
    split_s_per_mm2
        Where perfusion no longer shows; 200 in the abdomen. [s/mm2]

    Raises
    ------
    OutsideValidity
        With fewer than four b-values below the split or two from it on.

    References
    ----------
    [lebihan1988] Le Bihan et al., Radiology 168:497.
    """
    b = np.asarray(b_s_per_mm2, float)
    high = b >= split_s_per_mm2
    if (~high).sum() < MIN_LOW_B or high.sum() < MIN_HIGH_B:
        raise OutsideValidity(
            f"b-values {', '.join(f'{x:g}' for x in b)} s/mm2",
            required=f"at least {MIN_LOW_B} below {split_s_per_mm2:g} and {MIN_HIGH_B} from there on for IVIM",
            do="use quantify.adc_method = 'log-linear', or change quantify.ivim_split_b",
        )
    y, w = np.stack(log_signals), np.stack(weights)
    segmented = fit_log_linear(b[high], list(y[high]), list(w[high]))
    fitted = segmented.fitted & (w > 0).all(axis=0)
    out = np.zeros((4, *fitted.shape))
    for places in np.array_split(np.flatnonzero(fitted), max(1, -(-int(fitted.sum()) // CHUNK))):
        if places.size:
            signal = np.exp(y[:, places] - y[0, places])
            start = np.clip(segmented.adc_mm2_per_s[places], D_MM2_PER_S[0] + 1e-5, D_MM2_PER_S[1])
            intercept = segmented.s0[places] / np.exp(y[0, places])
            out[:, places] = _fit(b, signal, start, intercept)
    slow, fast, d, d_star = out
    total = np.where(fitted, slow + fast, 1.0)
    return IvimFit(d, d_star, fast / total, np.where(fitted, segmented.adc_mm2_per_s, 0.0), fitted)


def _fit(b: Floats, signal: Floats, d: Floats, intercept: Floats) -> Floats:
    """Fit amplitudes and decays of both parts; returns (4, voxels) in the order slow, fast, D, D*."""
    slow = np.clip(intercept, 0.01, 1.2)
    fast = np.clip(1 - slow, 0.01, 1.0)
    low, column = b[:, None], np.array
    starts = [column([slow, fast, d, np.full_like(d, star)]) for star in D_STAR_STARTS]
    misfits = [((_model(low, p) - signal) ** 2).sum(0) for p in starts]
    best = np.argmin(misfits, axis=0)
    parameters = np.take_along_axis(np.stack(starts), best[None, None], axis=0)[0]
    lower = np.array([0.0, 0.0, D_MM2_PER_S[0], D_STAR_MM2_PER_S[0]])[:, None]
    upper = np.array([2.0, 2.0, D_MM2_PER_S[1], D_STAR_MM2_PER_S[1]])[:, None]
    return _levenberg_marquardt(low, signal, parameters, lower, upper)


def _model(b: Floats, p: Floats) -> Floats:
    modelled: Floats = p[0] * np.exp(-b * p[2]) + p[1] * np.exp(-b * p[3])
    return modelled


def _levenberg_marquardt(b: Floats, signal: Floats, p: Floats, lower: Floats, upper: Floats) -> Floats:
    """Damped steps cut off at the bounds; a step that does not lower a voxel's misfit is taken back and damped more."""
    p = p.copy()
    damping = np.full(p.shape[1], 1e-3)
    misfit = ((_model(b, p) - signal) ** 2).sum(0)
    active = np.arange(p.shape[1])
    for _ in range(ITERATIONS):
        now = p[:, active]
        slow, fast = np.exp(-b * now[2]), np.exp(-b * now[3])
        # Columns scaled to the size of the parameters: amplitudes 1, D 1e-3, D* 1e-2.
        scale = np.array([1.0, 1.0, 1e-3, 1e-2])[:, None]
        jacobian = np.stack([slow, fast, -b * now[0] * slow * 1e-3, -b * now[1] * fast * 1e-2])
        residual = signal[:, active] - now[0] * slow - now[1] * fast
        # A parameter at its bound that is pushed further out stays there and leaves the step to the others.
        gradient = np.einsum("pbv,bv->pv", jacobian, residual)
        stuck = ((now <= lower) & (gradient < 0)) | ((now >= upper) & (gradient > 0))
        jacobian[:, :, :] = np.where(stuck[:, None], 0.0, jacobian)
        normal = np.einsum("pbv,qbv->vpq", jacobian, jacobian)
        diagonal = np.einsum("vpp->vp", normal)
        diagonal += damping[active, None] * diagonal + 1e-12
        step = np.linalg.solve(normal, np.where(stuck, 0.0, gradient).T[..., None])[..., 0].T
        tried = np.clip(now + step * scale, lower, upper)
        new = ((_model(b, tried) - signal[:, active]) ** 2).sum(0)
        better = new < misfit[active]
        moved = np.abs(tried - now) / scale
        p[:, active[better]] = tried[:, better]
        misfit[active[better]] = new[better]
        damping[active] = np.where(better, damping[active] / 5, damping[active] * 5)
        done = (better & (moved.max(0) < CONVERGED)) | (damping[active] > 1e8)
        active = active[~done]
        if not active.size:
            break
    return p
