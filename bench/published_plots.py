"""Plots of docs/published.md as plain SVG; written by published_points.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from math import exp
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from published_points import (
    FIGURES,
    OUTCOMES,
    PREDICTORS,
    READING,
    figure_models,
    r2_of,
    redrawn_r2,
    response_models,
    slope,
    trend_models,
)

from lutra.core.data_table import DataTable
from lutra.predict.result import ModelResult

Array = npt.NDArray[np.float64]
BLUE, ORANGE, GREY, PALE, INK = "#2563a8", "#c2500a", "#6b7280", "#e3e6ea", "#1f2933"
WIDTH, HEIGHT = 360, 270
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 34, 44


@frozen
class Panel:
    """Axes of one plot, in pixels."""

    title: str
    x_label: str
    y_label: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    log_y: bool = field(default=False, kw_only=True)

    def x(self, value: float) -> float:
        """Place across. [px]"""
        low, high = self.x_range
        return self.left + (self.width - self.left - RIGHT) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        """Place down. [px]"""
        low, high, at = (np.log(v) if self.log_y else v for v in (*self.y_range, value))
        return float(TOP + (self.height - TOP - BOTTOM) * (high - at) / (high - low))

    def axes(self) -> list[str]:
        """Grid, numbers and labels."""
        right, bottom = self.width - RIGHT, self.height - BOTTOM
        parts = [text(self.left, 18, self.title, "start", 13, INK)]
        for value in self.y_ticks:
            parts.append(line([(self.left, self.y(value)), (right, self.y(value))], PALE, 1))
            parts.append(text(self.left - 6, self.y(value) + 4, number(value), "end"))
        for value in self.x_ticks:
            parts.append(line([(self.x(value), TOP), (self.x(value), bottom)], PALE, 1))
            parts.append(text(self.x(value), bottom + 16, number(value), "middle"))
        parts.append(text((self.left + right) / 2, self.height - 8, self.x_label, "middle"))
        if self.y_label:
            turned = f'transform="rotate(-90 14 {(TOP + bottom) / 2:.0f})"'
            parts.append(text(14, (TOP + bottom) / 2, self.y_label, "middle", more=turned))
        return parts

    def line(self, x: Iterable[float], y: Iterable[float], colour: str, width: float = 2, dash: str = "") -> str:
        """Line through points of the plot."""
        return line([(self.x(a), self.y(b)) for a, b in zip(x, y, strict=True)], colour, width, dash)

    def band(self, x: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str) -> str:
        """Area between two lines."""
        edge = [(self.x(a), self.y(b)) for a, b in zip([*x, *x[::-1]], [*low, *high[::-1]], strict=True)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in edge)
        return f'<polygon points="{path}" fill="{colour}" fill-opacity="0.14"/>'

    def dots(self, x: Iterable[float], y: Iterable[float], colour: str, radius: float = 3.2) -> list[str]:
        """Points."""
        return [
            f'<circle cx="{self.x(a):.1f}" cy="{self.y(b):.1f}" r="{radius}" fill="{colour}" fill-opacity="0.75"/>'
            for a, b in zip(x, y, strict=True)
        ]


def number(value: float) -> str:
    """Write a tick."""
    return f"{value:g}".replace("-", "−")


def text(x: float, y: float, words: str, anchor: str, size: int = 11, colour: str = GREY, more: str = "") -> str:
    """Words at a place."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"'
    return f"<text {place} {more}>{escape(words)}</text>"


