"""What a model found."""

from __future__ import annotations

from typing import Any

from attrs import asdict, field, frozen

from lutra.core.finding import Finding
from lutra.core.frozen import FrozenMap, frozen_map


@frozen
class Coefficient:
    """One effect; `p` of the hypothesis that it is 0.

    Parameters
    ----------
    small_sample, robust
        `se`, `ci95`, `p` and `df` corrected for few patients (marginal models), or without the variances of the model (linear).
    """

    estimate: float
    se: float
    ci95: tuple[float, float]
    p: float | None
    df: float | None = None
    small_sample: FrozenMap[str, Any] | None = None
    robust: FrozenMap[str, Any] | None = None


@frozen
class ModelResult:
    """One model.

    Parameters
    ----------
    n, n_clusters
        Rows and patients it rests on.
    missing
        Rows left out because a column says nothing, by column.
    converged
        Nothing is given of a model that did not.
    coefficients
        By name, as R names them: `organliver`, `cyc:x_fdg`.
    numbers
        Whatever else the kind has: `sd_random`, `loglik`, `estimate`, `median`, ...
    """

    name: str
    kind: str
    n: int
    n_clusters: int
    converged: bool
    missing: FrozenMap[str, int] = field(converter=frozen_map, factory=FrozenMap)
    coefficients: FrozenMap[str, Coefficient] = field(converter=frozen_map, factory=FrozenMap)
    numbers: FrozenMap[str, Any] = field(converter=frozen_map, factory=FrozenMap)
    findings: tuple[Finding, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "n": self.n,
            "n_clusters": self.n_clusters,
            "missing": dict(self.missing),
            "converged": self.converged,
            "coefficients": {name: _plain(c) for name, c in self.coefficients.items()},
            **self.numbers,
            "findings": [{"severity": f.severity.value, "code": f.code, "text": f.text} for f in self.findings],
        }


def _plain(c: Coefficient) -> dict[str, Any]:
    found = {key: value for key, value in asdict(c, recurse=False).items() if value is not None or key == "p"}
    found["ci95"] = list(c.ci95)
    for name in ("small_sample", "robust"):
        if (more := getattr(c, name)) is not None:
            found[name] = dict(more)
    return found
