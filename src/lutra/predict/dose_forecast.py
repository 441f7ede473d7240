r"""Dose of a lesion before it is given: cycle 1 from the uptake on the PET before therapy, later cycles from cycle 1.

Cycle 1, lesions of a patient together: :math:`\ln D = a + b \ln SUV + u_{patient} + e`.

Later cycles: :math:`\ln D_k = \alpha_{lesion} + (k - 1) (f + f_{patient}) + e_k`, every cycle with its own error, the first too;
what is forecast is :math:`D_k / D_1`, whose cycles share the error of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen
from scipy import optimize, stats

from lutra.core.data_table import DataTable
from lutra.core.errors import InputError, OutsideValidity
from lutra.core.finding import Finding, Severity, few
from lutra.core.frozen import FrozenMap, float64
from lutra.predict.kinds import INTERCEPT, Found
from lutra.predict.result import Coefficient
from lutra.predict.rows import Rows
from lutra.predict.spec import ModelSpec
from lutra.stats.linear_mixed import fit_linear_mixed, t_interval

Array = npt.NDArray[np.float64]
LEVEL = 0.95
LARGEST_RATIO = 20.0
"""Of the patients' spread of the fall per cycle to the error of a cycle."""


@frozen(eq=False)
class Forecast:
    """Median and ends of 95 % prediction intervals: where the dose of one lesion will be, not the mean of such lesions. [Gy]"""

    dose_gy: Array = field(converter=float64)
    low_gy: Array = field(converter=float64)
    high_gy: Array = field(converter=float64)


@frozen(eq=False)
class FirstDoseFit:
    """Dose of cycle 1 from uptake.

    Parameters
    ----------
    coefficients, se, df
        Of 1 and ln SUV, with the degrees of freedom of their t. (2,)
    patients
        Those it was made from; forecasts of their other lesions use what theirs had.
    effects, joint_covariance
        Coefficients, then deviations of the patients, and the covariance of their errors. (2 + K,), (2 + K, 2 + K)
    sd_patient, sd_lesion
        Of the logarithm, between and within patients.
    df_new, df_known
        Degrees of freedom of forecasts.
    suv_range
        Of the lesions it was made from.
    """

    coefficients: Array = field(converter=float64)
    se: Array = field(converter=float64)
    df: Array = field(converter=float64)
    patients: tuple[str, ...]
    effects: Array = field(converter=float64)
    joint_covariance: Array = field(converter=float64)
    sd_patient: float
    sd_lesion: float
    df_new: float
    df_known: float
    suv_range: tuple[float, float]
    log_likelihood: float
    converged: bool


@frozen
class LaterDosesFit:
    """Fall of the dose from cycle to cycle.

    Parameters
    ----------
    log_fall, se
        Change of ln D per cycle, negative where doses fall.
    sd_patient
        Of that change between patients.
    sd_cycle
        Of ln D from cycle to cycle, beside the change.
    patients, lesions, ratios
        What it rests on.
    """

    log_fall: float
    se: float
    sd_patient: float
    sd_cycle: float
    patients: int
    lesions: int
    ratios: int
    converged: bool

    @property
    def fall_per_cycle(self) -> float:
        """Share of the dose lost per cycle in a median patient. [1]"""
        return float(-np.expm1(self.log_fall))


