"""What a model says, in sentences: a null result as plainly as a finding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import exp, floor, log10
from typing import Any

from attrs import frozen

from lutra.predict.result import Coefficient, ModelResult
from lutra.predict.spec import ModelSpec

ALPHA = 0.05
RATIO_OF = {"logistic-mixed": "odds ratio", "gee": "odds ratio", "ordinal-mixed": "odds ratio", "cox": "hazard ratio"}
PER = {"log2": "per doubling", "log": "per e-fold", "log10": "per tenfold", "sqrt": "per unit of its root"}
PART = {"within": "within patients", "between": "between patients"}
OF = {"mean": "mean", "max": "largest", "min": "smallest", "sum": "sum of", "median": "median"}
INTERCEPT = "(Intercept)"


@frozen
class Effect:
    """One effect of a model in words and on its natural scale.

    Parameters
    ----------
    label, per
        `FDG SUVmax`, `per doubling`.
    scale
        `%` change of the outcome, `odds ratio`, `hazard ratio`, or empty: the unit of the outcome.
    value, low, high
        On that scale.
    per_sd
        Coefficient and its interval times the standard deviation of the predictor, on the scale of the model: comparable.
    p, adjusted
        `adjusted` for the family, of the first predictor of its models.
    """

    name: str
    label: str
    per: str
    scale: str
    value: float
    low: float
    high: float
    per_sd: tuple[float, float, float]
    p: float | None
    adjusted: float | None = None


def label_of(term: str, labels: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Give a term of a model in words, and per what its effect is. `labels` are label and unit by column."""
    call = re.match(r"^(\w+)\((.+)\)$", term)
    if call:
        function, inner = call[1], call[2]
        if function in PER:
            return label_of(inner, labels)[0], PER[function]
        if function in PART:
            label, per = label_of(inner, labels)
            return f"{label}, {PART[function]}", per
        if function in OF:
            label, per = label_of(inner, labels)
            return f"{OF[function]} {label}", per
    bare = term.rstrip("'")
    label, unit = labels.get(bare, (bare.replace("_", " "), ""))
    bends = len(term) - len(bare)
    return label + (f", bend {bends}" if bends else ""), f"per {unit}" if unit else "per unit"


def effects(model: ModelSpec, result: ModelResult, labels: Mapping[str, tuple[str, str]]) -> tuple[Effect, ...]:
    """Give every effect but intercept and thresholds."""
    if model.kind == "tcp":  # its coefficients are a dose and a slope, not effects
        return ()
    spreads = result.numbers.get("sd_predictors", {})
    adjusted = result.numbers.get("p_holm", result.numbers.get("p_bh"))
    found = []
    for name, c in result.coefficients.items():
        if name == INTERCEPT or "|" in name:
            continue
        label, unit = label_of(name, labels)
        scale, sd = scale_of(model), spreads.get(name, 1.0)
        step, per = _step(unit, sd)
        low, high, p = _interval(c)
        value, lower, upper = (_scaled(b * step, scale) for b in (c.estimate, low, high))
        own = adjusted if model.predictors and name == model.predictors[0] else None
        per_sd = (c.estimate * sd, low * sd, high * sd)
        found.append(Effect(name, label, per, scale, value, lower, upper, per_sd, p, own))
    return tuple(found)


def _step(unit: str, sd: float) -> tuple[float, str]:
    """Choose the step of a predictor that its effect is told for: a power of ten that lesions do differ by."""
    if unit in PER.values():
        return 1.0, unit
    step = 10.0 ** floor(log10(sd)) if sd > 0 else 1.0
    words = unit.removeprefix("per ").removeprefix("unit").replace("10^-3", "× 10⁻³").replace("mm2", "mm²")
    return step, f"per {step:g} {words}".strip()


def _interval(c: Coefficient) -> tuple[float, float, float | None]:
    """Give the interval and p of an effect, corrected for few patients where that was done."""
    if c.small_sample is not None:
        low, high = c.small_sample["ci95"]
        return low, high, c.small_sample["p"]
    return (*c.ci95, c.p)


def scale_of(model: ModelSpec) -> str:
    """Scale that the effects of a model are told on."""
    if model.kind in RATIO_OF:
        return RATIO_OF[model.kind]
    return "%" if model.outcome.startswith("log_") or model.kind == "dose-forecast" else ""


