"""A model of who responds, made from tables, kept as a file, and used for new patients."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra import __version__
from lutra.core.data_table import DataTable
from lutra.core.errors import InputError, OutsideValidity, ProtocolError
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.ingest.data_table import read_data_table
from lutra.pipeline.given_files import text_of
from lutra.predict.design import Source, design
from lutra.predict.patient_model import (
    PatientModel,
    PatientPrediction,
    fit_patient_model,
    mean_lesion_probability,
    predict_patient,
    response_probability,
)
from lutra.predict.validated import validation_numbers
from lutra.response.recist.rules import choose_targets
from lutra.stats import performance
from lutra.stats.validation import THRESHOLDS, Codes, Predictor, Progress, Validation, calibration_curve, validate

Array = npt.NDArray[np.float64]
FORMAT = "lutra-patient-model-1"
LEAST_RESPONSES = 5
"""Of responses and of others, below which a validation says nothing."""


def _tuple(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


@frozen
class PatientModelSpec:
    """What the model is made of.

    Parameters
    ----------
    cluster
        Column of patients, in both tables.
    outcome, predictors
        Of lesions: log ratio of the diameter, and terms as in :class:`lutra.predict.ModelSpec`.
    before, organ
        Columns of lesions that RECIST chooses targets by: diameter before [mm], and site (`node` has its own minimum).
    response
        Column of patients with 1 for CR or PR: what predictions are validated against.
    new_lesion, new_lesion_predictors
        Column of patients with 1 for a new lesion, and terms it is predicted from; without them there is no such arm.
    bootstrap, folds, repeats, seed
        Of the validation; `bootstrap = 0` leaves it out.
    """

    cluster: str
    outcome: str
    predictors: tuple[str, ...] = field(converter=_tuple)
    before: str
    organ: str
    response: str
    new_lesion: str = ""
    new_lesion_predictors: tuple[str, ...] = field(converter=_tuple, default=())
    bootstrap: int = 200
    folds: int = 5
    repeats: int = 10
    seed: int = 1


@frozen(eq=False)
class _Patients:
    """Targets and arm predictors of patients, in one order."""

    names: tuple[str, ...]
    targets: tuple[tuple[Array, Array], ...]
    left_out: tuple[int, ...]
    arm: Array | None


def parse_patient_model_spec(text: str, where: str) -> PatientModelSpec:
    """Read `[patient_model]` of a specification.

    Raises
    ------
    ProtocolError
        Naming the key.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"not valid TOML: {error}", where=where) from error
    row = {"cluster": given.get("cluster"), **given.get("patient_model", {})}
    fields = attrs.fields(PatientModelSpec)
    if unknown := sorted(set(row) - {f.name for f in fields}):
        raise ProtocolError(
            f"unknown key {unknown[0]!r}", where=where, required=f"one of: {', '.join(f.name for f in fields)}"
        )
    needed = [f.name for f in fields if f.default is attrs.NOTHING]
    if missing := [name for name in needed if not row.get(name)]:
        raise ProtocolError(f"no {missing[0]}", where=f"{where}, patient_model", required=", ".join(needed))
    least = {"bootstrap": 0, "folds": 2, "repeats": 1, "seed": 0}
    for name, value in least.items():
        if name in row and (type(row[name]) is not int or row[name] < value):
            raise ProtocolError(f"{name} of {row[name]!r}", where=where, required=f"a whole number of {value} or more")
    return PatientModelSpec(**row)


def make_patient_model(
    lesions: Path, patients: Path, spec: Path, progress: Progress = lambda _done, _of: None
) -> dict[str, Any]:
    """Fit and validate the model, and give it as plain data to be kept.

    A model that cannot be validated is kept all the same, with `predict.not-validated`.

    Raises
    ------
    ProtocolError, InputError
        If specification or tables are not right.
    OutsideValidity
        If no model comes of them.
    """
    asked = parse_patient_model_spec(text_of(spec), str(spec))
    lesion_table, patient_table = read_data_table(lesions), read_data_table(patients)
    fitting = _Fitting.of(asked, lesion_table, patient_table)
    model = fitting.model(np.arange(len(fitting.people.names)))
    if model is None:
        raise OutsideValidity("the lesion model did not converge", required="fewer predictors, or more patients")
    kept: dict[str, Any] = {
        "format": FORMAT,
        "lutra": __version__,
        "spec": attrs.asdict(asked),
        "tables": {t.name.rpartition("/")[2]: t.digest for t in (lesion_table, patient_table)},
        "n": {"lesions": len(fitting.y), "patients": len(np.unique(fitting.owner))},
        "model": {name: _plain(value) for name, value in attrs.asdict(model, recurse=False).items()},
    }
    validation, findings = fitting.validation(progress)
    kept["validation"] = validation
    kept["findings"] = [{"severity": f.severity.value, "code": f.code, "text": f.text} for f in findings]
    return kept