def fit_first_dose(suv: Array, dose_gy: Array, patients: Sequence[str]) -> FirstDoseFit:
    """Fit ln dose on ln SUV with a random intercept per patient, by restricted maximum likelihood.

    Parameters
    ----------
    suv
        Before therapy. Above 0. (n,)
    dose_gy
        Of cycle 1. Above 0. [Gy] (n,)
    patients
        Of each lesion. (n,)

    Raises
    ------
    OutsideValidity
        If a value is not positive, there are fewer than three patients, or too few lesions to tell patients from lesions.

    References
    ----------
    [henderson1975] Henderson, Biometrics 31:423, for the errors of predicted deviations.
    """
    for name, values in (("an uptake", suv), ("a dose", dose_gy)):
        if not (values > 0).all():
            raise OutsideValidity(f"{name} of 0 or less", required="values above 0", do="leave such lesions out")
    names, codes = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    n, k = len(suv), len(names)
    if k < 3 or n - k < 2:
        raise OutsideValidity(f"{n} lesions of {k} patients", required="three patients, two lesions more than patients")
    x = np.column_stack([np.ones(n), np.log(suv)])
    fit = fit_linear_mixed(x, np.log(dose_gy), [codes])
    sd_patient, sd_lesion = fit.sd_groups[0], fit.sd_residual
    between, within = sd_patient**2, sd_lesion**2
    return FirstDoseFit(
        fit.coefficients,
        fit.se,
        fit.df,
        tuple(map(str, names)),
        np.concatenate([fit.coefficients, fit.group_means]),
        _joint_covariance(x, codes, between, within),
        sd_patient,
        sd_lesion,
        _mixed_df((between, k - 1), (within, n - k - 1)),
        float(n - k - 1),
        (float(suv.min()), float(suv.max())),
        fit.log_likelihood,
        fit.converged,
    )


def forecast_first_dose(fit: FirstDoseFit, suv: Array, patients: Sequence[str | None]) -> Forecast:
    """Forecast the dose of cycle 1.

    Parameters
    ----------
    suv
        Above 0. (m,)
    patients
        Of each lesion; with a patient the fit does not know, or None, its deviation is part of the interval. (m,)

    Returns
    -------
    Forecast
        (m,) each
    """
    place = {name: 2 + n for n, name in enumerate(fit.patients)}
    at = np.zeros((len(suv), len(fit.effects)))
    at[:, 0], at[:, 1] = 1.0, np.log(suv)
    known = np.array([name in place for name in patients], dtype=bool)
    for row, name in enumerate(patients):
        if name is not None and name in place:
            at[row, place[name]] = 1.0
    variance = np.einsum("ij,jk,ik->i", at, fit.joint_covariance, at) + fit.sd_lesion**2
    variance = variance + np.where(known, 0.0, fit.sd_patient**2)
    return _forecast(at @ fit.effects, variance, np.where(known, fit.df_known, fit.df_new))


def fit_later_doses(doses_gy: Array, patients: Sequence[str]) -> LaterDosesFit:
    """Fit the fall per cycle, different between patients, by restricted maximum likelihood.

    Parameters
    ----------
    doses_gy
        Of cycle 1 and those after it; NaN where a lesion has none. Lesions without cycle 1, or nothing after it, tell nothing.
        Above 0. [Gy] (n, cycles)
    patients
        Of each lesion. (n,)

    Raises
    ------
    OutsideValidity
        If a dose is not positive, or fewer than three patients have a first and a later dose.
    """
    if (doses_gy <= 0).any():
        raise OutsideValidity(
            "a dose of 0 or less", required="doses above 0", do="leave cycles that were not given empty"
        )
    logs = np.log(doses_gy)
    lesion, later = np.nonzero(np.isfinite(logs[:, :1]) & np.isfinite(logs[:, 1:]))
    steps = later + 1.0
    ratios = logs[lesion, later + 1] - logs[lesion, 0]
    own = np.asarray(patients, dtype=str)[lesion]
    names = np.unique(own)
    if len(names) < 3:
        raise OutsideValidity(f"{len(names)} patients with a first and a later dose", required="at least three")
    blocks = [(steps[own == name], ratios[own == name], lesion[own == name]) for name in names]
    free = len(ratios) - 1

    def at(ratio: float) -> tuple[float, float, float, float]:
        """Criterion, change per cycle, its variance and the variance of a cycle, for a ratio of the two spreads."""
        xx = xy = yy = log_det = 0.0
        for t, y, which in blocks:
            v = np.eye(len(t)) + (which[:, None] == which) + ratio**2 * np.outer(t, t)
            solved = np.linalg.solve(v, np.column_stack([t, y]))
            xx, xy, yy = xx + t @ solved[:, 0], xy + t @ solved[:, 1], yy + y @ solved[:, 1]
            log_det += np.linalg.slogdet(v)[1]
        variance = (yy - xy**2 / xx) / free
        return float(free * np.log(variance) + log_det + np.log(xx)), xy / xx, variance / xx, variance

    found = optimize.minimize_scalar(lambda r: at(r)[0], bounds=(0.0, LARGEST_RATIO), method="bounded")
    best = 0.0 if at(0.0)[0] <= found.fun else float(found.x)
    _, change, variance_of_change, variance = at(best)
    sd = float(np.sqrt(variance))
    settled = bool(found.success) and best < 0.99 * LARGEST_RATIO and sd > 0
    return LaterDosesFit(
        float(change),
        float(np.sqrt(variance_of_change)),
        best * sd,
        sd,
        len(names),
        len(np.unique(lesion)),
        len(ratios),
        settled,
    )


