"""Puts the posterior of a mixed model beside it, and what it owes to the width of its priors."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve

from lutra.core.errors import MissingExtra, OutsideValidity
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.predict.kinds import Found
from lutra.predict.rows import Rows
from lutra.predict.spec import ModelSpec
from lutra.stats.bayesian import ESS_LIMIT, R_HAT_LIMIT, Latent, Posterior, sample_linear, sample_logistic

SENSITIVITY = {"half": 0.5, "double": 2.0}
"""Factors of the width of the priors."""


def with_posterior(rows: Rows, model: ModelSpec, found: Found) -> Found:
    """Add the posterior, with true values in place of measured ones where `error_cv` tells their error.

    Nothing is added but a finding where the sampler did not converge or cannot run: the model itself stands.
    """
    try:
        posterior = _sampled(rows, model, model.prior_sd)
    except (OutsideValidity, MissingExtra) as error:
        doubt = Finding(Severity.UNDETERMINED, "predict.no-posterior", f"{model.name}: no posterior: {error}")
        return evolve(found, findings=(*found.findings, doubt))
    if not posterior.converged:
        text = (
            f"{model.name}: the posterior did not converge ({_diagnosis(posterior)}) and is not given; fewer predictors or a "
            "narrower prior_sd may help"
        )
        doubt = Finding(Severity.UNDETERMINED, "predict.bayes-not-converged", text)
        return evolve(found, findings=(*found.findings, doubt))
    wide = np.isinf(model.prior_sd)
    refits = {} if wide else {name: _sampled(rows, model, by * model.prior_sd) for name, by in SENSITIVITY.items()}
    numbers = {
        "parameters": _parameters(rows, posterior),
        "prior_sd": None if wide else model.prior_sd,
        "prior_sensitivity": {name: _refitted(rows, refit) for name, refit in refits.items()},
        "latent": dict(model.error_cv),
        "chains": posterior.draws.shape[0],
        "draws": posterior.draws.shape[1],
        "divergences": posterior.divergences,
        "seed": model.seed,
    }
    return evolve(found, numbers=FrozenMap({**found.numbers, "posterior": numbers}))


def _sampled(rows: Rows, model: ModelSpec, prior_sd: float) -> Posterior:
    if len(rows.groups) > 1:
        raise OutsideValidity("a posterior of three levels", required="one cluster", do="leave bayes out")
    latent = [Latent(rows.names.index(name), float(error)) for name, error in model.error_cv.items()]
    sample = sample_logistic if model.kind == "logistic-mixed" else sample_linear
    return sample(rows.x, rows.outcome, rows.groups[0], prior_sd, latent, seed=model.seed)


def _names(rows: Rows, posterior: Posterior) -> list[str]:
    return [rows.names[int(name)] if name.isdigit() else name for name in posterior.names]


def _parameters(rows: Rows, posterior: Posterior) -> dict[str, dict[str, Any]]:
    low, high = posterior.interval()
    return {
        name: {
            "mean": float(posterior.mean[n]),
            "sd": float(posterior.sd[n]),
            "ci95": [float(low[n]), float(high[n])],
            "monte_carlo_error": float(posterior.monte_carlo_error[n]),
            "r_hat": float(posterior.r_hat[n]),
            "ess": float(posterior.ess[n]),
        }
        for n, name in enumerate(_names(rows, posterior))
    }


def _refitted(rows: Rows, posterior: Posterior) -> dict[str, Any]:
    """Give means and intervals with another width; nothing of a sampler that did not converge."""
    if not posterior.converged:
        return {"converged": False}
    low, high = posterior.interval()
    means = {
        name: {"mean": float(posterior.mean[n]), "ci95": [float(low[n]), float(high[n])]}
        for n, name in enumerate(_names(rows, posterior))
    }
    return {"converged": True, "parameters": means}


def _diagnosis(posterior: Posterior) -> str:
    return (
        f"R-hat up to {posterior.r_hat.max():.3f}, required below {R_HAT_LIMIT}; effective draws from {posterior.ess.min():.0f}, "
        f"required above {ESS_LIMIT:.0f}; {posterior.divergences} divergences"
    )
