"""Validation by patient: optimism by bootstrap, grouped cross-validation, stability. No split ever divides a patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.errors import OutsideValidity
from lutra.stats import performance
from lutra.stats.resampling import resampled

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Predictor = Callable[[Array], Array]
Fit = Callable[[Codes, Codes], Predictor | None]
"""From rows, and the codes of their patients, to what predicts from the predictors of any row; None where no model came of it."""
Measure = Callable[[Array, Array], Mapping[str, float]]
Progress = Callable[[int, int], None]
"""Told how many samples and repeats are done, and of how many."""
LEAST_SHARE = 0.8
"""Of the samples that must give a model."""
THRESHOLDS = tuple(round(0.05 * n, 2) for n in range(1, 15))


@frozen
class Validation:
    """What a model is worth for patients it has not seen.

    Parameters
    ----------
    apparent
        On the patients it was made of.
    optimism, corrected
        Mean over the samples of what a model seems to be worth on its sample beyond what it is on all; `apparent` less that.
    corrected_95
        Interval of `corrected`: that of the samples' own worth, moved by the optimism.
    cross_validated, cross_validated_range
        Mean over repeats of grouped cross-validation, and the least and greatest of them.
    samples, failed
        Samples asked for, and those that gave no model.
    instability
        Mean over rows, and 95th percentile, of the mean absolute difference of a row's prediction between samples and the model.
    out_of_fold
        Prediction of each row by models that have not seen its patient, mean over repeats. (n,)
    """

    apparent: Mapping[str, float]
    optimism: Mapping[str, float]
    corrected: Mapping[str, float]
    corrected_95: Mapping[str, tuple[float, float]]
    cross_validated: Mapping[str, float]
    cross_validated_range: Mapping[str, tuple[float, float]]
    samples: int
    failed: int
    instability: tuple[float, float]
    out_of_fold: Array


def validate(
    fit: Fit,
    x: Array,
    outcome: Array,
    patients: Codes,
    measure: Measure,
    *,
    samples: int,
    folds: int,
    repeats: int,
    seed: int,
    progress: Progress = lambda _done, _of: None,
) -> Validation:
    """Validate a way of making a model.

    Parameters
    ----------
    fit
        Makes a model of some rows, with everything that depends on the data inside.
    x, outcome, patients
        (n, p), (n,), (n,)
    measure
        Worth of predictions, by name.

    Raises
    ------
    OutsideValidity
        With fewer patients than folds, or too many samples without a model.

    References
    ----------
    [harrell1996] Harrell, Lee and Mark, Stat Med 15:361; [noma2021] Noma et al., Stat Med 40:5691, the interval;
    [riley2023] Riley and Collins, Biom J 65:2200302, instability.
    """
    whole = np.arange(len(outcome))
    model = fit(whole, patients)
    if model is None:
        raise OutsideValidity("the model itself did not converge", required="a model to validate")
    best = model(x)
    apparent = dict(measure(best, outcome))
    rng = np.random.default_rng(seed)
    seeming, true, differences = [], [], []
    for n in range(samples):
        progress(n, samples + repeats)
        rows, codes = resampled(patients, rng)
        predict = fit(rows, codes)
        if predict is None:
            continue
        everywhere = predict(x)
        seeming.append(dict(measure(everywhere[rows], outcome[rows])))
        true.append(dict(measure(everywhere, outcome)))
        differences.append(np.abs(everywhere - best))
    if len(seeming) < LEAST_SHARE * samples:
        raise OutsideValidity(
            f"{len(seeming)} of {samples} samples of patients give a model",
            required=f"{LEAST_SHARE:.0%} of them",
            do="leave predictors out",
        )
    optimism, corrected, interval = {}, {}, {}
    for name, value in apparent.items():
        own, others = np.array([s[name] for s in seeming]), np.array([t[name] for t in true])
        optimism[name] = _mean(own - others)
        corrected[name] = value - optimism[name]
        known = own[~np.isnan(own)]
        low, high = np.quantile(known, (0.025, 0.975)) - optimism[name] if known.size else (np.nan, np.nan)
        interval[name] = (float(low), float(high))
    held_out = []
    for n in range(repeats):
        progress(samples + n, samples + repeats)
        held_out.append(_cross_validated(fit, x, patients, folds, rng))
    progress(samples + repeats, samples + repeats)
    each = [dict(measure(p, outcome)) for p in held_out]
    instability = np.mean(differences, axis=0)
    return Validation(
        apparent,
        optimism,
        corrected,
        interval,
        {name: _mean(np.array([e[name] for e in each])) for name in apparent},
        {name: _range([e[name] for e in each]) for name in apparent},
        samples,
        samples - len(seeming),
        (float(instability.mean()), float(np.quantile(instability, 0.95))),
        np.mean(held_out, axis=0),
    )


def _mean(values: Array) -> float:
    """Mean of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _range(values: Sequence[float]) -> tuple[float, float]:
    known = [v for v in values if not np.isnan(v)] or [float("nan")]
    return min(known), max(known)