def forecast_later_doses(fit: LaterDosesFit, first_dose_gy: Array, cycles: Array) -> Forecast:
    """Forecast doses of later cycles of new patients from that of cycle 1.

    Parameters
    ----------
    first_dose_gy
        [Gy] (n,)
    cycles
        Numbers from 2 on. (c,)

    Returns
    -------
    Forecast
        (n, c) each
    """
    steps = np.asarray(cycles, dtype=np.float64) - 1
    of_patient, of_cycle = steps**2 * fit.sd_patient**2, 2 * fit.sd_cycle**2
    variance = steps**2 * fit.se**2 + of_patient + of_cycle
    df = [_mixed_df((p, fit.patients - 1), (of_cycle, fit.ratios - fit.patients)) for p in of_patient]
    centre = np.log(np.asarray(first_dose_gy, dtype=np.float64))[:, None] + steps * fit.log_fall
    return _forecast(centre, np.broadcast_to(variance, centre.shape), np.broadcast_to(df, centre.shape))


def _joint_covariance(x: Array, codes: npt.NDArray[np.intp], between: float, within: float) -> Array:
    """Errors of coefficients and predicted deviations together: the inverse of the mixed model equations."""
    p, k = x.shape[1], int(codes.max()) + 1
    if between == 0:
        found = np.zeros((p + k, p + k))
        found[:p, :p] = within * np.linalg.inv(x.T @ x)
        return found
    both = np.column_stack([x, np.eye(k)[codes]])
    precision = both.T @ both / within
    precision[p:, p:] += np.eye(k) / between
    return np.asarray(np.linalg.inv(precision), dtype=np.float64)


