r"""Probability that a lesion is controlled, as a sigmoid of its dose, with priors of what the data do not tell.

.. math:: logit\,P = 4 \gamma_{50} \ln(D / D_{50}) + u_{patient}

:math:`D_{50}` is the dose with an even chance in a median patient, :math:`\gamma_{50}` the gain in probability there per
relative gain in dose. With a few hundred lesions the data alone bound neither: both have log-normal priors, and what is found
is exploratory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy import optimize

from lutra.core.errors import OutsideValidity
from lutra.core.frozen import float64
from lutra.stats.linear_mixed import hessian_of
from lutra.stats.random_intercept import fit_logistic, logistic_likelihood
from lutra.stats.survival import Z_95

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
NODES = 15
GRADIENT_LIMIT = 1e-2
"""Of the log posterior per unit of each parameter, all of them logarithms."""


@frozen
class LogNormalPrior:
    """What was known of a positive number before: its median and the standard deviation of its logarithm."""

    median: float
    log_sd: float

    def log_density(self, log_value: float) -> float:
        """Up to a constant, of the logarithm."""
        return -0.5 * ((log_value - float(np.log(self.median))) / self.log_sd) ** 2

    def widened(self, factor: float) -> LogNormalPrior:
        """Multiply the standard deviation of the logarithm."""
        return LogNormalPrior(self.median, factor * self.log_sd)


@frozen(eq=False)
class TumourControlFit:
    """A fitted sigmoid.

    Parameters
    ----------
    d50_gy, d50_95_gy
        Most likely value and central 95 %. [Gy]
    gamma50, gamma50_95
        Likewise. [1]
    log_covariance
        Of the logarithms of both. (2, 2)
    sd_random
        Of the patients' log odds.
    log_posterior
        Up to a constant.
    converged
        Nothing else holds of a fit that did not.
    """

    d50_gy: float
    d50_95_gy: tuple[float, float]
    gamma50: float
    gamma50_95: tuple[float, float]
    log_covariance: Array = field(converter=float64)
    sd_random: float
    log_posterior: float
    converged: bool

    def probability(self, dose_gy: Array) -> tuple[Array, Array, Array]:
        """Give the probability of control of a lesion of a median patient, and its 95 % interval. (n,) each"""
        distance = np.log(np.asarray(dose_gy, dtype=np.float64) / self.d50_gy)
        slope = 4 * self.gamma50
        by = np.stack([np.full_like(distance, -slope), slope * distance], axis=-1)
        half = Z_95 * np.sqrt(np.einsum("...i,ij,...j->...", by, self.log_covariance, by))
        centre = slope * distance
        return _expit(centre), _expit(centre - half), _expit(centre + half)


def fit_tumour_control(
    dose_gy: Array, controlled: Array, groups: Codes, prior_d50_gy: LogNormalPrior, prior_gamma50: LogNormalPrior
) -> TumourControlFit:
    r"""Fit by the highest posterior of :math:`\ln D_{50}`, :math:`\ln \gamma_{50}` and the patients' spread; Laplace's intervals.

    The likelihood is integrated over the patients' deviations. Their spread has the weak penalty :math:`\ln \sigma`, which keeps
    it off zero and hardly moves it elsewhere.

    Parameters
    ----------
    dose_gy
        Above 0. [Gy] (n,)
    controlled
        0 or 1. (n,)
    groups
        Codes of the patients, from 0 on without gaps. (n,)

    Raises
    ------
    OutsideValidity
        If a dose is not positive, or there are fewer than two patients or doses. Outcomes may all be alike: the priors decide then.

    References
    ----------
    [okunieff1995] Okunieff et al., Int J Radiat Oncol Biol Phys 32:1227, for the log-logistic form; [chung2013] Chung et al.,
    Psychometrika 78:685, for the penalty.
    """
    _check(dose_gy, groups)
    log_dose = np.log(dose_gy)
    design = np.column_stack([np.ones(len(log_dose)), log_dose])
    likelihood = logistic_likelihood(design, controlled, groups, NODES)

    def log_posterior(logs: Array) -> float:
        log_d50, log_gamma, log_sd = logs
        slope = 4 * np.exp(log_gamma)
        prior = prior_d50_gy.log_density(log_d50) + prior_gamma50.log_density(log_gamma) + log_sd
        return likelihood(np.array([-slope * log_d50, slope, np.exp(log_sd)])) + float(prior)

    start = np.array([np.log(prior_d50_gy.median), np.log(prior_gamma50.median), np.log(0.5)])
    found = optimize.minimize(lambda v: -log_posterior(v), start, method="BFGS", options={"gtol": 1e-5})
    at = np.asarray(found.x, dtype=np.float64)
    curvature = -hessian_of(log_posterior, at)
    settled = bool(np.abs(found.jac).max() < GRADIENT_LIMIT) and bool((np.linalg.eigvalsh(curvature) > 0).all())
    covariance = np.linalg.pinv(curvature)[:2, :2]
    half = Z_95 * np.sqrt(np.maximum(np.diag(covariance), 0.0))
    low, best, high = np.exp(at[:2] - half), np.exp(at[:2]), np.exp(at[:2] + half)
    return TumourControlFit(
        float(best[0]),
        (float(low[0]), float(high[0])),
        float(best[1]),
        (float(low[1]), float(high[1])),
        covariance,
        float(np.exp(at[2])),
        -float(found.fun),
        settled,
    )


def unaided_d50_interval(dose_gy: Array, controlled: Array, groups: Codes) -> tuple[float, float]:
    r"""Give the 95 % interval of :math:`D_{50}` without any prior, by Fieller's theorem; 0 or infinity where it has no end. [Gy]

    All doses at which the log odds of the fitted model do not differ from 0. Where the data do not bound it on both sides, because
    the effect of the dose is not shown or the search does not settle, nothing is excluded: (0, inf).

    Raises
    ------
    OutsideValidity
        If a dose is not positive, or there are fewer than two patients or doses.

    References
    ----------
    [fieller1954] Fieller, J R Stat Soc B 16:175.
    """
    _check(dose_gy, groups)
    if np.ptp(controlled) == 0:
        return 0.0, float("inf")
    # About the mean, so that the two coefficients are nearly independent and the interval keeps its digits.
    middle = float(np.log(dose_gy).mean())
    design = np.column_stack([np.ones(len(dose_gy)), np.log(dose_gy) - middle])
    fit = fit_logistic(design, controlled, groups, NODES)
    (a, b), v = fit.coefficients, Z_95**2 * fit.covariance
    square, linear, constant = b**2 - v[1, 1], 2 * (a * b - v[0, 1]), a**2 - v[0, 0]
    inside = linear**2 - 4 * square * constant
    if not fit.converged or square <= 0 or inside <= 0:
        return 0.0, float("inf")
    ends = (-linear + np.array([-1.0, 1.0]) * np.sqrt(inside)) / (2 * square) + middle
    with np.errstate(over="ignore"):
        return float(np.exp(ends[0])), float(np.exp(ends[1]))


def _check(dose_gy: Array, groups: Codes) -> None:
    if not (dose_gy > 0).all():
        raise OutsideValidity("a dose of 0 or less", required="doses above 0 Gy", do="leave lesions without a dose out")
    if len(np.unique(groups)) < 2 or np.ptp(dose_gy) == 0:
        raise OutsideValidity("one patient, or one dose", required="at least two patients and doses that differ")


def _expit(z: Array) -> Array:
    found: Array = 0.5 * (1 + np.tanh(z / 2))
    return found
