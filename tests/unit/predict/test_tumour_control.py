"""`kind = "tcp"`: never without its priors, and never without what the data say alone."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.data_table import DataTable
from lutra.core.errors import ProtocolError
from lutra.predict import ModelResult, fit_models, parse_spec
from lutra.predict.statements import effects, statement

HEAD = 'cluster = "pat"\n[[model]]\nname = "m"\n'
TCP = 'kind = "tcp"\noutcome = "resp"\npredictors = ["dose"]\n'
PRIORS = "prior_d50_gy = [80, 0.4]\nprior_gamma50 = [1.0, 0.5]\n"
PATIENTS = DataTable("patients", {"pat": ("0", "1")})


def fitted(gamma50: float, outcome: str = "", seed: int = 2) -> ModelResult:
    rng = np.random.default_rng(seed)
    pat = np.repeat(np.arange(40), 6)
    dose = 60 * np.exp(0.7 * rng.normal(size=240))
    resp = (rng.random(240) < 1 / (1 + (90 / dose) ** (4 * gamma50))).astype(int)
    columns = {"pat": pat, "dose": dose, "resp": np.where(resp, "1", outcome or "0")}
    lesions = DataTable("lesions", {name: tuple(map(str, values)) for name, values in columns.items()})
    (found,) = fit_models(parse_spec(HEAD + TCP + PRIORS, "spec"), lesions, PATIENTS)
    return found


def test_what_the_data_tell_is_given_without_a_doubt() -> None:
    found = fitted(1.0)
    low, high = found.coefficients["d50_gy"].ci95
    assert found.converged
    assert not found.findings
    assert low < 90 < high
    assert {name for name, refit in found.numbers["prior_sensitivity"].items() if refit["converged"]} == {
        "half",
        "double",
    }
    curve = found.as_json()["tcp"]
    assert all(point["low"] <= point["probability"] <= point["high"] for point in curve)
    assert np.all(np.diff([point["probability"] for point in curve]) > 0)


def test_what_the_data_do_not_tell_is_said() -> None:
    found = fitted(0.02, seed=3)
    assert found.converged
    assert [f.code for f in found.findings] == ["predict.d50-not-identified"]
    (model,) = parse_spec(HEAD + TCP + PRIORS, "spec").models
    text = statement(model, found, {})
    assert effects(model, found, {}) == ()
    assert "Exploratory" in text
    assert "no bounds" in text


def test_a_refit_that_does_not_converge_is_listed_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    from attrs import evolve

    from lutra.predict import tumour_control

    original = tumour_control.fit_tumour_control

    def wide_ones_fail(*given: object) -> object:
        fit = original(*given)  # type: ignore[arg-type]
        return evolve(fit, converged=fit.converged and given[3].log_sd < 0.5)  # type: ignore[attr-defined]

    monkeypatch.setattr(tumour_control, "fit_tumour_control", wide_ones_fail)
    found = fitted(1.0)
    assert found.converged
    assert found.numbers["prior_sensitivity"]["double"] == {"converged": False}
    assert found.numbers["prior_sensitivity"]["half"]["converged"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (TCP, "no prior_d50_gy"),
        (TCP + "prior_d50_gy = [80, 0.4]\n", "no prior_gamma50"),
        (TCP + PRIORS.replace("80", "-80"), "prior_d50_gy"),
        (TCP + PRIORS.replace("[80, 0.4]", "80"), "prior_d50_gy"),
        (TCP.replace('"dose"', '"log(dose)"') + PRIORS, "one column"),
        (TCP.replace('"dose"', '"dose", "fdg"') + PRIORS, "one column"),
        (TCP.replace("tcp", "logistic-mixed") + PRIORS, "prior_d50_gy with logistic-mixed"),
    ],
)
def test_specifications_that_cannot_be(spec: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_spec(HEAD + spec, "spec")


def test_an_outcome_that_is_not_two_valued_is_refused() -> None:
    found = fitted(1.0, outcome="3")
    assert not found.converged
    assert [f.code for f in found.findings] == ["predict.not-fitted"]