def line(places: Sequence[tuple[float, float]], colour: str, width: float, dash: str = "") -> str:
    """Line through pixels."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def document(panels: Sequence[Sequence[str]], columns: int, says: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Put panels side by side, row by row."""
    rows = -(-len(panels) // columns)
    w, h = width * min(columns, len(panels)), height * rows
    moved = [
        f'<g transform="translate({width * (n % columns)} {height * (n // columns)})">{"".join(parts)}</g>'
        for n, parts in enumerate(panels)
    ]
    size = f'viewBox="0 0 {w} {h}" width="{w}" height="{h}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="sans-serif"><title>{escape(says)}</title>'
    return "\n".join([head, f'<rect width="{w}" height="{h}" fill="#ffffff"/>', *moved, "</svg>", ""])


# ---- the plots ----
def figure_panel(name: str, shows: str, points: Array, x_top: float, x_step: float) -> list[str]:
    """Points with the linear and the logarithmic model."""
    floor = -110 if points[:, 1].min() < -60 else -60
    panel = Panel(
        f"{name}: {shows}",
        "absorbed dose [Gy]",
        "shrinkage [%]",
        (0, x_top),
        (floor, 110),
        np.arange(0, x_top + 1, x_step),
        [t for t in (-100, -50, 0, 50, 100) if t > floor],
    )
    linear, log = figure_models(points)
    at, best, low, high = curve(log)
    straight = curve(linear)
    low, high = np.clip(low, *panel.y_range), np.clip(high, *panel.y_range)
    words = f"r² {r2_of(linear):.2f} linear (dashed), {r2_of(log):.2f} logarithmic"
    return [
        *panel.axes(),
        panel.band(list(at), list(low), list(high), ORANGE),
        panel.line(straight[0], np.clip(straight[1], *panel.y_range), GREY, 1.5, "5 4"),
        panel.line(at, best, ORANGE),
        *panel.dots(*points.T, BLUE),
        text(panel.width - RIGHT - 4, panel.y(panel.y_range[0]) - 8, words, "end", 11, INK),
    ]


def curve(result: ModelResult, change: Callable[[float], float] = float) -> tuple[Array, Array, Array, Array]:
    """Give the expected outcome of a model: where, best, low and high."""
    rows = result.numbers["curve"]
    x = np.array([row["x"] for row in rows])
    return x, *(np.array([change(row[key]) for row in rows]) for key in ("expected", "low", "high"))  # type: ignore[return-value]


def figures_plot(points: dict[str, Array], start: str, x_top: float, x_step: float) -> str:
    """Draw all figures of a publication whose points are patients, but those whose dose axis is another."""
    chosen = [f for f in FIGURES if f.name.startswith(start) and f.lesion_per_patient and not f.name.endswith("2C")]
    panels = [figure_panel(f.name, f.shows, points[f.name], x_top, x_step) for f in chosen]
    return document(panels, 2, f"{start}: shrinkage against absorbed dose with a linear and a logarithmic model")


def digitising_plot(points: Array) -> str:
    """Draw what a reading error does to r² of figure 6A, beside the printed value."""
    panels = []
    for share in (READING, 5 * READING):
        title = f"reading error {100 * share:.1f} % of each axis"
        bins = np.linspace(0.28, 0.44, 65)
        panel = Panel(
            title, "r² of figure 6A", "", (0.28, 0.44), (0, 1.1), [0.28, 0.32, 0.36, 0.4, 0.44], [], height=220
        )
        parts = panel.axes()
        for log, colour in ((False, GREY), (True, ORANGE)):
            counts, _ = np.histogram(redrawn_r2(points, share, log=log), bins)
            steps = np.repeat(counts / counts.max(), 2)
            parts.append(panel.line(np.repeat(bins, 2)[1:-1], steps, colour))
        parts.append(panel.line([0.37, 0.37], [0, 1.1], BLUE, 1.5, "4 3"))
        parts.append(text(panel.x(0.37) + 5, TOP + 10, "printed: .37", "start", 11, BLUE))
        parts.append(text(panel.x(0.282), TOP + 10, "linear", "start", 11, GREY))
        parts.append(text(panel.x(0.43), TOP + 30, "logarithmic", "end", 11, ORANGE))
        panels.append(parts)
    says = "r² of figure 6A when its points are moved by their reading error: only the logarithmic model reaches the printed .37"
    return document(panels, 2, says, height=220)


def cycles_plot(cycles: DataTable) -> str:
    """Draw the dose of every patient over the cycles, and the mean trend."""
    width, height = 560, 330
    panel = Panel(
        "Jahn 2020: dose of each cycle, 25 patients (exploratory)",
        "cycle",
        "absorbed dose [Gy]",
        (0.8, 7.2),
        (8, 130),
        range(1, 8),
        (10, 20, 40, 80),
        width,
        height,
        log_y=True,
    )
    patients = np.array(cycles.text("pat"))
    cycle, dose = cycles.numbers("cycle"), cycles.numbers("dose")
    parts = panel.axes()
    for patient in np.unique(patients):
        own = patients == patient
        parts += [panel.line(cycle[own], dose[own], BLUE, 1), *panel.dots(cycle[own], dose[own], BLUE, 2)]
    at, best, low, high = curve(trend_models(cycles)[0], exp)
    parts += [panel.band(list(at), list(low), list(high), ORANGE), panel.line(at, best, ORANGE, 3)]
    return document([parts], 1, "Absorbed dose per cycle of 25 patients with the mean trend", width, height)


def response_plot(cycles: DataTable) -> str:
    """Draw the change of diameter and volume per doubling of what was known of the dose."""
    width, height, left = 380, TOP + BOTTOM + 26 * len(PREDICTORS) + 10, 150
    results = response_models(cycles)
    panels = []
    for outcome in OUTCOMES:
        reach, step = (30, 15) if outcome == "diameter" else (80, 40)
        panel = Panel(
            f"{outcome}, exploratory",
            "change per doubling [%], 95 %",
            "",
            (-reach, reach),
            (-len(PREDICTORS) + 0.3, 0.7),
            np.arange(-reach, reach + 1, step),
            [],
            width,
            height,
            left,
        )
        parts = [*panel.axes(), panel.line([0, 0], [-len(PREDICTORS) + 0.3, 0.7], INK, 1)]
        for n, (name, _, _) in enumerate(PREDICTORS):
            effect = slope(results[outcome, name])
            best, low, high = (100 * (exp(v) - 1) for v in (effect.estimate, *effect.ci95))
            parts.append(panel.line([low, high], [-n, -n], BLUE, 2))
            parts += panel.dots([best], [-n], BLUE, 4)
            parts.append(text(left - 8, panel.y(-n) + 4, name, "end", 11, INK))
        panels.append(parts)
    return document(
        panels, 2, "Change of diameter and of volume per doubling of the dose: no relation shown", width, height
    )


def write_plots(out: Path, points: dict[str, Array], cycles: DataTable) -> None:
    """Write all plots."""
    out.mkdir(parents=True, exist_ok=True)
    plots = {
        "jahn2021": figures_plot(points, "Jahn 2021", 500, 100),
        "ha2024": figures_plot(points, "Ha 2024", 300, 100),
        "digitising": digitising_plot(points["Jahn 2021, 6A"]),
        "cycles": cycles_plot(cycles),
        "response": response_plot(cycles),
    }
    for name, plot in plots.items():
        (out / f"published_{name}.svg").write_text(plot, encoding="utf-8")
