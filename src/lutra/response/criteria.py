"""Further criteria behind the same socket: PERCIST and EORTC for FDG, Choi for size and density on CT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from lutra.core.errors import ProtocolError
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.response import ResponseAssessment, VisitValues
from lutra.ports import Settings

ROUNDING = 1e-9
Judge = Callable[[VisitValues, VisitValues, dict[str, float]], tuple[str, str]]
"""Baseline, follow-up and limits -> category and the rule that fired."""


class Percist:
    """PERCIST 1.0: SULpeak of the hottest lesion at each time, and at the baseline whether it can be measured at all.

    CMR: not above the liver; PMD: +30 % and +0.8, or a new lesion, or +75 % of total lesion glycolysis; PMR: -30 % and -0.8; SMD:
    neither.

    Validity: 18F-FDG; images acquired alike, which is not checked here.

    References
    ----------
    [wahl2009] Wahl et al., J Nucl Med 50:122S; [o2016] O et al., Radiology 280:576.
    """

    LIMITS: ClassVar = {"relative": 0.30, "absolute_sul": 0.8, "glycolysis": 0.75}

    def assess(
        self, what: str, visits: tuple[VisitValues, ...], settings: Settings
    ) -> Outcome[tuple[ResponseAssessment, ...]]:
        """Assess from `sul_peak`, and where given `liver_sul_mean`, `liver_sul_sd` and `tlg`; see the port."""
        limits = _limits("percist", self.LIMITS, settings)
        found = _assessed("percist", "sul_peak", what, visits, limits, _percist)
        return Outcome(found.value, (*found.findings, *_measurable(what, visits)))


class Eortc:
    """EORTC 1999: SUV of a lesion.

    CMR: not above the background; PMD: +25 %, or a new lesion; PMR: -25 % (-15 % after one cycle: `relative_response`);
    SMD: neither.

    References
    ----------
    [young1999] Young et al., Eur J Cancer 35:1773.
    """

    LIMITS: ClassVar = {"relative_response": 0.25, "relative_progression": 0.25}

    def assess(
        self, what: str, visits: tuple[VisitValues, ...], settings: Settings
    ) -> Outcome[tuple[ResponseAssessment, ...]]:
        """Assess from `suv_max`, and where given `background_suv_mean`; see the port."""
        return _assessed("eortc", "suv_max", what, visits, _limits("eortc", self.LIMITS, settings), _eortc)


class Choi:
    """Choi 2007: longest diameter and mean CT number of a lesion with contrast medium.

    CR: gone; PR: -10 % of size or -15 % of density; PD: +10 % of size without PR by density, or a new lesion; SD: neither.

    Validity: portal venous phase at both times, which is not checked here.

    References
    ----------
    [choi2007] Choi et al., J Clin Oncol 25:1753.
    """

    LIMITS: ClassVar = {"size": 0.10, "density": 0.15}

    def assess(
        self, what: str, visits: tuple[VisitValues, ...], settings: Settings
    ) -> Outcome[tuple[ResponseAssessment, ...]]:
        """Assess from `longest_diameter_mm` and, where given, `hu_mean`; see the port."""
        return _assessed("choi", "longest_diameter_mm", what, visits, _limits("choi", self.LIMITS, settings), _choi)


def _percist(first: VisitValues, now: VisitValues, limits: dict[str, float]) -> tuple[str, str]:
    before, after = first.values["sul_peak"], now.values["sul_peak"]
    change, relative = after - before, after / before - 1
    said = f"SULpeak {before:.2f} to {after:.2f}, {change:+.2f} ({relative:+.0%})"
    enough = f"{limits['relative']:.0%} and {limits['absolute_sul']:g}"
    if now.new_lesion:
        return "PMD", "PMD: a new lesion"
    if "tlg" in first.values and "tlg" in now.values and first.values["tlg"] > 0:
        grown = now.values["tlg"] / first.values["tlg"] - 1
        if grown >= limits["glycolysis"] - ROUNDING:
            return "PMD", f"PMD: total lesion glycolysis {grown:+.0%}, at least {limits['glycolysis']:+.0%}"
    if "liver_sul_mean" in now.values and after <= now.values["liver_sul_mean"]:
        return "CMR", f"CMR: {said}, not above the liver ({now.values['liver_sul_mean']:.2f})"
    big = abs(relative) >= limits["relative"] - ROUNDING and abs(change) >= limits["absolute_sul"] - ROUNDING
    if big:
        return ("PMD" if change > 0 else "PMR"), f"{'PMD' if change > 0 else 'PMR'}: {said}, at least {enough}"
    return "SMD", f"SMD: {said}, not both {enough}"


def _eortc(first: VisitValues, now: VisitValues, limits: dict[str, float]) -> tuple[str, str]:
    before, after = first.values["suv_max"], now.values["suv_max"]
    relative = after / before - 1
    said = f"SUV {before:.2f} to {after:.2f} ({relative:+.0%})"
    if now.new_lesion:
        return "PMD", "PMD: a new lesion"
    if "background_suv_mean" in now.values and after <= now.values["background_suv_mean"]:
        return "CMR", f"CMR: {said}, not above the background ({now.values['background_suv_mean']:.2f})"
    if relative >= limits["relative_progression"] - ROUNDING:
        return "PMD", f"PMD: {said}, at least {limits['relative_progression']:+.0%}"
    if relative <= -limits["relative_response"] + ROUNDING:
        return "PMR", f"PMR: {said}, at most {-limits['relative_response']:+.0%}"
    return "SMD", f"SMD: {said}, neither"


def _choi(first: VisitValues, now: VisitValues, limits: dict[str, float]) -> tuple[str, str]:
    before, after = first.values["longest_diameter_mm"], now.values["longest_diameter_mm"]
    size = after / before - 1
    said = f"{before:.1f} to {after:.1f} mm ({size:+.0%})"
    denser: float | None = None
    if first.values.get("hu_mean", 0.0) > 0 and "hu_mean" in now.values:
        denser = now.values["hu_mean"] / first.values["hu_mean"] - 1
        said += f", {first.values['hu_mean']:.0f} to {now.values['hu_mean']:.0f} HU ({denser:+.0%})"
    if now.new_lesion:
        return "PD", "PD: a new lesion"
    if after == 0:
        return "CR", "CR: the lesion is gone (0 mm)"
    if denser is not None and denser <= -limits["density"] + ROUNDING:
        return "PR", f"PR: {said}, density at most {-limits['density']:+.0%}"
    if size <= -limits["size"] + ROUNDING:
        return "PR", f"PR: {said}, size at most {-limits['size']:+.0%}"
    if size >= limits["size"] - ROUNDING:
        return "PD", f"PD: {said}, size at least {limits['size']:+.0%} and no response by density"
    return "SD", f"SD: {said}, neither"


def _assessed(
    name: str, quantity: str, what: str, visits: tuple[VisitValues, ...], limits: dict[str, float], judge: Judge
) -> Outcome[tuple[ResponseAssessment, ...]]:
    measured = [visit for visit in visits if quantity in visit.values]
    if len(measured) < 2 or measured[0].values[quantity] <= 0:
        text = (
            f"{what}: {name} needs a positive {quantity} at the baseline and one later; {len(measured)} images have it"
        )
        return Outcome(None, (Finding(Severity.UNDETERMINED, "response.no-baseline", text),))
    first, *later = measured
    return Outcome(tuple(_each(name, quantity, what, first, later, limits, judge)))


def _each(
    name: str,
    quantity: str,
    what: str,
    first: VisitValues,
    later: list[VisitValues],
    limits: dict[str, float],
    judge: Judge,
) -> Iterator[ResponseAssessment]:
    baseline = nadir = first.values[quantity]
    for visit in later:
        current = visit.values[quantity]
        category, rule = judge(first, visit, limits)
        yield ResponseAssessment(
            what,
            name,
            visit.series_uid,
            baseline,
            nadir,
            current,
            current / baseline - 1,
            category,
            rule,
            "program",
            quantity,
        )
        nadir = min(nadir, current)


def _measurable(what: str, visits: tuple[VisitValues, ...]) -> Iterator[Finding]:
    """PERCIST asks that the baseline is above 1.5 times the liver and two of its standard deviations."""
    values = visits[0].values if visits else {}
    if not {"sul_peak", "liver_sul_mean", "liver_sul_sd"} <= set(values):
        text = f"{what}: without SUL of the liver nobody knows whether PERCIST can measure the baseline; draw the liver on the PET"
        yield Finding(Severity.WARNING, "response.liver-not-known", text)
        return
    least = 1.5 * values["liver_sul_mean"] + 2 * values["liver_sul_sd"]
    if values["sul_peak"] < least:
        text = f"{what}: SULpeak {values['sul_peak']:.2f} at the baseline is below {least:.2f}, 1.5 liver + 2 sd"
        yield Finding(Severity.WARNING, "response.baseline-not-measurable", text)


def _limits(name: str, default: Mapping[str, float], settings: Settings) -> dict[str, float]:
    for key, value in settings.items():
        if key not in default or isinstance(value, bool | str):
            raise ProtocolError(
                f"{key} = {value!r} is no setting of the criterion {name}",
                where="protocol.toml, response",
                required=f"numbers for {', '.join(default)}",
            )
    return {**default, **{key: float(value) for key, value in settings.items()}}