def folds_by_patient(patients: Codes, folds: int, rng: np.random.Generator) -> Iterator[tuple[Codes, Codes]]:
    """Give the rows to fit and to predict of each fold; patients are shuffled, and never divided.

    Raises
    ------
    OutsideValidity
        With fewer patients than folds.
    """
    known = rng.permutation(np.unique(patients))
    if len(known) < folds:
        raise OutsideValidity(
            f"{len(known)} patients for {folds} folds", required="a patient in each", do="ask for fewer"
        )
    for held in np.array_split(known, folds):
        out = np.isin(patients, held)
        yield np.flatnonzero(~out), np.flatnonzero(out)


def refuse_divided_patients(to_fit: Sequence[object], to_predict: Sequence[object]) -> None:
    """Raise if a split puts rows of one patient on both sides.

    Raises
    ------
    OutsideValidity
        Naming a patient.
    """
    both = sorted({str(p) for p in to_fit} & {str(p) for p in to_predict})
    if both:
        raise OutsideValidity(
            f"patient {both[0]} is on both sides of a split, and {len(both) - 1} others",
            required="splits by patient: lesions of one patient resemble each other, so that a model looks better than it is",
        )


def _cross_validated(fit: Fit, x: Array, patients: Codes, folds: int, rng: np.random.Generator) -> Array:
    found = np.empty(len(x))
    for to_fit, held in folds_by_patient(patients, folds, rng):
        refuse_divided_patients(patients[to_fit].tolist(), patients[held].tolist())
        predict = fit(to_fit, patients[to_fit])
        if predict is None:
            raise OutsideValidity(
                "a fold gives no model", required="a model of each", do="leave predictors out, or fewer folds"
            )
        found[held] = predict(x[held])
    return found


def calibration_curve(
    probability: Array, outcome: Array, patients: Codes, seed: int, samples: int = 200, groups: int = 5
) -> list[dict[str, object]]:
    """Observed share against mean probability by groups, with intervals from a bootstrap of patients."""
    edges = np.array([p.max() for p, _ in performance.calibration_groups(probability, outcome, groups)])
    place = np.searchsorted(edges, probability)
    rng = np.random.default_rng(seed)
    draws = np.full((samples, len(edges)), np.nan)
    for n in range(samples):
        rows, _ = resampled(patients, rng)
        for g in range(len(edges)):
            inside = rows[place[rows] == g]
            if inside.size:
                draws[n, g] = outcome[inside].mean()
    found: list[dict[str, object]] = []
    for g in range(len(edges)):
        inside = place == g
        low, high = np.nanquantile(draws[:, g], (0.025, 0.975))
        found.append(
            {
                "predicted": float(probability[inside].mean()),
                "observed": float(outcome[inside].mean()),
                "n": int(inside.sum()),
                "ci95": [float(low), float(high)],
            }
        )
    return found


@frozen
class CutOff:
    """A threshold of a mark by the largest sum of sensitivity and specificity, and how it wanders.

    Parameters
    ----------
    value, value_95
        In the unit of the mark; 95 % of the thresholds of samples of patients.
    sensitivity, specificity
        As they seem, and corrected for having been chosen on the same lesions. [1]
    samples, failed
        Samples asked for, and those with one outcome only, which have no threshold.
    """

    value: float
    value_95: tuple[float, float]
    sensitivity: float
    specificity: float
    sensitivity_corrected: float
    specificity_corrected: float
    samples: int
    failed: int


def cut_off(marks: Array, outcome: Array, patients: Codes, *, higher: bool, samples: int, seed: int) -> CutOff:
    """Choose a threshold, with a bootstrap of patients for its spread and its optimism. [youden1950] Cancer 3:32."""
    sign = 1.0 if higher else -1.0
    value = _youden(sign * marks, outcome)
    apparent = _rates(sign * marks, outcome, value)
    rng = np.random.default_rng(seed)
    values, optimism = [], []
    for _ in range(samples):
        rows, _ = resampled(patients, rng)
        if len(np.unique(outcome[rows])) < 2:
            continue
        own = _youden(sign * marks[rows], outcome[rows])
        values.append(own)
        on_sample, on_all = _rates(sign * marks[rows], outcome[rows], own), _rates(sign * marks, outcome, own)
        optimism.append([a - b for a, b in zip(on_sample, on_all, strict=True)])
    if len(values) < LEAST_SHARE * samples:
        raise OutsideValidity("most samples of patients have one outcome only", required="more events")
    ends = np.quantile(sign * np.array(values), (0.025, 0.975))
    less = np.mean(optimism, axis=0)
    return CutOff(
        float(sign * value),
        (float(ends[0]), float(ends[1])),
        *apparent,
        float(apparent[0] - less[0]),
        float(apparent[1] - less[1]),
        samples,
        samples - len(values),
    )


def _youden(marks: Array, outcome: Array) -> float:
    cuts = np.unique(marks)
    scores = [sum(_rates(marks, outcome, cut)) for cut in cuts]
    return float(cuts[int(np.argmax(scores))])


def _rates(marks: Array, outcome: Array, cut: float) -> tuple[float, float]:
    return float((marks[outcome == 1] >= cut).mean()), float((marks[outcome == 0] < cut).mean())
