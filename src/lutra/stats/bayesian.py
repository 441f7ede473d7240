r"""Posteriors of models with a random intercept per patient, by the No-U-Turn sampler; predictors may be known with error.

Inside, predictors are in standard deviations about their mean, and so is the outcome of a linear model. Effects have normal priors
about 0, both standard deviations half-normal ones, of one width; the intercept is flat. An infinite width makes all of them flat.

The logarithm of the true value of a predictor with error is normal: a mean that goes with the other predictors, a deviation of the
patient and one of the lesion. What was measured is it times a log-normal error with mean 1. The outcome, too, tells of the true
value, which regression calibration leaves unused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import MissingExtra, OutsideValidity
from lutra.core.frozen import float64

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
PRIOR_SD = 2.5
"""Of effects per standard deviation of the predictor, in log odds or standard deviations of the outcome [gelman2008]."""
CHAINS, WARM_UP, DRAWS, TARGET_ACCEPTANCE = 4, 1000, 1000, 0.95
R_HAT_LIMIT, ESS_LIMIT = 1.01, 400.0
"""Of chains that have mixed, and of as many independent draws as an interval needs [vehtari2021]."""


@frozen
class Latent:
    """A positive predictor known with error.

    Parameters
    ----------
    column
        Its place in the design.
    error_cv
        Coefficient of variation of its measurements. [1]
    """

    column: int
    error_cv: float


@frozen(eq=False)
class Posterior:
    """Draws, and whether they can be trusted.

    Parameters
    ----------
    names
        `(Intercept)`, then columns by their place, `sd_random`, and of a linear model `sd_residual`.
    draws
        In the units of the data. (chains, draws, parameters)
    r_hat, ess
        Split R-hat and effective number of draws of each. (parameters,)
    divergences
        Number of transitions that left the posterior.
    """

    names: tuple[str, ...]
    draws: Array = field(converter=float64)
    r_hat: Array = field(converter=float64)
    ess: Array = field(converter=float64)
    divergences: int

    @property
    def converged(self) -> bool:
        """Whether chains mixed, draws suffice and none diverged."""
        return bool((self.r_hat < R_HAT_LIMIT).all() and (self.ess > ESS_LIMIT).all() and self.divergences == 0)

    @property
    def mean(self) -> Array:
        """(parameters,)"""
        found: Array = self.draws.mean(axis=(0, 1))
        return found

    @property
    def sd(self) -> Array:
        """(parameters,)"""
        found: Array = self.draws.reshape(-1, len(self.names)).std(axis=0, ddof=1)
        return found

    @property
    def monte_carlo_error(self) -> Array:
        """Of the means. (parameters,)"""
        return self.sd / np.sqrt(self.ess)

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Give the ends of central intervals. (parameters,) each"""
        low, high = np.quantile(self.draws, ((1 - level) / 2, (1 + level) / 2), axis=(0, 1))
        return low, high


def sample_linear(
    x: Array,
    y: Array,
    groups: Codes,
    prior_sd: float = PRIOR_SD,
    latent: Sequence[Latent] = (),
    *,
    seed: int = 1,
    draws: int = DRAWS,
) -> Posterior:
    """Sample the linear model.

    Parameters
    ----------
    x
        Without an intercept. (n, p)
    y
        (n,)
    groups
        Codes of the patients, from 0 on without gaps. (n,)
    prior_sd
        Width of the priors; infinity for flat ones.
    latent
        Columns known with error.
    draws
        Of each of four chains, after 1000 to warm up.

    Raises
    ------
    MissingExtra
        If numpyro is not installed.
    OutsideValidity
        If a column or the outcome is constant, there are fewer than two patients, or a latent column is not positive.

    References
    ----------
    [hoffman2014] Hoffman and Gelman, J Mach Learn Res 15:1593; [gelman2008] Gelman et al., Ann Appl Stat 2:1360; [vehtari2021]
    Vehtari et al., Bayesian Anal 16:667.
    """
    return _sample(x, y, groups, prior_sd, latent, seed, draws, logistic=False)


def sample_logistic(
    x: Array,
    y: Array,
    groups: Codes,
    prior_sd: float = PRIOR_SD,
    latent: Sequence[Latent] = (),
    *,
    seed: int = 1,
    draws: int = DRAWS,
) -> Posterior:
    """Sample the log odds of an outcome that is 0 or 1; see :func:`sample_linear`."""
    return _sample(x, y, groups, prior_sd, latent, seed, draws, logistic=True)


