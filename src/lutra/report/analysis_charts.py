"""Charts of the analysis page. As those of the subject page: percent across, pixels down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, exp, floor, log10

from attrs import frozen
from markupsafe import Markup

from lutra.report.analysis_model import ModelView
from lutra.report.charts import Chart
from lutra.report.numbers import write

HUES = (("dose", "k-dose"), ("fdg", "k-fdg"), ("sstr", "k-sstr"), ("adc", "k-adc"), ("ltd", "k-size"))
RESPONSE_HUES = {"CR": "k-pr", "PR": "k-pr", "SD": "k-sd", "PD": "k-pd"}
TOP, ROW = 26, 34


def hue_of(name: str) -> str:
    """Colour of a quantity, by the name of its column."""
    return next((hue for word, hue in HUES if word in name), "k-size")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`."""
    span = max(high - low, 1e-12)
    power = 10.0 ** floor(log10(span / about))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if span / (s * power) <= about)
    first = ceil(low / step - 1e-9)
    return [n * step for n in range(first, floor(high / step + 1e-9) + 1)]


@frozen
class Plane:
    """Linear scales: `x` to percent, `y` to pixels."""

    x0: float
    x1: float
    y0: float
    y1: float
    height: int = 286
    top: int = 10
    bottom: int = 252

    def x(self, value: float) -> float:
        """Place across. [%]"""
        return 100 * (value - self.x0) / ((self.x1 - self.x0) or 1.0)

    def y(self, value: float) -> float:
        """Place down. [px]"""
        return self.bottom - (self.bottom - self.top) * (value - self.y0) / ((self.y1 - self.y0) or 1.0)

    def grid(self, x_unit: str = "", y_unit: str = "", x_ticks: Iterable[float] | None = None) -> list[str]:
        """Lines and numbers of both axes."""
        parts = []
        for value in ticks(self.y0, self.y1):
            y = self.y(value)
            parts.append(f'<line class="gl" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
            text = f"{number(value)}{y_unit}"
            parts.append(f'<text class="mute" x="0" dx="-8" y="{y:.1f}" dy="4" text-anchor="end">{text}</text>')
        for value in ticks(self.x0, self.x1) if x_ticks is None else x_ticks:
            text = f"{number(value)}{x_unit}"
            place = f'x="{self.x(value):.2f}%" y="{self.bottom + 17}"'
            parts.append(f'<text class="mute" {place} text-anchor="middle">{text}</text>')
        return parts

    def line(self, points: Sequence[tuple[float, float]], css: str) -> str:
        """Line through points of the plane."""
        return self.shape([(10 * self.x(x), self.y(y)) for x, y in points], css)

    def band(self, rows: Sequence[tuple[float, float, float]], css: str) -> str:
        """Area between a lower and an upper line, `rows` are (x, low, high)."""
        low = [(10 * self.x(x), self.y(max(lo, self.y0))) for x, lo, _ in rows]
        high = [(10 * self.x(x), self.y(min(hi, self.y1))) for x, _, hi in rows]
        return self.shape(low + high[::-1], css, close=True)

    def shape(self, places: Sequence[tuple[float, float]], css: str, *, close: bool = False) -> str:
        """Path of places in thousandths across and pixels down, whose line does not scale."""
        if not places:
            return ""
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places) + ("Z" if close else "")
        box = f'width="100%" height="{self.height}" viewBox="0 0 1000 {self.height}" preserveAspectRatio="none"'
        return f'<svg {box}><path class="{css}" d="{path}"/></svg>'


def number(value: float) -> str:
    """Write the number of a tick."""
    return f"{value:.6g}".replace("-", "−")


def svg(parts: Iterable[str], height: int, sentence: str, margins: str = "l2 r1") -> Chart:
    """Close a chart. Everything in `parts` must be escaped or a number."""
    label = Markup.escape(sentence)
    return Chart(
        Markup(f'<svg height="{height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'),  # noqa: S704  (as said)
        sentence,
        margins,
    )


