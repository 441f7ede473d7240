"""Charts as SVG fragments: percent across, pixels down, so that text never scales. Every chart has a table behind its card."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor, log10

from attrs import field, frozen
from markupsafe import Markup

from lutra.core.estimate import K_95
from lutra.core.units import DAY_S
from lutra.report.model import CurveView, DoseView, LesionView, SubjectView
from lutra.report.numbers import decimals_of_column, plain_text, value_text, write

HEIGHT = 196
TOP, BOTTOM = 16, 160
CURVE_END_H = 200.0
CURVE_TICKS_H = (0, 24, 72, 120, 168)


@frozen
class Chart:
    """An SVG and what it shows in one sentence, for those who cannot see it."""

    svg: Markup
    sentence: str
    margins: str = "l2 r2"


@frozen
class _Axis:
    """Linear scale from 0 to a round number."""

    top: float = field(converter=float)

    def y(self, value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * value / self.top

    def grid(self) -> str:
        parts = []
        decimals = 0 if self.top >= 4 and self.top % 4 == 0 else (1 if self.top >= 1 else 2)
        for n in range(5):
            value = self.top * n / 4
            y = self.y(value)
            parts.append(f'<line class="gl" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
            label = write(value, decimals)
            parts.append(f'<text class="mute" x="0" dx="-8" y="{y:.1f}" dy="4" text-anchor="end">{label}</text>')
        return "".join(parts)


def round_up(value: float) -> float:
    """Next value a scale may end with: 1, 2, 4, 6, 8 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value * 0.999999)


