r"""Regression calibration of a positive predictor whose relative error is known.

The logarithm of the true value is taken as normal, with a mean of the population, a deviation of the patient and one of the lesion;
the error is lognormal with mean 1. What a lesion truly had, given what was measured on all lesions of its patient, is then
lognormal as well, and its mean takes the place of the measured value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.core.errors import OutsideValidity
from lutra.stats.linear_mixed import fit_linear_mixed

Array = npt.NDArray[np.float64]


def expected_truth(
    measured: Array, groups: npt.NDArray[np.intp], relative_error: Array | float, covariates: Array | None = None
) -> Array:
    """Give the expected true values, given the measured ones.

    Parameters
    ----------
    measured
        Positive. (n,)
    groups
        Codes of the patients. (n,)
    relative_error
        Coefficient of variation of each measurement, or of all. [1] (n,)
    covariates
        Other predictors of the model, which may go with the true value. (n, p)

    Raises
    ------
    OutsideValidity
        If a value is not positive, or the errors explain more than the whole spread.

    References
    ----------
    [carroll2006] Carroll et al., Measurement Error in Nonlinear Models, chapter 4.
    """
    if not (measured > 0).all():
        raise OutsideValidity("a measured value of 0 or less", required="values above 0")
    error_var = np.broadcast_to(np.log1p(np.asarray(relative_error, float) ** 2), measured.shape)
    logs = np.log(measured) + error_var / 2
    design = np.column_stack([np.ones(len(logs)), *(covariates.T if covariates is not None else ())])
    fit = fit_linear_mixed(design, logs, [groups])
    within = fit.sd_residual**2 - float(error_var.mean())
    if within <= 0:
        raise OutsideValidity(
            f"errors of {np.sqrt(error_var.mean()):.0%} in a spread within patients of {fit.sd_residual:.0%}",
            required="errors smaller than what lesions differ by",
        )
    mean = design @ fit.coefficients
    between = fit.sd_groups[0] ** 2
    expected, variance = np.empty(len(logs)), np.empty(len(logs))
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        size = len(own)
        truth = between + within * np.eye(size)
        gain = np.linalg.solve(truth + np.diag(error_var[own]), truth).T
        expected[own] = mean[own] + gain @ (logs[own] - mean[own])
        variance[own] = np.diag(truth - gain @ truth)
    found: Array = np.exp(expected + variance / 2)
    return found
