"""Each kind of model: from rows to coefficients and numbers."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from scipy import stats

from lutra.core.errors import MissingExtra, OutsideValidity
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.predict.result import Coefficient
from lutra.predict.rows import Rows
from lutra.predict.spec import ModelSpec
from lutra.stats.discrimination import clustered_auc, roc_band, roc_points
from lutra.stats.firth_cox import fit_firth_cox
from lutra.stats.linear_mixed import LinearMixedFit, fit_linear_mixed, robust_covariance, t_interval
from lutra.stats.random_intercept import RandomInterceptFit, fit_logistic, fit_ordinal
from lutra.stats.survival import Z_95, concordance, kaplan_meier

Array = npt.NDArray[np.float64]
INTERCEPT = "(Intercept)"
SEPARATED_SE = 100.0
"""Standard error of a log odds or log hazard beyond which the data do not bound it."""
LOGISTIC_NODES, ORDINAL_NODES = 25, 15


@frozen
class Found:
    """What a kind gives."""

    converged: bool
    coefficients: FrozenMap[str, Coefficient] = field(converter=frozen_map, factory=FrozenMap)
    numbers: FrozenMap[str, Any] = field(converter=frozen_map, factory=FrozenMap)
    findings: tuple[Finding, ...] = ()


def linear(rows: Rows, model: ModelSpec) -> Found:
    """Linear model with random intercepts, by restricted maximum likelihood; t with Satterthwaite's degrees of freedom."""
    fit = fit_linear_mixed(_with_intercept(rows.x), rows.outcome, rows.groups)
    x = _with_intercept(rows.x)
    low, high, p = t_interval(fit.coefficients, fit.se, fit.df)
    names = (INTERCEPT, *rows.names)
    robust = _robust(x, rows, fit)
    coefficients = {
        name: Coefficient(float(b), float(se), (float(lo), float(hi)), float(pv), float(df), robust=robust[n])
        for n, (name, b, se, lo, hi, pv, df) in enumerate(
            zip(names, fit.coefficients, fit.se, low, high, p, fit.df, strict=True)
        )
    }
    numbers: dict[str, Any] = {"sd_residual": fit.sd_residual, "loglik": fit.log_likelihood, "reml": True}
    if fit.told[0]:
        between = [sd**2 for sd in fit.sd_groups]
        numbers |= {"sd_random": fit.sd_groups[0], "icc": between[0] / (sum(between) + fit.sd_residual**2)}
    if fit.told[1:] == (True,):
        numbers["sd_random_nested"] = fit.sd_groups[1]
    if model.curve:
        numbers["curve"] = _expected_curve(rows, model, fit)
    return Found(fit.converged, coefficients, numbers, tuple(_levels_not_told(model, fit)))


def _levels_not_told(model: ModelSpec, fit: LinearMixedFit) -> Iterator[Finding]:
    """Say which spreads cannot be told, with one row or one lesion per patient, or one row per lesion."""
    if not fit.told[0]:
        text = (
            "one row per patient: the spread between patients cannot be told from that within, and is in the residual"
        )
        yield Finding(Severity.INFO, "predict.level-not-told", f"{model.name}: {text}")
    elif not all(fit.told):
        text = "one lesion per patient or one row per lesion: the level of lesions cannot be told apart and is left out"
        yield Finding(Severity.INFO, "predict.level-not-told", f"{model.name}: {text}")


def _expected_curve(rows: Rows, model: ModelSpec, fit: LinearMixedFit) -> list[dict[str, float]]:
    """Give the expected outcome of a mean patient along a column, with its interval; other predictors at their mean."""
    moving = np.array([re.search(rf"\b{re.escape(model.curve)}\b", name) is not None for name in rows.names])
    x = np.where(moving, rows.x, rows.x.mean(axis=0))
    places, first = np.unique(rows.along, return_index=True)
    at = _with_intercept(x[first])
    best = at @ fit.coefficients
    t = float(stats.t.ppf(0.975, fit.df.min()))
    half = t * np.sqrt(np.einsum("ij,jk,ik->i", at, fit.covariance, at))
    return [
        {"x": float(v), "expected": float(b), "low": float(b - h), "high": float(b + h)}
        for v, b, h in zip(places, best, half, strict=True)
    ]


