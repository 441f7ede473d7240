"""What is to be analysed: one TOML file, `cluster` and a `[[model]]` table each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from math import inf
from typing import Any

import attrs
from attrs import field, frozen

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap, frozen_map

KINDS = ("linear-mixed", "logistic-mixed", "ordinal-mixed", "gee", "cox", "auc", "km", "tcp", "dose-forecast")
OF_TIME = ("cox", "km")
VALIDATION = {"bootstrap": 200, "folds": 5, "repeats": 10}
"""What `validate` may say, and what it is where it does not."""
OF_ONE_COLUMN = {"tcp": "dose [Gy]", "dose-forecast": "uptake before therapy"}
PRIORS = ("prior_d50_gy", "prior_gamma50")
TABLES = ("lesions", "patients", "intervals")
BY_PATIENT = ("patient", "patients", "subject", "cluster")
BY_LESION = ("lesion", "lesions", "row", "rows", "observation", "record")
WHY_NOT_BY_LESION = (
    "lesions of one patient resemble each other, so that a model tested on lesions of patients it has seen looks better than it "
    "is: an area under the curve of .76 by lesion was .61 by patient, and .65 in truth"
)


def _tuple(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _numbers(given: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in given)


def _as_text(given: Mapping[str, Any]) -> FrozenMap[str, str]:
    return FrozenMap(
        {column: f"{value:g}" if isinstance(value, float | int) else value for column, value in given.items()}
    )


def _optional_map(given: Mapping[str, int] | None) -> FrozenMap[str, int] | None:
    return None if given is None else FrozenMap(given)


@frozen
class ModelSpec:
    """One model.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    table
        One of :data:`TABLES`.
    question
        Heading that a report puts it under.
    outcome
        Column; of `cox` and `km` there are `time` and `event` in its place.
    predictors
        Columns, `a:b`, `a*b`, `log(a)`, `log2(a)`, `sqrt(a)`, `rcs(a,3)`, `within(a)`, `between(a)`; of a model of patients also
        `mean(a)`, `max(a)`, `min(a)`, `sum(a)`, `median(a)` over the lesions of each.
    start
        Column with the start of each row's interval, for values that change with time.
    where
        Only rows whose column has this value, `{ landmark = 2 }`; of a model of patients the lesions behind `mean(a)` and the like.
    landmark
        Only those still under observation after this time; with `start`, by the row in force at it, whatever changed later.
    cluster
        In place of that of the whole; a second one is nested in the first: three levels.
    levels
        Order of the categories of an ordered outcome; default: by number or by alphabet.
    reference
        Level that the others of a column are compared with; default: the first by alphabet.
    direction
        Of `auc`: `higher`, `lower`, or `auto`, which takes what the medians say.
    penalty
        Of `cox`: `firth` where events are few, with intervals and p of the penalised likelihood's profile.
    split
        By patient, always.
    family, adjust
        Models of one family are adjusted for each other, by `holm` or `bh` (Benjamini and Hochberg): `p_holm` or `p_bh` of the
        first predictor of each.
    error_cv
        Relative standard error of predictors that are positive columns, `{ dose = 0.25 }`, or the column of their standard
        uncertainties, `{ dose = "dose_sd" }`: the effects are then of the true values, by regression calibration, with
        intervals from a bootstrap of patients.
    curve
        Column along which a linear model gives its expected outcome with an interval, other predictors at their mean.
    validate
        Samples, folds and repeats by which a mixed model of two levels is validated: `{ bootstrap = 200, folds = 5 }`.
    cut_off
        Whether `auc` gives a threshold too, with its spread.
    impute
        Number of imputed sets that a mixed model of two levels of lesions is fitted to as well; 0: complete rows only.
    impute_with, not_imputed
        Further columns that tell of what is missing, and columns whose gaps are left: rows without them stay out.
    delta
        Shifts of imputed outcomes, for the tipping point.
    bayes, prior_sd
        Whether a mixed model of two levels has its posterior beside it; standard deviation of the priors of effects per standard
        deviation of the predictor, in log odds or standard deviations of the outcome, `inf` for flat ones.
    later
        Of `dose-forecast`: columns with the doses of cycles 2, 3 and so on; `outcome` is that of cycle 1.
    prior_d50_gy, prior_gamma50
        Of `tcp`: median and standard deviation of the logarithm.
    bootstrap, seed
        Number of its samples, and what they follow from.
    """

    name: str
    kind: str
    table: str = "lesions"
    question: str = ""
    outcome: str = ""
    predictors: tuple[str, ...] = field(converter=_tuple, default=())
    time: str = ""
    event: str = ""
    start: str = ""
    landmark: float | None = None
    cluster: tuple[str, ...] = field(converter=_tuple, default=())
    levels: tuple[str, ...] = field(converter=_tuple, default=())
    reference: FrozenMap[str, str] = field(converter=frozen_map, factory=FrozenMap)
    direction: str = "auto"
    where: FrozenMap[str, str] = field(converter=_as_text, factory=FrozenMap)
    penalty: str = ""
    split: str = "patient"
    family: str = ""
    adjust: str = "holm"
    error_cv: FrozenMap[str, float | str] = field(converter=frozen_map, factory=FrozenMap)
    curve: str = ""
    validate: FrozenMap[str, int] | None = field(converter=_optional_map, default=None)
    cut_off: bool = False
    impute: int = 0
    impute_with: tuple[str, ...] = field(converter=_tuple, default=())
    not_imputed: tuple[str, ...] = field(converter=_tuple, default=())
    delta: tuple[float, ...] = field(converter=tuple, default=())
    bayes: bool = False
    prior_sd: float = 2.5
    later: tuple[str, ...] = field(converter=_tuple, default=())
    prior_d50_gy: tuple[float, ...] = field(converter=_numbers, default=())
    prior_gamma50: tuple[float, ...] = field(converter=_numbers, default=())
    bootstrap: int = 200
    seed: int = 1


@frozen
class AnalysisSpec:
    """All models of one analysis."""

    cluster: tuple[str, ...] = field(converter=_tuple)
    models: tuple[ModelSpec, ...]
    lesion: str = ""

    def clusters_of(self, model: ModelSpec) -> tuple[str, ...]:
        """Columns of the groups of a model, outermost first."""
        return model.cluster or self.cluster


def parse_spec(text: str, where: str) -> AnalysisSpec:
    """Read and check a specification.

    Raises
    ------
    ProtocolError
        Naming the model and the key; of a split by lesion, with the reason.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"not valid TOML: {error}", where=where) from error
    _refuse_unknown(table, {"cluster", "model", "lesion", "split"}, "", where)
    _refuse_split(table.get("split", "patient"), "", where)
    if not table.get("cluster"):
        raise ProtocolError("no cluster", where=where, required='the column that tells patients apart: cluster = "pat"')
    if not table.get("model"):
        raise ProtocolError("no models", where=where, required="at least one [[model]]")
    models = tuple(_model(row, where) for row in table["model"])
    for family in {model.family for model in models} - {""}:
        if len({model.adjust for model in models if model.family == family}) > 1:
            raise ProtocolError(
                f"family {family!r} is adjusted in two ways", where=where, required="holm or bh for all"
            )
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ProtocolError(f"model {twice[0]!r} more than once", where=where, required="a name each")
    return AnalysisSpec(table["cluster"], models, table.get("lesion", ""))


