"""Which instant the activity of a PET or SPECT image is stated for.

DICOM (0054,1102) names it: ADMIN the administration, START the start of the series, NONE each frame's own time. The
trap is START of a series that was made again later: its series time is then the time of processing, and the scanner's clock
must be found elsewhere. An ADMIN image read as START is wrong by exp(lambda t), 12.8 % for 177Lu at 27.7 h.
"""

from __future__ import annotations

from datetime import datetime
from math import expm1

from attrs import frozen

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.core.time import seconds_between
from lutra.physics.decay import decay_constant_per_s
from lutra.quantify.instants import CLOCK_ROUNDING_S, half_life_s, scan_start
from lutra.quantify.stored_values import MOST_HALF_LIVES
from lutra.quantify.suv_case import Refusal, first_of
from lutra.quantify.suv_cases import INSTANTS
from lutra.reference.nuclides import nuclides

HALF_LIFE_TOLERANCE = 0.005
"""Scanners carry half-lives of different editions of the tables; they agree to 0.3 %."""
WITNESS_TOLERANCE = 0.01
"""Two statements of one instant are a contradiction when they change an activity by more than this."""
LARGEST_EXPONENT = 50.0


@frozen
class DecayReference:
    """The instant, and the rule that found it.

    Parameters
    ----------
    case
        Name of the rule, as in :data:`~lutra.quantify.suv_cases.CASES`.
    reason
        The rule in words, with the tags it used.
    """

    at: datetime
    case: str
    reason: str


@frozen
class SliceReferences:
    """As :class:`DecayReference`, for an image of which each slice is stated for its own instant; one instant if they share it."""

    at: tuple[datetime, ...]
    case: str
    reason: str


def decay_reference(header: SeriesHeader) -> Outcome[DecayReference]:
    """Find the one instant an image is decay-referenced to.

    Returns
    -------
    Outcome
        The instant with its rule, or none with a Finding that names the missing tag.

    References
    ----------
    DICOM PS3.3 C.8.9.1.1.5; the START rules follow QIBA's vendor-neutral SUV calculation, NONE the recommendations of the
    Image Biomarker Standardisation Initiative.
    """
    outcome = slice_references(header)
    found = outcome.value
    if found is None:
        return Outcome(None, outcome.findings)
    if len(found.at) > 1:
        why = "not decay corrected and several acquisition times: one instant does not exist"
        return Outcome(None, (*outcome.findings, _undetermined(header, why)))
    return Outcome(DecayReference(found.at[0], found.case, found.reason), outcome.findings)


def slice_references(header: SeriesHeader) -> Outcome[SliceReferences]:
    """Find the instant an image, or each of its slices in slice order, is decay-referenced to."""
    case, found = first_of(INSTANTS, header)
    if not isinstance(found, Refusal) and (apart := _half_lives_apart(header, found)) > MOST_HALF_LIVES:
        found = Refusal(
            f"{found[0].isoformat()} and the acquisition (0008,0032) are {apart:.3g} half-lives (0018,1075) apart; required: at "
            f"most {MOST_HALF_LIVES:g}"
        )
    findings = _contradictions(header)
    if isinstance(found, Refusal):
        return Outcome(None, (*findings, _undetermined(header, found.why)))
    if header.decay_correction is DecayCorrection.START:
        findings += _other_witnesses(header, found[0])
    if case.name == "none, start of the frame":
        findings.append(
            Finding(
                Severity.WARNING,
                "quantify.frame-duration-unknown",
                f"series {header.series_uid}: not decay corrected, and no frame duration (0018,1242) or half-life (0018,1075): the "
                "start of the frame stands for the instant of its mean activity, about half a frame later. To do: export it again",
            )
        )
    return Outcome(SliceReferences(found, case.name, case.used), findings)


def _half_lives_apart(header: SeriesHeader, instants: tuple[datetime, ...]) -> float:
    """Between the acquisition and the first of some instants; 0 if a half-life or the acquisition is unknown."""
    known_s = half_life_s(header)
    if not known_s or header.acquired_at is None:
        return 0.0
    return abs(seconds_between(instants[0], header.acquired_at)) / known_s