@frozen(eq=False)
class _Fitting:
    """Rows of the tables, ready to be fitted again and again."""

    spec: PatientModelSpec
    x: Array
    y: Array
    owner: Codes
    people: _Patients
    new_lesion: Array | None
    response: Array

    @classmethod
    def of(cls, spec: PatientModelSpec, lesions: DataTable, patients: DataTable) -> _Fitting:
        x = design(Source(lesions, spec.cluster), spec.predictors).columns
        y = lesions.numbers(spec.outcome)
        people = _patients(spec, lesions, patients, x)
        place = {name: n for n, name in enumerate(people.names)}
        owner = np.array([place.get(name, -1) for name in lesions.text(spec.cluster)])
        whole = ~np.isnan(x).any(axis=1) & ~np.isnan(y) & (owner >= 0)
        new = patients.numbers(spec.new_lesion) if spec.new_lesion else None
        return cls(spec, x[whole], y[whole], owner[whole], people, new, patients.numbers(spec.response))

    def model(self, chosen: Codes) -> PatientModel | None:
        """Fit on some patients, one drawn twice counting twice; None where it does not converge."""
        of = [np.flatnonzero(self.owner == patient) for patient in chosen]
        rows = np.concatenate(of)
        codes = np.repeat(np.arange(len(of)), [len(r) for r in of])
        arm, new = self.people.arm, self.new_lesion
        known = chosen
        if arm is not None and new is not None:
            known = chosen[~np.isnan(arm[chosen]).any(axis=1) & ~np.isnan(new[chosen])]
        try:
            return fit_patient_model(
                self.spec.predictors,
                self.x[rows],
                self.y[rows],
                codes,
                None if arm is None else arm[known],
                None if new is None else new[known],
            )
        except OutsideValidity:
            return None

    def validation(self, progress: Progress) -> tuple[dict[str, Any] | None, tuple[Finding, ...]]:
        """Validate by patient: the model, and the comparator that was fixed in advance."""
        if not self.spec.bootstrap:
            return None, ()
        usable = np.array(
            [n for n, (x, _) in enumerate(self.people.targets) if len(x) and not np.isnan(self.response[n])]
        )
        outcome = self.response[usable]
        events = int(outcome.sum())
        if min(events, len(outcome) - events) < LEAST_RESPONSES:
            text = f"{events} of {len(outcome)} patients respond: too few to validate the model on"
            return None, (Finding(Severity.UNDETERMINED, "predict.not-validated", text),)
        found = {}
        both = (("model", self._response), ("mean_lesion_probability", self._comparator))
        for n, (name, probability) in enumerate(both):

            def told(done: int, of: int, n: int = n) -> None:
                progress(n * of + done, len(both) * of)

            try:
                found[name] = self._validated(usable, outcome, probability, told)
            except OutsideValidity as error:
                doubt = Finding(Severity.UNDETERMINED, "predict.not-validated", f"{name}: not validated: {error}")
                return None, (doubt,)
        return {"patients": len(outcome), "responses": events, **found}, ()

    def _validated(self, usable: Codes, outcome: Array, probability: Any, progress: Progress) -> dict[str, Any]:
        def fit(rows: Codes, codes: Codes) -> Predictor | None:  # noqa: ARG001  (a patient is a row here)
            model = self.model(usable[rows])
            return None if model is None else (lambda x: np.array([probability(model, int(n)) for n in x[:, 0]]))

        spec = self.spec
        result = validate(
            fit,
            usable[:, None].astype(float),
            outcome,
            np.arange(len(usable)),
            performance.of_probabilities,
            samples=spec.bootstrap,
            folds=spec.folds,
            repeats=spec.repeats,
            seed=spec.seed,
            progress=progress,
        )
        return _as_plain(result, outcome, spec.seed)

    def _response(self, model: PatientModel, n: int) -> float:
        x, before = self.people.targets[n]
        return response_probability(model, x, before, self.spec.seed + n, _arm_of(self.people, n))

    def _comparator(self, model: PatientModel, n: int) -> float:
        return mean_lesion_probability(model, self.people.targets[n][0])