def _mixed_df(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of variances with their own [satterthwaite1946], Biometrics Bull 2:110; at least 1."""
    spread = sum(variance**2 / max(df, 1.0) for variance, df in parts)
    return max(sum(variance for variance, _ in parts) ** 2 / spread, 1.0) if spread > 0 else 1.0


def _forecast(centre: Array, variance: Array, df: Array) -> Forecast:
    half = stats.t.ppf((1 + LEVEL) / 2, df) * np.sqrt(variance)
    return Forecast(np.exp(centre), np.exp(centre - half), np.exp(centre + half))


def first_dose(rows: Rows, model: ModelSpec) -> Found:
    """Fit the dose of cycle 1 on the uptake; predictors are one column."""
    fit = fit_first_dose(rows.x[:, 0], rows.outcome, [str(code) for code in rows.groups[0]])
    low, high, p = t_interval(fit.coefficients, fit.se, fit.df)
    coefficients = {
        name: Coefficient(
            float(fit.coefficients[n]), float(fit.se[n]), (float(low[n]), float(high[n])), float(p[n]), float(fit.df[n])
        )
        for n, name in enumerate((INTERCEPT, f"log({model.predictors[0]})"))
    }
    numbers = {"sd_random": fit.sd_patient, "sd_residual": fit.sd_lesion, "loglik": fit.log_likelihood, "reml": True}
    return Found(fit.converged, coefficients, numbers)


def with_forecasts(found: Found, model: ModelSpec, table: DataTable, cluster: str) -> Found:
    """Add the doses that rows do not have yet: of cycle 1 where there is an uptake, of later ones where there is cycle 1.

    Raises
    ------
    InputError
        If an uptake or a dose is not positive, by its row.
    OutsideValidity
        If later cycles are asked for and too few patients have them.
    """
    suv, patients = _positive(table, model.predictors[0]), table.text(cluster)
    doses = np.column_stack([_positive(table, column) for column in (model.outcome, *model.later)])
    has_patient, has_suv, first = ~table.missing(cluster), np.isfinite(suv), np.isfinite(doses[:, 0])
    made_of = np.flatnonzero(has_patient & has_suv & first)
    fit = fit_first_dose(suv[made_of], doses[made_of, 0], [patients[row] for row in made_of])
    wanted = np.flatnonzero(has_suv & ~first)
    owners = [patients[row] if has_patient[row] else None for row in wanted]
    ahead = forecast_first_dose(fit, suv[wanted], owners)
    known = set(fit.patients)
    forecasts: list[dict[str, Any]] = [
        _plain(table, int(row), 1, ahead, (n,)) | {"known_patient": owners[n] in known} for n, row in enumerate(wanted)
    ]
    numbers: dict[str, Any] = {"suv_range": list(fit.suv_range)}
    if model.later:
        chosen = np.flatnonzero(has_patient)
        fall = fit_later_doses(doses[chosen], [patients[row] for row in chosen])
        if not fall.converged:
            return evolve(found, converged=False)
        numbers["later"] = _fall(fall)
        cycles = np.arange(2, doses.shape[1] + 1)
        further = forecast_later_doses(fall, doses[:, 0], cycles)
        forecasts += [
            _plain(table, int(row), int(cycles[c]), further, (row, c))
            for row, c in np.argwhere(first[:, None] & ~np.isfinite(doses[:, 1:]))
        ]
    numbers["forecasts"] = forecasts
    outside = wanted[(suv[wanted] < fit.suv_range[0]) | (suv[wanted] > fit.suv_range[1])]
    return evolve(
        found,
        numbers=FrozenMap({**found.numbers, **numbers}),
        findings=(*found.findings, *_extrapolated(model.name, [f"row {table.line(int(row))}" for row in outside])),
    )


def _positive(table: DataTable, column: str) -> Array:
    values = table.numbers(column)
    if (wrong := np.flatnonzero(values <= 0)).size:
        raise InputError(
            f"row {table.line(int(wrong[0]))}: {column} is 0 or less",
            where=table.name,
            do="correct it; leave it empty where nothing was measured or given",
        )
    return values


def _plain(table: DataTable, row: int, cycle: int, ahead: Forecast, at: tuple[int, ...]) -> dict[str, Any]:
    return {
        "row": table.line(row),
        "cycle": cycle,
        "dose_gy": float(ahead.dose_gy[at]),
        "prediction95": [float(ahead.low_gy[at]), float(ahead.high_gy[at])],
    }


def _fall(fit: LaterDosesFit) -> dict[str, Any]:
    half = stats.t.ppf((1 + LEVEL) / 2, fit.patients - 1) * fit.se
    return {
        "fall_per_cycle": fit.fall_per_cycle,
        "ci95": [float(-np.expm1(fit.log_fall + half)), float(-np.expm1(fit.log_fall - half))],
        "sd_patient": fit.sd_patient,
        "sd_cycle": fit.sd_cycle,
        "patients": fit.patients,
        "lesions": fit.lesions,
        "ratios": fit.ratios,
    }


def _extrapolated(name: str, rows: Sequence[str]) -> tuple[Finding, ...]:
    if not rows:
        return ()
    text = f"{name}: uptake outside of what the forecast was made of: {few(rows)}"
    return (Finding(Severity.WARNING, "predict.extrapolates", text),)