def esc(text: str) -> str:
    """Escape what a person wrote."""
    return str(Markup.escape(text))


# ---- forest ----
def forest(alone: Sequence[ModelView], together: ModelView | None) -> Chart | None:
    """Draw the effects of the primary models per standard deviation, each alone and all together."""
    rows: dict[str, dict[str, tuple[float, float, float]]] = {}
    labels: dict[str, tuple[str, str]] = {}
    for model in alone:
        for e in model.effects[:1]:
            rows.setdefault(e.name, {})["alone"] = e.per_sd
            labels[e.name] = (e.label, "per standard deviation")
    for e in together.effects if together else ():
        rows.setdefault(e.name, {})["together"] = e.per_sd
        labels[e.name] = (e.label, "per standard deviation")
    if not rows:
        return None
    ends = [abs(100 * (exp(v) - 1)) for each in rows.values() for triple in each.values() for v in triple]
    reach = min(max(1.0, *ends) * 1.05, 100.0)
    height = TOP + ROW * len(rows) + 40
    plane = Plane(-reach, reach, 0, 1, height, TOP, TOP + ROW * len(rows))
    parts = []
    for value in ticks(-reach, reach, 6):
        x = f"{plane.x(value):.2f}%"
        css = "zero" if abs(value) < 1e-9 else "gl"
        parts.append(f'<line class="{css}" x1="{x}" x2="{x}" y1="{plane.bottom}" y2="{TOP}"/>')
        text = f"{'+' if value > 0 else ''}{number(value)} %"
        parts.append(f'<text class="mute" x="{x}" y="{plane.bottom + 17}" text-anchor="middle">{text}</text>')
    parts.append(
        '<text class="mute" x="0" y="12">smaller</text><text class="mute" x="100%" y="12" text-anchor="end">larger</text>'
    )
    parts.append('<text class="mute" x="100%" dx="12" y="12">together, 95 %</text>')
    said = []
    for n, (name, each) in enumerate(rows.items()):
        y = TOP + ROW * n + 16
        label, per = labels[name]
        parts.append(f'<text class="strong" x="0" dx="-200" y="{y + 2}">{esc(label)}</text>')
        parts.append(f'<text class="mute" x="0" dx="-200" y="{y + 16}">{per}</text>')
        for kind, (best, low, high) in each.items():
            values = [100 * (exp(min(v, 5.0)) - 1) for v in (best, low, high)]
            inside = [min(max(v, -reach), reach) for v in values]
            wide, hue = (" wide", hue_of(name)) if kind == "together" else ("", "k-mute")
            at = y if kind == "together" else y + 13
            ends_x = f'x1="{plane.x(inside[1]):.2f}%" x2="{plane.x(inside[2]):.2f}%"'
            parts.append(f'<line class="eb sk {hue}{wide}" {ends_x} y1="{at}" y2="{at}"/>')
            mark = ("fk", 5.5) if kind == "together" else ("fo", 3.5)
            place = f'cx="{plane.x(inside[0]):.2f}%" cy="{at}" r="{mark[1]}"'
            text = f"{bare(values[0])} ({bare(values[1])} to {bare(values[2])}) %"
            parts.append(f'<circle class="{mark[0]} {hue}" {place} data-tip="{kind}: {text}"/>')
            if kind == "together":
                parts.append(f'<text x="100%" dx="12" y="{y + 4}">{text}</text>')
            said.append(f"{label} {kind}: {text}")
    return svg(
        parts,
        height,
        f"Change of diameter per standard deviation of each predictor with 95 % intervals. {'; '.join(said)}",
        "l3 r3",
    )


def bare(value: float) -> str:
    """Write a number of percent with its sign, without the unit."""
    return signed(value).removesuffix(" %")


def signed(value: float) -> str:
    """Write a percentage with its sign."""
    if abs(value) >= 1000:
        return "beyond measure"
    return f"{value:+.1f} %".replace("-", "−")


