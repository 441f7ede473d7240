"""Logistic regression with few events: Firth's penalty keeps every coefficient finite."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.core.errors import OutsideValidity

Array = npt.NDArray[np.float64]
STEPS, STOPS, LONGEST_STEP = 200, 1e-8, 5.0


def firth_logistic(x: Array, y: Array) -> tuple[Array, Array]:
    """Coefficients and their covariance.

    Parameters
    ----------
    x
        Design with its intercept. (n, p)
    y
        0 or 1. (n,)

    Raises
    ------
    OutsideValidity
        If a column is made up by the others, or the search does not settle.

    References
    ----------
    [firth1993] Firth, Biometrika 80:27; [heinze2002] Heinze and Schemper, Stat Med 21:2409.
    """
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise OutsideValidity("a column that the others make up", required="independent columns", do="leave one out")
    b = np.zeros(x.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ b, -500, 500)))
        w = p * (1 - p)
        covariance = np.linalg.inv((x.T * w) @ x)
        leverage = w * np.einsum("ij,jk,ik->i", x, covariance, x)
        step = covariance @ (x.T @ (y - p + leverage * (0.5 - p)))
        largest = float(np.abs(step).max())
        b = b + step * min(1.0, LONGEST_STEP / max(largest, 1e-300))
        if largest < STOPS:
            return b, np.asarray(covariance, np.float64)
    raise OutsideValidity("the penalised search did not settle", required="fewer predictors, or more rows")
