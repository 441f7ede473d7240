"""When a registration must not be believed."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from lutra.core.finding import Finding, Severity
from lutra.core.grid import Grid
from lutra.core.transform import Transform

FAILED, DOUBTFUL = "align.failed", "align.doubtful"
HELP = "To do: check that both are of one person and body part, then give landmarks or a nudge, or register again from there."


@frozen
class Limit:
    """From where on a check is doubtful and from where on the answer is none.

    Parameters
    ----------
    name
        One of :data:`lutra.core.transform.QUALITY`, `error_mm`, or `rival`.
    doubtful, failed
        Limits, beyond which in the direction of `high_is_bad`.
    words
        What the number is, for the reader.
    """

    name: str
    doubtful: float
    failed: float
    words: str
    high_is_bad: bool = False

    def verdict(self, value: float) -> Severity | None:
        """How bad a value is; None if it is not."""
        sign = 1 if self.high_is_bad else -1
        if sign * value > sign * self.failed:
            return Severity.UNDETERMINED
        return Severity.WARNING if sign * value > sign * self.doubtful else None


# Each limit lies between what true and what false answers showed in bench/align/rigid_accuracy.py. Two scans of a real SPECT, 24 h
# of redistribution apart, contradict themselves by 9 to 13 mm and are right; so does a mirrored CT, but its bones do not fit.
LIMITS = (
    Limit("error_mm", 6.0, 15.0, "mm is how far the parts of the body contradict each other", high_is_bad=True),
    Limit("starts_agreeing", 0.5, 0.3, "is the share of starts around the answer that came back to it"),
    Limit("rival", 0.5, 0.7, "is what another answer, elsewhere, has of its mutual information", high_is_bad=True),
    Limit("body_dice", 0.92, 0.85, "is the overlap of the bodies"),
    Limit("bone_dice", 0.55, 0.35, "is the overlap of the skeletons"),
    Limit("mutual_information", 1.04, 1.02, "is the normalised mutual information, 1 for unrelated images"),
)


def judged(numbers: Mapping[str, float], fixed: Grid, moving: Grid) -> Finding | None:
    """Say that a registration failed or is doubtful, and by which numbers; None if nothing speaks against it.

    It failed if one check says so, or if two of them doubt it.

    Parameters
    ----------
    numbers
        By the names of :data:`LIMITS`; what could not be checked is not there.
    """
    against = [(limit, limit.verdict(numbers[limit.name])) for limit in LIMITS if limit.name in numbers]
    failed = [limit for limit, verdict in against if verdict is Severity.UNDETERMINED]
    doubtful = [limit for limit, verdict in against if verdict is Severity.WARNING]
    if not (failed or doubtful):
        return None
    reasons = [
        f"{numbers[limit.name]:.2f} {limit.words} (required: {'below' if limit.high_is_bad else 'above'} {limit.doubtful:g})"
        for limit in (*failed, *doubtful)
    ]
    refused = bool(failed) or len(doubtful) > 1
    text = f"The registration of {_pair(fixed, moving)} {'failed' if refused else 'is doubtful'}: {'; '.join(reasons)}. {HELP}"
    evidence = {name: f"{value:.4g}" for name, value in numbers.items()}
    if refused:
        return Finding(Severity.UNDETERMINED, FAILED, text, evidence)
    return Finding(Severity.WARNING, DOUBTFUL, text, evidence)


def impossible(why: str, fixed: Grid, moving: Grid) -> Finding:
    """Say why two images cannot be registered at all."""
    text = f"The registration of {_pair(fixed, moving)} failed: {why}. {HELP}"
    return Finding(Severity.UNDETERMINED, FAILED, text)


def beyond(transform: Transform, limit_mm: float) -> Finding | None:
    """Say that a transform is less certain than a study allows, or that nobody knows; None if it is certain enough."""
    error_mm = transform.error_mm
    if error_mm is not None and error_mm <= limit_mm:
        return None
    known = "not evaluated" if error_mm is None else f"{error_mm:.1f} mm"
    text = (
        f"The error of the transform from frame {transform.moving_frame or 'unknown'} to {transform.fixed_frame or 'unknown'} "
        f"({transform.method}) is {known}. Required: at most {limit_mm:g} mm. To do: look at the fused images, then correct it "
        "by landmarks or a nudge."
    )
    return Finding(Severity.WARNING, "align.error-large", text)


def _pair(fixed: Grid, moving: Grid) -> str:
    return f"the moving image ({moving.describe()}) to the fixed image ({fixed.describe()})"