# ---- discrimination ----
def roc(model: ModelView) -> tuple[Chart, list[tuple[str, str, str, str]]] | None:
    """Draw the ROC curve of each predictor; and rows (hue, column, area, interval) of its table."""
    each = model.numbers.get("predictors") or {model.outcome: dict(model.numbers)}
    if not model.converged or not all("roc" in area for area in each.values()):
        return None
    plane = Plane(0, 1, 0, 1)
    quarters = [n / 4 for n in range(5)]
    parts = [*plane.grid(x_ticks=quarters), plane.line([(0, 0), (1, 1)], "ln thin dash sk k-band")]
    rows = []
    best = max(each.values(), key=lambda area: area["estimate"])
    if best.get("band"):
        hue = hue_of(next(name for name, area in each.items() if area is best))
        parts.append(plane.band([(x, low, high) for x, low, high in best["band"]], f"fb {hue}"))
    for name, area in each.items():
        parts.append(plane.line([(x, y) for x, y in area["roc"]], f"ln sk {hue_of(name)}"))
        interval = area.get("ci95")
        band = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "not determined"
        rows.append((hue_of(name), name, f"{area['estimate']:.2f}", band))
    said = "; ".join(f"{name} {area} ({band})" for _, name, area, band in rows)
    return svg(parts, 286, f"ROC curves: sensitivity against 1 minus specificity. Areas: {said}", "l1 r1"), rows


