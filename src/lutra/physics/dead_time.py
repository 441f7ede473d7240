r"""Counts a camera loses while it is busy: the paralysable detector.

.. math:: m = n\,e^{-n\tau}

with the true rate n, the observed rate m and the dead time :math:`\tau`. Every event, counted or not, keeps the camera busy, so
that the rates are those of the *whole* spectrum that reaches the crystal, whatever window is looked at. The observed rate has a
maximum :math:`1/(e\tau)` at :math:`n = 1/\tau`; each rate below it belongs to two true rates.
"""

from __future__ import annotations

from math import e, sqrt

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy.special import lambertw

from lutra.core.errors import OutsideValidity, Undetermined

Rates = npt.NDArray[np.float64]


@frozen
class DeadTimeFit:
    """Dead time fitted to measured rates.

    Parameters
    ----------
    tau_s, tau_sd_s
        Dead time and its standard uncertainty. [s]
    rate_per_activity, rate_per_activity_sd
        Observed rate per activity without losses. [1/s per unit of activity]
    reduced_chi2
        Scatter of the points over what counting alone explains. [1]
    """

    tau_s: float
    tau_sd_s: float
    rate_per_activity: float
    rate_per_activity_sd: float
    reduced_chi2: float


def observed_rate(true_per_s: npt.ArrayLike, tau_s: float) -> Rates:
    """Rate that is left of a true rate. [1/s]"""
    true = np.asarray(true_per_s, float)
    observed: Rates = true * np.exp(-true * tau_s)
    return observed


def true_rate(observed_per_s: npt.ArrayLike, tau_s: float, *, beyond_maximum: bool = False) -> Rates:
    r"""Rate that an observed one stands for: :math:`n = -W(-m\tau)/\tau` with the Lambert function W.

    Parameters
    ----------
    observed_per_s
        Observed rate of the whole spectrum. [1/s]
    tau_s
        Dead time. [s]
    beyond_maximum
        Take the branch above :math:`1/\tau`, where more activity gives fewer counts.

    Raises
    ------
    OutsideValidity
        If a rate is above the maximum, negative or, on the upper branch, zero.
    """
    observed = np.asarray(observed_per_s, float)
    highest = 1 / (e * tau_s)
    lowest_allowed = np.nextafter(0, 1) if beyond_maximum else 0.0
    if not bool(np.all((observed >= lowest_allowed) & (observed <= highest))):
        raise OutsideValidity(
            f"an observed rate of {float(np.max(observed)):.6g}/s (lowest {float(np.min(observed)):.6g}/s) cannot come from a "
            f"paralysable camera with a dead time of {tau_s:.4g} s",
            required=f"0 to 1/(e·tau) = {highest:.6g}/s",
            do="check that the rate is that of the whole spectrum, and the dead time",
        )
    true: Rates = -np.real(lambertw(-observed * tau_s, -1 if beyond_maximum else 0)) / tau_s
    return true


def fit_dead_time(
    activity: npt.ArrayLike,
    observed_per_s: npt.ArrayLike,
    counting_time_s: npt.ArrayLike,
    rate_per_activity: float | None = None,
) -> DeadTimeFit:
    r"""Fit the dead time to rates observed at known activities, such as those of a decaying source.

    .. math:: \ln(m_i/a_i) = \ln S - S\tau\,a_i

    is a straight line, fitted with the counts as weights (the variance of :math:`\ln m` is one over the counts). Where the
    points scatter more than counting explains, uncertainties are widened by the square root of the reduced chi squared.

    Parameters
    ----------
    activity
        Activity of the source at each measurement, in any unit; for known true rates the rates themselves. (n,)
    observed_per_s
        Observed rate of the whole spectrum, background subtracted. [1/s] (n,)
    counting_time_s
        How long each was counted. [s] (n,)
    rate_per_activity
        S where it is known: 1 if `activity` holds true rates. None: fitted.

    Raises
    ------
    Undetermined
        If there are too few points, or they show no losses.
    """
    a, m, t = (np.atleast_1d(np.asarray(x, float)) for x in (activity, observed_per_s, counting_time_s))
    t = np.broadcast_to(t, m.shape)
    free = 1 if rate_per_activity else 2
    if a.shape != m.shape or len(np.unique(a)) <= free or not bool(np.all((a > 0) & (m > 0) & (t > 0))):
        raise Undetermined(
            f"{len(np.unique(a))} activities and {m.size} rates do not determine a dead time",
            required=f"more than {free} different positive activities, a positive rate and counting time for each",
            do="measure more points, up to where losses reach 20 %",
        )
    y, weight = np.log(m / a), m * t
    design = np.column_stack([np.ones_like(a), -a]) if free == 2 else -a[:, None]
    target = y if free == 2 else y - np.log(rate_per_activity or 1.0)
    covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
    parameters = covariance @ design.T @ (weight * target)
    chi2 = float(np.sum(weight * (target - design @ parameters) ** 2)) / (len(m) - free)
    covariance = covariance * max(1.0, chi2)
    if free == 2:
        sensitivity, slope = float(np.exp(parameters[0])), float(parameters[1])
        # tau = slope / S: its derivatives by ln S and by the slope are -tau and 1/S.
        gradient = np.array([-slope / sensitivity, 1 / sensitivity])
        tau_sd = sqrt(float(gradient @ covariance @ gradient))
        sensitivity_sd = sensitivity * sqrt(float(covariance[0, 0]))
    else:
        sensitivity, slope, sensitivity_sd = float(rate_per_activity or 1.0), float(parameters[0]), 0.0
        tau_sd = sqrt(float(covariance[0, 0])) / sensitivity
    tau = slope / sensitivity
    if tau <= 0:
        raise Undetermined(
            f"the rates show no losses: a dead time of {tau:.3g} ± {tau_sd:.2g} s",
            do="measure at higher activities, subtract the background, and check the activities",
        )
    return DeadTimeFit(tau, tau_sd, sensitivity, sensitivity_sd, chi2)
