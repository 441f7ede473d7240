"""What the other patients of a study lead one to expect of a lesion."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen
from scipy import stats

from lutra.core.data_table import DataTable
from lutra.core.errors import OutsideValidity
from lutra.predict.design import Source, design
from lutra.predict.spec import AnalysisSpec, ModelSpec
from lutra.stats.linear_mixed import LinearMixedFit, fit_linear_mixed

Array = npt.NDArray[np.float64]
LEAST_PATIENTS = 3
"""Others below which nothing is expected of a lesion: the spread between patients is then a guess."""


@frozen
class Expected:
    """Outcome of a lesion by a model that has not seen its patient.

    Parameters
    ----------
    value, low, high
        In the unit of the outcome; 95 % prediction interval of a new lesion of a new patient.
    rows, patients
        What the model was fitted to.
    beyond
        Predictors in which the lesion lies outside of what the others have.
    """

    value: float
    low: float
    high: float
    rows: int
    patients: int
    beyond: tuple[str, ...] = ()


def predicting_model(spec: AnalysisSpec) -> ModelSpec | None:
    """Choose the primary model with the most predictors that can be asked about one lesion; None if the plan has none."""
    able = [
        m
        for m in spec.models
        if m.kind == "linear-mixed"
        and m.question == "primary"
        and len(spec.clusters_of(m)) == 1
        and not m.error_cv
        and not any(p.startswith(("within(", "between(")) for p in m.predictors)
    ]
    return max(able, key=lambda m: len(m.predictors), default=None)


def expected_by_others(spec: AnalysisSpec, model: ModelSpec, lesions: DataTable) -> dict[tuple[str, str], Expected]:
    """Predict each lesion that has every predictor from the patients that are not its own, by patient and lesion.

    A lesion whose outcome is known is predicted without it; one whose outcome is not known yet as well.
    """
    table, (cluster,) = lesions.where(model.where), spec.clusters_of(model)
    made = design(Source(table, cluster, None, model.reference), model.predictors)
    x = np.column_stack([np.ones(len(table)), made.columns])
    y, owner = table.numbers(model.outcome), np.array(table.text(cluster))
    names = table.text(spec.lesion) if spec.lesion else tuple(map(str, range(len(table))))
    complete = ~np.isnan(x).any(axis=1)
    found = {}
    for patient in dict.fromkeys(owner[complete].tolist()):
        others = complete & ~np.isnan(y) & (owner != patient)
        groups = np.unique(owner[others], return_inverse=True)[1]
        if not others.any() or groups.max() + 1 < LEAST_PATIENTS:
            continue
        try:
            fit = fit_linear_mixed(x[others], y[others], [groups])
        except OutsideValidity:
            continue
        if fit.converged:
            known = _Others(x[others], fit, int(groups.max()) + 1)
            for row in np.flatnonzero(complete & (owner == patient)):
                found[patient, names[row]] = known.expect(x[row], made.names)
    return found


@frozen(eq=False)
class _Others:
    """The patients a model was fitted to."""

    x: Array
    fit: LinearMixedFit
    patients: int

    def expect(self, x: Array, names: tuple[str, ...]) -> Expected:
        """Predict a new lesion of a new patient: the model's own error, the spread of patients and that of lesions."""
        fit = self.fit
        spread = fit.sd_residual**2 + sum(sd**2 for sd in fit.sd_groups) + x @ fit.covariance @ x
        best = float(x @ fit.coefficients)
        half = float(stats.t.ppf(0.975, self.patients - 1) * np.sqrt(spread))
        outside = (x < self.x.min(axis=0)) | (x > self.x.max(axis=0))
        beyond = tuple(name for name, out in zip(names, outside[1:], strict=True) if out)
        return Expected(best, best - half, best + half, len(self.x), self.patients, beyond)
