"""What a model says in words."""

import pytest

from lutra.core.finding import Finding, Severity
from lutra.predict import Coefficient, ModelResult, ModelSpec
from lutra.predict.statements import effective_size, effects, equation, label_of, statement

LABELS = {"dose": ("dose", "Gy"), "suv": ("FDG SUVmax", ""), "adc": ("ADC", "10^-3 mm2/s")}


def _model(kind: str = "linear-mixed", **more: object) -> ModelSpec:
    return ModelSpec("m", kind, outcome="log_ratio", predictors=("dose",), **more)  # type: ignore[arg-type]


def _result(p: float, b: float = -0.002, half: float = 0.001, **numbers: object) -> ModelResult:
    c = Coefficient(b, half / 2, (b - half, b + half), p)
    coefficients = {"(Intercept)": c, "dose": c}
    more = {"sd_predictors": {"dose": 47.0}, **numbers}
    return ModelResult("m", "linear-mixed", 60, 20, True, coefficients=coefficients, numbers=more)


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("log2(suv)", ("FDG SUVmax", "per doubling")),
        ("within(log2(suv))", ("FDG SUVmax, within patients", "per doubling")),
        ("between(dose)", ("dose, between patients", "per Gy")),
        ("max(suv)", ("largest FDG SUVmax", "per unit")),
        ("dose'", ("dose, bend 1", "per Gy")),
        ("grade", ("grade", "per unit")),
    ],
)
def test_terms_have_words(term: str, words: tuple[str, str]) -> None:
    assert label_of(term, LABELS) == words


def test_a_null_is_said_as_plainly_as_a_finding() -> None:
    assert statement(_model(), _result(0.01), LABELS) == "dose per 10 Gy, −2.0 % (95 %: −3.0 % to −1.0 %; p = 0.010)."
    null = statement(_model(), _result(0.4, -0.0005), LABELS)
    assert null == "No relation shown: dose per 10 Gy, −0.5 % (95 %: −1.5 % to +0.5 %; p = 0.40)."


def test_what_counts_is_the_p_of_the_family() -> None:
    said = statement(_model(), _result(0.03, p_holm=0.12), LABELS)
    assert said.startswith("No relation shown")
    assert "p = 0.12 in its family" in said


def test_marginal_effects_are_told_with_the_interval_for_few_patients() -> None:
    small = {"se": 1.0, "ci95": [-0.05, 0.04], "p": 0.7, "df": 4}
    c = Coefficient(-0.005, 0.001, (-0.007, -0.003), 0.001, small_sample=small)  # type: ignore[arg-type]
    result = ModelResult("m", "gee", 60, 6, True, coefficients={"dose": c})
    (effect,) = effects(_model("gee"), result, LABELS)
    assert effect.p == 0.7
    assert effect.low < 1 < effect.high


def test_no_result_says_why() -> None:
    lost = Finding(Severity.UNDETERMINED, "predict.not-fitted", "m: all rows are of one patient")
    result = ModelResult("m", "linear-mixed", 4, 1, False, findings=(lost,))
    assert statement(_model(), result, LABELS) == "No result: all rows are of one patient"


def test_the_equation_can_be_computed_by_hand() -> None:
    result = _result(0.01, sd_random=0.12, sd_residual=0.2)
    assert equation(_model(), result) == "log_ratio = − 0.002 − 0.002 dose; u(patient), sd 0.12; e, sd 0.2"


def test_clustered_lesions_are_worth_fewer_independent_ones() -> None:
    assert effective_size(_result(0.1, icc=0.5)) == pytest.approx(60 / (1 + 2 * 0.5))
    assert effective_size(_result(0.1, icc=0.0)) == 60
