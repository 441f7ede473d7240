"""What the analysis page shows."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from lutra.core.analysis_table import AnalysisTable
from lutra.core.finding import Finding
from lutra.core.frozen import FrozenMap, frozen_map


@frozen
class EffectView:
    """One effect.

    Parameters
    ----------
    text, interval, p
        As written, on the scale of its model.
    per_sd
        Coefficient and its 95 % interval per standard deviation of the predictor, on the scale of the model.
    """

    name: str
    label: str
    per: str
    text: str
    interval: str
    p: str
    per_sd: tuple[float, float, float]


@frozen
class ModelView:
    """One model.

    Parameters
    ----------
    question
        Heading it stands under.
    sentence
        What it says, or why it says nothing.
    equation
        With its numbers.
    numbers
        As the program's interface gives them.
    """

    name: str
    question: str
    kind: str
    outcome: str
    n: int
    n_clusters: int
    converged: bool
    sentence: str
    equation: str
    effects: tuple[EffectView, ...]
    numbers: FrozenMap[str, Any] = field(converter=frozen_map)
    missing: FrozenMap[str, int] = field(converter=frozen_map)
    findings: tuple[Finding, ...] = ()
    effective_size: float | None = None


@frozen
class AnalysisView:
    """A study's analysis.

    Parameters
    ----------
    plan_name, plan_digest
        Of the plan that was followed.
    labels
        Words for columns.
    digests
        SHA-256 of each table as it was analysed. [hex]
    versions
        Of Lutra and of what it computed with.
    files
        Tables and results that the page leads to, by name.
    """

    plan_name: str
    plan_digest: str
    models: tuple[ModelView, ...]
    lesions: AnalysisTable
    patients: AnalysisTable
    intervals: AnalysisTable
    labels: FrozenMap[str, str] = field(converter=frozen_map)
    digests: FrozenMap[str, str] = field(converter=frozen_map)
    versions: FrozenMap[str, str] = field(converter=frozen_map)
    seeds: FrozenMap[str, int] = field(converter=frozen_map)
    files: FrozenMap[str, bytes] = field(converter=frozen_map, factory=FrozenMap)

    def of(self, question: str) -> tuple[ModelView, ...]:
        """Models under a heading."""
        return tuple(model for model in self.models if model.question == question)

    @property
    def questions(self) -> tuple[str, ...]:
        """Headings in the order of the plan."""
        return tuple(dict.fromkeys(model.question for model in self.models))
