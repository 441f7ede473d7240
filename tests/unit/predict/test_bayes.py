"""Posteriors beside mixed models: what is asked, what is given, and what is kept back. The sampler is a stand-in here."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lutra.cli import predict as command
from lutra.cli import show
from lutra.core.data_table import DataTable
from lutra.core.errors import MissingExtra, OutsideValidity, ProtocolError
from lutra.predict import ModelResult, bayes, fit_models, parse_spec
from lutra.stats.bayesian import Latent, Posterior, sample_linear

HEAD = 'cluster = "pat"\n[[model]]\nname = "m"\n'
LINEAR = 'kind = "linear-mixed"\noutcome = "y"\npredictors = ["dose", "organ"]\n'
BAYES = "bayes = true\n"
NAMES = ("(Intercept)", "0", "1", "sd_random", "sd_residual")
PATIENTS = DataTable("patients", {"pat": ("0", "1")})


def lesions() -> DataTable:
    rng = np.random.default_rng(5)
    pat = np.repeat(np.arange(12), 5)
    dose = np.exp(rng.normal(size=60))
    columns = {
        "pat": pat,
        "les": np.arange(60),
        "dose": dose,
        "organ": np.array(["liver", "node"])[np.arange(60) % 2],
        "y": 0.5 * dose + rng.normal(size=12)[pat] + rng.normal(size=60),
    }
    return DataTable("lesions", {name: tuple(map(str, values)) for name, values in columns.items()})


def fitted(more: str = BAYES) -> ModelResult:
    (found,) = fit_models(parse_spec(HEAD + LINEAR + more, "spec"), lesions(), PATIENTS)
    return found


def posterior(r_hat: float = 1.0, ess: float = 2000.0, divergences: int = 0) -> Posterior:
    draws = np.random.default_rng(1).normal(np.arange(5), 1.0, (4, 500, 5))
    return Posterior(NAMES, draws, np.full(5, r_hat), np.full(5, ess), divergences)


class Sampler:
    """Gives one posterior after the other, and remembers what it was asked."""

    def __init__(self, *given: Posterior) -> None:
        self.given, self.widths, self.latent = list(given), [], []  # type: ignore[var-annotated]

    def __call__(
        self,
        x: npt.NDArray[np.float64],
        y: npt.NDArray[np.float64],
        groups: npt.NDArray[np.intp],
        prior_sd: float,
        latent: Sequence[Latent],
        *,
        seed: int,
    ) -> Posterior:
        self.widths.append(prior_sd)
        self.latent.append(list(latent))
        return self.given.pop(0)


def use(monkeypatch: pytest.MonkeyPatch, *given: Posterior) -> Sampler:
    sampler = Sampler(*given)
    monkeypatch.setattr(bayes, "sample_linear", sampler)
    return sampler


def test_a_posterior_with_half_and_twice_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = use(monkeypatch, posterior(), posterior(ess=300.0), posterior())
    found = fitted(BAYES + "prior_sd = 1.5\n")
    given = found.as_json()["posterior"]
    assert sampler.widths == [1.5, 0.75, 3.0]
    assert list(given["parameters"]) == ["(Intercept)", "dose", "organnode", "sd_random", "sd_residual"]
    assert given["parameters"]["dose"]["mean"] == pytest.approx(1.0, abs=0.1)
    assert given["parameters"]["dose"]["ci95"] == pytest.approx([1 - 1.96, 1 + 1.96], abs=0.2)
    assert given["parameters"]["dose"]["monte_carlo_error"] == pytest.approx(1 / np.sqrt(2000), rel=0.05)
    # Too few effective draws: nothing of that one is given.
    assert given["prior_sensitivity"]["half"] == {"converged": False}
    assert given["prior_sensitivity"]["double"]["converged"]
    assert found.coefficients["dose"].p is not None
    with show.out.capture() as caught:
        command._print(found)
    assert "no result" in caught.get()
    assert "posterior" in caught.get()


def test_flat_priors_have_no_half_and_no_double(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = use(monkeypatch, posterior())
    given = fitted(BAYES + "prior_sd = inf\n").as_json()["posterior"]
    assert sampler.widths == [float("inf")]
    assert given["prior_sd"] is None
    assert given["prior_sensitivity"] == {}


@pytest.mark.parametrize("wrong", [{"r_hat": 1.02}, {"r_hat": float("nan")}, {"ess": 390.0}, {"divergences": 1}])
def test_nothing_is_given_of_a_sampler_that_did_not_converge(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    use(monkeypatch, posterior(**wrong))
    found = fitted()
    assert "posterior" not in found.numbers
    assert [f.code for f in found.findings] == ["predict.bayes-not-converged"]
    # The model itself is not in doubt.
    assert found.converged
    assert "dose" in found.coefficients


def test_a_dose_with_error_is_latent(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = use(monkeypatch, posterior(), posterior(), posterior())
    found = fitted(BAYES + "error_cv = { dose = 0.3 }\nbootstrap = 20\n")
    assert sampler.latent == [[Latent(0, 0.3)]] * 3
    assert found.numbers["posterior"]["latent"] == {"dose": 0.3}


def test_three_levels_have_no_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    found = fitted(BAYES + 'cluster = ["pat", "organ"]\n')
    assert [f.code for f in found.findings] == ["predict.no-posterior"]
    assert found.converged
    assert found.coefficients


def test_without_numpyro_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.split(".", maxsplit=1)[0] in ("jax", "numpyro"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"pip install lutra\[bayes\]"):
        sample_linear(np.arange(4.0)[:, None], np.arange(4.0), np.array([0, 0, 1, 1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.ones((4, 1))}, "never differs"),
        ({"y": np.ones(4)}, "never differs"),
        ({"groups": np.zeros(4, dtype=np.intp)}, "one patient"),
        ({"prior_sd": 0.0}, "width"),
        ({"latent": [Latent(0, -0.1)]}, "error"),
        ({"x": np.array([[-1.0], [2], [3], [4]]), "latent": [Latent(0, 0.2)]}, "error"),
    ],
)
def test_what_has_no_posterior(change: dict[str, Any], words: str) -> None:
    sound = {"x": np.arange(1.0, 5)[:, None], "y": np.array([1.0, 3, 2, 5]), "groups": np.array([0, 0, 1, 1])}
    with pytest.raises(OutsideValidity, match=words):
        sample_linear(**(sound | change))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (LINEAR.replace("linear-mixed", "auc") + BAYES, "bayes with auc"),
        (LINEAR + "prior_sd = 1\n", "without bayes"),
        (LINEAR + BAYES + "prior_sd = 0\n", "prior_sd 0"),
        (LINEAR + BAYES + "prior_sd = nan\n", "prior_sd nan"),
        (LINEAR + 'bayes = "yes"\n', "bayes 'yes'"),
    ],
)
def test_specifications_that_cannot_be(spec: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        parse_spec(HEAD + spec, "spec")