def activity_chart(lesion: LesionView) -> Chart:
    """Draw activity over time, one curve per cycle; earlier cycles recede to grey, the last has its 95 % band."""
    curves = lesion.curves
    end_h = max(CURVE_END_H, *(t for c in curves for t, *_ in c.measured))
    highs = [b[3] for c in curves[-1:] for b in c.band if b[0] <= end_h]
    axis = _Axis(round_up(max([a for c in curves for _, a, _ in c.measured] + highs, default=1.0)))
    parts = [axis.grid()]
    parts += [
        f'<text class="mute" x="{100 * hours / end_h:.2f}%" y="{BOTTOM + 18}" text-anchor="middle">{hours} h</text>'
        for hours in CURVE_TICKS_H
    ]
    ends = [axis.y(max((b for b in c.band if b[0] <= end_h), default=(0.0, 0.0))[1]) for c in curves]
    for n, (curve, label_y) in enumerate(zip(curves, spread(ends, 14.0), strict=True)):
        parts.append(_curve(curve, axis, end_h, last=n == len(curves) - 1, label_y=label_y))
    said = "; ".join(f"cycle {c.cycle}, {_course_of(c)}" for c in curves)
    return _chart(parts, f"Activity in {lesion.lesion_id} over time: {said}")


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Push labels apart to at least `gap`, keeping their order and staying as near as may be to their places."""
    order = sorted(range(len(places)), key=lambda n: (places[n], n))
    moved = list(places)
    for upper, lower in pairwise(order):
        moved[lower] = max(moved[lower], moved[upper] + gap)
    drift = sum(m - p for m, p in zip(moved, places, strict=True)) / max(len(places), 1)
    return [m - drift for m in moved]


def _course_of(curve: CurveView) -> str:
    if not curve.measured:
        return "not measured"
    (t0, a0, _), (t1, a1, _) = curve.measured[0], curve.measured[-1]
    start = f"{a0:.3g} MBq at {t0:.0f} h"
    return start if t0 == t1 else f"{start} to {a1:.3g} MBq at {t1:.0f} h"


def _curve(curve: CurveView, axis: _Axis, end_h: float, *, last: bool, label_y: float) -> str:
    hue = "k-dose" if last else "k-mute"
    inside = [b for b in curve.band if b[0] <= end_h]
    x = [1000 * t / end_h for t, *_ in inside]
    parts = []
    if inside:
        parts.append(f'<svg width="100%" height="{HEIGHT}" viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">')
        if last:
            low = [(a, axis.y(max(b[2], 0.0))) for a, b in zip(x, inside, strict=True)]
            high = [(a, axis.y(min(b[3], axis.top))) for a, b in zip(x, inside, strict=True)]
            parts.append(f'<path class="fb {hue}" d="{_path(low + high[::-1])}Z"/>')
        best = _path([(a, axis.y(b[1])) for a, b in zip(x, inside, strict=True)])
        dash = "" if curve.identifiable else " dash"
        parts.append(f'<path class="ln sk {hue}{"" if last else " thin"}{dash}" d="{best}"/></svg>')
        style = "fk k-dose" if last else "mute"
        parts.append(f'<text class="{style}" x="100%" y="{label_y:.1f}" dx="6" dy="4">cycle {curve.cycle}</text>')
    for t, mbq, sd in curve.measured:
        px, py = 100 * t / end_h, axis.y(mbq)
        if last and sd:
            bar = f'y1="{axis.y(max(mbq - K_95 * sd, 0.0)):.1f}" y2="{axis.y(min(mbq + K_95 * sd, axis.top)):.1f}"'
            parts.append(f'<line class="eb sk {hue}" x1="{px:.2f}%" x2="{px:.2f}%" {bar}/>')
        tip = f"cycle {curve.cycle}, {t:.1f} h: {mbq:.3g} MBq"
        shape = f'class="{"fk" if last else "fo"} {hue}" cx="{px:.2f}%" cy="{py:.1f}" r="{4 if last else 3}"'
        parts.append(f'<circle {shape} data-tip="{tip}"/>')
    return "".join(parts)


def dose_chart(lesion: LesionView) -> Chart:
    """Draw absorbed dose per cycle, one mark per engine, bars 95 % where every source was evaluated."""
    cycles = sorted({d.cycle for d in lesion.doses})
    engines = list(dict.fromkeys(d.engine for d in lesion.doses))
    known = [(d, d.number.estimate) for d in lesion.doses if d.number.estimate]
    axis = _Axis(round_up(max([(e.interval() or (e.value, e.value))[1] for _, e in known], default=1.0)))
    decimals = decimals_of_column(d.number for d in lesion.doses)
    parts = [axis.grid()]
    for n, cycle in enumerate(cycles):
        middle = 100 * (n + 0.5) / len(cycles)
        parts.append(
            f'<text class="mute" x="{middle:.2f}%" y="{BOTTOM + 18}" text-anchor="middle">cycle {cycle}</text>'
        )
        for rank, engine in enumerate(engines):
            px = middle + (rank - (len(engines) - 1) / 2) * 16 / len(cycles)
            parts += [
                _dose(d, axis, px, rank, decimals) for d in lesion.doses if (d.cycle, d.engine) == (cycle, engine)
            ]
    said = "; ".join(f"cycle {d.cycle}, {d.engine}: {plain_text(d.number, decimals)}" for d in lesion.doses)
    return _chart(parts, f"Absorbed dose of {lesion.lesion_id} by cycle and method: {said}", "l2 r1")


def _dose(dose: DoseView, axis: _Axis, px: float, rank: int, decimals: int | None) -> str:
    side = 'dx="-9" text-anchor="end"' if rank == 0 else 'dx="9"'
    estimate = dose.number.estimate
    tip = Markup.escape(f"cycle {dose.cycle}, {dose.engine}: {plain_text(dose.number, decimals)}")
    if estimate is None:
        return f'<text class="undt" x="{px:.2f}%" y="{BOTTOM - 8}" {side} data-tip="{tip}">?</text>'
    y, interval = axis.y(estimate.value), estimate.interval()
    bar = ""
    if interval:
        ends = f'y1="{axis.y(max(interval[0], 0.0)):.1f}" y2="{axis.y(interval[1]):.1f}"'
        bar = f'<line class="eb sk k-dose" x1="{px:.2f}%" x2="{px:.2f}%" {ends}/>'
    mark = f'class="{"fk" if rank == 0 else "fo"} k-dose" cx="{px:.2f}%" cy="{y:.1f}" r="4.5"'
    label = value_text(dose.number, decimals)
    return (
        f'{bar}<circle {mark} data-tip="{tip}"/>'
        f'<text class="strong halo" x="{px:.2f}%" y="{y:.1f}" {side} dy="4">{label}</text>'
    )


def size_chart(points: Sequence[tuple[str, float, str]], lesion_id: str) -> Chart:
    """Draw the longest diameter over the CTs, in order. `points` are (label, mm, category or empty)."""
    axis = _Axis(round_up(max((mm for _, mm, _ in points), default=1.0)))
    parts = [axis.grid()]
    place = [100 * (n + 0.5) / len(points) for n in range(len(points))]
    line = _path([(10 * x, axis.y(mm)) for x, (_, mm, _) in zip(place, points, strict=True)])
    parts.append(
        f'<svg width="100%" height="{HEIGHT}" viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none">'
        f'<path class="ln sk k-size" d="{line}"/></svg>'
    )
    for x, (name, mm, category) in zip(place, points, strict=True):
        y, label = axis.y(mm), Markup.escape(name)
        spot = f'cx="{x:.2f}%" cy="{y:.1f}" r="4" data-tip="{label}: {mm:.1f} mm"'
        parts.append(f'<circle class="fk k-size" {spot}/>')
        text = f"{mm:.0f} {Markup.escape(category)}"
        parts.append(f'<text class="strong halo" x="{x:.2f}%" y="{y:.1f}" dx="9" dy="-6">{text}</text>')
        parts.append(f'<text class="mute" x="{x:.2f}%" y="{BOTTOM + 18}" text-anchor="middle">{label}</text>')
    said = "; ".join(f"{label}: {mm:.0f} mm {category}".strip() for label, mm, category in points)
    return _chart(parts, f"Longest diameter of {lesion_id} over time: {said}")


LANES = (
    ("Cycle", ()),
    ("SPECT", ("therapy-spect",)),
    ("FDG SSTR", ("fdg-pet", "sstr-pet", "other-pet")),
    ("ADC, MR", ("adc", "dwi", "other-mr")),
    ("CT", ("ct",)),
)


def timeline(subject: SubjectView) -> Chart | None:
    """Draw infusions and scans on one axis of dates; None where there is no course to show."""
    dated = [(s.acquired_at, s) for s in subject.series if s.acquired_at]
    moments = [at for at, _ in dated] + [c.started_at for c in subject.cycles]
    if not moments:
        return None
    start, end = min(moments), max(moments)
    if not subject.cycles and (end - start).total_seconds() < DAY_S:
        return None
    span = max((end - start).total_seconds(), DAY_S)
    parts = []
    for n, (name, roles) in enumerate(LANES):
        y = 40 + 28 * n
        parts.append(f'<text class="lane" x="0" dx="-92" y="{y + 4}">{name}</text>')
        parts.append(f'<line class="gl" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        for at, series in dated:
            if series.role in roles:
                x = 2 + 92 * (at - start).total_seconds() / span
                kind = "find" if series.finding_count else "dot"
                tip = Markup.escape(f"{series.label}: {series.finding_count or 'no'} findings")
                parts.append(f'<circle class="{kind}" cx="{x:.2f}%" cy="{y}" r="4" data-tip="{tip}"/>')
    for cycle in subject.cycles:
        x = 2 + 92 * (cycle.started_at - start).total_seconds() / span
        activity = f"{cycle.activity_mbq / 1000:.1f} GBq" if cycle.activity_mbq else "activity unknown"
        parts.append(f'<circle class="cyc" cx="{x:.2f}%" cy="40" r="9"/>')
        parts.append(f'<text x="{x:.2f}%" y="44" text-anchor="middle" class="cycn">{cycle.cycle}</text>')
        parts.append(f'<text class="halo" x="{x:.2f}%" dx="15" y="44">{activity}</text>')
    for at, x in ((start, 2), (end, 94)):
        parts.append(f'<text class="mute" x="{x}%" y="12" text-anchor="middle">{at.day} {at:%b %Y}</text>')
    images = f"{len(dated)} dated image{'' if len(dated) == 1 else 's'}"
    sentence = f"{len(subject.cycles)} cycles and {images} from {start.day} {start:%b %Y} to {end.day} {end:%b %Y}"
    svg = f'<svg height="172" role="img" aria-label="{sentence}">{"".join(parts)}</svg>'
    return Chart(Markup(svg), sentence, "")  # noqa: S704  (every text in it is escaped above)


def outline_path(line: Sequence[tuple[float, float]]) -> str:
    """SVG path of an outline given in fractions, in a box of 100 by 100."""
    return _path([(100 * x, 100 * y) for x, y in line]) + "Z" if line else ""


def right_end(line: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Point of an outline that lies farthest to the right: where its name goes."""
    return max(line, key=lambda point: point[0])


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _chart(parts: Sequence[str], sentence: str, margins: str = "l2 r2") -> Chart:
    label = Markup.escape(sentence)
    svg = f'<svg height="{HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    return Chart(Markup(svg), sentence, margins)  # noqa: S704  (labels are escaped, the rest are numbers)