def _sample(
    x: Array,
    y: Array,
    groups: Codes,
    prior_sd: float,
    latent: Sequence[Latent],
    seed: int,
    draws: int,
    *,
    logistic: bool,
) -> Posterior:
    _check(x, y, groups, prior_sd, latent)
    jax, numpyro = _numpyro()
    centre, scale = x.mean(axis=0), x.std(axis=0, ddof=1)
    y_centre, y_scale = (0.0, 1.0) if logistic else (float(y.mean()), float(y.std(ddof=1)))
    model = _model(x, (y - y_centre) / y_scale, groups, prior_sd, latent, logistic=logistic)
    kernel = numpyro.infer.NUTS(model, target_accept_prob=TARGET_ACCEPTANCE)
    mcmc = numpyro.infer.MCMC(
        kernel, num_warmup=WARM_UP, num_samples=draws, num_chains=CHAINS, chain_method="vectorized", progress_bar=False
    )
    mcmc.run(jax.random.PRNGKey(seed), extra_fields=("diverging",))
    sites = {name: np.asarray(values, np.float64) for name, values in mcmc.get_samples(group_by_chain=True).items()}
    effects = sites["effect"] * y_scale / scale
    intercept = y_centre + y_scale * sites["intercept"] - effects @ centre
    spreads = [y_scale * sites[name] for name in ("sd_random", *(() if logistic else ("sd_residual",)))]
    found = np.concatenate([intercept[..., None], effects, *(s[..., None] for s in spreads)], axis=-1)
    diagnostics = numpyro.diagnostics
    return Posterior(
        (
            "(Intercept)",
            *(str(n) for n in range(x.shape[1])),
            "sd_random",
            *(() if logistic else ("sd_residual",)),
        ),
        found,
        diagnostics.split_gelman_rubin(found),
        diagnostics.effective_sample_size(found),
        int(mcmc.get_extra_fields()["diverging"].sum()),
    )


def _model(x: Array, y: Array, groups: Codes, prior_sd: float, latent: Sequence[Latent], *, logistic: bool) -> Any:
    """Give the model, of an outcome on its inner scale."""
    _, numpyro = _numpyro()
    jnp, dist, sample = _jax_numpy(), numpyro.distributions, numpyro.sample
    centre, scale = x.mean(axis=0), x.std(axis=0, ddof=1)
    patients = int(groups.max()) + 1
    exact = [n for n in range(x.shape[1]) if n not in {one.column for one in latent}]
    standard = (x - centre) / scale
    flat = not np.isfinite(prior_sd)

    def real(shape: tuple[int, ...]) -> Any:
        return dist.ImproperUniform(dist.constraints.real, (), shape)

    def spread() -> Any:
        return dist.ImproperUniform(dist.constraints.positive, (), ()) if flat else dist.HalfNormal(prior_sd)

    def truth(one: Latent) -> Any:
        """Sample the true values of a column and weigh them with what was measured."""
        name, error = f"latent{one.column}", float(np.sqrt(np.log1p(one.error_cv**2)))
        logs = np.log(x[:, one.column]) + error**2 / 2
        between, within = (sample(f"{name}_sd{n}", dist.HalfNormal(float(logs.std(ddof=1)))) for n in (0, 1))
        mean = sample(f"{name}_mean", real(())) + standard[:, exact] @ sample(f"{name}_slope", real((len(exact),)))
        deviation = between * sample(f"{name}_patient", dist.Normal(0, 1).expand([patients]).to_event(1))[groups]
        log_true = mean + deviation + within * sample(name, dist.Normal(0, 1).expand([len(logs)]).to_event(1))
        sample(f"{name}_measured", dist.Normal(log_true, error).to_event(1), obs=logs)
        return (jnp.exp(log_true) - centre[one.column]) / scale[one.column]

    def model() -> None:
        intercept = sample("intercept", real(()))
        effect = sample("effect", real((x.shape[1],)) if flat else _normal(dist, prior_sd, x.shape[1]))
        sd_random = sample("sd_random", spread())
        deviation = sample("patient", _normal(dist, 1.0, patients))
        columns = jnp.asarray(standard)
        for one in latent:
            columns = columns.at[:, one.column].set(truth(one))
        eta = intercept + columns @ effect + sd_random * deviation[groups]
        if logistic:
            sample("y", dist.Bernoulli(logits=eta).to_event(1), obs=y)
        else:
            sample("y", dist.Normal(eta, sample("sd_residual", spread())).to_event(1), obs=y)

    return model


def _normal(dist: Any, sd: float, n: int) -> Any:
    return dist.Normal(0.0, sd).expand([n]).to_event(1)


def _check(x: Array, y: Array, groups: Codes, prior_sd: float, latent: Sequence[Latent]) -> None:
    if len(np.unique(groups)) < 2 or np.ptp(y) == 0 or (np.ptp(x, axis=0) == 0).any():
        raise OutsideValidity(
            "one patient, or an outcome or a column that never differs", required="two patients, columns that differ"
        )
    if not prior_sd > 0:
        raise OutsideValidity(f"a prior of width {prior_sd}", required="above 0")
    for one in latent:
        if not (x[:, one.column] > 0).all() or not 0 < one.error_cv < np.inf:
            raise OutsideValidity(
                f"column {one.column} with an error of {one.error_cv}", required="values and an error above 0"
            )


def _numpyro() -> tuple[Any, Any]:
    try:
        import jax  # noqa: PLC0415  (an extra, and slow to load)
        import numpyro  # noqa: PLC0415
        import numpyro.diagnostics  # noqa: PLC0415
        import numpyro.distributions  # noqa: PLC0415
        import numpyro.infer  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("posteriors need numpyro", do="pip install lutra[bayes], or leave bayes out") from error
    return jax, numpyro


def _jax_numpy() -> Any:
    import jax.numpy as jnp  # noqa: PLC0415

    return jnp
