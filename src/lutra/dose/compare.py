"""Whether engines agree about one region."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from lutra.core.dose import DoseResult
from lutra.core.estimate import K_95
from lutra.core.finding import Finding, Severity


def compare_engines(results: Sequence[DoseResult]) -> tuple[Finding, ...]:
    """Compare every two engines that gave a dose of the same region.

    What they share (activity, tail, volume) cancels in their difference by name, so only what is the engine's own may explain it.

    Returns
    -------
    tuple
        `dose.engines-differ` for every two whose difference exceeds its own 95 % interval.
    """
    findings = []
    for one, other in combinations(results, 2):
        difference = one.absorbed_dose - other.absorbed_dose
        allowed = K_95 * difference.evaluated_sd
        if one.region == other.region and abs(difference.value) > allowed:
            text = (
                f"{one.region}: {one.engine} gives {one.absorbed_dose.value:.3g} Gy and {other.engine} "
                f"{other.absorbed_dose.value:.3g} Gy; the difference of {difference.value:+.2g} Gy exceeds the "
                f"{allowed:.2g} Gy that the "
                "uncertainties they do not share allow; report both and prefer the engine made for this size and shape"
            )
            findings.append(Finding(Severity.WARNING, "dose.engines-differ", text))
    return tuple(findings)
