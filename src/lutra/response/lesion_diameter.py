"""Response of a single lesion by its longest diameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from lutra.core.errors import ProtocolError
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.response import ResponseAssessment, VisitValues
from lutra.ports import Settings
from lutra.response.measure import MEASURABLE_MM
from lutra.response.settings import ResponseSettings

LONGEST = "longest_diameter_mm"
ROUNDING_MM = 1e-9
"""A diameter meant to lie on a threshold may miss it by the rounding of the arithmetic. [mm]"""


@frozen
class LesionDiameter:
    """Criterion of RECIST 1.1 applied to one lesion: its longest transversal diameter, for nodes as well.

    The first case that applies decides:

    1. CR: the diameter is 0.
    2. PD: at least +20 % *and* at least +5 mm from the nadir, the smallest earlier diameter, baseline included.
    3. PR: at most -30 % from baseline.
    4. SD: neither.

    References
    ----------
    [eisenhauer2009] Eisenhauer et al., Eur J Cancer 45:228.
    """

    def assess(
        self, what: str, visits: tuple[VisitValues, ...], settings: Settings
    ) -> Outcome[tuple[ResponseAssessment, ...]]:
        """Return one assessment per follow-up.

        Parameters
        ----------
        visits
            With `longest_diameter_mm`, in time order; the first is the baseline.
        settings
            `pr_relative`, `pd_relative` [1] and `pd_absolute_mm` [mm]; what is not given is as in RECIST 1.1.

        Raises
        ------
        ProtocolError
            If a setting is unknown or not a number.
        """
        limits = _limits(settings)
        sizes = [(v.series_uid, v.values[LONGEST]) for v in visits if LONGEST in v.values]
        doubt = _no_baseline(what, [mm for _, mm in sizes])
        if doubt:
            return Outcome(None, (doubt,))
        (_, baseline), *follow_ups = sizes
        nadir = baseline
        assessments = []
        for series_uid, current in follow_ups:
            category, rule = _categorise(baseline, nadir, current, limits)
            assessments.append(
                ResponseAssessment(
                    what,
                    "lesion-diameter",
                    series_uid,
                    baseline,
                    nadir,
                    current,
                    current / baseline - 1,
                    category,
                    rule,
                    "program, from the contours",
                )
            )
            nadir = min(nadir, current)
        findings = (_small_baseline(what, baseline),) if baseline < MEASURABLE_MM else ()
        return Outcome(tuple(assessments), findings)


def category_of(baseline: float, nadir: float, current: float, limits: ResponseSettings) -> str:
    """CR, PD, PR or SD of a lesion by its diameters. [mm]"""
    return _categorise(baseline, nadir, current, limits)[0]


def _categorise(baseline: float, nadir: float, current: float, limits: ResponseSettings) -> tuple[str, str]:
    """Category and the rule that gave it, in words."""
    growth = current - nadir
    from_nadir = f"{growth:+.1f} mm" + (f" ({growth / nadir:+.0%})" if nadir else "") + " from the nadir"
    from_baseline = f"{current / baseline - 1:+.0%} from baseline"
    pd = f"{limits.pd_relative:+.0%} and {limits.pd_absolute_mm:+g} mm"
    if current == 0:
        return "CR", "CR: the lesion is gone (0 mm)"
    if growth >= max(limits.pd_relative * nadir, limits.pd_absolute_mm) - ROUNDING_MM:
        return "PD", f"PD: {from_nadir}, at least {pd}"
    if current <= (1 + limits.pr_relative) * baseline + ROUNDING_MM:
        return "PR", f"PR: {from_baseline}, at most {limits.pr_relative:+.0%}"
    return "SD", f"SD: {from_baseline}, {from_nadir}; neither {limits.pr_relative:+.0%} nor {pd}"


def _limits(settings: Settings) -> ResponseSettings:
    given: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in ResponseSettings().options() or isinstance(value, bool | str):
            raise ProtocolError(
                f"{key} = {value!r} is no setting of the criterion lesion-diameter",
                where="protocol.toml, response",
                required=f"numbers for {', '.join(ResponseSettings().options())}",
            )
        given[key] = float(value)
    return evolve(ResponseSettings(), **given)


def _no_baseline(lesion_id: str, sizes_mm: Sequence[float]) -> Finding | None:
    if len(sizes_mm) < 2:
        found = f"{len(sizes_mm)} measured images; a change needs a baseline and a follow-up"
    elif sizes_mm[0] <= 0:
        found = f"the baseline diameter is {sizes_mm[0]:g} mm; a change is relative to a positive one"
    else:
        return None
    return Finding(
        Severity.UNDETERMINED,
        "response.no-baseline",
        f"Lesion {lesion_id}: {found}. Draw the lesion on both images.",
        {"lesion": lesion_id},
    )


def _small_baseline(lesion_id: str, baseline_mm: float) -> Finding:
    return Finding(
        Severity.WARNING,
        "response.baseline-not-measurable",
        f"Lesion {lesion_id}: the baseline diameter of {baseline_mm:.1f} mm is below the {MEASURABLE_MM:g} mm "
        "RECIST 1.1 requires of a target. Its relative change is mostly reading error; do not count it as a target lesion.",
        {"lesion": lesion_id, "baseline": f"{baseline_mm:.2f} mm"},
    )