# ---- dose and response ----
def dose_response(points: Sequence[tuple[float, float, float]], curve: Sequence[dict[str, float]]) -> Chart | None:
    """Draw the change of each lesion against its dose, and the fitted spline with its band.

    Parameters
    ----------
    points
        Dose [Gy], its standard uncertainty, change of diameter [1].
    curve
        Expected log ratio along the dose.
    """
    if not points:
        return None
    fitted = [(p["x"], *(100 * (exp(p[k]) - 1) for k in ("expected", "low", "high"))) for p in curve]
    changes = [100 * c for *_, c in points]
    low = min([*changes, *(f[2] for f in fitted if f[2] > -100)], default=-50)
    high = max([*changes, *(min(f[3], 100.0) for f in fitted)], default=50)
    plane = Plane(0, max(d for d, *_ in points) * 1.05, min(low, -10) * 1.05, max(high, 10) * 1.05)
    parts = plane.grid(" Gy", " %")
    zero = plane.y(0)
    parts.append(f'<line class="zero" x1="0" x2="100%" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    if fitted:
        parts.append(plane.band([(x, lo, hi) for x, _, lo, hi in fitted], "fb k-dose"))
        parts.append(plane.line([(x, best) for x, best, *_ in fitted], "ln sk k-dose"))
    for dose, sd, change in points:
        tip = f"{dose:.0f} ± {sd:.0f} Gy, {signed(100 * change)}"
        y = plane.y(100 * change)
        ends = f'x1="{plane.x(max(dose - sd, 0)):.2f}%" x2="{min(plane.x(dose + sd), 100):.2f}%"'
        parts.append(f'<line class="eb sk k-mute" {ends} y1="{y:.1f}" y2="{y:.1f}" opacity=".35"/>')
        parts.append(f'<circle class="pt" cx="{plane.x(dose):.2f}%" cy="{y:.1f}" r="4" data-tip="{tip}"/>')
    sentence = f"Change of diameter against cumulative dose of {len(points)} lesions"
    return svg(parts, plane.height, sentence + (", with a fitted spline and its 95 % band" if fitted else ""))


# ---- single lesions and patients ----
def waterfall(bars: Sequence[tuple[str, float, str, str]], sentence: str) -> Chart | None:
    """Draw changes in order. `bars` are (name, change, hue, mark); dashed lines at +20 and -30 %."""
    if not bars:
        return None
    ordered = sorted(bars, key=lambda bar: -bar[1])
    low = min(-40.0, *(100 * b[1] for b in bars)) * 1.05
    high = max(30.0, *(min(100 * b[1], 100.0) for b in bars)) * 1.05
    plane = Plane(0, len(bars), low, high)
    parts = plane.grid("", " %", x_ticks=())
    for limit in (20, -30):
        y = plane.y(limit)
        parts.append(f'<line class="lim" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
    zero = plane.y(0)
    for n, (name, change, hue, mark) in enumerate(ordered):
        x, width, y = plane.x(n + 0.12), 0.76 * 100 / len(bars), plane.y(min(100 * change, high))
        box = f'x="{x:.2f}%" width="{width:.3f}%" y="{min(y, zero):.1f}" height="{max(abs(y - zero), 1):.1f}"'
        parts.append(f'<rect class="fk {hue}" {box} data-tip="{esc(name)}: {signed(100 * change)}"/>')
        if mark:
            above = min(y, zero) - 5
            parts.append(
                f'<text class="strong" x="{x + width / 2:.2f}%" y="{above:.1f}" text-anchor="middle">{esc(mark)}</text>'
            )
    parts.append(f'<line class="zero" x1="0" x2="100%" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    return svg(parts, plane.height, f"{sentence}. From {signed(100 * ordered[0][1])} to {signed(100 * ordered[-1][1])}")


def spider(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]], str]], labels: Sequence[str], sentence: str, unit: str
) -> Chart | None:
    """Draw one line per lesion over landmarks. `lines` are (name, points of (place, value), hue)."""
    values = [v for _, points, _ in lines for _, v in points]
    if not values:
        return None
    low, high = min(0.0, *values) * 1.05, max(*values, 1e-9, 0.0) * 1.05
    plane = Plane(0, max(len(labels) - 1, 1), low, high)
    parts = plane.grid("", unit, x_ticks=())
    for n, label in enumerate(labels):
        anchor = "start" if n == 0 else "end" if n == len(labels) - 1 else "middle"
        parts.append(
            f'<text class="mute" x="{plane.x(n):.2f}%" y="{plane.bottom + 17}" text-anchor="{anchor}">{esc(label)}</text>'
        )
    zero = plane.y(0)
    parts.append(f'<line class="zero" x1="0" x2="100%" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    for name, points, hue in lines:
        parts.append(plane.line(points, f"ln thin sk {hue}"))
        x, y = points[-1]
        tip = f"{esc(name)}: {write(y, 1)}{unit}"
        parts.append(f'<circle class="fk {hue}" cx="{plane.x(x):.2f}%" cy="{plane.y(y):.1f}" r="3" data-tip="{tip}"/>')
    return svg(parts, plane.height, sentence)


def swimmer(patients: Sequence[tuple[str, float, bool, str, Sequence[float]]]) -> Chart | None:
    """Draw the course of each patient to progression. Rows are (name, days, event, best response, days of cycles)."""
    if not patients:
        return None
    ordered = sorted(patients, key=lambda p: -p[1])
    row = 22
    height = 20 + row * len(ordered) + 30
    plane = Plane(0, max(p[1] for p in ordered) * 1.08, 0, 1, height, 10, 10 + row * len(ordered))
    parts = []
    for value in ticks(0, plane.x1, 6):
        x = f"{plane.x(value):.2f}%"
        parts.append(f'<line class="gl" x1="{x}" x2="{x}" y1="{plane.top}" y2="{plane.bottom}"/>')
        parts.append(
            f'<text class="mute" x="{x}" y="{plane.bottom + 17}" text-anchor="middle">{number(value)} d</text>'
        )
    for n, (name, days, event, best, cycles) in enumerate(ordered):
        y = plane.top + row * n + row / 2
        hue = RESPONSE_HUES.get(best, "k-mute")
        parts.append(f'<text x="0" dx="-8" y="{y + 4:.1f}" text-anchor="end">{esc(name)}</text>')
        end = f"{'progression or death' if event else 'without progression'} after {days:.0f} d"
        bar = f'x="0" width="{plane.x(days):.2f}%" y="{y - 6:.1f}" height="12"'
        parts.append(f'<rect class="fb {hue}" {bar} data-tip="{esc(name)}: {esc(best)}, {end}"/>')
        for number_of_cycle, day in enumerate(cycles, start=1):
            spot = f'cx="{plane.x(day):.2f}%" cy="{y:.1f}" r="3.5" data-tip="cycle {number_of_cycle}, day {day:.0f}"'
            parts.append(f'<circle class="fk k-dose" {spot}/>')
        mark = "×" if event else "→"
        parts.append(f'<text class="strong" x="{plane.x(days):.2f}%" dx="5" y="{y + 4:.1f}">{mark} {esc(best)}</text>')
    return svg(
        parts,
        height,
        f"Course of {len(ordered)} patients to progression (×) or to the last visit without (→), with cycles",
        "l2 r2",
    )


def survival(model: ModelView) -> Chart | None:
    """Draw a Kaplan-Meier curve with its band."""
    steps = model.numbers.get("curve")
    if not steps:
        return None
    end = steps[-1]["time"] * 1.05
    plane = Plane(0, end, 0, 1)
    stairs, band = [(0.0, 1.0)], [(0.0, 1.0, 1.0)]
    for step in steps:
        stairs += [(step["time"], stairs[-1][1]), (step["time"], step["survival"])]
        band += [(step["time"], *band[-1][1:]), (step["time"], *step["ci95"])]
    stairs.append((end, stairs[-1][1]))
    band.append((end, *band[-1][1:]))
    parts = [*plane.grid(" d"), plane.band(band, "fb k-size"), plane.line(stairs, "ln sk k-size")]
    return svg(parts, plane.height, f"Share without the event over time, {model.n} patients. {model.sentence}")


def calibration(points: Sequence[tuple[float, float, float, float]]) -> Chart | None:
    """Draw observed against predicted probability. `points` are (predicted, observed, low, high)."""
    if not points:
        return None
    plane = Plane(0, 1, 0, 1)
    quarters = [n / 4 for n in range(5)]
    parts = [*plane.grid(x_ticks=quarters), plane.line([(0, 0), (1, 1)], "ln thin dash sk k-band")]
    for predicted, observed, low, high in points:
        x = f"{plane.x(predicted):.2f}%"
        parts.append(f'<line class="eb sk k-size" x1="{x}" x2="{x}" y1="{plane.y(low):.1f}" y2="{plane.y(high):.1f}"/>')
        tip = f"predicted {predicted:.2f}, observed {observed:.2f} ({low:.2f} to {high:.2f})"
        parts.append(f'<circle class="fk k-size" cx="{x}" cy="{plane.y(observed):.1f}" r="4.5" data-tip="{tip}"/>')
    return svg(parts, plane.height, "Observed against predicted probability, by group", "l1 r1")


def decision(rows: Sequence[dict[str, float]]) -> Chart | None:
    """Draw the net benefit of acting by a model, on all and on none, at each threshold."""
    if not rows:
        return None
    values = [row[k] for row in rows for k in ("model", "all")]
    top = max(*values, 0.05) * 1.1
    plane = Plane(rows[0]["threshold"], rows[-1]["threshold"], -top / 2, top)
    parts = plane.grid()
    zero = plane.y(0)
    parts.append(f'<line class="zero" x1="0" x2="100%" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    everyone = [(r["threshold"], r["all"]) for r in rows if r["all"] >= plane.y0]
    parts.append(plane.line(everyone, "ln thin dash sk k-mute"))
    parts.append(plane.line([(r["threshold"], max(r["model"], plane.y0)) for r in rows], "ln sk k-size"))
    better = [r["threshold"] for r in rows if r["model"] > max(r["all"], 0.0)]
    said = f"The model is the best choice at {len(better)} of {len(rows)} thresholds"
    return svg(parts, plane.height, f"Net benefit against threshold probability. {said}")
