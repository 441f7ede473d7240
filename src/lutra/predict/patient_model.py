"""Who responds by RECIST 1.1: the lesion model carried to the sum of the targets of a patient.

A linear mixed model gives the log ratio of every lesion's diameter; drawn many times, with the patient's own deviation, it gives
the sum of the targets as RECIST chooses them, and so the probabilities of its categories. A second arm gives the probability of a
new lesion. The comparator that was fixed in advance is the mean probability of response of a patient's lesions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy import stats

from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import float64
from lutra.stats.firth import firth_logistic
from lutra.stats.linear_mixed import fit_linear_mixed

Array = npt.NDArray[np.float64]
DRAWS = 1000
PARAMETER_DRAWS = 100
"""Of the coefficients, for the interval of a probability."""
RESPONSE, GROWTH, GROWTH_MM = -0.30, 0.20, 5.0
"""Changes of the sum at which it is a response or progression [eisenhauer2009]."""
LEAST_EVENTS = 3


@frozen(eq=False)
class PatientModel:
    """A fitted model; everything a prediction needs, and the range it was made in.

    Parameters
    ----------
    predictors
        Names of the columns of lesions.
    coefficients, covariance
        Of the lesion model, the intercept first. (p + 1,), (p + 1, p + 1)
    sd_patient, sd_rest
        Of the log ratio. [1]
    low, high
        Least and greatest value of each predictor it was fitted to. (p,)
    new_lesion
        Coefficients of a new lesion: intercept, and each patient-level predictor; None with too few of them.
    center, precision, farthest
        Mean of the predictors it was fitted to, inverse of their covariance, and the largest squared Mahalanobis distance among
        them; empty where they could not be had. (p,), (p, p), 1
    new_lesion_covariance
        Of the coefficients of a new lesion. (q + 1, q + 1)
    """

    predictors: tuple[str, ...]
    coefficients: Array = field(converter=float64)
    covariance: Array = field(converter=float64)
    sd_patient: float
    sd_rest: float
    low: Array = field(converter=float64)
    high: Array = field(converter=float64)
    new_lesion: Array | None = None
    center: Array = field(converter=float64, factory=lambda: np.empty(0))
    precision: Array = field(converter=float64, factory=lambda: np.empty((0, 0)))
    farthest: float = np.inf
    new_lesion_covariance: Array | None = None


@frozen
class PatientPrediction:
    """Probabilities for one patient.

    Parameters
    ----------
    response, stable, progression
        Of CR or PR, of SD, and of PD, by the sum or by a new lesion; they add up to 1. [1]
    growth, new_lesion
        Of progression of the sum, and of a new lesion; None where the model has no such arm, or the patient not its predictors. [1]
    response_95, stable_95, progression_95
        Intervals from the uncertainty of the coefficients of both arms; that of the variances is not in them. [1]
    expected_change
        Mean relative change of the sum. [1]
    """

    response: float
    response_95: tuple[float, float]
    stable: float
    stable_95: tuple[float, float]
    progression: float
    progression_95: tuple[float, float]
    growth: float
    new_lesion: float | None
    expected_change: float


def fit_patient_model(
    predictors: Sequence[str],
    x: Array,
    log_ratio: Array,
    patients: npt.NDArray[np.intp],
    patient_x: Array | None = None,
    new_lesion: Array | None = None,
) -> PatientModel:
    """Fit both arms.

    Parameters
    ----------
    x
        Predictors of lesions, without an intercept. (n, p)
    log_ratio
        log of diameter after over before. (n,)
    patients
        Codes of the patients of lesions. (n,)
    patient_x, new_lesion
        Predictors of patients and whether a new lesion came. (m, q), (m,)

    Raises
    ------
    OutsideValidity
        As :func:`lutra.stats.linear_mixed.fit_linear_mixed`, or if it did not converge.
    """
    fit = fit_linear_mixed(np.column_stack([np.ones(len(x)), x]), log_ratio, [patients])
    if not fit.converged:
        raise OutsideValidity("the lesion model did not converge", required="fewer predictors, or more patients")
    arm = arm_covariance = None
    if (
        patient_x is not None
        and new_lesion is not None
        and LEAST_EVENTS <= new_lesion.sum() <= len(new_lesion) - LEAST_EVENTS
    ):
        arm, arm_covariance = firth_logistic(np.column_stack([np.ones(len(patient_x)), patient_x]), new_lesion)
    return PatientModel(
        tuple(predictors),
        fit.coefficients,
        fit.covariance,
        fit.sd_groups[0],
        fit.sd_residual,
        x.min(axis=0),
        x.max(axis=0),
        arm,
        *_cloud(x),
        arm_covariance,
    )


def _cloud(x: Array) -> tuple[Array, Array, float]:
    """Center, precision and reach of the predictors."""
    covariance = np.atleast_2d(np.cov(x, rowvar=False))
    if x.shape[1] == 0 or np.linalg.matrix_rank(covariance) < x.shape[1]:
        return np.empty(0), np.empty((0, 0)), np.inf
    center, precision = float64(x.mean(axis=0)), float64(np.linalg.inv(covariance))
    return center, precision, float(_distance(x, center, precision).max())


def _distance(x: Array, center: Array, precision: Array) -> Array:
    """Squared Mahalanobis distances. (n,)"""
    off = x - center
    return np.asarray(np.einsum("ij,jk,ik->i", off, precision, off))


def predict_patient(
    model: PatientModel, x: Array, before_mm: Array, seed: int, patient_x: Array | None = None
) -> Outcome[PatientPrediction]:
    """Predict one patient from its target lesions.

    Parameters
    ----------
    x
        Predictors of the targets, as :func:`lutra.response.recist.rules.choose_targets` chooses them. (k, p)
    before_mm
        Their size at the baseline. [mm] (k,)
    patient_x
        Predictors of a new lesion. (q,)

    Returns
    -------
    Outcome
        With `predict.extrapolates` where a predictor lies outside of what the model was fitted to, and
        `predict.no-new-lesion` where the patient lacks the predictors of that arm; None and `predict.no-target` without a target.
    """
    if len(before_mm) == 0:
        text = "no target lesion with every predictor: nothing can be predicted of this patient"
        return Outcome(None, (Finding(Severity.UNDETERMINED, "predict.no-target", text),))
    rng = np.random.default_rng(seed)
    design = np.column_stack([np.ones(len(x)), x])
    noise = _noise(model, len(x), rng)
    change, grown_mm = _sums(design @ model.coefficients, noise, before_mm)
    new = _new_lesion(model, patient_x)
    stays = 1.0 if new is None else 1 - new
    spread = rng.multivariate_normal(model.coefficients, model.covariance, PARAMETER_DRAWS)
    stay = 1 - _new_lesion_draws(model, patient_x, rng)
    others = np.array(
        [_categories(*_sums(design @ b, noise, before_mm), float(s)) for b, s in zip(spread, stay, strict=True)]
    )
    low, high = np.quantile(others, (0.025, 0.975), axis=0)
    ends = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    response, stable, progression = _categories(change, grown_mm, stays)
    growth = float(_grows(change, grown_mm).mean())
    prediction = PatientPrediction(
        response, ends[0], stable, ends[1], progression, ends[2], growth, new, float(change.mean())
    )
    doubts = list(_doubts(model, x))
    if model.new_lesion is not None and new is None:
        text = "the patient lacks what the probability of a new lesion is predicted from: progression is that of the sum alone"
        doubts.append(Finding(Severity.WARNING, "predict.no-new-lesion", text))
    return Outcome(prediction, tuple(doubts))


def _grows(change: Array, grown_mm: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((change >= GROWTH) & (grown_mm >= GROWTH_MM))


def _categories(change: Array, grown_mm: Array, stays: float) -> tuple[float, float, float]:
    """Probabilities of CR or PR, of SD and of PD, where no new lesion comes with probability `stays`."""
    response = float((change <= RESPONSE).mean()) * stays
    progression = 1 - (1 - float(_grows(change, grown_mm).mean())) * stays
    return response, max(0.0, 1 - response - progression), progression


def response_probability(
    model: PatientModel, x: Array, before_mm: Array, seed: int, patient_x: Array | None = None
) -> float:
    """Give the probability of CR or PR alone, as :func:`predict_patient` does, without its interval. [1]"""
    design = np.column_stack([np.ones(len(x)), x])
    noise = _noise(model, len(x), np.random.default_rng(seed))
    change, _ = _sums(design @ model.coefficients, noise, before_mm)
    return float((change <= RESPONSE).mean()) * (1 - (_new_lesion(model, patient_x) or 0.0))


def _noise(model: PatientModel, lesions: int, rng: np.random.Generator) -> Array:
    """Deviations of the patient and of its lesions, drawn. (draws, lesions)"""
    return model.sd_patient * rng.normal(size=(DRAWS, 1)) + model.sd_rest * rng.normal(size=(DRAWS, lesions))


def _new_lesion(model: PatientModel, patient_x: Array | None) -> float | None:
    if model.new_lesion is None or patient_x is None:
        return None
    return float(1 / (1 + np.exp(-(model.new_lesion[0] + patient_x @ model.new_lesion[1:]))))


def _new_lesion_draws(model: PatientModel, patient_x: Array | None, rng: np.random.Generator) -> Array:
    """Probability of a new lesion by coefficients drawn; 0 without that arm. (draws,)"""
    if model.new_lesion is None or patient_x is None:
        return np.zeros(PARAMETER_DRAWS)
    row = np.concatenate([[1.0], patient_x])
    variance = 0.0 if model.new_lesion_covariance is None else row @ model.new_lesion_covariance @ row
    logit = row @ model.new_lesion + np.sqrt(variance) * rng.normal(size=PARAMETER_DRAWS)
    return np.asarray(1 / (1 + np.exp(-logit)))


def mean_lesion_probability(model: PatientModel, x: Array) -> float:
    """Give the comparator: mean over lesions of the probability that each shrinks by 30 %. [1]"""
    expected = np.column_stack([np.ones(len(x)), x]) @ model.coefficients
    sd = np.hypot(model.sd_patient, model.sd_rest)
    z = (np.log(1 + RESPONSE) - expected) / sd
    return float(np.mean(stats.norm.cdf(z)))


def _sums(expected: Array, noise: Array, before_mm: Array) -> tuple[Array, Array]:
    after = (before_mm * np.exp(expected + noise)).sum(axis=1)
    before = before_mm.sum()
    return after / before - 1, after - before


def _doubts(model: PatientModel, x: Array) -> Sequence[Finding]:
    found = []
    for n, name in enumerate(model.predictors):
        outside = x[(x[:, n] < model.low[n]) | (x[:, n] > model.high[n]), n]
        if outside.size:
            made_in = f"{model.low[n]:.3g} to {model.high[n]:.3g}"
            text = f"{name} of {outside[0]:.3g} lies outside of {made_in}, which the model was made in: the prediction extrapolates"
            found.append(Finding(Severity.WARNING, "predict.extrapolates", text))
    if model.center.size and not found and (_distance(x, model.center, model.precision) > model.farthest).any():
        text = (
            "a lesion has a combination of predictors that lies farther out than any the model was made of, though each "
            "of them alone is inside its range: the prediction extrapolates"
        )
        found.append(Finding(Severity.WARNING, "predict.extrapolates", text))
    return found