def _robust(x: Array, rows: Rows, fit: LinearMixedFit) -> list[FrozenMap[str, Any] | None]:
    """Errors that hold without the variances of the model, with t of K - p; none with too few patients."""
    free = rows.clusters - x.shape[1]
    if free < 1:
        return [None] * x.shape[1]
    se = np.sqrt(np.diag(robust_covariance(x, rows.outcome, rows.groups, fit)))
    low, high, p = t_interval(fit.coefficients, se, np.full(len(se), float(free)))
    return [
        FrozenMap({"se": float(se[n]), "ci95": [float(low[n]), float(high[n])], "p": float(p[n]), "df": free})
        for n in range(len(se))
    ]


def logistic(rows: Rows, model: ModelSpec) -> Found:  # noqa: ARG001
    """Log odds with a random intercept per patient, by adaptive quadrature with 25 nodes."""
    fit = fit_logistic(_with_intercept(rows.x), rows.outcome, rows.groups[0], LOGISTIC_NODES)
    return _random_intercept(
        fit, (INTERCEPT, *rows.names), {"nodes": LOGISTIC_NODES, "events": int(rows.outcome.sum())}
    )


def ordinal(rows: Rows, model: ModelSpec) -> Found:  # noqa: ARG001
    """Cumulative log odds with a random intercept per patient, by adaptive quadrature with 15 nodes."""
    places = np.unique(rows.outcome, return_inverse=True)[1]
    present = [rows.levels[int(n)] for n in np.unique(rows.outcome)]
    fit = fit_ordinal(rows.x, places, rows.groups[0], ORDINAL_NODES)
    thresholds = [f"{a}|{b}" for a, b in pairwise(present)]
    return _random_intercept(fit, (*thresholds, *rows.names), {"nodes": ORDINAL_NODES, "levels": present})


def _random_intercept(fit: RandomInterceptFit, names: Sequence[str], numbers: dict[str, Any]) -> Found:
    coefficients = _wald(names, fit.coefficients, fit.se)
    numbers = {"sd_random": fit.sd_random, "loglik": fit.log_likelihood, **numbers}
    return Found(fit.converged and bool((fit.se < SEPARATED_SE).all()), coefficients, numbers)


def gee(rows: Rows, model: ModelSpec) -> Found:  # noqa: ARG001
    """Marginal log odds, exchangeable within patients, with sandwich errors; and small-sample ones by Mancl and DeRouen.

    References
    ----------
    [liang1986] Liang and Zeger, Biometrika 73:13; [mancl2001] Mancl and DeRouen, Biometrics 57:126, with t of K - p.
    """
    sm = _statsmodels()
    x = _with_intercept(rows.x)
    made = sm.GEE(
        rows.outcome, x, groups=rows.groups[0], family=sm.families.Binomial(), cov_struct=sm.cov_struct.Exchangeable()
    )
    names = (INTERCEPT, *rows.names)
    with _quiet():
        fit = made.fit(maxiter=200, ctol=1e-8)
        reduced = made.fit(maxiter=200, ctol=1e-8, start_params=fit.params, cov_type="bias_reduced")
    corrected = np.sqrt(np.diag(reduced.cov_params()))
    b, se = np.asarray(fit.params), np.asarray(fit.bse)
    plain = _wald(names, b, se)
    free = max(rows.clusters - len(names), 1)
    low, high, p = t_interval(b, corrected, np.full(len(b), float(free)))
    coefficients = {
        name: Coefficient(
            plain[name].estimate,
            plain[name].se,
            plain[name].ci95,
            plain[name].p,
            small_sample=FrozenMap(
                {"se": float(corrected[n]), "ci95": [float(low[n]), float(high[n])], "p": float(p[n]), "df": free}
            ),
        )
        for n, name in enumerate(names)
    }
    settled = bool(fit.converged) and bool(np.isfinite(b).all() and np.isfinite(se).all())
    bounded = bool((se < SEPARATED_SE).all()) and bool((np.abs(b[1:]) * rows.x.std(axis=0) < 30).all())
    return Found(
        settled and bounded and bool(fit.converged), coefficients, {"alpha": float(made.cov_struct.dep_params)}
    )


def cox(rows: Rows, model: ModelSpec) -> Found:
    """Proportional hazards with Efron's ties; with `start`, intervals whose values change with time."""
    time, event, start = rows.times["time"], rows.times["event"], rows.times.get("start")
    if event.sum() < 1:
        raise OutsideValidity("no event", required="at least one")
    if model.penalty:
        return _firth_cox(rows, model)
    sm = _statsmodels()
    made = sm.PHReg(time, rows.x, status=event, entry=start, ties="efron")
    with _quiet():
        fit = made.fit(maxiter=200, disp=0)
        b, se = np.asarray(fit.params), np.asarray(fit.bse)
        settled = bool(np.isfinite(b).all() and np.isfinite(se).all() and np.abs(made.score(b)).max() < 1e-4)
    spread = rows.x.std(axis=0)
    bounded = bool((se * spread < 10).all() and (np.abs(b) * spread < 30).all())
    numbers: dict[str, Any] = {
        "events": int(event.sum()),
        "loglik": float(made.loglike(b)),
        "concordance": concordance(rows.x @ b, time, event, start),
    }
    if model.landmark is not None:
        numbers["landmark"] = model.landmark
    return Found(settled and bounded, _wald(rows.names, b, se), numbers)