def _as_plain(result: Validation, outcome: Array, seed: int) -> dict[str, Any]:
    held, people = result.out_of_fold, np.arange(len(outcome))
    return {
        **validation_numbers(result),
        "calibration_curve": calibration_curve(held, outcome, people, seed, groups=4),
        "decision_curve": performance.net_benefit(held, outcome, THRESHOLDS),
    }


def _patients(spec: PatientModelSpec, lesions: DataTable, patients: DataTable, x: Array) -> _Patients:
    """Targets by RECIST of every patient, of those lesions that have every predictor."""
    names = patients.text(spec.cluster)
    before, organ, owner = lesions.numbers(spec.before), lesions.text(spec.organ), np.array(lesions.text(spec.cluster))
    targets, left_out = [], []
    for name in names:
        own = np.flatnonzero(owner == name)
        known = [k for k in own if not np.isnan(before[k])]
        chosen = choose_targets([(str(k), organ[k], float(before[k]), True) for k in known])
        whole = np.array([int(k) for k in chosen if not np.isnan(x[int(k)]).any()], dtype=int)
        targets.append((x[whole], before[whole]))
        left_out.append(len(chosen) - len(whole))
    arm = None
    if spec.new_lesion_predictors:
        arm = design(Source(patients, spec.cluster, lesions), spec.new_lesion_predictors).columns
    return _Patients(tuple(names), tuple(targets), tuple(left_out), arm)


def _arm_of(people: _Patients, n: int) -> Array | None:
    if people.arm is None or np.isnan(people.arm[n]).any():
        return None
    return np.asarray(people.arm[n])


# ---- use ----
def predict_new_patients(
    kept: Mapping[str, Any], lesions: DataTable, patients: DataTable | None = None
) -> tuple[tuple[str, PatientPrediction | None, tuple[Finding, ...]], ...]:
    """Predict every patient of a table of lesions.

    Parameters
    ----------
    kept
        As :func:`make_patient_model` gives it.
    patients
        Where the arm of new lesions needs columns of its own.

    Raises
    ------
    InputError
        If a column of the model is not in the tables, or a patient of the lesions not in that of patients.
    """
    row = dict(kept["spec"])
    spec = PatientModelSpec(**row)
    model = PatientModel(**{name: _restored(value) for name, value in kept["model"].items()})
    names = tuple(dict.fromkeys(lesions.text(spec.cluster)))
    if patients is not None and (strange := sorted(set(names) - set(patients.text(spec.cluster)))):
        raise InputError(
            f"patient {strange[0]} has lesions but no row, and {len(strange) - 1} others",
            where=patients.name,
            required="a row of every patient of the lesions",
        )
    people = patients or DataTable(lesions.name, FrozenMap({spec.cluster: names}))
    x = design(Source(lesions, spec.cluster), spec.predictors).columns
    found = _patients(spec, lesions, people, x)
    results = []
    for n, name in enumerate(found.names):
        own, before = found.targets[n]
        outcome = predict_patient(model, own, before, spec.seed + n, _arm_of(found, n))
        doubts = outcome.findings
        if outcome.value is not None and (missing := found.left_out[n]):
            text = f"{missing} target lesions of {name} lack a predictor: the sum is predicted without them"
            doubts = (*doubts, Finding(Severity.WARNING, "predict.targets-left-out", text))
        results.append((name, outcome.value, doubts))
    return tuple(results)


def read_patient_model(path: Path) -> dict[str, Any]:
    """Read a model that was kept.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read: {error}", where=str(path), do="make it with lutra patient-model fit"
        ) from error
    if not isinstance(kept, dict) or kept.get("format") != FORMAT:
        raise InputError("not a model of patients", where=str(path), required=f'"format": "{FORMAT}"')
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value) if value and isinstance(value[0], str) else np.array(value, dtype=float)
    return value
