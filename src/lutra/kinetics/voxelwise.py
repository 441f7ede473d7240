"""The washout of every voxel: the time-integrated activity as an image."""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.errors import InputError
from lutra.kinetics.washouts import fit_washouts
from lutra.reference.nuclides import nuclide as nuclide_named

Floats = npt.NDArray[np.floating]
Masks = npt.NDArray[np.bool_]


@frozen(eq=False)
class VoxelFits:
    """Mono-exponential fits of all voxels of an image.

    Parameters
    ----------
    tia
        Time-integrated activity per mL from the start of the administration to infinity; 0 where nothing was seen. [Bq.s/mL]
    tia_sd
        From the noise given; NaN where there is none. [Bq.s/mL]
    rate_per_s
        Effective rate, NaN where nothing was seen. [/s]
    at_decay
        Voxels that fall no faster than physical decay, where the rate is bounded.
    fitted
        Voxels the fit answers for; the others (fewer than three points, or no positive activity) hold 0.
    """

    tia: Floats
    tia_sd: Floats
    rate_per_s: Floats
    at_decay: Masks
    fitted: Masks


def fit_voxels(
    times_s: npt.ArrayLike, images: npt.ArrayLike, nuclide: str, sds: npt.ArrayLike | None = None
) -> VoxelFits:
    r"""Fit :math:`A_0 e^{-kt}` to each voxel by the code that fits regions; `k` is at least physical decay.

    Uptake is not modelled: see :class:`lutra.kinetics.Monoexponential` for what that does to the integral. Voxels weigh the points
    equally unless their noise is given, since that of neighbouring voxels is alike and larger than its change with time.

    Parameters
    ----------
    times_s
        Since the start of the administration, at least three. [s] (n,)
    images
        Activity concentration, not decay corrected, all on one grid. [Bq/mL] (n, ...)
    sds
        Noise of each voxel; None: not known. [Bq/mL] (n, ...)

    Raises
    ------
    InputError
        If there are fewer than three images, or images and times do not belong together.
    """
    times, stack = np.asarray(times_s, dtype=np.float64), np.asarray(images)
    if len(times) < 3 or stack.shape[:1] != times.shape or np.any(np.diff(times) <= 0) or times[0] <= 0:
        raise InputError(
            f"{len(stack)} images at {times.tolist()} s",
            required="at least three images, each with a positive and increasing time",
            do="fit regions instead: with fewer scans a population has to stand in",
        )
    decay = log(2) / nuclide_named(nuclide).half_life_s
    flat = stack.reshape(len(times), -1)
    seen = np.flatnonzero((flat > 0).any(axis=0))
    noise = None if sds is None else np.asarray(sds).reshape(flat.shape)[:, seen]
    found = fit_washouts(times, flat[:, seen], noise, decay)
    good = np.isfinite(found.rates) & (found.amplitudes > 0)
    relative = np.sqrt(
        found.covariance[0] / found.amplitudes**2
        - 2 * found.covariance[1] / (found.amplitudes * found.rates)
        + found.covariance[2] / found.rates**2
    )

    def image(values: Floats, outside: float) -> Floats:
        whole = np.full(flat.shape[1], outside)
        whole[seen[good]] = values[good]
        return whole.reshape(stack.shape[1:])

    tia = found.amplitudes / found.rates
    fitted = np.zeros(flat.shape[1], dtype=bool)
    fitted[seen[good]] = True
    at_decay = fitted.copy()
    at_decay[seen[good]] = found.rates[good] <= decay * (1 + 1e-6)
    shape = stack.shape[1:]
    return VoxelFits(
        image(tia, 0.0),
        image(tia * relative if sds is not None else np.full(len(tia), np.nan), np.nan),
        image(found.rates, np.nan),
        at_decay.reshape(shape),
        fitted.reshape(shape),
    )