def _scaled(b: float, scale: str) -> float:
    if scale == "":
        return b
    ratio = exp(min(b, 700.0))
    return 100 * (ratio - 1) if scale == "%" else ratio


def statement(model: ModelSpec, result: ModelResult, labels: Mapping[str, tuple[str, str]]) -> str:
    """Say what the first effects of a model are, whether they are shown or not, and what the interval leaves open."""
    if not result.converged:
        why = result.findings[-1].text if result.findings else "the model gave no result"
        return f"No result: {why.removeprefix(f'{model.name}: ')}"
    if model.kind == "km":
        return _survival(result)
    if model.kind == "auc":
        return _areas(result, labels)
    if model.kind == "tcp":
        return _tumour_control(result)
    found = effects(model, result, labels)
    shown, others = [e for e in found if _is_shown(e)], [e for e in found if not _is_shown(e)]
    said = [f"{'; '.join(map(_words, shown))}."] if shown else []
    said += [f"No relation shown: {'; '.join(map(_words, others))}."] if others else []
    said += _posterior(model, result, labels)
    said += _imputed(found, result.numbers.get("imputed"))
    said += _falls(result.numbers.get("later"))
    said += _validated(result.numbers.get("validation"))
    return " ".join(said)


def _is_shown(e: Effect) -> bool:
    p = e.adjusted if e.adjusted is not None else e.p
    return p is not None and p < ALPHA


def _words(e: Effect) -> str:
    p = e.adjusted if e.adjusted is not None else e.p
    scale = f"{e.scale} " if e.scale not in ("", "%") else ""
    by = "" if e.adjusted is None else " in its family"
    tail = "" if p is None else f"; {p_text(p)}{by}"
    interval = f"{amount(e.low, e.scale)} to {amount(e.high, e.scale)}"
    return f"{e.label} {e.per}, {scale}{amount(e.value, e.scale)} (95 %: {interval}{tail})"


def _posterior(model: ModelSpec, result: ModelResult, labels: Mapping[str, tuple[str, str]]) -> list[str]:
    """Say what the effects are after the priors, in the same steps."""
    posterior = result.numbers.get("posterior")
    if posterior is None:
        return []
    spreads, scale = result.numbers.get("sd_predictors", {}), scale_of(model)
    said = []
    for name in result.coefficients:
        own = posterior["parameters"].get(name)
        if own is None or name == INTERCEPT:
            continue
        label, unit = label_of(name, labels)
        step, per = _step(unit, spreads.get(name, 1.0))
        mean, low, high = (amount(_scaled(b * step, scale), scale) for b in (own["mean"], *own["ci95"]))
        said.append(f"{label} {per}, {mean} ({low} to {high})")
    return [f"Posterior: {'; '.join(said)}."] if said else []


def _imputed(found: Sequence[Effect], imputed: Mapping[str, Any] | None) -> list[str]:
    """Say whether imputed sets agree with complete rows, and from which shift of imputed outcomes on they would not."""
    if imputed is None:
        return []
    shown = {e.name: e.p is not None and e.p < ALPHA for e in found}
    others = [
        f"{e.label} ({p_text(imputed['coefficients'][e.name]['p'])})"
        for e in found
        if (imputed["coefficients"][e.name]["p"] < ALPHA) != shown[e.name]
    ]
    said = f"In {imputed['m']} imputed sets of {imputed['n']} lesions "
    said += f"the other conclusion is drawn of {'; '.join(others)}." if others else "the same is shown and not shown."
    turns = [
        f"{label_of(name, {})[0]} at a shift of {at:g}"
        for name, at in (imputed.get("tipping") or {}).items()
        if at is not None
    ]
    return [said, *([f"Shifted outcomes turn {'; '.join(turns)}."] if turns else [])]


def _falls(later: Mapping[str, Any] | None) -> list[str]:
    """Say how doses change from cycle to cycle."""
    if later is None:
        return []
    low, high = (100 * end for end in later["ci95"])
    text = f"The dose falls by {100 * later['fall_per_cycle']:.1f} % per cycle (95 %: {low:.1f} to {high:.1f} %)."
    return [text.replace("-", "−")]


