"""What the title of a card may say. Where no rule applies it names the quantity and claims nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lutra.report.model import CurveView, DoseView, LesionView, SubjectView, TransformView
from lutra.report.numbers import MINUS, NBSP, change_text, plain_text

REPEATABILITY = 0.1
"""A relative change of a lesion's activity below which it is called alike."""


def plural(n: int, word: str) -> str:
    """`1 lesion`, `2 lesions`."""
    return f"{n} {word}{'' if n == 1 else 's'}"


def subject_title(subject: SubjectView) -> str:
    """Say what this subject's page can answer, in a sentence."""
    if subject.blinded:
        return f"{plural(len(subject.lesions), 'lesion')} to read; what lesions took up is not shown until the response is locked"
    doses = [d for lesion in subject.lesions for d in lesion.doses]
    known = [d for d in doses if d.number.estimate]
    if known:
        cycles = plural(len({d.cycle for d in known}), "cycle")
        lesions = plural(sum(any(d.number.estimate for d in lesion.doses) for lesion in subject.lesions), "lesion")
        missing = len(doses) - len(known)
        return f"Absorbed dose of {lesions} in {cycles}" + (f"; {missing} undetermined" if missing else "")
    if doses:
        return "Absorbed dose cannot be determined"
    if subject.lesions:
        reason = "no dose without a therapy SPECT" if not _has_spect(subject) else "no dose could be computed"
        return f"{plural(len(subject.lesions), 'lesion')} measured; {reason}"
    if subject.series:
        return "Images without lesions: whole-image numbers only"
    return "No usable image yet"


def missing_words(subject: SubjectView) -> tuple[str, ...]:
    """Name what this subject does not have and what each gap costs."""
    if subject.blinded:
        return ()
    roles = {s.role for s in subject.series}
    gaps = []
    if "therapy-spect" not in roles:
        gaps.append("no therapy SPECT, so no dose")
    elif not subject.cycles:
        gaps.append("no known administration, so no time-integrated activity")
    if "ct" not in roles:
        gaps.append("no CT, so no diameter on CT and no density")
    if not subject.lesions:
        gaps.append("no lesion outlined, so whole-image numbers only")
    if subject.weight_kg is None and roles & {"fdg-pet", "sstr-pet", "other-pet"}:
        gaps.append("no agreed weight")
    return tuple(gaps)


def curve_title(curves: Sequence[CurveView]) -> str:
    """Say what the activity curves say."""
    weak = [c for c in curves if not c.identifiable]
    if weak:
        points = min(len(c.measured) for c in weak)
        return f"{plural(points, 'scan')} {'does' if points == 1 else 'do'} not identify a curve"
    first, last = (max((a for _, a, _ in c.measured), default=0.0) for c in (curves[0], curves[-1]))
    if len(curves) < 2 or not first:
        return "Activity over time"
    change = last / first - 1
    span = f"from cycle {curves[0].cycle} to {curves[-1].cycle}"
    if abs(change) <= REPEATABILITY:
        return f"Uptake is alike {span}"
    verb = "falls" if change < 0 else "rises"
    return f"Uptake {verb} by {change_text(change).lstrip(MINUS + '+')} {span}"


def dose_title(doses: Sequence[DoseView]) -> str:
    """Say what the doses are: the dose of the first method that has one, if there is one cycle."""
    known = [d for d in doses if d.number.estimate]
    if not known:
        return "Absorbed dose cannot be determined"
    cycles = sorted({d.cycle for d in known})
    if len(cycles) == 1:
        return f"Cycle {cycles[0]}: {plain_text(known[0].number)}"
    return f"Absorbed dose in {plural(len(cycles), 'cycle')}"


def size_title(lesion: LesionView) -> str:
    """Say what the diameters did."""
    if not lesion.responses:
        return "Longest transversal diameter"
    last = lesion.responses[-1]
    sizes = f"{last.current_mm:.0f}{NBSP}mm, {change_text(last.change)} from {last.baseline_mm:.0f}{NBSP}mm"
    return f"{sizes}: {last.category}"


def registration_title(transforms: Sequence[TransformView]) -> str:
    """Say how well the images of different frames of reference meet."""
    failed = sum(bool(t.reason) for t in transforms)
    if failed:
        return f"{failed} of {plural(len(transforms), 'registration')} failed"
    errors = [t.error_mm for t in transforms]
    known = [error for error in errors if error is not None]
    if len(known) < len(errors):
        return f"{plural(len(transforms), 'registration')}, not all with an error estimate"
    return f"{plural(len(transforms), 'registration')}, largest error {max(known):.1f}{NBSP}mm"


def findings_title(n: int) -> str:
    """Say how much needs a person."""
    return f"{plural(n, 'finding')} for a person" if n else "No finding needs a person"


def _has_spect(subject: SubjectView) -> bool:
    return any(s.role == "therapy-spect" for s in subject.series)


def doses_title(subject: SubjectView) -> str:
    """Say what the kidneys have received, where they have, and of how many regions doses are known."""
    engine = subject.dose_engine
    totals = {r.title: r.number(None, f"absorbed-dose.{engine}") for r in subject.regions}
    known = {name: n for name, n in totals.items() if n is not None and n.estimate is not None}
    kidneys = [n for name, n in known.items() if "kidney" in name.casefold()]
    if not known:
        return "No dose is known"
    words = f"Doses of {plural(len(known), 'region')} in {plural(len(subject.cycles), 'cycle')}"
    if not kidneys:
        return words
    most = max(kidneys, key=lambda n: n.estimate.value if n.estimate else 0.0)
    return f"Kidney dose so far {plain_text(most)}; {words[0].lower()}{words[1:]}"
