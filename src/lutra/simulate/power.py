"""Power, type I error and coverage of the primary analysis of a planned study, on tables of virtual trials."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import attrs
import numpy as np
from attrs import evolve, field, frozen

from lutra.core.errors import OutsideValidity, ProtocolError
from lutra.simulate.table_trial import TableTrial, TrialTables, simulate_tables
from lutra.stats.linear_mixed import fit_linear_mixed, robust_covariance, t_interval
from lutra.stats.measurement_error import expected_truth

OBSERVED = {"x_dose": "dose_obs", "x_fdg": "fdg_obs", "x_adc": "adc_obs"}
"""Columns with what is missing; SSTR is always there."""
EFFECTS = {"x_dose": "dose", "x_fdg": "fdg", "x_sstr": "sstr", "x_adc": "adc"}
CHUNK = 10


@frozen
class PowerSpec:
    """What is planned.

    Parameters
    ----------
    patients
        Numbers to try.
    predictors
        Of the primary model, together.
    replicates
        Trials per number of patients.
    alpha
        Two-sided level.
    correct_dose
        Whether the dose is calibrated for its error before it is used.
    """

    trial: TableTrial = field(factory=TableTrial)
    patients: tuple[int, ...] = (50,)
    predictors: tuple[str, ...] = ("x_dose", "x_fdg", "x_adc")
    replicates: int = 400
    alpha: float = 0.05
    seed: int = 1
    correct_dose: bool = False


@frozen
class Operating:
    """How the analysis does for one predictor and number of patients.

    Parameters
    ----------
    truth
        Effect that was simulated.
    rejected
        Share of trials in which it was found: power, or of no effect the type I error.
    mean, coverage
        Mean estimate, and share of 95 % intervals that hold the truth.
    coverage_robust
        The same of intervals that do without the variances of the model.
    fitted
        Trials that gave a model.
    """

    patients: int
    predictor: str
    truth: float
    rejected: float
    mean: float
    coverage: float
    coverage_robust: float
    fitted: int


def parse_power_spec(text: str, where: str) -> PowerSpec:
    """Read a specification: keys of :class:`PowerSpec`, and `[trial]` with those of :class:`TableTrial`.

    Raises
    ------
    ProtocolError
        For a key nobody knows, or a value that cannot be.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"not valid TOML: {error}", where=where) from error
    given = dict(table)
    trial = given.pop("trial", {})
    for kind, keys, of in ((PowerSpec, given, ""), (TableTrial, trial, "trial.")):
        known = {f.name for f in attrs.fields(kind)}
        if unknown := sorted(set(keys) - known):
            raise ProtocolError(
                f"unknown key {of}{unknown[0]}", where=where, required=f"one of: {', '.join(sorted(known))}"
            )
    if isinstance(given.get("patients"), int):
        given["patients"] = [given["patients"]]
    for name in ("patients", "predictors"):
        if name in given:
            given[name] = tuple(given[name])
    spec = PowerSpec(TableTrial(**trial), **given)
    if strange := [p for p in spec.predictors if p not in EFFECTS]:
        raise ProtocolError(f"predictor {strange[0]!r}", where=where, required=f"one of: {', '.join(EFFECTS)}")
    if spec.replicates < 1 or not spec.patients or min(spec.patients) < 3 or not 0 < spec.alpha < 1:
        raise ProtocolError(
            "an impossible plan", where=where, required="replicates, at least 3 patients, alpha between 0 and 1"
        )
    return spec


def operating_characteristics(
    spec: PowerSpec, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> tuple[Operating, ...]:
    """Simulate and analyse; the same numbers for any number of workers."""
    jobs = [(spec, n, first) for n in spec.patients for first in range(0, spec.replicates, CHUNK)]
    found: dict[int, list[Any]] = {n: [] for n in spec.patients}
    for done, ((_, n, _), results) in enumerate(zip(jobs, _each(jobs, workers), strict=True), start=1):
        found[n] += results
        if progress:
            progress(done, len(jobs))
    return tuple(o for n in spec.patients for o in _summed_up(spec, n, [r for r in found[n] if r is not None]))


def _each(jobs: Sequence[tuple[PowerSpec, int, int]], workers: int) -> Iterator[list[Any]]:
    if workers < 2:
        yield from (_chunk(job) for job in jobs)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(_chunk, jobs)


def _chunk(job: tuple[PowerSpec, int, int]) -> list[Any]:
    spec, patients, first = job
    last = min(first + CHUNK, spec.replicates)
    trial = evolve(spec.trial, patients=patients)
    return [_analysed(spec, simulate_tables(trial, spec.seed * 1_000_003 + n)) for n in range(first, last)]


def _analysed(spec: PowerSpec, tables: TrialTables) -> tuple[np.ndarray, ...] | None:
    """Estimate, interval, p and robust interval of every predictor by the primary model; None where there is none."""
    lesions = tables.lesions
    columns = {name: np.asarray(lesions[OBSERVED.get(name, name)], float) for name in spec.predictors}
    whole = ~np.any(np.isnan(np.column_stack(list(columns.values()))), axis=1)
    x = {name: values[whole] for name, values in columns.items()}
    groups = np.unique(np.asarray(lesions["pat"])[whole], return_inverse=True)[1]
    try:
        if spec.correct_dose and "x_dose" in x:
            others = [values for name, values in x.items() if name != "x_dose"]
            truth = expected_truth(
                np.asarray(lesions["dose"], float)[whole],
                groups,
                spec.trial.dose_cv,
                np.column_stack(others) if others else None,
            )
            x["x_dose"] = (truth - 80.0) / 50.0
        design = np.column_stack([np.ones(int(whole.sum())), *x.values()])
        fit = fit_linear_mixed(design, np.asarray(lesions["y"], float)[whole], [groups])
    except OutsideValidity:
        return None
    low, high, p = t_interval(fit.coefficients, fit.se, fit.df)
    se = np.sqrt(np.diag(robust_covariance(design, np.asarray(lesions["y"], float)[whole], [groups], fit)))
    free = np.full(len(se), float(max(len(np.unique(groups)) - len(se), 1)))
    robust = t_interval(fit.coefficients, se, free)
    found = (fit.coefficients, low, high, p, robust[0], robust[1])
    return tuple(values[1:] for values in found) if fit.converged else None


def _summed_up(spec: PowerSpec, patients: int, results: Sequence[Any]) -> Iterator[Operating]:
    for n, name in enumerate(spec.predictors):
        truth = float(getattr(spec.trial, EFFECTS[name]))
        if not results:
            yield Operating(patients, name, truth, *(float("nan"),) * 4, 0)
            continue
        b, low, high, p, robust_low, robust_high = (np.array([r[k][n] for r in results]) for k in range(6))
        held = float(((low <= truth) & (truth <= high)).mean())
        robust = float(((robust_low <= truth) & (truth <= robust_high)).mean())
        found = float((p < spec.alpha).mean())
        yield Operating(patients, name, truth, found, float(b.mean()), held, robust, len(results))
