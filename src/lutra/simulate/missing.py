r"""What is missing from the data, by a stated mechanism, with the reason as a study file would give it.

An item is lost where a standard normal number falls below :math:`\Phi^{-1}(p)`. That number is made of three parts with
variances that add to 1: one of the patient, one of the outcome (a standard score; positive when things go badly), and one of the
item. So whatever the mechanism, the share that is lost stays p.
"""

from __future__ import annotations

from enum import StrEnum
from math import sqrt

from attrs import field, frozen
from scipy.special import ndtri

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.simulate.labs import stream


class Mechanism(StrEnum):
    """What decides whether something is missing."""

    AT_RANDOM = "completely at random"
    BY_PATIENT = "by patient"
    BY_OUTCOME = "dependent on outcome"


PATIENT_SHARE, OUTCOME_SHARE = 0.5, 0.25
"""Of the variance: half of what is missing goes with the patient; a correlation of .5 with the outcome."""
REASONS: FrozenMap[str, tuple[str, ...]] = FrozenMap(
    {
        "fdg": ("scanner out of order", "blood glucose too high", "tracer not delivered", "patient did not come"),
        "sstr": ("scanner out of order", "generator failure", "patient did not come"),
        "dwi": ("claustrophobia", "pacemaker", "movement, not evaluable", "no scanner time", "patient did not come"),
        "spect": ("patient did not come", "camera out of order", "patient discharged early"),
        "ct": ("patient did not come", "scanned elsewhere, images not obtained", "contrast medium refused"),
        "lab": ("sample haemolysed", "sample lost", "taken elsewhere, result not obtained"),
    }
)
WHEN_ILL = "patient too ill"


@frozen
class MissingRule:
    """How often one kind of item is missing, and by what mechanism."""

    probability: float
    mechanism: Mechanism = Mechanism.BY_PATIENT

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.probability < 1:
            raise UsageError(f"a probability of {self.probability:g}", required="from 0 to below 1")


@frozen
class MissingSettings:
    """A rule for every kind of item; a kind that is not named is never missing."""

    rules: FrozenMap[str, MissingRule] = field(
        converter=frozen_map,
        default=FrozenMap(
            {
                "fdg": MissingRule(0.10),
                "dwi": MissingRule(0.15),
                "spect": MissingRule(0.05, Mechanism.AT_RANDOM),
                "ct": MissingRule(0.03, Mechanism.AT_RANDOM),
                "lab": MissingRule(0.03, Mechanism.AT_RANDOM),
            }
        ),
    )


@frozen
class Missing:
    """An item that is not there."""

    kind: str
    item: str
    mechanism: Mechanism
    reason: str


def missing(
    kind: str, item: str, seed: int, settings: MissingSettings | None = None, *, outcome_score: float = 0.0
) -> Missing | None:
    """Decide whether an item of a patient is missing.

    Parameters
    ----------
    kind
        `fdg`, `sstr`, `dwi`, `spect`, `ct` or `lab`.
    item
        Name of the item within the patient, as `cycle 2 scan 3`.
    seed
        Of the patient.
    outcome_score
        How badly the patient does, as a standard score over patients; matters by `BY_OUTCOME` alone. [1]

    Raises
    ------
    UsageError
        For an unknown kind.
    """
    if kind not in REASONS:
        raise UsageError(f"missing items of kind {kind!r}", required=", ".join(REASONS))
    rule = (settings or MissingSettings()).rules.get(kind)
    if rule is None or rule.probability == 0:
        return None
    patient = PATIENT_SHARE if rule.mechanism is Mechanism.BY_PATIENT else 0.0
    outcome = OUTCOME_SHARE if rule.mechanism is Mechanism.BY_OUTCOME else 0.0
    r = stream(seed, f"missing {kind} {item}")
    score = sqrt(1 - patient - outcome) * r.normal()
    score += sqrt(patient) * stream(seed, f"missing {kind}").normal() - sqrt(outcome) * outcome_score
    if score >= ndtri(rule.probability):
        return None
    ill = rule.mechanism is Mechanism.BY_OUTCOME and outcome_score > 0
    # A patient who is missed for a lasting reason gives the same one each time.
    choice = stream(seed, f"reason {kind}") if patient else r
    return Missing(kind, item, rule.mechanism, WHEN_ILL if ill else str(choice.choice(REASONS[kind])))