def _firth_cox(rows: Rows, model: ModelSpec) -> Found:
    time, event, start = rows.times["time"], rows.times["event"], rows.times.get("start")
    fit = fit_firth_cox(rows.x, time, event, start)
    coefficients = {
        name: Coefficient(float(b), float(se), (float(low), float(high)), float(p))
        for name, b, se, (low, high), p in zip(rows.names, fit.coefficients, fit.se, fit.ci95, fit.p, strict=True)
    }
    numbers: dict[str, Any] = {
        "events": int(event.sum()),
        "loglik": fit.log_likelihood,
        "penalty": model.penalty,
        "concordance": concordance(rows.x @ fit.coefficients, time, event, start),
    }
    if model.landmark is not None:
        numbers["landmark"] = model.landmark
    endless = [name for name, ends in zip(rows.names, fit.ci95, strict=True) if not np.isfinite(ends).all()]
    if fit.converged and endless:
        raise OutsideValidity(
            f"{int(event.sum())} events do not bound the effect of {endless[0]}: its interval has no end",
            required="more events, or fewer predictors",
        )
    return Found(fit.converged, coefficients, numbers)


def auc(rows: Rows, model: ModelSpec) -> Found:
    """Area under the ROC curve of each predictor, with the variance that counts lesions of a patient together."""
    each: dict[str, dict[str, Any]] = {}
    for name, marks in zip(rows.names, rows.x.T, strict=True):
        area = clustered_auc(marks, rows.outcome, rows.groups[0], model.direction)
        half = Z_95 * np.sqrt(area.var_clustered)
        towards = marks if area.higher_means_outcome else -marks
        each[name] = {
            "estimate": area.estimate,
            "var_delong": area.var_delong,
            "var_clustered": area.var_clustered if np.isfinite(area.var_clustered) else None,
            "ci95": [max(area.estimate - half, 0.0), min(area.estimate + half, 1.0)] if np.isfinite(half) else None,
            "higher_means_outcome": area.higher_means_outcome,
            "roc": roc_points(towards, rows.outcome),
            "band": roc_band(towards, rows.outcome, rows.groups[0], model.bootstrap, model.seed),
        }
    numbers = {"events": int(rows.outcome.sum()), **(each[rows.names[0]] if len(each) == 1 else {"predictors": each})}
    return Found(converged=True, numbers=numbers)


def survival_curve(rows: Rows, model: ModelSpec) -> Found:
    """Share without the event over time by Kaplan and Meier; in one curve."""
    curve = kaplan_meier(rows.times["time"], rows.times["event"])
    steps = [
        {"time": float(t), "at_risk": int(n), "events": int(d), "survival": float(s), "ci95": [float(lo), float(hi)]}
        for t, n, d, s, lo, hi in zip(
            curve.time, curve.at_risk, curve.events, curve.survival, curve.low, curve.high, strict=True
        )
    ]
    numbers = {"events": int(curve.events.sum()), "median": curve.median, "curve": steps}
    if model.landmark is not None:
        numbers["landmark"] = model.landmark
    return Found(converged=True, numbers=numbers)


def _wald(names: Sequence[str], b: Array, se: Array) -> FrozenMap[str, Coefficient]:
    return FrozenMap(
        {
            name: Coefficient(
                float(v), float(e), (float(v - Z_95 * e), float(v + Z_95 * e)), float(2 * stats.norm.sf(abs(v / e)))
            )
            for name, v, e in zip(names, b, se, strict=True)
        }
    )


def _with_intercept(x: Array) -> Array:
    return np.column_stack([np.ones(len(x)), x])


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the library search without warnings; what it found is judged by its gradient and its errors."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _statsmodels() -> Any:
    try:
        import statsmodels.api as sm  # noqa: PLC0415  (an extra, and slow to load)
    except ImportError as error:
        raise MissingExtra("marginal and hazard models need statsmodels", do="pip install lutra[predict]") from error
    return sm
