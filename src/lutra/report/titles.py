"""What the title of a card may say. Where no rule applies it names the quantity and claims nothing."""

from __future__ import annotations

from lutra.report.model import LesionView, SubjectView
from lutra.report.numbers import change_text, plain_text

FALLS, RISES = -0.1, 0.1
"""A first-order change of uptake worth a word: beyond the repeatability of a lesion's activity, about 10 %."""


def plural(n: int, word: str) -> str:
    """`1 lesion`, `2 lesions`."""
    return f"{n} {word}{'' if n == 1 else 's'}"


def subject_title(subject: SubjectView) -> str:
    """Say what this subject's page can answer, in a sentence."""
    doses = [d for lesion in subject.lesions for d in lesion.doses]
    if any(d.number.estimate for d in doses):
        cycles = plural(len({d.cycle for d in doses}), "cycle")
        return f"Absorbed dose of {plural(len(subject.lesions), 'lesion')} in {cycles}"
    if subject.lesions:
        return f"{plural(len(subject.lesions), 'lesion')} measured; no dose without a therapy SPECT"
    if subject.series:
        return "Images without lesions: whole-image numbers only"
    return "No usable image yet"


def curve_title(lesion: LesionView) -> str:
    """Say what the activity curves say."""
    if any(not c.identifiable for c in lesion.curves):
        points = min(len(c.measured) for c in lesion.curves if not c.identifiable)
        return f"{plural(points, 'scan')} {'does' if points == 1 else 'do'} not identify a curve"
    if len(lesion.curves) > 1:
        first, last = (max(a for _, a, _ in c.measured) for c in (lesion.curves[0], lesion.curves[-1]))
        change = last / first - 1
        span = f"from cycle {lesion.curves[0].cycle} to {lesion.curves[-1].cycle}"
        if change < FALLS:
            return f"Uptake falls by {change_text(change).lstrip('−')} {span}"
        if change > RISES:
            return f"Uptake rises by {change_text(change).lstrip('+')} {span}"
        return "Uptake is alike in all cycles"
    return "Activity over time"


def dose_title(lesion: LesionView) -> str:
    """Say what the doses are: the dose of the first engine, if there is one cycle."""
    known = [d for d in lesion.doses if d.number.estimate]
    if not known:
        return "Absorbed dose cannot be determined"
    cycles = {d.cycle for d in known}
    if len(cycles) == 1:
        return f"{plain_text(known[0].number)} in cycle {known[0].cycle}"
    return f"Absorbed dose in {plural(len(cycles), 'cycle')}"


def size_title(lesion: LesionView) -> str:
    """Say what the diameters did."""
    if lesion.responses:
        last = lesion.responses[-1]
        return f"{last.current_mm:.0f}\u00a0mm, {change_text(last.change)} from {last.baseline_mm:.0f}\u00a0mm: {last.category}"
    return "Longest transversal diameter"