def _contradictions(header: SeriesHeader) -> list[Finding]:
    findings = []
    corrected = header.decay_correction in {DecayCorrection.START, DecayCorrection.ADMIN}
    if corrected and header.corrected_image and "DECY" not in header.corrected_image:
        findings.append(
            Finding(
                Severity.WARNING,
                "quantify.decay-correction-contradiction",
                f"series {header.series_uid}: Decay Correction (0054,1102) says {header.decay_correction}, but Corrected Image "
                f"(0028,0051) has no DECY: {', '.join(header.corrected_image)}. The former is used. To do: ask the site",
            )
        )
    agent = header.radiopharmaceutical
    if (
        header.decay_correction is DecayCorrection.ADMIN
        and header.decay_factor == 1
        and agent
        and agent.administered_at
    ):
        findings += _unit_factor(header, agent, agent.administered_at)
    if agent and agent.nuclide in nuclides() and agent.half_life_s:
        known_s = nuclides()[agent.nuclide].half_life_s
        if abs(agent.half_life_s / known_s - 1) > HALF_LIFE_TOLERANCE:
            findings.append(
                Finding(
                    Severity.WARNING,
                    "quantify.half-life-deviates",
                    f"series {header.series_uid}: half-life (0018,1075) {agent.half_life_s:g} s, {agent.nuclide} has "
                    f"{known_s:g} s. The header's is used, because the scanner used it. To do: check the nuclide at the scanner",
                )
            )
    return findings


def _unit_factor(header: SeriesHeader, agent: Radiopharmaceutical, administered_at: datetime) -> list[Finding]:
    if header.acquired_at is None or not agent.half_life_s:
        return []
    elapsed_s = seconds_between(administered_at, header.acquired_at)
    size = _change(elapsed_s, agent.half_life_s)
    if size < 1e-3:
        return []
    return [
        Finding(
            Severity.WARNING,
            "quantify.decay-factor-contradiction",
            f"series {header.series_uid}: Decay Correction (0054,1102) ADMIN, but Decay Factor (0054,1321) is 1 at "
            f"{elapsed_s / 3600:.2f} h after administration. ADMIN is taken as true and undone; left as stored, activities "
            f"would be {size:.1%} higher. To do: confirm with a phantom or the camera's manual",
        )
    ]


def _other_witnesses(header: SeriesHeader, at: datetime) -> list[Finding]:
    """Compare the start that was found with everything else the header says about it.

    Frame times count only where the beds have acquisition times of their own: a scanner that writes one time for all beds may
    write that of the scan.
    """
    agent = header.radiopharmaceutical
    if agent is None or not agent.half_life_s or header.acquired_at is None:
        return []
    beds = len(set(header.slice_acquired_at)) > 1
    witnesses = {
        "private scan time (0009,100D) or (0071,1022)": header.scan_reference_at,
        "frame times (0008,0032), (0054,1300), (0018,1242)": scan_start(header) if beds else None,
        "earliest acquisition (0008,0032), which cannot be before the start,": (
            header.acquired_at if seconds_between(header.acquired_at, at) > CLOCK_ROUNDING_S else None
        ),
    }
    findings = []
    for name, other in witnesses.items():
        if other is None:
            continue
        change = _change(seconds_between(other, at), agent.half_life_s)
        if abs(change) > WITNESS_TOLERANCE:
            findings.append(
                Finding(
                    Severity.WARNING,
                    "quantify.decay-reference-contradiction",
                    f"series {header.series_uid}: the start of the scan is taken as {at.isoformat()}, but the {name} says "
                    f"{other.isoformat()}; with that, activities would differ by {abs(change):.1%}. To do: check the scanner's "
                    "clock, and whether the series was made again later",
                )
            )
    return findings


def _change(shift_s: float, half_life_s: float) -> float:
    """Relative change of an activity by a shift of its reference; bounded, for dates that are years apart. [1]"""
    return expm1(min(decay_constant_per_s(half_life_s) * shift_s, LARGEST_EXPONENT))


def _undetermined(header: SeriesHeader, why: str) -> Finding:
    text = f"series {header.series_uid}: decay reference cannot be determined: {why}"
    return Finding(Severity.UNDETERMINED, "quantify.no-decay-reference", text)