def _model(row: dict[str, Any], where: str) -> ModelSpec:
    known = {f.name for f in attrs.fields(ModelSpec)}
    of = f"model {row.get('name', 'without a name')!r}: "
    _refuse_unknown(row, known, of, where)
    _refuse_split(row.get("split", "patient"), of, where)
    if missing := [key for key in ("name", "kind") if not row.get(key)]:
        raise ProtocolError(f"{of}no {missing[0]}", where=where, required="name and kind")
    if row["kind"] not in KINDS:
        raise ProtocolError(f"{of}kind {row['kind']!r}", where=where, required=f"one of: {', '.join(KINDS)}")
    if row.get("table", "lesions") not in TABLES:
        raise ProtocolError(f"{of}table {row['table']!r}", where=where, required=f"one of: {', '.join(TABLES)}")
    if row.get("direction", "auto") not in ("auto", "higher", "lower"):
        raise ProtocolError(f"{of}direction {row['direction']!r}", where=where, required="auto, higher or lower")
    if row.get("penalty", "") not in ("", "firth") or (row.get("penalty") and row["kind"] != "cox"):
        raise ProtocolError(f"{of}penalty {row['penalty']!r}", where=where, required="firth, with cox")
    if row.get("adjust", "holm") not in ("holm", "bh"):
        raise ProtocolError(f"{of}adjust {row['adjust']!r}", where=where, required="holm or bh")
    if row.get("curve") and row["kind"] != "linear-mixed":
        raise ProtocolError(f"{of}curve with {row['kind']}", where=where, required="linear-mixed")
    _check_extras(row, of, where)
    _check_one_column(row, of, where)
    _check_priors(row, of, where)
    _check_bayes(row, of, where)
    needed = ("time", "event") if row["kind"] in OF_TIME else ("outcome",)
    if missing := [key for key in needed if not row.get(key)]:
        raise ProtocolError(f"{of}no {missing[0]}", where=where, required=f"{row['kind']} needs {' and '.join(needed)}")
    if row.get("error_cv") and row["kind"] not in ("linear-mixed", "logistic-mixed"):
        raise ProtocolError(f"{of}error_cv with {row['kind']}", where=where, required="linear-mixed or logistic-mixed")
    if strange := sorted(set(row.get("error_cv", {})) - set(row.get("predictors", ()))):
        raise ProtocolError(
            f"{of}error_cv of {strange[0]!r}", where=where, required="columns that are predictors themselves"
        )
    if row["kind"] in ("cox", "auc") and not row.get("predictors"):
        raise ProtocolError(f"{of}no predictors", where=where, required=f"{row['kind']} needs at least one")
    default = {"table": "patients"} if row["kind"] in OF_TIME else {}
    try:
        return ModelSpec(**default | row)
    except TypeError as error:
        raise ProtocolError(f"{of}{error}", where=where) from error