def _validated(validation: Mapping[str, Any] | None) -> list[str]:
    """Say what the model is worth for patients it has not seen."""
    if validation is None:
        return []
    name, words = (
        ("auc", "area under the ROC curve") if "auc" in validation["corrected"] else ("r2", "explained variance")
    )
    corrected, ends, held = (validation[k][name] for k in ("corrected", "corrected_ci95", "cross_validated"))
    if corrected is None or ends is None or held is None:
        return ["Its worth for new patients could not be determined."]
    slope = validation["corrected"]["slope"]
    tail = "" if slope is None else f", calibration slope {slope:.2f}"
    return [
        f"For new patients: {words} {corrected:.2f} ({ends[0]:.2f} to {ends[1]:.2f}), cross-validated {held:.2f}{tail}."
    ]


def _survival(result: ModelResult) -> str:
    median, events = result.numbers.get("median"), result.numbers.get("events", 0)
    half = f"median {median:.0f} days" if isinstance(median, float | int) else "median not reached"
    return f"{result.n} patients, {events} events; {half}."


def _tumour_control(result: ModelResult) -> str:
    d50, gamma = (result.coefficients[name] for name in ("d50_gy", "gamma50"))
    low, high = result.numbers["d50_without_prior_ci95"]
    without = f"{low:.0f} to {high:.0f} Gy" if high is not None else "no bounds"
    return (
        f"Exploratory: an even chance of control at {d50.estimate:.0f} Gy (95 %, with the prior: {d50.ci95[0]:.0f} to "
        f"{d50.ci95[1]:.0f} Gy; without it: {without}), gamma50 {gamma.estimate:.2f} ({gamma.ci95[0]:.2f} to {gamma.ci95[1]:.2f})."
    )


def _areas(result: ModelResult, labels: Mapping[str, tuple[str, str]]) -> str:
    each = result.numbers.get("predictors") or {"": result.numbers}
    said = []
    for name, area in each.items():
        label = label_of(name, labels)[0] if name else "area"
        interval = area.get("ci95")
        band = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else " (interval not determined)"
        apart = "" if interval and (interval[0] > 0.5 or interval[1] < 0.5) else ", not shown to differ from chance"
        said.append(f"{label} {area['estimate']:.2f}{band}{apart}")
    return f"Area under the ROC curve, 95 % clustered by patient: {'; '.join(said)}."


def amount(value: float, scale: str) -> str:
    """Write an effect on its scale."""
    if abs(value) >= 1e4:
        return "beyond measure"
    if scale == "%":
        return f"{value:+.1f} %".replace("-", "−") if abs(value) < 9.95 else f"{value:+.0f} %".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def p_text(p: float) -> str:
    """Write a p value."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def equation(model: ModelSpec, result: ModelResult) -> str:
    """Write the fitted model with its numbers, so that it can be computed by hand."""
    left = {
        "linear-mixed": model.outcome,
        "dose-forecast": f"log({model.outcome})",
        "logistic-mixed": f"logit P({model.outcome} = 1)",
        "gee": f"logit P({model.outcome} = 1)",
        "ordinal-mixed": f"logit P({model.outcome} <= level)",
        "cox": "log hazard ratio",
    }.get(model.kind)
    if left is None or not result.coefficients:
        return ""
    sign = -1 if model.kind == "ordinal-mixed" else 1
    terms = [_term(name, c, sign) for name, c in result.coefficients.items() if "|" not in name]
    cuts = [f"[{name}: {c.estimate:.6g}]" for name, c in result.coefficients.items() if "|" in name]
    spread = result.numbers.get("sd_random")
    nested, rest = result.numbers.get("sd_random_nested"), result.numbers.get("sd_residual")
    random = [
        f"{name}, sd {sd:.4g}"
        for name, sd in (("u(patient)", spread), ("v(lesion)", nested), ("e", rest))
        if isinstance(sd, float)
    ]
    text = " ".join([*cuts, *terms]).removeprefix("+ ")
    return f"{left} = {text}" + (f"; {'; '.join(random)}" if random else "")


def _term(name: str, c: Coefficient, sign: int) -> str:
    b = sign * c.estimate
    return f"{'+' if b >= 0 else '−'} {abs(b):.6g}" + ("" if name == INTERCEPT else f" {name}")


def effective_size(result: ModelResult) -> float | None:
    """Say how many independent lesions carry as much as the clustered ones: n / (1 + (m - 1) ICC), m the mean cluster."""
    icc = result.numbers.get("icc")
    if not isinstance(icc, float) or not result.n_clusters:
        return None
    return result.n / (1 + (result.n / result.n_clusters - 1) * icc)