def _check_extras(row: Mapping[str, Any], of: str, where: str) -> None:
    """Refuse what cannot be validated or imputed, or by what."""
    if (wanted := row.get("validate")) is not None:
        if row["kind"] not in ("linear-mixed", "logistic-mixed") or row.get("error_cv"):
            raise ProtocolError(
                f"{of}validate", where=where, required="linear-mixed or logistic-mixed, without error_cv"
            )
        if strange := sorted(set(wanted) - set(VALIDATION)):
            raise ProtocolError(f"{of}validate.{strange[0]}", where=where, required=f"one of: {', '.join(VALIDATION)}")
        if any(not isinstance(v, int) or v < (2 if k == "folds" else 1) for k, v in wanted.items()):
            raise ProtocolError(
                f"{of}validate {dict(wanted)}", where=where, required="whole numbers, at least two folds"
            )
    if row.get("impute"):
        nested = isinstance(row.get("cluster"), list) and len(row["cluster"]) > 1
        of_lesions = row.get("table", "lesions") == "lesions"
        if row["kind"] not in ("linear-mixed", "logistic-mixed") or row.get("error_cv") or nested or not of_lesions:
            need = "linear-mixed or logistic-mixed of lesions with two levels, without error_cv"
            raise ProtocolError(f"{of}impute", where=where, required=need)
        if not isinstance(row["impute"], int) or row["impute"] < 2:
            raise ProtocolError(f"{of}impute {row['impute']}", where=where, required="2 sets or more")
    elif alone := sorted({"impute_with", "not_imputed", "delta"} & set(row)):
        raise ProtocolError(f"{of}{alone[0]} without impute", where=where, required="impute = 20, or more")
    if row.get("cut_off") and row["kind"] != "auc":
        raise ProtocolError(f"{of}cut_off with {row['kind']}", where=where, required="auc")


def _check_one_column(row: Mapping[str, Any], of: str, where: str) -> None:
    """Refuse a sigmoid, or a forecast, of anything but one column of positive numbers."""
    predictors = _tuple(row.get("predictors", ()))
    if row["kind"] in OF_ONE_COLUMN and (len(predictors) != 1 or any(c in predictors[0] for c in "(:*")):
        required = f"one column: the {OF_ONE_COLUMN[row['kind']]}"
        raise ProtocolError(f"{of}predictors {list(predictors)}", where=where, required=required)
    if row.get("later") and row["kind"] != "dose-forecast":
        raise ProtocolError(f"{of}later with {row['kind']}", where=where, required="dose-forecast")


def _check_priors(row: Mapping[str, Any], of: str, where: str) -> None:
    """Refuse a sigmoid without its priors, and priors of anything else."""
    for key in PRIORS:
        given = row.get(key, ())
        if row["kind"] != "tcp":
            if given:
                raise ProtocolError(f"{of}{key} with {row['kind']}", where=where, required="tcp")
        elif not _is_log_normal(given):
            raise ProtocolError(
                f"{of}{key} {given!r}" if given else f"{of}no {key}",
                where=where,
                required="two numbers above 0: median, and standard deviation of the logarithm",
                do="state what was known before; without it these data do not tell the dose",
            )


def _check_bayes(row: Mapping[str, Any], of: str, where: str) -> None:
    """Refuse a posterior of what has none, and priors without a width."""
    if not isinstance(row.get("bayes", False), bool):
        raise ProtocolError(f"{of}bayes {row['bayes']!r}", where=where, required="true or false")
    if row.get("bayes") and row["kind"] not in ("linear-mixed", "logistic-mixed"):
        raise ProtocolError(f"{of}bayes with {row['kind']}", where=where, required="linear-mixed or logistic-mixed")
    if "prior_sd" in row:
        width = row["prior_sd"]
        if not row.get("bayes"):
            raise ProtocolError(f"{of}prior_sd without bayes", where=where, required="bayes = true")
        if not isinstance(width, float | int) or isinstance(width, bool) or not width > 0:
            raise ProtocolError(f"{of}prior_sd {width!r}", where=where, required="a number above 0, or inf")


def _is_log_normal(given: Any) -> bool:
    return (
        isinstance(given, list | tuple)
        and len(given) == 2
        and all(isinstance(v, float | int) and not isinstance(v, bool) and 0 < v < inf for v in given)
    )


def _refuse_unknown(row: dict[str, Any], known: set[str], of: str, where: str) -> None:
    if unknown := sorted(set(row) - known):
        raise ProtocolError(
            f"{of}unknown key {unknown[0]!r}", where=where, required=f"one of: {', '.join(sorted(known))}"
        )


def _refuse_split(split: object, of: str, where: str) -> None:
    word = str(split).lower()
    if word in BY_LESION or (word.startswith("les") and word not in BY_PATIENT):
        raise ProtocolError(
            f"{of}a split by lesion is refused: {WHY_NOT_BY_LESION}", where=where, required='split = "patient"'
        )
    if word not in BY_PATIENT:
        raise ProtocolError(f"{of}split {split!r}", where=where, required='split = "patient"')
